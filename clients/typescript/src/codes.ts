/** The codes that a hub refuses with, what each means for a client, and the close codes of a WebSocket. */

interface Meaning {
  /** The close code of a WebSocket that ends with this. */
  readonly close: number;
  /** Whether the same command may succeed when sent again unchanged. */
  readonly retry: boolean;
  /** Whether a new session makes sense after one that ended with this. */
  readonly reconnect: boolean;
}

function meaning(close: number, retry: boolean, reconnect: boolean): Meaning {
  return { close, retry, reconnect };
}

/** Every code that this library knows; `docs/errors.md` says when each comes and what to do. */
export const CODES = {
  AUTH_REQUIRED: meaning(4500, false, false),
  INVALID_TOKEN: meaning(4501, false, false),
  TOKEN_EXPIRED: meaning(4000, false, true),
  TOKEN_REVOKED: meaning(4502, false, false),
  SESSION_INVALIDATED: meaning(4503, false, false),
  SESSION_REPLACED: meaning(4504, false, false),
  ACCESS_DENIED: meaning(4505, false, false),
  PERMISSION_DENIED: meaning(4506, false, false),
  INVALID_ARGUMENT: meaning(4507, false, false),
  MESSAGE_TOO_LARGE: meaning(1009, false, false),
  RATE_LIMITED: meaning(4001, true, true),
  CONNECTION_LIMIT_EXCEEDED: meaning(4002, true, true),
  TOO_MANY_CONNECTIONS: meaning(4003, true, true),
  ROOM_LIMIT_EXCEEDED: meaning(4508, false, false),
  NOT_FOUND: meaning(4509, false, false),
  CONFLICT: meaning(4510, false, false),
  DEADLINE_EXCEEDED: meaning(4004, true, true),
  UNAVAILABLE: meaning(1013, true, true),
  SLOW_CONSUMER: meaning(4005, true, true),
  GOING_AWAY: meaning(1001, true, true),
  PROTOCOL_ERROR: meaning(4511, false, false),
  INTERNAL: meaning(1011, true, true),
} as const;

/** A code that this library knows. */
export type KnownCode = keyof typeof CODES;

/** Why a hub refused a command or ended a session; a newer hub may have more. */
export type Code = KnownCode | (string & {});

/** What a code means; `undefined` where this library does not know it. */
export function meaningOf(code: Code): Meaning | undefined {
  return Object.hasOwn(CODES, code) ? CODES[code as KnownCode] : undefined;
}

/** What the close of a WebSocket says. */
export interface CloseMeaning {
  /** The code that it stands for, where it stands for one. */
  readonly code: Code | undefined;
  /** Whether a new session makes sense. */
  readonly reconnect: boolean;
}

/** What the hub says of a stream that broke the protocol: the next one would break it in the same way. */
const BROKEN = [1002, 1003, 1007];

/** 4000 to 4499 reconnect, 4500 to 4999 do not; of the standard's codes 1009 (too large) and those of broken frames do not. */
export function meaningOfClose(close: number): CloseMeaning {
  const names = Object.keys(CODES) as KnownCode[];
  const code = names.find((name) => CODES[name].close === close);
  const reconnect = code === undefined ? close < 4500 && !BROKEN.includes(close) : CODES[code].reconnect;
  return { code, reconnect };
}
