/** Who is in a room: presence, occupancy, marks, and who types. Plain data, but for the timers of typing. */
import type { Marks } from "../gen/carillon/v1/messages_pb.js";
import {
  type Presence as PresencePush,
  PresenceReason,
  type PresenceState,
} from "../gen/carillon/v1/presence_pb.js";
import type { Joined } from "../gen/carillon/v1/rooms_pb.js";

/** Typing that is not repeated has ended; the hub's bound is 6 s, and the way takes time. */
const TYPING_MS = 7_000;

/** How far a user is. */
export interface Mark {
  /** Seq up to which the user's devices have everything. */
  readonly delivered: bigint;
  /** Seq up to which the user has read. */
  readonly read: bigint;
}

/** The people of a room. */
export class People {
  /** Users present, oneself included. Kept by the hub in large rooms, where `presence` is not. */
  occupancy = 0;
  /** Who is present, by user id; empty where the join did not ask for presence. */
  readonly presence = new Map<string, PresenceState>();
  /** How far each is, by user id, as far as this session has been told. */
  readonly marks = new Map<string, Mark>();

  private readonly typists = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly changed: () => void) {}

  /** Who types now, in the order in which they began. */
  get typing(): readonly string[] {
    return [...this.typists.keys()];
  }

  /** The room was joined: what it says of presence replaces what was known. */
  joined(joined: Joined, me: string): void {
    this.occupancy = joined.occupancy;
    this.presence.clear();
    for (const state of joined.presence) this.presence.set(state.user, state);
    if (joined.marks) this.mark(joined.marks, me);
  }

  /** Marks only grow. True when these are news. */
  mark({ user, delivered, read }: Marks, me: string): boolean {
    const name = user || me;
    const known = this.marks.get(name) ?? { delivered: 0n, read: 0n };
    const next = { delivered: max(known.delivered, delivered), read: max(known.read, read) };
    this.marks.set(name, next);
    return next.delivered !== known.delivered || next.read !== known.read;
  }

  /** Somebody's presence changed. */
  present({ state, reason }: PresencePush): void {
    if (state === undefined) return;
    const isGone = reason === PresenceReason.LEFT || reason === PresenceReason.DISCONNECTED;
    const wasHere = this.presence.has(state.user);
    if (isGone) this.presence.delete(state.user);
    else this.presence.set(state.user, state);
    if (isGone) this.typed(state.user, false);
    if (wasHere === isGone) this.occupancy = Math.max(0, this.occupancy + (isGone ? -1 : 1));
  }

  /** Somebody types, or stopped. */
  typed(user: string, active: boolean): void {
    clearTimeout(this.typists.get(user));
    if (!active) {
      this.typists.delete(user);
      return;
    }
    const timer = setTimeout(() => {
      this.typists.delete(user);
      this.changed();
    }, TYPING_MS);
    this.typists.set(user, timer);
  }

  /** The session broke: nobody is known to type. */
  stopTyping(): void {
    for (const timer of this.typists.values()) clearTimeout(timer);
    this.typists.clear();
  }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
