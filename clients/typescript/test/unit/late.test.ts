// What is too large for one frame: a command is refused here, and the rooms of a large resume are joined one by one.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { JoinReason, LeaveReason, type Positions, PresenceStatus, RefusedError } from "../../src/index.js";
import { byteLength } from "../../src/wire/codec.js";
import { at, joined, message, Story, settle } from "./hub.js";

const FRAME_BYTES = 16_384;
const ROOMS = 200;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function name(n: number): string {
  return `conversation:${String(n).padStart(240, "0")}`;
}

/** A client that stored its place in many rooms, all at 5; and the rooms that `hello` had no place for. */
async function opens(): Promise<{ story: Story; late: Set<string> }> {
  const position = { epoch: "1", seq: "5", tag: 7 };
  const rooms = Object.fromEntries(
    Array.from({ length: ROOMS }, (_, n) => [name(n), { presence: true, position }]),
  );
  const stored: Positions = { rooms };
  const story = await new Story({ storage: { load: () => stored, save: () => {} } }).connects();
  const resumed = story.socket.last("hello").value.resume?.rooms ?? [];
  expect(resumed.length).toBeGreaterThan(50);
  const late = new Set(Object.keys(rooms));
  for (const { room } of resumed) late.delete(room);
  return { story, late };
}

/** The hub answers all joins that are under way, until none is left. */
function answersAll(
  story: Story,
  answered: Set<number>,
  handsOver: (room: string, id: number) => void,
): void {
  for (;;) {
    const open = story.socket.all("join").filter(({ id }) => !answered.has(id));
    if (open.length === 0) return;
    expect(open.length).toBeLessThanOrEqual(8);
    for (const { id, value } of open) {
      answered.add(id);
      handsOver(value.room, id);
    }
  }
}

test("a command that is larger than the hub takes is refused, and the others go on", async () => {
  const story = await new Story().connects();
  const large = expect(story.client.send("room:1", "x".repeat(FRAME_BYTES))).rejects.toMatchObject({
    code: "MESSAGE_TOO_LARGE",
  });
  const ping = story.client.ping();
  await large;
  expect(story.socket.all("messageSend")).toHaveLength(0);
  story.socket.push({ case: "pong", value: {} }, story.socket.last("ping").id);
  await ping;
  expect(story.connections).toBe(1);
});

test("a frame of text is as large as its bytes", () => {
  expect(byteLength("grüße")).toBe(7);
});

test("rooms without a place in hello are joined from their positions", async () => {
  const { story, late } = await opens();
  const reasons: JoinReason[] = [];
  const seqs = new Map<string, bigint[]>();
  story.client.on("joined", ({ reason }) => reasons.push(reason));
  story.client.on("message", ({ room, header }) =>
    seqs.set(room, [...(seqs.get(room) ?? []), header?.seq ?? 0n]),
  );
  // One that the hub joins by itself: what comes of it before its place was heard of comes again after it.
  const automatic = [...late].at(-1) ?? "";
  story.socket.push({ case: "joined", value: { ...joined(6n), room: automatic } });
  story.socket.push(message(7n, { room: automatic }));
  answersAll(story, new Set(), (room, id) => {
    const { since, rewind, presence } = story.socket.last("join").value;
    expect([since, rewind, presence]).toMatchObject([at(5n), 0, true]);
    expect(late.delete(room)).toBe(true);
    story.socket.push({ case: "joined", value: { ...joined(7n, { recovered: true }), room } }, id);
    for (const seq of [6n, 7n]) story.socket.push(message(seq, { room }));
  });
  await settle();
  expect(late.size).toBe(0);
  expect(reasons.every((reason) => reason === JoinReason.RESUMED)).toBe(true);
  for (const came of seqs.values()) expect(came).toEqual([6n, 7n]);
  expect(seqs.size).toBe(reasons.length);
  expect(story.heard.filter((line) => line.startsWith("truncated"))).toEqual([]);
  expect(story.client.positions().rooms[automatic]?.position?.seq).toBe("7");
});

test("the caller's own commands for such a room are done in turn", async () => {
  const { story, late } = await opens();
  const [underWay, waiting] = [story.socket.all("join")[0], [...late].at(-1) ?? ""];
  const room = underWay?.value.room ?? "";
  const again = story.client.join({ room });
  const leaving = story.client.leave(waiting);
  await settle();
  const before = story.socket.all("join").filter((join) => join.value.room === room);
  expect(before, "a second join of the room waits").toHaveLength(1);
  story.socket.push({ case: "left", value: { room: waiting } }, story.socket.last("leave").id);
  await leaving;
  answersAll(story, new Set(), (name, id) => {
    expect(name).not.toBe(waiting);
    story.socket.push({ case: "joined", value: { ...joined(5n), room: name } }, id);
  });
  await again;
  const joins = story.socket.all("join").filter((join) => join.value.room === room);
  expect(joins.map(({ value }) => value.since?.seq)).toEqual([5n, undefined]);
});

test("a room that is denied is left, and one that cannot be read now is tried again", async () => {
  const { story, late } = await opens();
  const left: unknown[] = [];
  story.client.on("left", ({ room, reason }) => left.push([room, reason]));
  const [denied, busy] = story.socket.all("join");
  const refuse = (id: number | undefined, code: string, retryable: boolean) =>
    story.socket.push({ case: "error", value: { code, retryable } }, id);
  refuse(denied?.id, "ACCESS_DENIED", false);
  refuse(busy?.id, "UNAVAILABLE", true);
  const answered = new Set([denied?.id ?? 0, busy?.id ?? 0]);
  const rooms = new Set([denied?.value.room]);
  const accept = () =>
    answersAll(story, answered, (room, id) => {
      rooms.add(room);
      story.socket.push({ case: "joined", value: { ...joined(5n), room } }, id);
    });
  accept();
  await vi.advanceTimersByTimeAsync(1_000);
  accept();
  expect(rooms).toEqual(late);
  expect(left).toEqual([[denied?.value.room, LeaveReason.DENIED]]);
});

test("a join that is held back when the session breaks is sent by the next", async () => {
  const { story } = await opens();
  const room = story.socket.all("join")[0]?.value.room ?? "";
  const again = story.client.join({ room, rewind: 3 });
  await story.breaksAndReturns();
  answersAll(story, new Set(), (name, id) => {
    story.socket.push({ case: "joined", value: { ...joined(5n), room: name } }, id);
  });
  expect(await again).toMatchObject({ room });
});

test("a refused status or list of users does not take the place of the good one", async () => {
  const story = await new Story().connects();
  const refuse = (name: "presenceSet" | "presenceWatch") =>
    story.socket.push({ case: "error", value: { code: "INVALID_ARGUMENT" } }, story.socket.last(name).id);
  const accept = (name: "presenceSet" | "presenceWatch") =>
    story.socket.push({ case: "done", value: {} }, story.socket.last(name).id);
  const { presence } = story.client;
  const steps = [
    [() => presence.set(PresenceStatus.BUSY, "in class"), () => accept("presenceSet")],
    [() => presence.set(PresenceStatus.BUSY, "x".repeat(1_000)), () => refuse("presenceSet")],
    [() => presence.watch(["bob"]), () => accept("presenceWatch")],
    [() => presence.watch([""]), () => refuse("presenceWatch")],
  ] as const;
  const outcomes: unknown[] = [];
  for (const [ask, answer] of steps) {
    const asked = ask().catch((error: unknown) => error);
    answer();
    outcomes.push(await asked);
  }
  const refused = expect.any(RefusedError);
  expect(outcomes).toEqual([undefined, refused, undefined, refused]);
  const state = { user: "bob", status: PresenceStatus.ONLINE } as never;
  story.socket.push({ case: "presence", value: { room: "", state } });
  expect(presence.isOnline("bob"), "bob is still watched").toBe(true);
  await story.breaksAndReturns();
  expect(story.socket.last("presenceSet").value.text).toBe("in class");
  expect(story.socket.last("presenceWatch").value.users).toEqual(["bob"]);
});
