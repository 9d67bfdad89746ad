// A real hub: `carillon serve --dev` as a child process, on ports that the system chose and it then keeps.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM = process.env.CARILLON_BIN;
const PORTS = ["grpc", "http", "bridge"];

/** A hub with its data. */
export class Hub {
  #data;
  #isBorrowed;
  #redis;
  #child;
  #ready;

  /** One of its own, or a node on a Redis, which may have the data folder, and so the tokens, of another. */
  constructor({ redis, of } = {}) {
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
    this.#child = spawn(PROGRAM, args, { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface({ input: this.#child.stdout })) {
      this.#ready = JSON.parse(line);
      this.#child.stdout.resume();
      return this;
    }
    throw new Error(`the hub ended before it listened: ${args.join(" ")}`);
  }

  /** Ends it the hard way. */
  async kill() {
    if (this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  /** Ends it, and leaves nothing behind. */
  async stop() {
    await this.kill();
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
    return this.#ready.bridge;
  }

  /** A development token. */
  token(name) {
    return this.#ready.tokens[name];
  }
}
