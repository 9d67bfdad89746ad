/** The commands that wait for their answers, over however many sessions it takes. */
import { OverflowError } from "./errors.js";
import type { SessionResponse } from "./gen/carillon/v1/session_pb.js";
import type { Asked } from "./received.js";
import type { RequestFrame } from "./wire/codec.js";

/** Any command. */
export type Command = NonNullable<RequestFrame["command"]>;
/** Any reply or push. */
export type Kind = SessionResponse["kind"];

/** One command. */
export interface Outgoing {
  readonly command: Command;
  /** 8 to 64 bytes; empty: none. */
  readonly key: Uint8Array;
  /** `undefined`: the library's own, which nobody waits for and which is not sent again. */
  readonly answer?: { resolve(kind: Kind): void; reject(error: unknown): void };
  /** For a join: carry on from the known position. */
  readonly continues?: boolean;
  /** The caller has given up. A command in flight keeps its place until the answer comes. */
  abandoned: boolean;
}

/** What a join asks for. */
export function askedBy({ command, continues }: Outgoing): Asked | undefined {
  if (command.case !== "join") return undefined;
  const { since, rewind, presence } = command.value;
  return { since: since as Asked["since"], rewind, presence, continues };
}

/** The commands sent in this session and not answered, and those that wait for their turn. */
export class Pending {
  private readonly sent = new Map<number, Outgoing>();
  private waiting: Outgoing[] = [];
  private lastId = 1;

  constructor(
    /** Commands without an answer yet, at most. */
    private readonly inFlight: number,
    /** Commands that may wait beside them. */
    private readonly queue: number,
  ) {}

  /** Puts a command into the queue. Throws `OverflowError` where it is full. */
  add(outgoing: Outgoing): void {
    this.waiting = this.waiting.filter((other) => !other.abandoned);
    if (this.waiting.length >= this.queue) throw new OverflowError(`${this.queue} commands wait already`);
    this.waiting.push(outgoing);
  }

  /** The next command that may be sent now, with its id. */
  next(): { readonly id: number; readonly outgoing: Outgoing } | undefined {
    while (this.sent.size < this.inFlight) {
      const outgoing = this.waiting.shift();
      if (outgoing === undefined) return undefined;
      if (!outgoing.abandoned) return { id: this.track(outgoing), outgoing };
    }
    return undefined;
  }

  /** Gives a command of the library's own its id, past the queue. */
  track(outgoing: Outgoing): number {
    const id = this.freeId();
    this.sent.set(id, outgoing);
    return id;
  }

  /** An id for a frame that gets no reply: not 0, and not of a command in flight. */
  freeId(): number {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.lastId === 0 || this.sent.has(this.lastId));
    return this.lastId;
  }

  /** The command that an answer is for. */
  take(id: number): Outgoing | undefined {
    const outgoing = this.sent.get(id);
    this.sent.delete(id);
    return outgoing;
  }

  /**
   * The session ended: what had no answer goes to the front of the queue, in the order in which it was sent. All of it
   * is safe to send again: what changes something bears a key, or says what shall be so.
   */
  requeue(): void {
    const unanswered = [...this.sent.values()].filter(({ answer, abandoned }) => answer && !abandoned);
    this.sent.clear();
    this.lastId = 1;
    this.waiting.unshift(...unanswered);
  }

  /** Commands that were held back, to be sent next. */
  putFirst(held: readonly Outgoing[]): void {
    this.waiting.unshift(...held);
  }

  /** The client has ended. */
  failAll(error: unknown): void {
    this.requeue();
    for (const { answer } of this.waiting.splice(0)) answer?.reject(error);
  }
}
