// Two people talk through a real hub, which is killed in the middle.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Client, Format } from "../../src/index.js";
import { Hub, program, until } from "./hub.js";

const FORMATS: Format[] = ["binary", "json"];

let hub: Hub;

beforeAll(async () => {
  program();
  hub = await new Hub().start();
});
afterAll(() => hub?.stop());

function textOf(content: { body: { value?: unknown } } | undefined): string {
  return String(content?.body.value);
}

async function conversation(of: Client, ...members: string[]): Promise<string> {
  const created = await of.createConversation({ members: members.map((user) => ({ user })) });
  return created.room;
}

describe.each(FORMATS)("frames as %s", (format) => {
  test("messages, edits, reactions, marks, typing and presence reach the other", async () => {
    const [alice, bob] = [await hub.client("alice", { format }), await hub.client("bob", { format })];
    const name = await conversation(alice, "bob");
    const [hers, his] = [await alice.room(name).open(), await bob.room(name).open()];
    const sent = await hers.send("grüße 👋", { attributes: { a: "b" } });
    const seq = sent.position?.seq ?? 0n;
    await until(bob, "bob has the message", () => his.messages.length === 1);
    expect(his.messages[0]).toMatchObject({ sender: "alice", seq, attributes: { a: "b" } });
    expect(his.unread).toBe(1);

    his.setTyping(true);
    await until(alice, "bob types", () => hers.typing.includes("bob"));
    his.markRead();
    await until(alice, "bob has read", () => hers.marks.get("bob")?.read === seq);
    await until(bob, "nothing is unread", () => his.unread === 0);
    await bob.react(name, seq, "👍", true);
    await alice.edit({ room: name, seq, content: { body: { case: "text", value: "hello" } } });
    const isChanged = () => his.messages[0]?.version === 2 && his.messages[0].reactions.length === 1;
    await until(bob, "both changes came", isChanged);
    await until(alice, "bob is present", () => hers.presence.has("bob"));

    await alice.delete(name, seq);
    await until(bob, "the message is gone", () => his.messages[0]?.deleted === true);
    const again = await bob.history({ room: name, limit: 10 });
    expect(again.entries.some(({ entry }) => entry.case === "message" && entry.value.deleted)).toBe(true);
    alice.close();
    await until(bob, "alice has left", () => !his.presence.has("alice"));
    bob.close();
  });

  test("nothing is lost or doubled when the hub is killed in mid-conversation", async () => {
    const [alice, bob] = [await hub.client("alice", { format }), await hub.client("bob", { format })];
    const name = await conversation(alice, "bob");
    const [hers, his] = [await alice.room(name).open(), await bob.room(name).open()];
    const heard: string[] = [];
    bob.on("message", ({ room, content }) => room === name && heard.push(textOf(content)));
    const words = Array.from({ length: 200 }, (_, index) => `message ${index}`);
    const sending = words.slice(0, 150).map((text) => hers.send(text));
    await until(bob, "some have come", () => his.messages.length > 20);
    await hub.kill();
    sending.push(...words.slice(150).map((text) => hers.send(text)));
    await hub.start();
    await Promise.all(sending);
    await until(bob, "all has come", () => his.messages.length === words.length);
    expect(heard).toEqual(words);
    expect(his.messages.map(({ content }) => textOf(content))).toEqual(words);
    await until(alice, "hers came back", () => hers.outbound.length === 0);
    expect(hers.messages).toHaveLength(words.length);
    alice.close();
    bob.close();
  });

  test("what was missed while away comes at once, and the list of rooms knows", async () => {
    const alice = await hub.client("alice", { format });
    const name = await conversation(alice, "bob");
    for (let index = 0; index < 70; index += 1) await alice.send(name, `message ${index}`);
    const bob = await hub.client("bob", { format });
    await bob.roomList.open();
    expect(bob.roomList.get(name)).toMatchObject({ unread: 70 });
    const room = await bob.room(name).open({ history: 20 });
    expect([room.messages.length < 70, room.hasEarlier, room.unread]).toEqual([true, true, 70]);
    while (room.hasEarlier) await room.loadEarlier(20);
    expect(room.messages.map(({ content }) => textOf(content))).toEqual(
      Array.from({ length: 70 }, (_, index) => `message ${index}`),
    );
    room.markRead();
    await until(bob, "all is read", () => bob.roomList.get(name)?.unread === 0);
    alice.close();
    bob.close();
  });
});

test("a refusal bears the hub's code and fields", async () => {
  const alice = await hub.client("alice");
  await expect(alice.send("conversation:none", "hello")).rejects.toMatchObject({ code: "ACCESS_DENIED" });
  const empty = { room: "room:lobby", content: { body: { case: "text", value: "" } } } as const;
  await expect(alice.sendMessage(empty)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  alice.close();
});

test("a token that is none ends the client", async () => {
  await expect(hub.client("alice", { token: "none" })).rejects.toMatchObject({ code: "INVALID_TOKEN" });
});

test("a second session of the same instance replaces the first, which stays away", async () => {
  const first = await hub.client("alice", { instance: "tab" });
  const second = await hub.client("alice", { instance: "tab" });
  await until(first, "it is replaced", () => first.state === "closed").catch(() => {});
  expect(first.state).toBe("closed");
  await expect(first.ping()).rejects.toMatchObject({ code: "SESSION_REPLACED" });
  second.close();
});

test("notifications come once, live and after an absence, and one device tells the others what it read", async () => {
  const [phone, laptop] = [await hub.client("alice"), await hub.client("alice")];
  const told: string[] = [];
  phone.inbox.on("notification", ({ title }) => told.push(title));
  await hub.run("notify", "--user", "alice", "first");
  await until(phone, "the first came", () => told.length === 1);
  await hub.crash();
  await hub.run("notify", "--user", "alice", "--priority", "critical", "second");
  await until(phone, "the second came", () => told.length === 2);
  await until(laptop, "the alert came", () => laptop.inbox.alerts.length === 1);
  expect(told).toEqual(["first", "second"]);
  await phone.inbox.readAll();
  await until(
    laptop,
    "nothing is unread",
    () => laptop.inbox.unread === 0 && laptop.inbox.alerts.length === 0,
  );
  const later = await hub.client("alice");
  await later.inbox.open();
  expect(later.inbox.notifications.map(({ title, read }) => [title, read])).toEqual([
    ["second", true],
    ["first", true],
  ]);
  for (const client of [phone, laptop, later]) client.close();
});
