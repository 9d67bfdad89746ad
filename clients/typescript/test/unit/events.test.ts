// Iterators: what they hold from when on, and until when.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Emitter, type EventStream, OverflowError } from "../../src/index.js";
import { message, ROOM, Story, settle } from "./hub.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

class Counter extends Emitter<{ count: number }> {
  say(...counts: number[]): void {
    for (const count of counts) this.emit("count", count);
  }
  end(): void {
    this.endStreams();
  }
}

async function all<Event extends { value: unknown }>(events: EventStream<Event>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const { value } of events) values.push(value);
  return values;
}

test("an iterator has what comes before its loop begins", async () => {
  const story = new Story();
  const events = story.client.events();
  await story.connects();
  await story.joins(3n);
  for (const seq of [4n, 5n]) story.socket.push(message(seq));
  await settle();
  story.client.close();
  const told: string[] = [];
  for await (const { type, value } of events)
    told.push(type === "state" ? value : type === "message" ? `${value.header?.seq}` : type);
  expect(told).toEqual(["connecting", "connected", "connected", "joined", "4", "5", "closed"]);
});

test("what is read in one piece with `joined` is not lost", async () => {
  const story = await new Story().connects();
  const events = story.client.events();
  const joining = story.client.join({ room: ROOM, rewind: 1 });
  const { id } = story.socket.last("join");
  const position = { epoch: 1n, seq: 3n, tag: 7 };
  story.socket.push({ case: "joined", value: { room: ROOM, position, recovered: true } }, id);
  story.socket.push(message(3n));
  await joining;
  expect((await events.next()).value).toMatchObject({ type: "joined" });
  expect((await events.next()).value).toMatchObject({ type: "message", value: { number: 3n } });
});

test("one that is given up before its first `next` holds nothing", async () => {
  const counter = new Counter();
  const events = counter.events({ limit: 1 });
  counter.say(1);
  expect(await events.return()).toEqual({ done: true, value: undefined });
  counter.say(2, 3);
  expect(await events.next()).toEqual({ done: true, value: undefined });
});

test("one that is given up while it waits does not wait", async () => {
  const events = new Counter().events();
  const waiting = events.next();
  expect((await events.return()).done).toBe(true);
  expect((await waiting).done).toBe(true);
});

test("one event more than an iterator holds ends it, after those that it holds", async () => {
  const counter = new Counter();
  const events = counter.events({ limit: 2 });
  counter.say(1, 2, 3, 4);
  expect([(await events.next()).value?.value, (await events.next()).value?.value]).toEqual([1, 2]);
  // Nothing comes after a hole.
  counter.say(5);
  await expect(events.next()).rejects.toThrow(OverflowError);
  expect((await events.next()).done).toBe(true);
});

test("what a listener makes happen comes after what it was told", async () => {
  const counter = new Counter();
  const events = counter.events();
  counter.on("count", (count) => (count < 3 ? counter.say(count + 1) : counter.end()));
  counter.say(1);
  expect(await all(events)).toEqual([1, 2, 3]);
});

test("an iterator ends with `break`, the signal and the source", async () => {
  const counter = new Counter();
  const giveUp = new AbortController();
  const [broken, aborted, ended] = [counter.events(), counter.events(giveUp), counter.events()];
  counter.say(1, 2);
  for await (const { value } of broken) if (value === 1) break;
  expect((await broken.next()).done).toBe(true);
  giveUp.abort();
  counter.say(3);
  counter.end();
  expect([await all(aborted), await all(ended)]).toEqual([
    [1, 2],
    [1, 2, 3],
  ]);
  expect(await all(counter.events()), "one that is asked for after the end").toEqual([]);
});

test("iterators of a client's objects end with it, once they have what was still to be told", async () => {
  const story = await new Story().connects();
  const { client } = story;
  const room = client.room(ROOM);
  const states: (string | undefined)[] = [];
  const told = (async () => {
    for await (const _ of room.events())
      states.push(room.outbound.map(({ error }) => (error === undefined ? "under way" : "failed")).join());
  })();
  const others = [client.roomList, client.inbox, client.presence].map((object) => all(object.events()));
  await story.joins(3n);
  room.send("is not answered any more").catch(() => {});
  await settle();
  client.close();
  await vi.advanceTimersByTimeAsync(0);
  await Promise.all([told, ...others]);
  expect(states.at(-1)).toBe("failed");
  const later = all(client.room("room:later").events());
  await vi.advanceTimersByTimeAsync(0);
  expect(await later, "one that is made after the end").toEqual([]);
});

test("a signal that has been given ends an iterator at once, and holds none that has ended", async () => {
  const [counter, giveUp] = [new Counter(), new AbortController()];
  const { signal } = giveUp;
  const listens = vi.spyOn(signal, "addEventListener");
  const forgets = vi.spyOn(signal, "removeEventListener");
  for (const end of [(events: EventStream<{ value: unknown }>) => events.return(), () => counter.end()]) {
    const events = new Counter().events(giveUp);
    await events.return();
    await end(counter.events(giveUp));
  }
  expect(listens).toHaveBeenCalledTimes(4);
  expect(forgets.mock.calls).toEqual(listens.mock.calls);
  giveUp.abort();
  expect(await all(new Counter().events(giveUp)), "its source goes on").toEqual([]);
});
