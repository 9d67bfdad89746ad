/** A room as an object: its messages, its people, and what one does there. */
import { Again } from "../again.js";
import { type Changes, Changing } from "../changing.js";
import type { Client } from "../client.js";
import type { CommandOptions, Words } from "../commands.js";
import type { ClientEvents, Disconnected, PushEvents } from "../events.js";
import type { EntryHeader } from "../gen/carillon/v1/common_pb.js";
import type { MessageSent } from "../gen/carillon/v1/messages_pb.js";
import { type Joined, LeaveReason } from "../gen/carillon/v1/rooms_pb.js";
import { isOf, type MessageChange, Messages, type RoomMessage } from "./messages.js";
import { type Outbound, Outbox, type SendOptions } from "./outbox.js";
import { People } from "./people.js";
import { Throttle } from "./throttle.js";
import type { ReadState } from "./unread.js";

/** The hub's bound on marks. */
const MARK_PAUSE_MS = 1_000;
/** Typing is told again after this long. */
const TYPING_PAUSE_MS = 3_000;
/** Messages kept in memory as new ones come. */
const KEEP = 5_000;

/** What a room object tells: everything of the client's events that is about this room, and `change`. */
export interface RoomEvents
  extends Changes,
    Omit<PushEvents, "notification" | "notificationState" | "inboxUnread"> {
  truncated: { readonly room: string };
}

/** How a room is opened. */
export interface OpenOptions {
  /** Newest entries to read at once, at most 200. Default 50. */
  readonly history?: number;
  /** Whether to receive who is present. Default true. */
  readonly presence?: boolean;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/** A room. What it says is live once `open` was called, over all reconnects. */
export class Room extends Changing<RoomEvents> {
  /** What the hub said at the last join. `undefined`: not joined. */
  joined: Joined | undefined;
  /** Why the hub ended it, where it did. */
  leftBecause: LeaveReason | undefined;
  /** Whether earlier messages are being read. */
  isLoading = false;

  private readonly messageList = new Messages(KEEP);
  private readonly people = new People(() => this.changed());
  private readonly outbox: Outbox;
  private readonly reading: ReadState;
  private readonly delivered: Throttle;
  private readonly read: Throttle;
  private opened: OpenOptions | undefined;
  private typingSince = 0;
  private readonly opening: Again;
  private readonly reloading: Again;

  /** Made by `Client.room`. */
  constructor(
    private readonly client: Client,
    /** The room's name. */
    readonly name: string,
    private readonly onClose: () => void,
  ) {
    super();
    this.reading = client.readState(name);
    // Where the room is not joined the entry will not come, nor where the newest page begins after it.
    const hasArrived = (seq: bigint) =>
      !this.joined || this.messageList.get(seq) !== undefined || seq < (this.messageList.lowest ?? 0n);
    this.outbox = new Outbox(client, name, hasArrived, () => this.changed());
    this.delivered = new Throttle(client, MARK_PAUSE_MS, (seq) => client.markDelivered(name, seq));
    this.read = new Throttle(client, MARK_PAUSE_MS, (seq) => client.markRead(name, seq));
    this.opening = new Again(client, (signal) => this.joinAndRead(signal));
    this.reloading = new Again(client, () => this.reload());
  }

  /**
   * Joins, and reads the newest messages. Call it again to change how. Where it fails in a way that may pass (no answer in
   * time, a refusal that is retryable) it rejects, and the room is opened as soon as that goes, until `close`.
   */
  async open(options: OpenOptions = {}): Promise<this> {
    this.opened = options;
    await this.opening.now(options.signal);
    return this;
  }

  /** Leaves the room (not the membership) and forgets its state. `Client.room` then makes a new object. */
  async close(options?: CommandOptions): Promise<void> {
    this.onClose();
    // A join that is under way, or was not answered in time, may still be carried out.
    const mayBeJoined = this.joined !== undefined || this.opening.isWanted;
    this.settleDown();
    this.endStreams();
    if (mayBeJoined) await this.client.leave(this.name, options);
  }

  /** The messages that are loaded, the oldest first. The same array until something changes. */
  get messages(): readonly RoomMessage[] {
    return this.messageList.all;
  }

  /** One's own messages that have not come back yet. */
  get outbound(): readonly Outbound[] {
    return this.outbox.all;
  }

  /** Whether earlier messages can be loaded. */
  get hasEarlier(): boolean {
    return this.messageList.hasEarlier;
  }

  /** Messages after one's read mark. */
  get unread(): number {
    return this.reading.unread;
  }

  /** How far each user is, by user id, as far as this session has been told. */
  get marks() {
    return this.people.marks as ReadonlyMap<string, { readonly delivered: bigint; readonly read: bigint }>;
  }

  /** How far one is oneself. */
  get ownMark() {
    return this.people.marks.get(this.client.user) ?? { delivered: 0n, read: 0n };
  }

  /** Who is present, by user id. */
  get presence() {
    return this.people.presence as ReadonlyMap<string, NonNullable<PushEvents["presence"]["state"]>>;
  }

  /** Users present, oneself included. */
  get occupancy(): number {
    return this.people.occupancy;
  }

  /** Who types now. */
  get typing(): readonly string[] {
    return this.people.typing;
  }

  /** Reads earlier messages, until there is at least one more or there are none. True when there was one. */
  async loadEarlier(limit = 50, options?: CommandOptions): Promise<boolean> {
    if (this.isLoading) return false;
    const before = this.messages.length;
    this.isLoading = true;
    this.changed();
    try {
      while (this.hasEarlier && this.messages.length === before) await this.readPage(limit, options);
    } finally {
      this.isLoading = false;
      this.changed();
    }
    return this.messages.length > before;
  }

  /** Sends a message; `outbound` shows it until it comes back. */
  send(words: Words, options?: SendOptions): Promise<MessageSent> {
    // The hub would count one as typing still, and tell nobody when one begins again.
    this.setTyping(false);
    return this.outbox.send(words, options);
  }

  /** Sends a failed message again. */
  retry(id: string): Promise<MessageSent | undefined> {
    return this.outbox.retry(id);
  }

  /** Forgets a failed message. */
  discard(id: string): void {
    this.outbox.discard(id);
  }

  /** One has read everything up to here; by default up to the last message. Sent at most once a second. */
  markRead(upTo = this.messages.at(-1)?.seq ?? 0n): void {
    if (upTo > this.ownMark.read) this.read.raise(upTo);
  }

  /** One types, or stopped. Call it at each key: it is told every three seconds. */
  setTyping(active: boolean): void {
    const now = Date.now();
    if (active ? now - this.typingSince < TYPING_PAUSE_MS : this.typingSince === 0) return;
    this.typingSince = active ? now : 0;
    if (this.client.state === "connected") void this.client.typing(this.name, active).catch(() => {});
  }

  /** An event that is about this room. Called by the client. */
  hear<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    this.apply({ type, value } as Parameters<Room["apply"]>[0]);
    this.emit(type as keyof RoomEvents, value as never);
    this.changed();
  }

  /** A session is open: what is owed is done. Called by the client. */
  connected(): void {
    for (const owing of [this.opening, this.reloading, this.delivered, this.read]) owing.connected();
  }

  /** The session ended. Called by the client. */
  disconnected({ reconnectAfterMs }: Disconnected): void {
    this.people.stopTyping();
    if (reconnectAfterMs === undefined) this.settleDown();
    this.changed();
  }

  private apply(
    event: { [Type in keyof RoomEvents]: { type: Type; value: RoomEvents[Type] } }[keyof RoomEvents],
  ): void {
    switch (event.type) {
      case "joined":
        this.onJoined(event.value);
        break;
      case "left":
        this.onLeft(event.value.reason);
        break;
      case "truncated":
        this.messageList.clear();
        if (this.opened) this.reloading.soon();
        break;
      case "message":
        this.onMessage(event.value);
        break;
      case "messageEdited":
      case "messageDeleted":
      case "reaction":
        this.messageList.change(event as MessageChange);
        this.deliver(event.value.header);
        break;
      case "marks":
        this.people.mark(event.value, this.client.user);
        this.noteRead();
        break;
      case "typing":
        this.people.typed(event.value.user, event.value.active);
        break;
      case "presence":
        this.people.present(event.value);
        break;
      case "occupancy":
        this.people.occupancy = event.value.count;
    }
  }

  private onMessage(message: PushEvents["message"]): void {
    // What is replayed after a join is as it is now, reactions too.
    this.messageList.add(message, this.joined?.position?.seq ?? 0n);
    const { header } = message;
    const isOwn = isOf(this.client.user, message);
    if (!message.byService) this.people.typed(header?.sender ?? "", false);
    this.reading.came(message.number);
    // To send moves one's own read mark.
    if (header && isOwn) {
      this.people.mark(
        { user: "", delivered: header.seq, read: header.seq } as PushEvents["marks"],
        this.client.user,
      );
    }
    this.noteRead();
    this.outbox.sweep();
    this.deliver(header, isOwn);
  }

  /** The number at one's read mark, as far as the loaded messages tell. */
  private noteRead(): void {
    const { read } = this.ownMark;
    const last = this.messages.findLast((message) => message.seq <= read);
    if (last) this.reading.readUpTo(last.number);
  }

  private onJoined(joined: Joined): void {
    this.joined = joined;
    this.leftBecause = undefined;
    this.people.joined(joined, this.client.user);
  }

  private onLeft(reason: LeaveReason): void {
    this.joined = undefined;
    this.leftBecause = reason;
    this.people.stopTyping();
    if (this.opened === undefined) return;
    if (reason === LeaveReason.UNAVAILABLE) this.opening.later();
    else this.opening.stop();
  }

  private deliver(header: EntryHeader | undefined, isOwn = header?.sender === this.client.user): void {
    if (!this.client.acknowledges || !this.joined?.marks || !header) return;
    if (!isOwn && header.seq > this.ownMark.delivered) this.delivered.raise(header.seq);
  }

  private async joinAndRead(signal?: AbortSignal): Promise<void> {
    const { presence = true } = this.opened ?? {};
    const join = { case: "join", value: { room: this.name, presence } } as const;
    const reply = await this.client.call(join, { continues: true, ...(signal && { signal }) });
    // Closed meanwhile: nobody reads them.
    if (this.opened === undefined) return;
    if (reply.case === "joined" && reply.value.rules?.durable) await this.reload(signal);
  }

  /** The newest messages. */
  private async reload(signal?: AbortSignal): Promise<void> {
    const { history = 50 } = this.opened ?? {};
    if (history === 0) return;
    const page = await this.client.history({ room: this.name, limit: history }, signal && { signal });
    this.messageList.addPage(page);
    const newest = page.entries.findLast(({ entry }) => entry.case === "message")?.entry.value;
    if (newest?.$typeName === "carillon.v1.Message") {
      this.reading.came(newest.number);
      this.deliver(newest.header, isOf(this.client.user, newest));
    }
    this.noteRead();
    const first = this.messages[0];
    if (first || !page.more) this.reading.assumeReadUpTo(first ? first.number - 1n : 0n);
    this.outbox.sweep();
    this.changed();
  }

  private async readPage(limit: number, options?: CommandOptions): Promise<void> {
    const before = this.messageList.lowest;
    const bound = before === undefined ? {} : { bound: { case: "before", value: before } as const };
    this.messageList.addPage(await this.client.history({ room: this.name, limit, ...bound }, options));
    this.changed();
  }

  private settleDown(): void {
    this.opened = undefined;
    this.opening.stop();
    this.reloading.stop();
    this.people.stopTyping();
    this.delivered.stop();
    this.read.stop();
  }
}
