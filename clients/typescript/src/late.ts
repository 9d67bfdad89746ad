/**
 * The rooms that `hello` had no place for: joined one by one once the session is open. Plain data, as `clients/rust` has
 * it. To the caller they are resumed rooms like the others. What the caller itself asks about such a room goes first, or
 * after what is under way already: the hub refuses two joins of one room at a time.
 */
import type { Error as ErrorFrame } from "./gen/carillon/v1/common_pb.js";
import type { Outgoing } from "./pending.js";

/** Joins of the library's own that are under way at a time, beside the callers' commands. */
const UNDER_WAY = 4;
/** The wait before a refused join is tried again, where the hub asks for none, in milliseconds. */
const AGAIN_MS = 1_000;

/** The first of these that go into a frame of `limit` bytes together. `bytes`: how large it is with these rooms. */
export function fitting<Room>(
  rooms: readonly Room[],
  bytes: (rooms: readonly Room[]) => number,
  limit: number,
): readonly Room[] {
  if (bytes(rooms) <= limit) return rooms;
  // By halves: the frame grows with each room.
  let [fit, tooMany] = [0, rooms.length];
  while (tooMany - fit > 1) {
    const middle = (fit + tooMany) >> 1;
    if (bytes(rooms.slice(0, middle)) <= limit) fit = middle;
    else tooMany = middle;
  }
  return rooms.slice(0, fit);
}

/** The rooms of one session that are still to be joined. */
export class Late {
  /** When `next` should be asked again though nothing was answered, in milliseconds of the clock. 0: no need. */
  notBefore = 0;
  private readonly waiting: Set<string>;
  /** Those that the caller is joining itself: the library's turn comes where that is refused. */
  private readonly taken = new Set<string>();
  /** Those under way, and the caller's commands that wait for the answer. */
  private readonly asked = new Map<string, Outgoing[]>();

  constructor(rooms: readonly string[] = []) {
    this.waiting = new Set(rooms);
  }

  /** The next room to join, if it is time for one. Its answer goes to `answered`. */
  next(now: number): string | undefined {
    if (now < this.notBefore) return undefined;
    this.notBefore = 0;
    if (this.asked.size >= UNDER_WAY) return undefined;
    for (const room of this.waiting) {
      if (this.taken.has(room)) continue;
      this.waiting.delete(room);
      this.asked.set(room, []);
      return room;
    }
    return undefined;
  }

  /** A caller's command is about to be sent. True: it is kept until the join that is under way is answered. */
  holds(outgoing: Outgoing): boolean {
    const { command } = outgoing;
    if (command.case === "leave") this.waiting.delete(command.value.room ?? "");
    if (command.case !== "join") return false;
    const { room = "" } = command.value;
    const held = this.asked.get(room);
    held?.push(outgoing);
    if (this.waiting.has(room)) this.taken.add(room);
    return held !== undefined;
  }

  /**
   * The library's own join was answered. Gives what waited for it, and whether the room is refused for good: what may
   * pass is tried again later.
   */
  answered(
    room: string,
    refusal: ErrorFrame | undefined,
    now: number,
  ): { readonly held: readonly Outgoing[]; readonly isRefused: boolean } {
    const held = this.asked.get(room) ?? [];
    this.asked.delete(room);
    // A conflict is with a join that the caller sent: if that is refused, too, the room must not be left out.
    const passes = refusal?.retryable === true || refusal?.code === "CONFLICT";
    if (refusal !== undefined && passes) {
      this.waiting.add(room);
      this.notBefore = now + Math.max(refusal.retryAfterMs, AGAIN_MS);
    }
    return { held, isRefused: refusal !== undefined && !passes };
  }

  /** A caller's join was refused: what it took the place of has its turn again. */
  refused(room: string): void {
    this.taken.delete(room);
  }

  /** The room was joined, or left for good: nothing is to be done about it any more. */
  settled(room: string): void {
    this.taken.delete(room);
    this.waiting.delete(room);
  }

  /** Whether the room's own join is still to be answered. */
  expects(room: string): boolean {
    return this.waiting.has(room) || this.asked.has(room);
  }

  /** The session ended: the caller's commands that were held back. */
  end(): readonly Outgoing[] {
    return [...this.asked.values()].flat();
  }
}
