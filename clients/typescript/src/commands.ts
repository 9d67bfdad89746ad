/** The commands, one function each. What a field means and may hold is in `carillon/v1/*.proto`. */
import type { MessageInitShape as Init } from "@bufbuild/protobuf";
import { CarillonError } from "./errors.js";
import type { ValueOf } from "./events.js";
import type { EntryAccepted, Role } from "./gen/carillon/v1/common_pb.js";
import type {
  ConversationCreated,
  ConversationCreateSchema,
  ConversationUpdateSchema,
  MembersGetSchema,
  MembersPage,
} from "./gen/carillon/v1/conversations_pb.js";
import type { EventPublishSchema } from "./gen/carillon/v1/events_pb.js";
import type { HistoryGetSchema, HistoryPage } from "./gen/carillon/v1/history_pb.js";
import type { NotificationsGetSchema, NotificationsPage } from "./gen/carillon/v1/inbox_pb.js";
import type {
  Marks,
  MessageEditSchema,
  MessageSendSchema,
  MessageSent,
} from "./gen/carillon/v1/messages_pb.js";
import type { PresenceGetSchema, PresencePage, PresenceStatus } from "./gen/carillon/v1/presence_pb.js";
import type { Joined, JoinSchema, Left, RoomsGetSchema, RoomsPage } from "./gen/carillon/v1/rooms_pb.js";
import type { Command, Kind } from "./pending.js";
import type { InboxPlace } from "./received-inbox.js";

/** How one command is carried out. */
export interface CommandOptions {
  /** Gives up waiting. What was sent already may still be done. */
  readonly signal?: AbortSignal;
  /** How long to wait, reconnects included, in milliseconds; else as the client's options say. */
  readonly timeoutMs?: number;
  /** An idempotency key of the caller's, 8 to 64 bytes: who repeats the command with it gets the first outcome. */
  readonly key?: Uint8Array;
}

/** The content of a message: plain text, or more. */
export type Words = string | NonNullable<Init<typeof MessageSendSchema>["content"]>;

/** Everything that a client can ask of a hub. */
export abstract class Commands {
  /** Sends any command and returns its reply. A command that changes something gets a random idempotency key. */
  abstract call(command: Command, options?: CommandOptions): Promise<Kind>;

  /** Sends a message. */
  sendMessage(message: Init<typeof MessageSendSchema>, options?: CommandOptions): Promise<MessageSent> {
    return this.ask({ case: "messageSend", value: message }, "messageSent", options);
  }

  /** Sends text to a room. */
  send(room: string, words: Words, options?: CommandOptions): Promise<MessageSent> {
    return this.sendMessage({ room, content: contentOf(words) }, options);
  }

  /** Replaces the content of one's message. */
  edit(message: Init<typeof MessageEditSchema>, options?: CommandOptions): Promise<EntryAccepted> {
    return this.ask({ case: "messageEdit", value: message }, "entryAccepted", options);
  }

  /** Deletes one's message, or as a moderator anyone's. */
  delete(room: string, seq: bigint, options?: CommandOptions): Promise<EntryAccepted> {
    return this.ask({ case: "messageDelete", value: { room, seq } }, "entryAccepted", options);
  }

  /** Adds one's reaction to a message, or takes it back. */
  react(
    room: string,
    seq: bigint,
    key: string,
    add: boolean,
    options?: CommandOptions,
  ): Promise<EntryAccepted> {
    return this.ask({ case: "reaction", value: { room, seq, key, add } }, "entryAccepted", options);
  }

  /** One's device has everything up to here. At most once a second per room. */
  async markDelivered(room: string, upTo: bigint, options?: CommandOptions): Promise<Marks | undefined> {
    return (await this.ask({ case: "markDelivered", value: { room, upTo } }, "marksAccepted", options)).marks;
  }

  /** One has read everything up to here. At most once a second per room. */
  async markRead(room: string, upTo: bigint, options?: CommandOptions): Promise<Marks | undefined> {
    return (await this.ask({ case: "markRead", value: { room, upTo } }, "marksAccepted", options)).marks;
  }

  /** One types, or stopped. Repeat while typing, every few seconds. */
  typing(room: string, active: boolean, options?: CommandOptions): Promise<void> {
    return this.done({ case: "typing", value: { room, active } }, options);
  }

  /**
   * Publishes an event. The entry is `undefined` where events are ephemeral; then a retry after a broken connection may
   * reach others twice.
   */
  async publish(
    event: Init<typeof EventPublishSchema>,
    options?: CommandOptions,
  ): Promise<EntryAccepted | undefined> {
    const reply = await this.call({ case: "eventPublish", value: event }, options);
    return reply.case === "done" ? undefined : valueIn(reply, "entryAccepted");
  }

  /** Joins a room. The library joins it again after each reconnect, until `leave` or a `left` by the hub. */
  join(join: Init<typeof JoinSchema>, options?: CommandOptions): Promise<Joined> {
    return this.ask({ case: "join", value: join }, "joined", options);
  }

  /** Receives nothing more of a room. The membership stays. */
  leave(room: string, options?: CommandOptions): Promise<Left> {
    return this.ask({ case: "leave", value: { room } }, "left", options);
  }

  /** A page of a room's entries. */
  history(page: Init<typeof HistoryGetSchema>, options?: CommandOptions): Promise<HistoryPage> {
    return this.ask({ case: "history", value: page }, "historyPage", options);
  }

  /** A page of one's rooms, in the order of their names. */
  rooms(page: Init<typeof RoomsGetSchema> = {}, options?: CommandOptions): Promise<RoomsPage> {
    return this.ask({ case: "rooms", value: page }, "roomsPage", options);
  }

  /** Creates a conversation. */
  createConversation(
    conversation: Init<typeof ConversationCreateSchema>,
    options?: CommandOptions,
  ): Promise<ConversationCreated> {
    return this.ask({ case: "conversationCreate", value: conversation }, "conversationCreated", options);
  }

  /** The direct conversation with a user; created if there is none. */
  direct(user: string, options?: CommandOptions): Promise<ConversationCreated> {
    return this.createConversation({ members: [{ user }], direct: true }, options);
  }

  /** Changes a room's metadata. */
  updateConversation(
    update: Init<typeof ConversationUpdateSchema>,
    options?: CommandOptions,
  ): Promise<EntryAccepted> {
    return this.ask({ case: "conversationUpdate", value: update }, "entryAccepted", options);
  }

  /** Adds a user; unless said otherwise as MEMBER. */
  addMember(room: string, user: string, role?: Role, options?: CommandOptions): Promise<EntryAccepted> {
    const value = role === undefined ? { room, user } : { room, user, role };
    return this.ask({ case: "memberAdd", value }, "entryAccepted", options);
  }

  /** Removes a user; one's own id leaves for good. */
  removeMember(room: string, user: string, options?: CommandOptions): Promise<EntryAccepted> {
    return this.ask({ case: "memberRemove", value: { room, user } }, "entryAccepted", options);
  }

  /** Changes a member's role. */
  setRole(room: string, user: string, role: Role, options?: CommandOptions): Promise<EntryAccepted> {
    return this.ask({ case: "memberRole", value: { room, user, role } }, "entryAccepted", options);
  }

  /** A page of a room's members. */
  members(page: Init<typeof MembersGetSchema>, options?: CommandOptions): Promise<MembersPage> {
    return this.ask({ case: "members", value: page }, "membersPage", options);
  }

  /** Sets this session's status. The library sets it again after each reconnect. */
  setPresence(status: PresenceStatus, text = "", options?: CommandOptions): Promise<void> {
    return this.done({ case: "presenceSet", value: { status, text } }, options);
  }

  /** A page of who is present in a room. */
  presentIn(page: Init<typeof PresenceGetSchema>, options?: CommandOptions): Promise<PresencePage> {
    return this.ask({ case: "presenceGet", value: page }, "presencePage", options);
  }

  /** Receives the presence of these users and of no others. The library asks again after each reconnect. */
  watchPresence(users: readonly string[], options?: CommandOptions): Promise<void> {
    return this.done({ case: "presenceWatch", value: { users: [...users] } }, options);
  }

  /** A page of one's notifications, newest first. */
  notifications(
    page: Init<typeof NotificationsGetSchema> = {},
    options?: CommandOptions,
  ): Promise<NotificationsPage> {
    return this.ask({ case: "notifications", value: page }, "notificationsPage", options);
  }

  /** Marks these notifications as read, or all up to a place in the inbox. */
  readNotifications(which: readonly string[] | InboxPlace, options?: CommandOptions): Promise<void> {
    const value = isList(which) ? { ids: [...which] } : { upTo: which };
    return this.done({ case: "notificationRead", value }, options);
  }

  /** Removes these notifications. */
  deleteNotifications(ids: readonly string[], options?: CommandOptions): Promise<void> {
    return this.done({ case: "notificationDelete", value: { ids: [...ids] } }, options);
  }

  /** Asks whether the hub is there. The reply is its clock, in milliseconds since 1970. */
  async ping(options?: CommandOptions): Promise<number> {
    return Number((await this.ask({ case: "ping", value: {} }, "pong", options)).timeMs);
  }

  /** Gives the session a new token now. The library does so by itself when the old one expires soon. */
  refreshToken(token: string, options?: CommandOptions): Promise<void> {
    return this.done({ case: "refreshToken", value: { token } }, options);
  }

  private async ask<Case extends Kind["case"]>(
    command: Command,
    reply: Case,
    options?: CommandOptions,
  ): Promise<ValueOf<Case>> {
    return valueIn(await this.call(command, options), reply);
  }

  private async done(command: Command, options?: CommandOptions): Promise<void> {
    await this.ask(command, "done", options);
  }
}

/** Plain text, or content as it is. */
export function contentOf(words: Words): Exclude<Words, string> {
  return typeof words === "string" ? { body: { case: "text", value: words } } : words;
}

/** Whether a command writes an entry, so that a retry needs a key; the rest may be repeated as it is. */
export function writes(command: Command): boolean {
  switch (command.case) {
    case "messageSend":
    case "eventPublish":
    case "conversationCreate":
    case "conversationUpdate":
    case "memberAdd":
    case "memberRemove":
    case "memberRole":
    case "messageEdit":
    case "messageDelete":
    case "reaction":
    case "notificationRead":
    case "notificationDelete":
      return true;
    default:
      return false;
  }
}

function valueIn<Case extends Kind["case"]>(reply: Kind, expected: Case): ValueOf<Case> {
  if (reply.case !== expected) throw new CarillonError(`an answer of another kind: ${reply.case}`);
  return reply.value as ValueOf<Case>;
}

function isList(which: readonly string[] | InboxPlace): which is readonly string[] {
  return Array.isArray(which);
}
