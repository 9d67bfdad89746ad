// Each entry once and in order, over breaks; where that cannot be, the caller is told.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Positions } from "../../src/index.js";
import { Received } from "../../src/received.js";
import { ReceivedInbox } from "../../src/received-inbox.js";
import { at, joined, message, ROOM, Story } from "./hub.js";
import { randomFrom } from "./random.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a new session resumes after the last entry, and duplicates are dropped", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  for (const seq of [6n, 7n, 7n]) story.socket.push(message(seq));
  await story.breaksAndReturns();
  const { resume } = story.socket.last("hello").value;
  expect(resume?.rooms).toMatchObject([{ room: ROOM, presence: true, position: at(7n) }]);
  story.socket.push({ case: "joined", value: joined(9n, { recovered: true }) });
  for (const seq of [7n, 8n, 9n, 9n, 10n]) story.socket.push(message(seq));
  expect(story.heard).toEqual(
    [6n, 7n]
      .map((s) => `message:${s}`)
      .concat(["disconnected:broken"], ["message:8", "message:9", "message:10"]),
  );
});

test("what cannot be recovered is told as truncated, and the room carries on from the head", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  await story.breaksAndReturns();
  story.socket.push({ case: "joined", value: joined(3n, { position: at(3n, 2n), truncated: true }) });
  story.socket.push(message(4n, { header: { ...at(4n, 2n), sender: "bob" } }));
  expect(story.heard.slice(1)).toEqual([`truncated:${ROOM}`, "message:4"]);
  await story.breaksAndReturns();
  expect(story.socket.last("hello").value.resume?.rooms[0]?.position).toMatchObject(at(4n, 2n));
});

test("the state of a room whose log is another one is handed over", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  await story.breaksAndReturns();
  const anew = { position: at(30n, 2n), truncated: true, recovered: true };
  story.socket.push({ case: "joined", value: joined(30n, anew) });
  for (const seq of [3n, 7n, 7n, 31n])
    story.socket.push(message(seq, { header: { ...at(seq, 2n), sender: "bob" } }));
  expect(story.heard.slice(1)).toEqual([`truncated:${ROOM}`, "message:3", "message:7", "message:31"]);
});

test("a hub that forgets to recover is not believed", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  await story.breaksAndReturns();
  story.socket.push({ case: "joined", value: joined(8n) });
  expect(story.heard.slice(1)).toEqual([`truncated:${ROOM}`]);
});

test("gaps are told once", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  const gap = { case: "gap", value: { room: ROOM, from: 6n, to: 9n } } as const;
  story.socket.push(gap);
  story.socket.push(gap);
  story.socket.push(message(10n));
  story.socket.push(gap);
  expect(story.heard).toEqual(["gap:6-9", "message:10"]);
});

test("a room that was left is not resumed", async () => {
  const story = await new Story().connects();
  await story.joins(5n);
  const leaving = story.client.leave(ROOM);
  story.socket.push({ case: "left", value: { room: ROOM } }, story.socket.last("leave").id);
  await leaving;
  await story.breaksAndReturns();
  expect(story.socket.last("hello").value.resume).toBeUndefined();
});

test("a join that broke off is sent again", async () => {
  const story = await new Story().connects();
  const joining = story.client.join({ room: ROOM, rewind: 10 });
  await story.breaksAndReturns();
  const again = story.socket.last("join");
  expect(again.value).toMatchObject({ room: ROOM, rewind: 10 });
  story.socket.push({ case: "joined", value: joined(0n) }, again.id);
  expect(await joining).toMatchObject({ room: ROOM });
});

/** A place in the inbox. */
function place(own: bigint, broadcast = 0n, epoch = 1n) {
  return { own, broadcast, epoch };
}

test("notifications come once, and the inbox resumes after them", async () => {
  const story = await new Story().connects({ inbox: place(3n, 1n) } as never);
  const ids: string[] = [];
  story.client.on("notification", ({ id }) => ids.push(id));
  const notify = (own: bigint) =>
    story.socket.push({ case: "notification", value: { id: `n${own}`, position: place(own) } });
  for (const own of [3n, 4n, 4n]) notify(own);
  await story.breaksAndReturns();
  expect(story.socket.last("hello").value.resume?.inbox).toMatchObject(place(4n, 1n));
  for (const own of [4n, 5n]) notify(own);
  expect(ids).toEqual(["n4", "n5"]);
});

test("unread notifications leave a place after each", () => {
  const inbox = new ReceivedInbox();
  const unread = { inbox: place(9n, 4n), inboxUnread: 3n, inboxAfter: place(2n, 3n) };
  expect(inbox.connected(unread as never)).toBe(false);
  expect(inbox.resume()).toEqual(place(2n, 3n));
  for (const [came, after] of [
    [place(3n), place(3n, 3n)],
    [place(0n, 4n), place(3n, 4n)],
    [place(7n), place(7n, 4n)],
  ] as const) {
    expect([inbox.notification(came), inbox.notification(came)]).toEqual([true, false]);
    expect(inbox.resume()).toEqual(after);
  }
  // The copy is not void where the session carries on.
  expect(inbox.connected({ inbox: place(9n, 4n), inboxUnread: 2n } as never)).toBe(false);
  expect([inbox.notification(place(7n)), inbox.notification(place(8n))]).toEqual([false, true]);
});

test("the inbox begins at its end, and a new life of it is told", () => {
  const inbox = new ReceivedInbox();
  const connected = (at: ReturnType<typeof place>) =>
    inbox.connected({ inbox: at, inboxUnread: 0n } as never);
  expect(connected(place(4n, 2n))).toBe(false);
  expect([inbox.notification(place(4n, 3n)), inbox.notification(place(5n, 2n))]).toEqual([true, true]);
  expect(connected(place(9n, 9n))).toBe(false);
  expect(inbox.resume()).toEqual(place(5n, 3n));
  expect(connected(place(0n, 0n, 2n))).toBe(true);
  expect(inbox.resume()).toEqual(place(0n, 0n, 2n));
});

test("positions are stored, and a later process carries on from them", async () => {
  let stored: Positions | undefined;
  const storage = {
    load: () => stored,
    save: vi.fn((positions: Positions) => {
      stored = JSON.parse(JSON.stringify(positions)) as Positions;
    }),
  };
  const story = await new Story({ storage }).connects();
  await story.joins(5n);
  for (let seq = 6n; seq < 100n; seq += 1n) story.socket.push(message(seq));
  expect(story.client.positions().rooms[ROOM]?.position?.seq).toBe("99");
  await vi.advanceTimersByTimeAsync(500);
  expect(storage.save).toHaveBeenCalledTimes(1);
  const later = await new Story({ storage }).connects();
  expect(later.socket.last("hello").value.resume?.rooms).toMatchObject([{ room: ROOM, position: at(99n) }]);
});

// The model of clients/rust: a hub that is left and resumed at random.
test("every entry once and in order over any breaks", () => {
  const random = randomFrom(7);
  for (let round = 0; round < 200; round += 1) {
    const received = new Received();
    received.joined(joined(0n) as never, { rewind: 1 });
    const got: bigint[] = [];
    let head = 0n;
    const replay = (entries: number, again: bigint) => {
      const since = received.resume()[0]?.position?.seq ?? -1n;
      expect(received.joined(joined(head, { recovered: true }) as never)).toBe(false);
      let seq = since > again ? since - again + 1n : 1n;
      for (let left = entries; left > 0 && seq <= head; left -= 1, seq += 1n) {
        if (received.entry(ROOM, at(seq) as never)) got.push(seq);
      }
    };
    for (let breaks = random(20); breaks > 0; breaks -= 1) {
      head += BigInt(random(20));
      replay(random(30), BigInt(random(5)));
    }
    replay(Number.POSITIVE_INFINITY, 3n);
    expect(got).toEqual(Array.from({ length: Number(head) }, (_, index) => BigInt(index) + 1n));
  }
});

test("a rewind that was cut off before its first entry is told", () => {
  const received = new Received();
  expect(received.joined(joined(50n, { recovered: true }) as never, { rewind: 3 })).toBe(false);
  expect(received.resume()).toEqual([{ room: ROOM, presence: false }]);
  expect(received.joined(joined(60n) as never)).toBe(true);
  expect(received.position(ROOM)).toMatchObject(at(60n));
});

test("a rewind that recovers nothing leaves nothing owed", () => {
  const received = new Received();
  expect(received.joined(joined(50n) as never, { rewind: 3 })).toBe(false);
  expect(received.position(ROOM)).toMatchObject(at(50n));
  expect(received.joined(joined(50n) as never)).toBe(false);
});

test("a join that carries on keeps the later position", () => {
  const received = new Received();
  received.joined(joined(5n) as never, {});
  received.entry(ROOM, at(6n) as never);
  expect(received.joined(joined(6n) as never, { since: at(5n), continues: true })).toBe(false);
  expect(received.entry(ROOM, at(6n) as never)).toBe(false);
});
