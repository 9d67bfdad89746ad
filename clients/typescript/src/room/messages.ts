/**
 * A room's messages with edits, deletions and reactions applied. Plain data: entries and pages of history in, in any
 * order and any number of times, messages in the order of seq out.
 */
import type { Content } from "../gen/carillon/v1/common_pb.js";
import type { HistoryPage } from "../gen/carillon/v1/history_pb.js";
import type { Message, MessageDeleted, MessageEdited, Reaction } from "../gen/carillon/v1/messages_pb.js";

/** Changes that are remembered for messages that a page under way may bring in an older state. */
const REMEMBERED = 1_000;

/** A message as it is now. Replaced by a new object when anything about it changes. */
export interface RoomMessage {
  readonly seq: bigint;
  /** Its count among the room's messages, from 1. */
  readonly number: bigint;
  readonly sender: string;
  /** Whether a service sent it. Its name may be the id of a user too, who is not the sender then. */
  readonly byService: boolean;
  /** When the hub accepted it, in milliseconds since 1970. */
  readonly timeMs: number;
  /** `undefined` when deleted. */
  readonly content: Content | undefined;
  /** Seq of the message that this answers. */
  readonly replyTo: bigint | undefined;
  readonly attributes: Readonly<Record<string, string>>;
  /** 1 at first, one more with each edit. */
  readonly version: number;
  readonly deleted: boolean;
  /** When it was last edited, in milliseconds since 1970; 0 when never. */
  readonly editedMs: number;
  /** In the order of their keys. */
  readonly reactions: readonly Reacted[];
}

/** Who reacted with one key. */
export interface Reacted {
  readonly key: string;
  /** Where more than 20 had reacted when the message was read, not all of them. */
  readonly users: readonly string[];
  /** Users in all. */
  readonly count: number;
}

/** What changes a message that is there. */
export type MessageChange =
  | { readonly type: "messageEdited"; readonly value: MessageEdited }
  | { readonly type: "messageDeleted"; readonly value: MessageDeleted }
  | { readonly type: "reaction"; readonly value: Reaction };

interface Held {
  message: RoomMessage;
  /** The reactions are those of the log up to here. */
  asOf: bigint;
}

/** The messages that are loaded. */
export class Messages {
  /** Whether earlier ones can be loaded. */
  hasEarlier = false;
  /** The lowest seq that was looked at; earlier entries are before it. `undefined`: none was. */
  lowest: bigint | undefined;

  private readonly bySeq = new Map<bigint, Held>();
  private readonly recent: MessageChange[] = [];
  private ordered: readonly RoomMessage[] | undefined;

  constructor(
    /** Messages kept at most as new ones come; the oldest are dropped, and can be loaded again. */
    private readonly keep: number,
  ) {}

  /** All, the oldest first. The same array until something changes. */
  get all(): readonly RoomMessage[] {
    this.ordered ??= [...this.bySeq.values()]
      .map((held) => held.message)
      .sort((a, b) => (a.seq < b.seq ? -1 : 1));
    return this.ordered;
  }

  /** One message. */
  get(seq: bigint): RoomMessage | undefined {
    return this.bySeq.get(seq)?.message;
  }

  /** The copy is void. */
  clear(): void {
    this.bySeq.clear();
    this.recent.length = 0;
    // Until a page says otherwise.
    this.hasEarlier = true;
    this.lowest = undefined;
    this.ordered = undefined;
  }

  /** A message came. `asOf`: its reactions are at least those of the log up to there. */
  add(message: Message, asOf: bigint): void {
    this.merge(message, asOf);
    this.trim();
  }

  /** Something happened to a message, which need not be loaded. */
  change(change: MessageChange): void {
    this.recent.push(change);
    if (this.recent.length > REMEMBERED) this.recent.shift();
    this.apply(change);
  }

  /** A page of the newest entries, or of those before what is loaded. */
  addPage({ entries, asOf, more }: HistoryPage): void {
    const seqs: bigint[] = [];
    for (const { entry } of entries) {
      seqs.push(entry.value?.header?.seq ?? 0n);
      if (entry.case === "message") this.merge(entry.value, asOf?.seq ?? 0n);
    }
    const first = seqs[0];
    if (this.lowest === undefined || (first !== undefined && first < this.lowest)) {
      this.lowest = first ?? 0n;
      this.hasEarlier = more;
    }
    for (const change of this.recent) this.apply(change);
  }

  private merge(incoming: Message, asOf: bigint): void {
    const seq = incoming.header?.seq ?? 0n;
    const held = this.bySeq.get(seq);
    if (held === undefined) {
      this.put({ message: fromFrame(incoming), asOf: asOf > seq ? asOf : seq });
      return;
    }
    if (held.message.deleted) return;
    const isNewer = incoming.deleted || incoming.version > held.message.version;
    const words = isNewer ? fromFrame(incoming) : held.message;
    const hasNewerReactions = asOf > held.asOf;
    const reactions = incoming.deleted
      ? []
      : hasNewerReactions
        ? reactionsOf(incoming)
        : held.message.reactions;
    this.put({ message: { ...words, reactions }, asOf: hasNewerReactions ? asOf : held.asOf });
  }

  private apply({ type, value }: MessageChange): void {
    const held = this.bySeq.get(value.targetSeq);
    if (held === undefined || held.message.deleted) return;
    const { message } = held;
    if (type === "messageDeleted") {
      this.put({ ...held, message: tombstone(message) });
    } else if (type === "messageEdited") {
      if (value.version <= message.version || value.content === undefined) return;
      const editedMs = Number(value.header?.timeMs ?? 0n);
      this.put({
        ...held,
        message: { ...message, content: value.content, version: value.version, editedMs },
      });
    } else if (value.header && value.header.seq > held.asOf) {
      // Counted once, however often what is remembered is applied again.
      this.put({
        message: { ...message, reactions: react(message.reactions, value) },
        asOf: value.header.seq,
      });
    }
  }

  private put(held: Held): void {
    this.bySeq.set(held.message.seq, held);
    this.ordered = undefined;
  }

  private trim(): void {
    if (this.bySeq.size <= this.keep) return;
    const [oldest, next] = this.all;
    if (oldest === undefined || next === undefined) return;
    this.bySeq.delete(oldest.seq);
    this.ordered = undefined;
    this.lowest = next.seq;
    this.hasEarlier = true;
  }
}

/** Whether this user sent a message: no service of the same name. */
export function isOf(user: string, { header, byService }: Message): boolean {
  return !byService && header?.sender === user;
}

function fromFrame(message: Message): RoomMessage {
  return {
    seq: message.header?.seq ?? 0n,
    number: message.number,
    sender: message.header?.sender ?? "",
    byService: message.byService,
    timeMs: Number(message.header?.timeMs ?? 0n),
    content: message.content,
    replyTo: message.replyTo,
    attributes: message.attributes,
    version: message.version,
    deleted: message.deleted,
    editedMs: Number(message.editedTimeMs),
    reactions: reactionsOf(message),
  };
}

function reactionsOf(message: Message): Reacted[] {
  return message.reactions.map(({ key, users, count }) => ({ key, users, count }));
}

function tombstone(message: RoomMessage): RoomMessage {
  return { ...message, deleted: true, content: undefined, attributes: {}, reactions: [] };
}

function react(reactions: readonly Reacted[], { key, add, header }: Reaction): readonly Reacted[] {
  const user = header?.sender ?? "";
  const reacted = reactions.find((other) => other.key === key) ?? { key, users: [], count: 0 };
  const isListed = reacted.users.includes(user);
  if (add && isListed) return reactions;
  const users = add ? [...reacted.users, user] : reacted.users.filter((other) => other !== user);
  // One who is not listed may be among those who are only counted.
  const isCounted = isListed || reacted.count > reacted.users.length;
  const count = add ? reacted.count + 1 : reacted.count - (isCounted ? 1 : 0);
  const others = reactions.filter((other) => other.key !== key);
  if (count <= 0) return others;
  return [...others, { key, users, count }].sort((a, b) => (a.key < b.key ? -1 : 1));
}
