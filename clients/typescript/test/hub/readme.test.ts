// The README's own lines, against a real hub.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, type ClientOptions } from "../../src/index.js";
import { Hub, program } from "./hub.js";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const ASYNC_FUNCTION = Object.getPrototypeOf(async () => {}).constructor;

let hub: Hub;

beforeAll(async () => {
  program();
  hub = await new Hub().start();
});
afterAll(() => hub?.stop());

/** The lines of the first fenced block under a heading, without its imports. */
function linesUnder(heading: string): string {
  const [, block = ""] = README.split(`## ${heading}`)[1]?.split(/```ts\n([\s\S]*?)```/) ?? [];
  return block.replace(/^import .*\n/gm, "");
}

test("the example for Node is told what was said before, and what is said", async () => {
  const bob = await hub.client("bob");
  for (const words of ["one", "two", "three"]) await bob.send("room:lobby", words);
  const sent: Promise<unknown>[] = [];
  class Asked extends Client {
    constructor(options: ClientOptions) {
      super({ ...options, url: `ws://${hub.bridge}` });
      this.on("joined", () => sent.push(bob.send("room:lobby", "four")));
      this.on("message", ({ content }) => content?.body.value === "four" && this.close());
    }
  }
  const said: string[] = [];
  const console = { log: (...words: string[]) => said.push(words.join(": ")) };
  const run = new ASYNC_FUNCTION("Client", "WebSocket", "token", "console", linesUnder("In Node"));
  await run(Asked, WebSocket, hub.token("alice"), console);
  expect(said).toEqual(["bob: one", "bob: two", "bob: three", "bob: four"]);
  await Promise.all(sent);
  bob.close();
});
