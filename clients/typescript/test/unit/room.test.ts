// Room objects, the list of rooms and the inbox: their state after what the hub says.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NotificationPriority, PresenceReason, PresenceStatus, type Room } from "../../src/index.js";
import { at, joined, message, opens, page, ROOM, Story, settle } from "./hub.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function header(seq: bigint, sender = "bob") {
  return { ...at(seq), sender, timeMs: seq * 1_000n };
}

const words = (room: Room) => room.messages.map(({ content }) => content?.body.value);

test("an open room has its newest messages, in order, and those that come", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  const changes = vi.fn();
  room.on("change", changes);
  story.socket.push(message(5n));
  story.socket.push(message(4n, { header: header(4n) }));
  await settle();
  expect(words(room)).toEqual(["words 1", "words 2", "words 3", "words 5"]);
  expect(changes).toHaveBeenCalledTimes(1);
  expect(room.messages).toBe(room.messages);
});

test("edits, deletions and reactions change messages; lower versions do not", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  const edit = (seq: bigint, version: number, value: string) => ({
    case: "messageEdited" as const,
    value: {
      room: ROOM,
      header: header(seq),
      targetSeq: 1n,
      version,
      content: { body: { case: "text" as const, value } },
    },
  });
  const react = (seq: bigint, add: boolean, user = "bob") => ({
    case: "reaction" as const,
    value: { room: ROOM, header: header(seq, user), targetSeq: 2n, key: "👍", add },
  });
  story.socket.push(edit(4n, 3, "third"));
  story.socket.push(edit(5n, 2, "second"));
  story.socket.push(react(6n, true));
  story.socket.push(react(7n, true, "carol"));
  story.socket.push(react(8n, false));
  story.socket.push({ case: "messageDeleted", value: { room: ROOM, header: header(9n), targetSeq: 3n } });
  const [first, second, third] = room.messages;
  expect(first).toMatchObject({ version: 3, editedMs: 4_000, content: { body: { value: "third" } } });
  expect(second?.reactions).toEqual([{ key: "👍", users: ["carol"], count: 1 }]);
  expect(third).toMatchObject({ deleted: true, content: undefined });
});

test("a page that was read before a change does not undo it", async () => {
  const story = await new Story().connects();
  const room = story.client.room(ROOM);
  const opening = room.open();
  story.socket.push({ case: "joined", value: joined(3n) }, story.socket.last("join").id);
  await settle();
  const reaction = { room: ROOM, header: header(4n), targetSeq: 1n, key: "👍", add: true };
  story.socket.push({ case: "reaction", value: reaction });
  story.socket.push({ case: "messageDeleted", value: { room: ROOM, header: header(5n), targetSeq: 2n } });
  story.socket.push(page(1n, 3n), story.socket.last("history").id);
  await opening;
  expect(room.messages.map(({ deleted, reactions }) => [deleted, reactions.length])).toEqual([
    [false, 1],
    [true, 0],
    [false, 0],
  ]);
});

test("a reaction that a page already counts is not counted twice", async () => {
  const story = await new Story().connects();
  const room = await opens(story, 1n);
  const reactions = [{ key: "👍", users: ["bob"], count: 30 }];
  const entries = [{ entry: message(1n, { reactions }) }];
  const reloading = room.open();
  story.socket.push({ case: "joined", value: joined(4n, { recovered: true }) }, story.socket.last("join").id);
  await settle();
  const value = { entries, asOf: at(4n) } as never;
  story.socket.push({ case: "historyPage", value }, story.socket.last("history").id);
  await reloading;
  const reaction = (seq: bigint) => ({
    room: ROOM,
    header: header(seq, "zoe"),
    targetSeq: 1n,
    key: "👍",
    add: true,
  });
  story.socket.push({ case: "reaction", value: reaction(4n) });
  expect(room.messages[0]?.reactions[0]?.count).toBe(30);
  story.socket.push({ case: "reaction", value: reaction(5n) });
  expect(room.messages[0]?.reactions[0]?.count).toBe(31);
});

test("a reaction that was counted is not counted again when a page is read", async () => {
  const story = await new Story().connects();
  const room = await opens(story, 1n);
  const reactions = [{ key: "👍", users: ["bob"], count: 30 }];
  story.socket.push(message(2n, { reactions }));
  const value = { room: ROOM, header: header(3n, "zoe"), targetSeq: 2n, key: "👍", add: false };
  story.socket.push({ case: "reaction", value });
  const reloading = room.open();
  story.socket.push({ case: "joined", value: joined(3n, { recovered: true }) }, story.socket.last("join").id);
  await settle();
  story.socket.push(page(1n, 1n), story.socket.last("history").id);
  await reloading;
  expect(room.messages[1]?.reactions).toEqual([{ key: "👍", users: ["bob"], count: 29 }]);
});

test("a truncated room drops its copy and reads history again", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  await story.breaksAndReturns();
  const value = joined(2n, { position: at(2n, 2n), truncated: true });
  story.socket.push({ case: "joined", value });
  expect(room.messages).toEqual([]);
  await settle();
  story.socket.push(page(2n, 2n), story.socket.last("history").id);
  await settle();
  expect(words(room)).toEqual(["words 2"]);
});

test("what was acknowledged is on its way no more where the page that is read after `truncated` begins later", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  const sending = room.send("mine");
  story.socket.push(
    { case: "messageSent", value: { position: at(4n) } },
    story.socket.last("messageSend").id,
  );
  await sending;
  expect(room.outbound, "the entry has not come").toHaveLength(1);
  await story.breaksAndReturns();
  story.socket.push({ case: "joined", value: joined(60n, { truncated: true }) });
  await settle();
  expect(room.outbound, "nothing is known of it yet").toHaveLength(1);
  story.socket.push(page(11n, 60n, true), story.socket.last("history").id);
  await settle();
  expect(room.outbound).toEqual([]);
});

test("earlier messages are read page by page until there are none", async () => {
  const story = await new Story().connects();
  const room = story.client.room(ROOM);
  const opening = room.open({ history: 2 });
  story.socket.push({ case: "joined", value: joined(6n) }, story.socket.last("join").id);
  await settle();
  story.socket.push(page(5n, 6n, true), story.socket.last("history").id);
  await opening;
  const loading = room.loadEarlier(2);
  expect(story.socket.last("history").value).toMatchObject({
    bound: { case: "before", value: 5n },
    limit: 2,
  });
  // A page without a message: the next one is read at once.
  const value = { entries: [{ entry: { case: "membership", value: { header: header(4n) } } }], more: true };
  story.socket.push({ case: "historyPage", value: value as never }, story.socket.last("history").id);
  await settle();
  story.socket.push(page(2n, 3n), story.socket.last("history").id);
  expect(await loading).toBe(true);
  expect(words(room)).toEqual(["words 2", "words 3", "words 5", "words 6"]);
  expect([room.hasEarlier, await room.loadEarlier()]).toEqual([false, false]);
});

test("a message is shown while it is on its way, and retried under its key when it failed", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  const failed = room.send("hello", { replyTo: 2n });
  expect(room.outbound).toMatchObject([{ replyTo: 2n, error: undefined }]);
  const first = story.socket.last("messageSend");
  story.socket.push({ case: "error", value: { code: "RATE_LIMITED", retryable: true } }, first.id);
  await expect(failed).rejects.toMatchObject({ code: "RATE_LIMITED" });
  const id = room.outbound[0]?.id ?? "";
  expect(room.outbound[0]?.error).toMatchObject({ code: "RATE_LIMITED" });
  const sending = room.retry(id);
  const second = story.socket.last("messageSend");
  expect(second).toMatchObject({ key: first.key, value: { replyTo: 2n } });
  story.socket.push(message(4n, { header: header(4n, "alice") }));
  expect(room.outbound).toHaveLength(1);
  story.socket.push({ case: "messageSent", value: { position: at(4n) } }, second.id);
  await sending;
  expect(room.outbound).toEqual([]);
  expect(room.ownMark.read).toBe(4n);
});

test("unread counts what lies behind one's mark, and marks are sent once a second", async () => {
  const story = await new Story({ acknowledge: false }).connects();
  const room = await opens(story, 3n, 1n);
  expect(room.unread).toBe(2);
  room.markRead(2n);
  room.markRead(3n);
  expect(story.socket.all("markRead").map(({ value }) => value.upTo)).toEqual([2n]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(story.socket.all("markRead").map(({ value }) => value.upTo)).toEqual([2n, 3n]);
  const marks = { room: ROOM, user: "alice", delivered: 3n, read: 3n };
  story.socket.push({ case: "marksAccepted", value: { marks } }, story.socket.last("markRead").id);
  expect(room.unread).toBe(0);
  story.socket.push(message(4n));
  expect(room.unread).toBe(1);
});

test("a service of one's own name is somebody else, in the room and in the list", async () => {
  const story = await new Story().connects();
  const list = story.client.roomList;
  const opening = list.open();
  const summary = { room: ROOM, headNumber: 3n, unread: 0n };
  story.socket.push({ case: "roomsPage", value: { rooms: [summary] } }, story.socket.last("rooms").id);
  await opening;
  const room = await opens(story, 3n, 3n);
  await vi.advanceTimersByTimeAsync(1_000);
  story.socket.push(message(4n, { header: header(4n, "alice"), byService: true }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(room.messages.at(-1)).toMatchObject({ sender: "alice", byService: true });
  expect([room.unread, room.ownMark.read, list.get(ROOM)?.unread]).toEqual([1, 3n, 1]);
  expect(story.socket.last("markDelivered").value).toMatchObject({ upTo: 4n });
  story.socket.push(message(5n, { header: header(5n, "alice") }));
  await settle();
  expect([room.unread, room.ownMark.read, list.get(ROOM)?.unread]).toEqual([0, 5n, 0]);
});

test("what came is acknowledged, the hub is not told what it knows", async () => {
  const story = await new Story().connects();
  await opens(story, 3n);
  expect(story.socket.all("markDelivered").map(({ value }) => value.upTo)).toEqual([3n]);
  for (const seq of [4n, 5n, 6n]) story.socket.push(message(seq));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(story.socket.all("markDelivered").map(({ value }) => value.upTo)).toEqual([3n, 6n]);
});

test("typing is told every three seconds, and expires when it is not repeated", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  for (let key = 0; key < 10; key += 1) {
    room.setTyping(true);
    await vi.advanceTimersByTimeAsync(500);
  }
  room.setTyping(false);
  room.setTyping(false);
  expect(story.socket.all("typing").map(({ value }) => value.active)).toEqual([true, true, false]);
  // A message ends it, so that others are told when one begins again.
  room.setTyping(true);
  void room.send("words").catch(() => {});
  room.setTyping(true);
  const told = story.socket.all("typing").map(({ value }) => value.active);
  expect(told.slice(3)).toEqual([true, false, true]);
  story.socket.push({ case: "typing", value: { room: ROOM, user: "bob", active: true } });
  expect(room.typing).toEqual(["bob"]);
  await vi.advanceTimersByTimeAsync(7_000);
  expect(room.typing).toEqual([]);
  story.socket.push({ case: "typing", value: { room: ROOM, user: "bob", active: true } });
  story.socket.push(message(4n));
  expect(room.typing, "what was typed has come").toEqual([]);
});

test("presence is who is there", async () => {
  const story = await new Story().connects();
  const room = await opens(story);
  const present = (user: string, reason: PresenceReason) =>
    story.socket.push({
      case: "presence",
      value: { room: ROOM, state: { user, status: PresenceStatus.ONLINE }, reason },
    });
  present("bob", PresenceReason.JOINED);
  present("bob", PresenceReason.CHANGED);
  expect([[...room.presence.keys()], room.occupancy]).toEqual([["bob"], 2]);
  present("bob", PresenceReason.DISCONNECTED);
  expect([[...room.presence.keys()], room.occupancy]).toEqual([[], 1]);
  story.socket.push({ case: "occupancy", value: { room: ROOM, count: 500 } });
  expect(room.occupancy).toBe(500);
});

test("the list of rooms keeps counts and last messages, and learns of new rooms", async () => {
  const story = await new Story().connects();
  const list = story.client.roomList;
  const opening = list.open();
  const last = message(3n).value as never;
  const summary = { room: ROOM, headNumber: 3n, unread: 1n, lastMessage: last, peer: "bob" };
  story.socket.push({ case: "roomsPage", value: { rooms: [summary] } }, story.socket.last("rooms").id);
  await opening;
  expect(list.rooms).toMatchObject([{ room: ROOM, unread: 1, peer: "bob" }]);
  story.socket.push({
    case: "unread",
    value: { room: ROOM, count: 2n, lastMessage: message(4n).value as never },
  });
  story.socket.push({ case: "unread", value: { room: "conversation:2", count: 1n } });
  expect(list.unread).toBe(2);
  const other = { room: "conversation:2", headNumber: 1n, unread: 1n };
  story.socket.push({ case: "roomsPage", value: { rooms: [summary, other] } }, story.socket.last("rooms").id);
  await settle();
  expect(list.rooms.map(({ room, unread }) => [room, unread])).toEqual([
    [ROOM, 2],
    ["conversation:2", 1],
  ]);
  // Another device has read one.
  story.socket.push({ case: "unread", value: { room: ROOM, count: 1n } });
  expect(list.get(ROOM)?.unread).toBe(1);
  story.socket.push({ case: "marks", value: { room: ROOM, user: "alice", delivered: 4n, read: 4n } });
  expect(list.get(ROOM)?.unread).toBe(0);
});

test("a room that is new while the list is being read is in the list", async () => {
  const story = await new Story().connects();
  const list = story.client.roomList;
  const opening = list.open();
  story.socket.push({ case: "unread", value: { room: ROOM, count: 1n } });
  story.socket.push({ case: "roomsPage", value: {} }, story.socket.last("rooms").id);
  await opening;
  await settle();
  expect(story.socket.all("rooms")).toHaveLength(2);
  const rooms = [{ room: ROOM, headNumber: 1n, unread: 1n }];
  story.socket.push({ case: "roomsPage", value: { rooms } }, story.socket.last("rooms").id);
  await settle();
  expect(list.rooms).toMatchObject([{ room: ROOM, unread: 1 }]);
  expect(story.socket.all("rooms"), "it is read no third time").toHaveLength(2);
});

test("after a reconnect the inbox drops what is gone, and alerts that were read", async () => {
  const story = await new Story().connects();
  const { inbox } = story.client;
  const notification = (own: bigint, read = false) => {
    const priority = NotificationPriority.CRITICAL;
    return { id: `n${own}`, position: { own, epoch: 1n }, timeMs: own, title: "", priority, read };
  };
  const pages = (notifications: object[], nextCursor = "") => {
    const value = { notifications, nextCursor } as never;
    story.socket.push({ case: "notificationsPage", value }, story.socket.last("notifications").id);
    return settle();
  };
  const opening = inbox.open(3);
  await pages([notification(4n), notification(3n), notification(2n)], "before 2");
  await opening;
  await story.breaksAndReturns();
  await pages([notification(4n, true)], "before 4");
  expect(story.socket.last("notifications").value.cursor).toBe("before 4");
  story.socket.push({ case: "notification", value: notification(5n) });
  await pages([notification(2n), notification(1n)], "before 1");
  expect(inbox.notifications.map(({ id }) => id)).toEqual(["n5", "n4", "n2", "n1"]);
  expect(inbox.alerts.map(({ id }) => id)).toEqual(["n5", "n2", "n1"]);
  void inbox.loadMore().catch(() => {});
  expect(story.socket.last("notifications").value.cursor).toBe("before 1");
});

test("the inbox keeps what is new, read and deleted", async () => {
  const story = await new Story().connects({ inboxUnread: 1n } as never);
  const { inbox } = story.client;
  const notify = (own: bigint, priority = NotificationPriority.NORMAL) =>
    story.socket.push({
      case: "notification",
      value: { id: `n${own}`, position: { own, epoch: 1n }, timeMs: own, title: "", priority },
    });
  for (const own of [1n, 2n]) notify(own);
  notify(3n, NotificationPriority.CRITICAL);
  expect(inbox.notifications.map(({ id }) => id)).toEqual(["n3", "n2", "n1"]);
  expect(inbox.alerts.map(({ id }) => id)).toEqual(["n3"]);
  const state = { upTo: { own: 2n, epoch: 1n }, read: true, inboxUnread: 1n };
  story.socket.push({ case: "notificationState", value: state });
  story.socket.push({ case: "notificationState", value: { ids: ["n1"], deleted: true, inboxUnread: 1n } });
  expect(inbox.notifications.map(({ id, read }) => [id, read])).toEqual([
    ["n3", false],
    ["n2", true],
  ]);
  expect(inbox.unread).toBe(1);
});
