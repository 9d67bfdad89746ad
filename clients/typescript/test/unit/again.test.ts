// What failed and is done again: joins, histories and marks of room objects.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Room } from "../../src/index.js";
import { at, joined, opens, page, ROOM, Story, settle } from "./hub.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Name = "markRead" | "history" | "join";

/** The hub refuses the last command of this kind. */
function refuses(story: Story, name: Name, code = "UNAVAILABLE", retryAfterMs = 0): void {
  const value = { code, retryable: code === "UNAVAILABLE", retryAfterMs };
  story.socket.push({ case: "error", value }, story.socket.last(name).id);
}

const read = (story: Story) => story.socket.all("markRead").map(({ value }) => value.upTo);
const seqs = (room: Room) => room.messages.map(({ seq }) => seq);

/** The hub answers the last join, and then the last history. */
async function lets(story: Story): Promise<void> {
  story.socket.push({ case: "joined", value: joined(3n) }, story.socket.last("join").id);
  await settle();
  story.socket.push(page(1n, 3n), story.socket.last("history").id);
  await settle();
}

test("a mark that is refused for now is sent again when the hub's wait is over", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = await opens(story);
  room.markRead(2n);
  refuses(story, "markRead", "UNAVAILABLE", 20_000);
  await vi.advanceTimersByTimeAsync(19_999);
  expect(read(story)).toEqual([2n]);
  await vi.advanceTimersByTimeAsync(20_001);
  expect(read(story)).toEqual([2n, 2n]);
});

test("a mark that is refused for good is not sent again", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = await opens(story);
  room.markRead(2n);
  refuses(story, "markRead", "PERMISSION_DENIED");
  await vi.advanceTimersByTimeAsync(20_000);
  room.markRead(3n);
  expect(read(story)).toEqual([2n, 3n]);
});

test("a mark whose time was over while there was no session is sent in the next one", async () => {
  const story = await new Story({ acknowledge: false, commandTimeoutMs: 100 }).connects();
  const room = await opens(story);
  story.socket.end();
  room.markRead(2n);
  await vi.advanceTimersByTimeAsync(5_000);
  await story.accepts();
  expect(read(story)).toEqual([2n]);
});

test("a truncated room whose history is refused reads it later", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = await opens(story);
  await story.breaksAndReturns();
  const value = joined(2n, { position: at(2n, 2n), truncated: true });
  story.socket.push({ case: "joined", value });
  refuses(story, "history");
  await settle();
  expect([seqs(room), room.hasEarlier]).toEqual([[], true]);
  await vi.advanceTimersByTimeAsync(6_000);
  story.socket.push(page(2n, 2n), story.socket.last("history").id);
  await settle();
  expect([seqs(room), room.hasEarlier]).toEqual([[2n], false]);
});

test("a truncated room whose history is refused reads it in the next session", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = await opens(story);
  await story.breaksAndReturns();
  story.socket.push({ case: "joined", value: joined(2n, { position: at(2n, 2n), truncated: true }) });
  refuses(story, "history", "UNAVAILABLE", 60_000);
  await story.breaksAndReturns();
  story.socket.push(page(2n, 2n), story.socket.last("history").id);
  await settle();
  expect(seqs(room)).toEqual([2n]);
});

test("a room that could not be opened in time is opened in the next session", async () => {
  const story = await new Story({ acknowledge: false, commandTimeoutMs: 100 }).connects();
  story.socket.end();
  const room = story.client.room(ROOM);
  const failed = expect(room.open()).rejects.toMatchObject({ name: "TimeoutError" });
  await vi.advanceTimersByTimeAsync(5_000);
  await failed;
  await story.accepts();
  await lets(story);
  expect([seqs(room), room.joined?.room]).toEqual([[1n, 2n, 3n], ROOM]);
});

test("a room that is refused for now is opened later, and one that is refused for good is not", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = story.client.room(ROOM);
  for (const [code, joins] of [["PERMISSION_DENIED", 1] as const, ["UNAVAILABLE", 3] as const]) {
    const failed = expect(room.open()).rejects.toMatchObject({ code });
    refuses(story, "join", code);
    await failed;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(story.socket.all("join")).toHaveLength(joins);
  }
  await lets(story);
  expect(seqs(room)).toEqual([1n, 2n, 3n]);
});

test("a room that is closed while it is being opened is left, and its history not read", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = story.client.room(ROOM);
  const opening = room.open();
  const closing = room.close();
  await settle();
  story.socket.push({ case: "joined", value: joined(3n) }, story.socket.last("join").id);
  await opening;
  story.socket.push({ case: "left", value: { room: ROOM } }, story.socket.last("leave").id);
  await closing;
  expect([story.socket.all("history"), story.client.positions().rooms]).toEqual([[], {}]);
});
