// Two people at two windows: they talk, one goes offline and returns, the hub dies and comes back.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Person, startBrowser } from "./browser.js";
import { Hub, WAYS } from "./hub.js";

let hub;
let browser;
let alice;
let bob;

function words(count, who) {
  return Array.from({ length: count }, (_, index) => `${who} ${index}`);
}

/** What people do: the same wherever they come in. */
const CHATS = [
  () =>
    test("two people see each other's messages, typing and ticks", async () => {
      await alice.starts("Supper", "bob");
      await alice.says("supper?");
      await bob.opens("Supper");
      await bob.hears(1);
      await alice.types("hello b");
      await bob.sees("Alice is typing…");
      await alice.says("hello bob 👋");
      await bob.sees("hello bob 👋");
      await alice.seesMark("hello bob", "Read by Bob");
      await bob.says("hello alice");
      await bob.seesMark("hello alice", "Read by Alice");
      await bob.opensInbox();
      await alice.says("are you there?");
      await alice.seesMark("are you there?", "Delivered");
      await bob.opens("Supper");
      await alice.seesMark("are you there?", "Read by Bob");
      const said = ["supper?", "hello bob 👋", "hello alice", "are you there?"];
      assert.deepEqual([await alice.hears(4), await bob.hears(4)], [said, said]);
    }),

  () =>
    test("a line stands before what was unread, and not before what comes while one looks", async () => {
      await alice.starts("Tea", "bob");
      await alice.says("black or green?");
      await bob.opens("Tea");
      await bob.says("green");
      await bob.hears(2);
      await bob.hasRead("Tea");
      await bob.opensInbox();
      await alice.says("with sugar?");
      await alice.seesMark("with sugar?", "Delivered");
      await bob.opens("Tea");
      await bob.hears(3);
      await bob.newLine().waitFor();
      await bob.hasRead("Tea");
      await bob.opensInbox();
      await bob.opens("Tea");
      await bob.hears(3);
      assert.equal(await bob.newLine().count(), 0);
      await alice.says("no?");
      await bob.hears(4);
      assert.equal(await bob.newLine().count(), 0);
    }),

  () =>
    test("who was offline gets everything missed, once, and what was written meanwhile is sent", async () => {
      await alice.starts("Walk", "bob");
      await alice.says("before");
      await bob.opens("Walk");
      await bob.hears(1);
      await bob.context.setOffline(true);
      await bob.isCutOff();
      for (const text of words(20, "missed")) await alice.says(text);
      await alice.seesMark("missed 19", "Sent");
      await bob.says("from the tunnel");
      await bob.seesMark("from the tunnel", "Sending");
      assert.deepEqual(await bob.page.locator("[role=log] .bubble-words").allTextContents(), [
        "before",
        "from the tunnel",
      ]);
      await bob.context.setOffline(false);
      await bob.is("connected");
      await alice.sees("from the tunnel");
      await alice.says("after");
      const said = ["before", ...words(20, "missed"), "from the tunnel", "after"];
      assert.deepEqual([await bob.hears(23), await alice.hears(23)], [said, said]);
    }),

  () =>
    test("an alert arrives, and is gone on every device once it is acknowledged", async () => {
      const phone = await Person.at(hub, browser, "bob");
      await phone.is("connected");
      await hub.notify("--user", "bob", "--priority", "critical", "The kitchen is on fire");
      for (const device of [bob, phone]) await device.page.getByRole("alert").getByText("kitchen").waitFor();
      await bob.page.getByRole("button", { name: "Acknowledge" }).click();
      for (const device of [bob, phone]) await device.page.getByRole("alert").waitFor({ state: "detached" });
      assert.equal(await alice.page.getByRole("alert").count(), 0);
      await phone.leaves();
    }),

  () =>
    test("kill -9 of the hub in the middle loses and doubles nothing", async () => {
      await alice.starts("Storm", "bob");
      await alice.says("it thunders");
      await bob.opens("Storm");
      const [hers, his] = [words(30, "alice"), words(30, "bob")];
      const talk = async (person, texts) => {
        for (const text of texts) await person.says(text);
      };
      const talking = [talk(alice, hers.slice(0, 20)), talk(bob, his.slice(0, 20))];
      await bob.sees("alice 5");
      await hub.kill();
      await Promise.all(talking);
      await Promise.all([talk(alice, hers.slice(20)), talk(bob, his.slice(20))]);
      await alice.seesMark("alice 29", "Sending");
      await hub.start();
      await Promise.all([alice.is("connected"), bob.is("connected")]);
      const [heard, same] = await Promise.all([alice.hears(61), bob.hears(61)]);
      assert.deepEqual(same, heard);
      assert.deepEqual(
        heard.filter((text) => text.startsWith("alice")),
        hers,
      );
      assert.deepEqual(
        heard.filter((text) => text.startsWith("bob")),
        his,
      );
    }),
];

for (const { way, apart } of WAYS) {
  describe(way, () => {
    before(async () => {
      hub = await new Hub({ apart }).start();
      browser = await startBrowser();
    });
    after(async () => {
      await browser?.close();
      await hub?.stop();
    });
    beforeEach(async () => {
      [alice, bob] = await Promise.all(["alice", "bob"].map((name) => Person.at(hub, browser, name)));
      await Promise.all([alice.is("connected"), bob.is("connected")]);
    });
    afterEach(() => Promise.all([alice.leaves(), bob.leaves()]));
    for (const chat of CHATS) chat();
  });
}
