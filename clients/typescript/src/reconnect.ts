/** Whether and when to open a new session: plain data that is given its randomness. */
import { type Code, meaningOf } from "./codes.js";
import type { TokenReason } from "./options.js";

/**
 * How long to wait between attempts, in milliseconds. The wait is drawn from zero up to a bound that doubles from
 * `initialMs` to `mostMs` («full jitter»), so that clients which lost the same hub do not come back together.
 */
export interface Backoff {
  /** The bound of the first wait. */
  readonly initialMs: number;
  /** The bound of the longest. */
  readonly mostMs: number;
}

/** Why there is no session. */
export type End =
  /** The connection broke, did not come about, or fell silent. */
  | { readonly kind: "broken"; readonly reason: string }
  /** The hub refused or ended the session, and said whether another makes sense, where it did. */
  | {
      readonly kind: "refused";
      readonly code: Code;
      readonly message: string;
      readonly reconnect: boolean | undefined;
      readonly retryAfterMs: number;
    }
  /** The hub said that it stops, and then ended the session. */
  | { readonly kind: "goingAway"; readonly afterMs: number }
  /** The provider gave no token. */
  | { readonly kind: "token"; readonly reason: string; readonly permanent: boolean };

/** What to do next; `undefined`: nothing, the same would happen again. */
export type Next = { readonly waitMs: number; readonly token: TokenReason } | undefined;

/** The hub's code, where it gave one. */
export function codeOf(end: End): Code | undefined {
  if (end.kind === "goingAway") return "GOING_AWAY";
  return end.kind === "refused" ? end.code : undefined;
}

/** For people. */
export function describe(end: End): string {
  switch (end.kind) {
    case "refused":
      return end.message === "" ? end.code : `${end.code}: ${end.message}`;
    case "goingAway":
      return "the hub is stopping";
    case "token":
      return `no token: ${end.reason}`;
    default:
      return end.reason;
  }
}

/** Counts the attempts since the last session that lasted. */
export class Reconnect {
  private failures = 0;

  constructor(private readonly backoff: Backoff) {}

  /** Decides after an end. `lastedMs` is how long a session had been open, 0 if it never was; `random` is in [0, 1). */
  next(end: End, lastedMs: number, random: number): Next {
    // One that opens and fails at once must not bring the shortest wait back.
    if (lastedMs > this.backoff.mostMs) this.failures = 0;
    if (end.kind === "token" && end.permanent) return undefined;
    let atLeastMs = 0;
    if (end.kind === "refused") {
      if (!(end.reconnect ?? meaningOf(end.code)?.reconnect ?? true)) return undefined;
      atLeastMs = end.retryAfterMs;
    } else if (end.kind === "goingAway") {
      atLeastMs = end.afterMs;
    }
    const token = codeOf(end) === "TOKEN_EXPIRED" ? "expired" : "connect";
    return { waitMs: atLeastMs + this.jitter(random), token };
  }

  private jitter(random: number): number {
    const bound = Math.min(this.backoff.initialMs * 2 ** Math.min(this.failures, 16), this.backoff.mostMs);
    this.failures += 1;
    return bound * random;
  }
}
