/**
 * What has been received of each room: where to resume, and what is a duplicate. Plain data, as `clients/rust` has it.
 *
 * A room's position moves only forwards: with each entry, by what the entry's header says. What `joined` says moves it
 * where no entry follows from before the join. Where the hub cannot hand over what the position still misses, the caller
 * is told so (`truncated`), never left with a silent hole.
 */
import type { EntryHeader, Position } from "./gen/carillon/v1/common_pb.js";
import type { Joined } from "./gen/carillon/v1/rooms_pb.js";
import type { Positions } from "./positions.js";
import { ReceivedInbox } from "./received-inbox.js";

/** A place in a log. */
export type Place = Pick<Position, "epoch" | "seq" | "tag">;

/** What a `join` asked for. */
export interface Asked {
  readonly since?: Place | undefined;
  readonly rewind?: number | undefined;
  readonly presence?: boolean | undefined;
  /** Carry on from the known position, where there is one. */
  readonly continues?: boolean | undefined;
}

interface RoomState {
  /** The last entry received, or the place after which entries follow. `undefined`: not known, or there is no log. */
  position?: Place | undefined;
  /** Earlier entries were promised and none has come: where they begin is not known yet. */
  owed: boolean;
  /** The last seq of the last gap that was told. */
  skipped: bigint;
  presence: boolean;
}

/** One room to join again. */
export interface ResumeRoom {
  readonly room: string;
  readonly presence: boolean;
  readonly position?: Place;
}

/** The joined rooms and the inbox. */
export class Received {
  readonly inbox: ReceivedInbox;
  private readonly rooms = new Map<string, RoomState>();

  /** Carries on from what a caller stored. */
  constructor(positions: Positions = { rooms: {} }) {
    this.inbox = new ReceivedInbox(positions.inbox);
    for (const [room, { presence, position }] of Object.entries(positions.rooms)) {
      const place = position && { ...position, epoch: BigInt(position.epoch), seq: BigInt(position.seq) };
      this.rooms.set(room, { position: place, owed: false, skipped: 0n, presence });
    }
  }

  /** What a caller may store. */
  positions(): Positions {
    const rooms = [...this.rooms].map(([name, { presence, position: at }]) => {
      const position = at && { epoch: String(at.epoch), seq: String(at.seq), tag: at.tag };
      return [name, position === undefined ? { presence } : { presence, position }] as const;
    });
    const inbox = this.inbox.stored();
    return { rooms: Object.fromEntries(rooms), ...(inbox && { inbox }) };
  }

  /** What `hello` bears of the rooms. */
  resume(): ResumeRoom[] {
    return [...this.rooms].map(([room, { presence, position }]) => ({
      room,
      presence,
      ...(position && { position }),
    }));
  }

  /** What joins a room that `hello` had no place for, as `resume` would have. `undefined`: it was left meanwhile. */
  rejoin(room: string): { room: string; presence: boolean; since?: Place } | undefined {
    const known = this.rooms.get(room);
    if (known === undefined) return undefined;
    const { presence, position } = known;
    return { room, presence, ...(position && { since: position }) };
  }

  /** The last entry received of a room. */
  position(room: string): Place | undefined {
    return this.rooms.get(room)?.position;
  }

  /** A room was joined, by this command or by the hub. True when the caller's copy is void. */
  joined(joined: Joined, command?: Asked): boolean {
    const known = this.rooms.get(joined.room);
    const asked = command?.continues && known?.position ? undefined : command;
    const presence = command ? command.presence === true : known?.presence === true;
    let state = asked || !known ? askedFor(asked ?? {}, joined) : known;
    const resumed = asked === undefined && known !== undefined;
    const truncated = joined.truncated || (resumed && state.owed) || misses(state, joined);
    if (truncated || (state.position === undefined && !state.owed)) {
      // Where the room's state follows, that begins before the head.
      const { position, recovered } = joined;
      state = { position: recovered ? undefined : position, owed: recovered, skipped: 0n, presence };
    }
    this.rooms.set(joined.room, { ...state, presence });
    return truncated;
  }

  /** A room is not joined any more. */
  left(room: string): void {
    this.rooms.delete(room);
  }

  /** An entry came, or an ephemeral event (seq 0). False: it is a duplicate, drop it. */
  entry(name: string, header: EntryHeader): boolean {
    const room = this.rooms.get(name);
    if (header.seq === 0n || room === undefined) return true;
    if (room.position?.epoch === header.epoch && header.seq <= room.position.seq) return false;
    room.position = { epoch: header.epoch, seq: header.seq, tag: header.tag };
    room.owed = false;
    return true;
  }

  /** Entries up to `to` are missing for good. False: this was told already. */
  gap(name: string, to: bigint): boolean {
    const room = this.rooms.get(name);
    if (room === undefined) return true;
    if (to <= room.skipped || (room.position !== undefined && to <= room.position.seq)) return false;
    room.skipped = to;
    return true;
  }
}

/**
 * What follows the reply to a join: everything after `since`, or `rewind` entries up to the head, or the last event of
 * each key where those are the room's state, then later ones.
 */
function askedFor(join: Asked, joined: Joined): RoomState {
  const state: RoomState = { owed: false, skipped: 0n, presence: false };
  const head = joined.position;
  if (head === undefined) return state;
  if (join.since !== undefined) return { ...state, position: join.since };
  const rewind = join.rewind ?? 0;
  // A rewind recovers nothing where retention has taken all that it asks for: then there is nothing owed.
  const isRewound = rewind > 0 && joined.recovered;
  const isState = rewind === 0 && joined.recovered;
  if (isState || (isRewound && head.seq > BigInt(rewind))) return { ...state, owed: true };
  const seq = isRewound ? 0n : head.seq;
  return { ...state, position: { epoch: head.epoch, seq, tag: seq === 0n ? 0 : head.tag } };
}

/** Whether entries lie between the position and the head that the hub does not say will follow. */
function misses({ position: ours }: RoomState, { position: head, recovered }: Joined): boolean {
  if (ours === undefined || head === undefined) return false;
  return !recovered && ours.seq > 0n && (ours.epoch !== head.epoch || ours.seq < head.seq);
}
