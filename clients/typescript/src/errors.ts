/** How commands fail. Every error of this library is a `CarillonError`; an aborted one rejects with the signal's reason. */
import { type Code, meaningOf } from "./codes.js";
import type { Error as ErrorFrame, Violation } from "./gen/carillon/v1/common_pb.js";

/** The base of this library's errors. */
export class CarillonError extends Error {
  override readonly name: string = "CarillonError";
}

/** The hub refused the command or the session. */
export class RefusedError extends CarillonError {
  override readonly name = "RefusedError";

  constructor(
    /** Why. */
    readonly code: Code,
    message: string,
    /** Whether the same may succeed later. */
    readonly retryable: boolean,
    /** Wait at least this long before a retry, in milliseconds. 0: no advice. */
    readonly retryAfterMs = 0,
    /** What to quote to the operator. */
    readonly requestId = "",
    /** Which fields broke which rules. */
    readonly violations: readonly Violation[] = [],
  ) {
    super(message === "" ? code : `${code}: ${message}`);
  }

  /** From the hub's frame. */
  static of(frame: ErrorFrame): RefusedError {
    const { code, message, retryAfterMs, requestId, violations } = frame;
    return new RefusedError(code, message, frame.retryable, retryAfterMs, requestId, violations);
  }

  /** Of a code that this library knows, where no frame says more. */
  static ofCode(code: Code, message: string): RefusedError {
    return new RefusedError(code, message, meaningOf(code)?.retry ?? false);
  }
}

/** The command's time is over. Its outcome is unknown: repeat it with the same key to learn it. */
export class TimeoutError extends CarillonError {
  override readonly name = "TimeoutError";

  constructor(limitMs: number) {
    super(`no answer within ${limitMs} ms`);
  }
}

/** The client has ended: it was closed, or the hub will not have it. */
export class EndedError extends CarillonError {
  override readonly name = "EndedError";

  constructor(
    reason: string,
    /** The hub's code, where it gave one. */
    readonly code?: Code,
  ) {
    super(reason);
  }
}

/** More commands or events wait than the options allow. */
export class OverflowError extends CarillonError {
  override readonly name = "OverflowError";
}

/** Thrown by a token provider: asking again will not help, the client ends. Any other error is tried again. */
export class TokenError extends CarillonError {
  override readonly name = "TokenError";
}
