// Two people at two nodes of one hub: they do not notice.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Person, startBrowser } from "./browser.js";
import { Hub } from "./hub.js";
import { Redis } from "./redis.js";

let redis;
let one;
let other;
let browser;

before(async () => {
  redis = await new Redis().start();
  one = await new Hub({ redis }).start();
  // The same tokens are good at both.
  other = await new Hub({ redis, of: one }).start();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await Promise.all([other?.stop(), one?.stop()]);
  await redis?.stop();
});

test("two people on different nodes are in one conversation, also when a node is killed", async () => {
  const [alice, bob] = await Promise.all([
    Person.at(one, browser, "alice"),
    Person.at(other, browser, "bob"),
  ]);
  await Promise.all([alice.is("connected"), bob.is("connected")]);
  await alice.starts("Supper", "bob");
  await alice.says("supper?");
  await bob.opens("Supper");
  await bob.hears(1);
  await alice.types("hello b");
  await bob.sees("Alice is typing…");
  await alice.says("hello bob 👋");
  await alice.seesMark("hello bob", "Read by Bob");
  await bob.says("hello alice");
  await bob.seesMark("hello alice", "Read by Alice");
  await one.kill();
  await alice.isCutOff();
  await bob.says("are you there?");
  await one.start();
  await alice.is("connected");
  await alice.says("again");
  const said = ["supper?", "hello bob 👋", "hello alice", "are you there?", "again"];
  assert.deepEqual([await alice.hears(5), await bob.hears(5)], [said, said]);
  await Promise.all([alice.leaves(), bob.leaves()]);
});
