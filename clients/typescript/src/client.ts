/** The client that callers hold. */
import { type CommandOptions, Commands, writes } from "./commands.js";
import { Driver } from "./driver.js";
import { Emitter } from "./emitter.js";
import { randomBytes } from "./environment/instance.js";
import { EndedError, TimeoutError } from "./errors.js";
import type { ClientEvents, ClientState, Disconnected } from "./events.js";
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import { Inbox } from "./inbox.js";
import { type ClientOptions, type Settings, settle } from "./options.js";
import type { Command, Kind, Outgoing } from "./pending.js";
import type { Positions } from "./positions.js";
import { Presence } from "./presence.js";
import { RoomList } from "./room/list.js";
import { Room } from "./room/room.js";
import { ReadState } from "./room/unread.js";

/**
 * A client of a hub: one session, kept open over failures. Commands are its functions; each completes once, over however
 * many sessions it takes, or fails when its time is over. Events come once and in order.
 */
export class Client extends Commands {
  /** One's notifications. */
  readonly inbox: Inbox;
  /** One's own status, and that of chosen users. */
  readonly presence: Presence;
  /** The rooms that one is a member of. */
  readonly roomList: RoomList;

  private readonly settings: Settings;
  private readonly driver: Driver;
  private readonly emitter = new ClientEmitter();
  private readonly openRooms = new Map<string, Room>();
  private readonly readStates = new Map<string, ReadState>();

  /** Makes a client, which does nothing before `connect`. */
  constructor(options: ClientOptions) {
    super();
    this.settings = settle(options);
    this.driver = new Driver(this.settings, (type, value) => this.tell(type, value));
    this.inbox = new Inbox(this);
    this.presence = new Presence(this);
    this.roomList = new RoomList(this);
  }

  /** Calls `listener` with each event of this type, until the returned function is called. */
  readonly on = this.emitter.on.bind(this.emitter) as Emitter<ClientEvents>["on"];

  /**
   * All events from this call on, in order, as an async iterator with a bounded queue. Call it before `connect`: what was
   * told before is not told again.
   */
  readonly events = this.emitter.events.bind(this.emitter) as Emitter<ClientEvents>["events"];

  /** How the client is. */
  get state(): ClientState {
    return this.driver.state;
  }

  /** What the hub said when the latest session opened. `undefined`: there has been none. */
  get session(): Connected | undefined {
    return this.driver.connected;
  }

  /** The id of the user that the token names; empty before the first session. */
  get user(): string {
    return this.driver.connected?.user ?? "";
  }

  /** Whether room objects tell the hub what they have received. */
  get acknowledges(): boolean {
    return this.settings.acknowledge;
  }

  /**
   * Opens the first session. Tries for as long as it takes; rejects with `EndedError` where the hub will not have this
   * client, and with the signal's reason, which closes the client.
   */
  connect(options: { readonly signal?: AbortSignal } = {}): Promise<Connected> {
    return new Promise((resolve, reject) => {
      if (this.driver.ended !== undefined) return reject(this.driver.ended);
      if (this.driver.connected !== undefined) return resolve(this.driver.connected);
      const { signal } = options;
      const abort = () => this.close();
      const settled = () => {
        for (const off of offs) off();
        signal?.removeEventListener("abort", abort);
      };
      const offs = [
        this.on("connected", (connected) => {
          settled();
          resolve(connected);
        }),
        this.on("state", (state) => {
          if (state !== "closed") return;
          settled();
          reject(
            signal?.aborted ? signal.reason : (this.driver.ended ?? new EndedError("the client was closed")),
          );
        }),
      ];
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) this.close();
      else void this.driver.start();
    });
  }

  /** Leaves at once, so that others see it without the grace of a lost connection. Commands under way fail. */
  close(): void {
    this.driver.close();
  }

  /**
   * The room of this name, as an object that keeps its state. `Room.open` joins it; until then it only hears what comes.
   * The same object for the same name, until it is closed.
   */
  room(name: string): Room {
    const known = this.openRooms.get(name);
    if (known !== undefined) return known;
    const room = new Room(this, name, () => this.openRooms.delete(name));
    this.openRooms.set(name, room);
    if (this.state === "closed") room.ended();
    return room;
  }

  /** What is known of how much of a room is unread. For the objects of this library. */
  readState(room: string): ReadState {
    const known = this.readStates.get(room) ?? new ReadState();
    this.readStates.set(room, known);
    return known;
  }

  /**
   * Where the caller's copy of each joined room and of the inbox ends. In a listener: with the event that it is called
   * for. Store it together with what the event changed, and give it back through `ClientOptions.storage`.
   */
  positions(): Positions {
    return this.driver.positions();
  }

  /** Sends any command and returns its reply; the typed functions are built on it. */
  call(command: Command, options: CommandOptions & { readonly continues?: boolean } = {}): Promise<Kind> {
    const { signal, timeoutMs = this.settings.commandTimeoutMs } = options;
    return new Promise<Kind>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const settled = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const answer: NonNullable<Outgoing["answer"]> = {
        resolve: (kind) => {
          settled();
          resolve(kind);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      const key = options.key ?? (writes(command) ? randomBytes() : new Uint8Array());
      const outgoing: Outgoing = {
        command,
        key,
        answer,
        continues: options.continues === true,
        abandoned: false,
      };
      const giveUp = (error: unknown) => {
        outgoing.abandoned = true;
        answer.reject(error);
      };
      const abort = () => giveUp(signal?.reason);
      const timer = setTimeout(() => giveUp(new TimeoutError(timeoutMs)), timeoutMs);
      signal?.addEventListener("abort", abort);
      try {
        this.driver.submit(outgoing);
      } catch (error) {
        answer.reject(error);
      }
    });
  }

  /** The objects first, so that a listener finds their state as the event left it. */
  private tell<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    const named = value as { readonly room?: string } | undefined;
    if (typeof named === "object" && named.room) this.openRooms.get(named.room)?.hear(type, value);
    if (type === "connected") for (const room of this.openRooms.values()) room.connected();
    if (type === "disconnected")
      for (const room of this.openRooms.values()) room.disconnected(value as Disconnected);
    this.roomList.hear(type, value);
    this.inbox.hear(type, value);
    this.presence.hear(type, value);
    this.emitter.tell(type, value);
    if (type === "state" && value === "closed")
      for (const object of [...this.openRooms.values(), this.roomList, this.inbox, this.presence])
        object.ended();
  }
}

class ClientEmitter extends Emitter<ClientEvents> {
  tell<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    this.emit(type, value);
    if (type === "state" && value === "closed") this.endStreams();
  }
}
