// A real hub: `carillon serve --dev` as a child process, on ports that the system chose and it then keeps; and a bridge apart
// from it, `carillon bridge --dev`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM = process.env.CARILLON_BIN;
const PORTS = ["grpc", "http", "bridge"];

function run(args) {
  return spawn(PROGRAM, args, { stdio: ["ignore", "pipe", "ignore"] });
}

/** What a process says once it listens. */
async function ready(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return JSON.parse(line);
  }
  throw new Error(`it ended before it listened: ${child.spawnargs.join(" ")}`);
}

async function kill(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** Where browsers come in: a bridge in the hub's process, and one that is a process of its own. */
export const WAYS = [
  { way: "in the hub's process", apart: false },
  { way: "at a bridge apart", apart: true },
];

/** A hub with its data. */
export class Hub {
  #data;
  #isBorrowed;
  #redis;
  #child;
  #ready;
  #isApart;
  #bridge;

  /**
   * One of its own, or a node on a Redis, which may have the data folder, and so the tokens, of another. With `apart` browsers
   * come in by a bridge that is a process of its own, and goes on when the hub is killed.
   */
  constructor({ redis, of, apart = false } = {}) {
    this.#isApart = apart;
    this.#data = of?.#data ?? mkdtempSync(join(tmpdir(), "carillon-browser-"));
    this.#isBorrowed = of !== undefined;
    this.#redis = redis;
  }

  /** Starts it, on the ports that it had before. */
  async start() {
    if (PROGRAM === undefined) throw new Error("CARILLON_BIN must name the carillon program");
    const ports = PORTS.flatMap((name) => [`--${name}`, this.#ready?.[name] ?? "127.0.0.1:0"]);
    const nodes = this.#redis ? ["--redis", this.#redis.url] : [];
    const args = ["serve", "--dev", "--json", "--data", this.#data, ...ports, ...nodes];
    this.#child = run(args);
    this.#ready = await ready(this.#child);
    if (this.#isApart && this.#bridge === undefined) {
      const url = `http://${this.#ready.grpc}`;
      const args = ["bridge", "--dev", "--json", "--query-tokens", "--listen", "127.0.0.1:0"];
      this.#bridge = run([...args, "--hub", url]);
      this.#bridge.listens = (await ready(this.#bridge)).bridge;
    }
    return this;
  }

  /** Ends it the hard way. */
  kill() {
    return kill(this.#child);
  }

  /** Ends it, and leaves nothing behind. */
  async stop() {
    await Promise.all([this.kill(), kill(this.#bridge)]);
    if (!this.#isBorrowed) rmSync(this.#data, { recursive: true, force: true });
  }

  /** Sends a notification as the development service. */
  async notify(...args) {
    const as = ["--as", "service", "--data", this.#data, "--addr", `http://${this.#ready.grpc}`];
    const child = spawn(PROGRAM, ["notify", ...args, ...as], { stdio: ["ignore", "ignore", "inherit"] });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`carillon notify ended with ${code}`);
  }

  /** Host and port of the bridge. */
  get bridge() {
    return this.#bridge?.listens ?? this.#ready.bridge;
  }

  /** A development token. */
  token(name) {
    return this.#ready.tokens[name];
  }
}
