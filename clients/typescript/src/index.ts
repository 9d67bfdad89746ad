/**
 * The client library of Carillon for browsers and Node: one WebSocket to a hub, kept open over failures.
 *
 * A `Client` sends commands, one function each, and tells events. When the connection breaks, the library opens a new
 * session by itself: it waits a random time, asks for a token, and resumes each joined room after the last entry that
 * came. So the caller gets each entry once and in order, and each command completes once: commands without an answer are
 * sent again with the same idempotency key. Where the hub cannot hand over what was missed, `truncated` says so.
 *
 * `Room`, `RoomList`, `Inbox` and `Presence` are objects that keep what the events say.
 *
 * Start reading at `driver.ts`, the state machine behind a client; `received.ts` decides what is a duplicate,
 * `reconnect.ts` when to try again, `pending.ts` keeps the commands under way, `wire/` reads and writes frames.
 */
export type { Changes } from "./changing.js";
export { Client } from "./client.js";
export { CODES, type Code, type KnownCode } from "./codes.js";
export { type CommandOptions, Commands, type Words } from "./commands.js";
export { Emitter, type EventStream, type Named, type Off, type StreamOptions } from "./emitter.js";
export {
  CarillonError,
  EndedError,
  OverflowError,
  RefusedError,
  TimeoutError,
  TokenError,
} from "./errors.js";
export type { ClientEvents, ClientState, Disconnected } from "./events.js";
export type { Content, EntryAccepted, Violation } from "./gen/carillon/v1/common_pb.js";
export { Role } from "./gen/carillon/v1/common_pb.js";
export type { Connected } from "./gen/carillon/v1/connection_pb.js";
export { type Membership, MembershipChange } from "./gen/carillon/v1/conversations_pb.js";
export type { Event } from "./gen/carillon/v1/events_pb.js";
export { type Notification, NotificationPriority } from "./gen/carillon/v1/inbox_pb.js";
export type { Marks, Message, MessageSent } from "./gen/carillon/v1/messages_pb.js";
export { PresenceReason, type PresenceState, PresenceStatus } from "./gen/carillon/v1/presence_pb.js";
export { type Joined, JoinReason, LeaveReason } from "./gen/carillon/v1/rooms_pb.js";
export type { Inbox, InboxEvents } from "./inbox.js";
export type { ClientOptions, TokenProvider, TokenReason } from "./options.js";
export { type PositionStorage, type Positions, webStorage } from "./positions.js";
export type { Presence } from "./presence.js";
export type { Backoff } from "./reconnect.js";
export type { ListedRoom, RoomList } from "./room/list.js";
export type { Reacted, RoomMessage } from "./room/messages.js";
export type { Outbound, SendOptions } from "./room/outbox.js";
export type { OpenOptions, Room, RoomEvents } from "./room/room.js";
export type { WebSocketConstructor, WebSocketLike } from "./socket.js";
export type { Format } from "./wire/codec.js";
