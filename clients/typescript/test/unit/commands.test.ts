// Commands over sessions: their ids, keys, times and bounds.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { OverflowError, PresenceStatus, RefusedError, TimeoutError } from "../../src/index.js";
import { at, ROOM, Story, settle } from "./hub.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a command that broke off is sent again with the same key, and completes once", async () => {
  const story = await new Story().connects();
  const sending = story.client.send(ROOM, "hello");
  const first = story.socket.last("messageSend");
  expect(first.key).toHaveLength(16);
  await story.breaksAndReturns();
  const second = story.socket.last("messageSend");
  expect(second).toMatchObject({ key: first.key, value: first.value });
  story.socket.push({ case: "messageSent", value: { position: at(5n), duplicate: true } }, second.id);
  expect(await sending).toMatchObject({ duplicate: true, position: { seq: 5n } });
  await story.breaksAndReturns();
  expect(story.socket.all("messageSend")).toHaveLength(0);
});

test("commands keep their order over a break, and those from between go after them", async () => {
  const story = await new Story().connects();
  const words = ["one", "two", "three", "four"];
  for (const text of words.slice(0, 2)) void story.client.send(ROOM, text).catch(() => {});
  story.socket.end();
  for (const text of words.slice(2)) void story.client.send(ROOM, text).catch(() => {});
  await vi.advanceTimersByTimeAsync(5_000);
  await story.accepts();
  const sent = story.socket.all("messageSend").map(({ value }) => value.content?.body.value);
  expect(sent).toEqual(words);
  const ids = story.socket.requests.map(({ commandId }) => commandId);
  expect(new Set(ids).size).toBe(ids.length);
});

test("commands that write nothing bear no key", async () => {
  const story = await new Story().connects();
  void story.client.history({ room: ROOM }).catch(() => {});
  expect(story.socket.last("history").key).toHaveLength(0);
});

test("a key of the caller's is used as it is", async () => {
  const story = await new Story().connects();
  const key = Uint8Array.from({ length: 8 }, (_, index) => index);
  void story.client.send(ROOM, "hello", { key }).catch(() => {});
  expect(story.socket.last("messageSend").key).toEqual(key);
});

test("a command's time includes reconnects", async () => {
  const story = await new Story().connects();
  const sending = story.client.send(ROOM, "hello", { timeoutMs: 8_000 });
  const outcome = expect(sending).rejects.toThrow(TimeoutError);
  await story.breaksAndReturns();
  expect(story.socket.all("messageSend")).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3_000);
  await outcome;
  await story.breaksAndReturns();
  expect(story.socket.all("messageSend"), "given up").toHaveLength(0);
});

test("an aborted command rejects with the signal's reason and is not sent later", async () => {
  const story = new Story();
  const giveUp = new AbortController();
  const sending = story.client.send(ROOM, "hello", { signal: giveUp.signal });
  giveUp.abort(new Error("changed my mind"));
  await expect(sending).rejects.toThrow("changed my mind");
  await story.connects();
  expect(story.socket.all("messageSend")).toHaveLength(0);
  await expect(story.client.send(ROOM, "hello", { signal: giveUp.signal })).rejects.toThrow(
    "changed my mind",
  );
});

test("a refusal says why", async () => {
  const story = await new Story().connects();
  const sending = story.client.send(ROOM, "");
  const violations = [{ field: "content", rule: "not empty" }];
  const value = { code: "INVALID_ARGUMENT", message: "a field is not valid", requestId: "r1", violations };
  story.socket.push({ case: "error", value }, story.socket.last("messageSend").id);
  const error = await sending.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(RefusedError);
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", requestId: "r1", retryable: false });
  expect((error as RefusedError).violations[0]).toMatchObject(violations[0] as object);
});

test("60 are under way at most, and as many wait as the options say", async () => {
  const story = await new Story({ queue: 5 }).connects();
  const send = () => story.client.send(ROOM, "x");
  const sending = Array.from({ length: 65 }, send);
  for (const one of sending) one.catch(() => {});
  expect(story.socket.all("messageSend")).toHaveLength(60);
  await expect(send()).rejects.toThrow(OverflowError);
  story.socket.push({ case: "messageSent", value: {} }, 2);
  await settle();
  expect(story.socket.all("messageSend")).toHaveLength(61);
});

test("a frame above the hub's limit is refused here, as it would end the session again and again", async () => {
  const story = await new Story().connects({ limits: { frameBytes: 1_000 } } as never);
  await expect(story.client.send(ROOM, "x".repeat(1_000))).rejects.toMatchObject({
    code: "MESSAGE_TOO_LARGE",
  });
  expect(story.socket.all("messageSend")).toHaveLength(0);
});

test("status and watched users are told to each new session", async () => {
  const story = await new Story().connects();
  void story.client.presence.set(PresenceStatus.BUSY, "in a meeting").catch(() => {});
  void story.client.presence.watch(["bob"]).catch(() => {});
  story.socket.push({ case: "done", value: {} }, story.socket.last("presenceSet").id);
  story.socket.push({ case: "done", value: {} }, story.socket.last("presenceWatch").id);
  await story.breaksAndReturns();
  expect(story.socket.last("presenceSet").value).toMatchObject({
    status: PresenceStatus.BUSY,
    text: "in a meeting",
  });
  expect(story.socket.last("presenceWatch").value.users).toEqual(["bob"]);
  const state = { user: "bob", status: PresenceStatus.ONLINE };
  story.socket.push({ case: "presence", value: { state } });
  expect([story.client.presence.isOnline("bob"), story.client.presence.isOnline("carol")]).toEqual([
    true,
    false,
  ]);
});

test("an iterator that is not read ends with an error, and bounds what waits", async () => {
  const story = await new Story().connects();
  const events = story.client.events({ limit: 2 });
  const first = events.next();
  for (let count = 0; count < 4; count += 1) {
    story.socket.push({ case: "inboxUnread", value: { count: BigInt(count) } });
  }
  expect((await first).value).toMatchObject({ type: "inboxUnread", value: { count: 0n } });
  expect((await events.next()).value).toMatchObject({ value: { count: 1n } });
  await expect(events.next()).rejects.toThrow(OverflowError);
});
