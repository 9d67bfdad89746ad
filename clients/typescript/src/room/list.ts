/** The rooms that one is a member of, with unread counts and last messages, kept current. */
import { Again } from "../again.js";
import { type Changes, Changing } from "../changing.js";
import type { Client } from "../client.js";
import type { CommandOptions } from "../commands.js";
import type { ClientEvent, ClientEvents, PushEvents } from "../events.js";
import type { Message } from "../gen/carillon/v1/messages_pb.js";
import { LeaveReason, type RoomSummary } from "../gen/carillon/v1/rooms_pb.js";
import { isOf } from "./messages.js";

/** Rooms per page. */
const PAGE = 200;

/** A room in the list. Replaced by a new object when anything about it changes. */
export interface ListedRoom {
  readonly room: string;
  /** Unread messages. */
  readonly unread: number;
  readonly lastMessage: Message | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** In a direct conversation, the other user's id. */
  readonly peer: string | undefined;
}

/** One's rooms. */
export class RoomList extends Changing<Changes> {
  /** Whether the list was read. */
  isOpen = false;
  private readonly byName = new Map<string, ListedRoom>();
  private ordered: readonly ListedRoom[] | undefined;
  private wanted = false;
  private refreshing: Promise<void> | undefined;
  /** Something happened that the reading under way may be too early for. */
  private isStale = false;
  private readonly again: Again;

  /** Made by `Client`. */
  constructor(private readonly client: Client) {
    super();
    this.again = new Again(client, () => this.refresh());
  }

  /** Reads the list; from then on it is kept current, over all reconnects. */
  async open(options?: CommandOptions): Promise<this> {
    this.wanted = true;
    await this.refresh(options);
    return this;
  }

  /** The rooms, those with the latest message first. The same array until something changes. */
  get rooms(): readonly ListedRoom[] {
    this.ordered ??= [...this.byName.values()].sort(byLatest);
    return this.ordered;
  }

  /** One room. */
  get(room: string): ListedRoom | undefined {
    return this.byName.get(room);
  }

  /** Unread messages in all rooms. */
  get unread(): number {
    return this.rooms.reduce((sum, room) => sum + room.unread, 0);
  }

  /** An event. Called by the client. */
  hear<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    if (this.wanted) this.apply({ type, value } as ClientEvent);
  }

  private apply(event: ClientEvent): void {
    switch (event.type) {
      case "connected":
        // What happened meanwhile in rooms that are not joined is in the list alone.
        this.refreshSoon();
        break;
      case "joined":
        if (!this.byName.has(event.value.room)) this.refreshSoon();
        break;
      case "unread":
        this.onUnread(event.value);
        break;
      case "message":
        this.onMessage(event.value);
        break;
      case "messageEdited":
      case "messageDeleted":
        this.onChange(event.value);
        break;
      case "marks":
        if (event.value.user === this.client.user) this.onRead(event.value);
        break;
      case "roomChanged":
        this.update(event.value.room, { metadata: event.value.metadata });
        break;
      case "left":
        if (event.value.reason === LeaveReason.REMOVED) this.byName.delete(event.value.room);
        this.touch();
    }
  }

  private refreshSoon(): void {
    if (this.refreshing === undefined) this.again.soon();
    else this.isStale = true;
  }

  /** Several callers at once share one reading. */
  private refresh(options?: CommandOptions): Promise<void> {
    this.refreshing ??= this.readAll(options).finally(() => {
      this.refreshing = undefined;
      if (!this.isStale) return;
      this.isStale = false;
      this.refreshSoon();
    });
    return this.refreshing;
  }

  private async readAll(options?: CommandOptions): Promise<void> {
    const gone = new Set(this.byName.keys());
    let cursor = "";
    do {
      const page = await this.client.rooms({ cursor, limit: PAGE }, options);
      for (const summary of page.rooms) {
        gone.delete(summary.room);
        this.take(summary);
      }
      cursor = page.nextCursor;
    } while (cursor !== "");
    for (const room of gone) this.byName.delete(room);
    this.isOpen = true;
    this.touch();
  }

  private take({ room, headNumber, unread, lastMessage, metadata, peer }: RoomSummary): void {
    this.client.readState(room).told(headNumber, unread);
    const known = this.byName.get(room)?.lastMessage;
    const isOlder = known !== undefined && known.number > headNumber;
    this.byName.set(room, { room, unread: 0, lastMessage: isOlder ? known : lastMessage, metadata, peer });
    this.update(room, {});
  }

  private onUnread({ room, count, lastMessage }: PushEvents["unread"]): void {
    const reading = this.client.readState(room);
    if (lastMessage) reading.told(lastMessage.number, count);
    else reading.toldCount(count);
    if (this.byName.has(room)) this.update(room, lastMessage ? { lastMessage } : {});
    else this.refreshSoon();
  }

  private onMessage(message: Message): void {
    const { room, number } = message;
    this.client.readState(room).came(number);
    if (isOf(this.client.user, message)) this.client.readState(room).readUpTo(number);
    const isLatest = number >= (this.byName.get(room)?.lastMessage?.number ?? 0n);
    this.update(room, isLatest ? { lastMessage: message } : {});
  }

  private onChange(change: PushEvents["messageEdited"] | PushEvents["messageDeleted"]): void {
    const lastMessage = this.byName.get(change.room)?.lastMessage;
    if (lastMessage === undefined || lastMessage.header?.seq !== change.targetSeq) return;
    const content = "content" in change ? change.content : undefined;
    this.update(change.room, {
      lastMessage: { ...lastMessage, content, deleted: content === undefined } as Message,
    });
  }

  private onRead({ room, read }: PushEvents["marks"]): void {
    const last = this.byName.get(room)?.lastMessage;
    if (last?.header && read >= last.header.seq) this.client.readState(room).readUpTo(last.number);
    this.update(room, {});
  }

  private update(room: string, change: Partial<ListedRoom>): void {
    const listed = this.byName.get(room);
    if (listed === undefined) return;
    this.byName.set(room, { ...listed, ...change, unread: this.client.readState(room).unread });
    this.touch();
  }

  private touch(): void {
    this.ordered = undefined;
    this.changed();
  }
}

function byLatest(a: ListedRoom, b: ListedRoom): number {
  const latest = ({ lastMessage }: ListedRoom) => Number(lastMessage?.header?.timeMs ?? 0n);
  return latest(b) - latest(a) || (a.room < b.room ? -1 : 1);
}
