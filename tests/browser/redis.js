// A real Redis: a child process with a folder of its own, reached by a socket there.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export class Redis {
  #folder = mkdtempSync(join(tmpdir(), "carillon-redis-"));
  #child;

  async start() {
    const kept = ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"];
    const at = ["--port", "0", "--unixsocket", join(this.#folder, "redis.sock"), "--dir", this.#folder];
    this.#child = spawn("redis-server", [...at, ...kept], { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface({ input: this.#child.stdout })) {
      if (!line.includes("eady to accept connections")) continue;
      this.#child.stdout.resume();
      return this;
    }
    throw new Error("redis-server ended before it was ready");
  }

  get url() {
    return `unix://${join(this.#folder, "redis.sock")}`;
  }

  /** Ends it, and leaves nothing behind. */
  async stop() {
    if (this.#child?.exitCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
