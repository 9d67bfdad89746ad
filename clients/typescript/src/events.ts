/** What a caller is told: the hub's pushes, and what happens to the session. */
import type { Code } from "./codes.js";
import type { SessionResponse } from "./gen/carillon/v1/session_pb.js";
import type { Kind } from "./pending.js";

/** The value of one kind of reply or push. */
export type ValueOf<Case extends Kind["case"]> =
  Extract<SessionResponse["kind"], { case: Case }> extends {
    value: infer Value;
  }
    ? Value
    : never;

/** The pushes that callers are handed. The entries of a room come once each, in the order of seq, over all reconnects. */
export const PUSHES = [
  "message",
  "messageEdited",
  "messageDeleted",
  "reaction",
  "membership",
  "roomChanged",
  "event",
  "joined",
  "left",
  "gap",
  "occupancy",
  "unread",
  "marks",
  "typing",
  "presence",
  "notification",
  "notificationState",
  "inboxUnread",
] as const;

/** The name of such a push. */
export type Push = (typeof PUSHES)[number];

/** The pushes by name. */
export type PushEvents = { [Name in Push]: ValueOf<Name> };

/** How a client is: `waiting` is between two attempts, `offline` the same where the browser says there is no network. */
export type ClientState = "idle" | "connecting" | "connected" | "waiting" | "offline" | "closed";

/** How a session, or an attempt to open one, ended. */
export interface Disconnected {
  /** The hub's code; `undefined` where the connection broke. */
  readonly code: Code | undefined;
  /** For people. */
  readonly reason: string;
  /** When the library tries again, in milliseconds. `undefined`: it does not, and the client is closed. */
  readonly reconnectAfterMs: number | undefined;
}

/** All events of a client. */
export interface ClientEvents extends PushEvents {
  /** The client's state changed. */
  state: ClientState;
  /** A session is open; missed entries of the rooms that were joined follow. */
  connected: ValueOf<"connected">;
  /** The session ended, or an attempt failed. */
  disconnected: Disconnected;
  /** The hub stops soon. The library reconnects by itself when it does. */
  goingAway: { readonly reconnectAfterMs: number };
  /** The copy of this room is void: drop it, read history. Later entries follow. Room objects do so by themselves. */
  truncated: { readonly room: string };
  /** The copy of the inbox is void: drop it, list the notifications. The inbox object does so by itself. */
  inboxTruncated: undefined;
}

/** Any event of a client, with its name. */
export type ClientEvent = {
  [Name in keyof ClientEvents]: { readonly type: Name; readonly value: ClientEvents[Name] };
}[keyof ClientEvents];

/** A push as an event. */
export type PushEvent = { [Name in Push]: { readonly type: Name; readonly value: PushEvents[Name] } }[Push];

/** The event that a push is to the caller. `undefined`: the library deals with it, or does not know it. */
export function eventOf(kind: Kind): PushEvent | undefined {
  if (kind.case === undefined || !PUSHES.includes(kind.case as Push)) return undefined;
  return { type: kind.case, value: kind.value } as PushEvent;
}
