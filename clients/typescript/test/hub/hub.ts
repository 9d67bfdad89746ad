// A real hub: `carillon serve --dev` as a child process, on ports that the system chose and it then keeps.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import { Client, type ClientOptions, type WebSocketConstructor } from "../../src/index.js";

/** What the hub prints when it listens. */
interface Ready {
  readonly grpc: string;
  readonly http: string;
  readonly bridge: string;
  readonly tokens: Readonly<Record<string, string>>;
}

/** The hub program; fails where the environment does not name one. */
export function program(): string {
  const path = process.env.CARILLON_BIN;
  if (path === undefined || !existsSync(path)) {
    throw new Error(
      "CARILLON_BIN must name the carillon program: cargo build, then CARILLON_BIN=target/debug/carillon",
    );
  }
  return path;
}

/** A hub with its data. */
export class Hub {
  private readonly data = mkdtempSync(join(tmpdir(), "carillon-hub-"));
  private process: ChildProcess | undefined;
  private ready: Ready | undefined;
  private readonly clients: Client[] = [];

  /** Starts it, on the ports that it had before. */
  async start(): Promise<this> {
    const port = (name: "grpc" | "http" | "bridge") => this.ready?.[name] ?? "127.0.0.1:0";
    const addresses = (["grpc", "http", "bridge"] as const).flatMap((name) => [`--${name}`, port(name)]);
    const args = ["serve", "--dev", "--json", "--data", this.data, ...addresses];
    const child = spawn(program(), args, { stdio: ["ignore", "pipe", "ignore"] });
    this.process = child;
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith("{")) continue;
      this.ready = JSON.parse(line) as Ready;
      if (!this.ready.bridge) throw new Error(`this carillon has no bridge; it printed ${line}`);
      child.stdout.resume();
      return this;
    }
    throw new Error(`the hub ended before it listened: ${args.join(" ")}`);
  }

  /** Ends it the hard way. */
  async kill(): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Runs a command of the program as the development service. */
  async run(command: string, ...args: string[]): Promise<void> {
    const as = ["--as", "service", "--data", this.data, "--addr", `http://${this.ready?.grpc}`];
    const child = spawn(program(), [command, ...args, ...as], { stdio: ["ignore", "ignore", "inherit"] });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    if (code !== 0) throw new Error(`carillon ${command} ended with ${code}`);
  }

  /** Kills it and starts it again, on the same ports and data. */
  async crash(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** The address of the bridge, without a scheme. */
  get bridge(): string {
    return this.ready?.bridge ?? "";
  }

  /** A development token. */
  token(name: string): string {
    return this.ready?.tokens[name] ?? "";
  }

  /** A client of this user, connected. */
  async client(user: string, options: Partial<ClientOptions> = {}): Promise<Client> {
    const client = new Client({
      url: `ws://${this.bridge}`,
      token: () => this.token(user),
      WebSocket: WebSocket as unknown as WebSocketConstructor,
      backoff: { initialMs: 50, mostMs: 200 },
      ...options,
    });
    this.clients.push(client);
    await client.connect();
    return client;
  }
}

/** Waits until a condition holds, asked at each event of the client. */
export async function until(client: Client, what: string, holds: () => boolean): Promise<void> {
  if (holds()) return;
  const signal = AbortSignal.timeout(20_000);
  for await (const _ of client.events({ signal, limit: 100_000 })) if (holds()) return;
  throw new Error(`did not come to be: ${what}`);
}
