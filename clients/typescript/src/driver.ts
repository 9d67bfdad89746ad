/**
 * The state machine behind a client: session after session, until it is closed or a session would only fail again. It
 * alone decides what is sent and what is handed over.
 */
import { isOffline, watchNetwork } from "./environment/network.js";
import { EndedError, RefusedError } from "./errors.js";
import { type ClientEvents, type ClientState, eventOf, type PushEvent } from "./events.js";
import type { EntryHeader } from "./gen/carillon/v1/common_pb.js";
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import type { SessionResponse } from "./gen/carillon/v1/session_pb.js";
import type { Settings, TokenReason } from "./options.js";
import { askedBy, type Command, type Kind, type Outgoing, Pending } from "./pending.js";
import type { Positions } from "./positions.js";
import { type Asked, Received } from "./received.js";
import { codeOf, describe, type End, Reconnect } from "./reconnect.js";
import { Saver } from "./saver.js";
import { Session } from "./session.js";
import { type Codec, codecFor, type RequestFrame } from "./wire/codec.js";

/** The version of the protocol that this library speaks. */
const PROTOCOL = 1;
/** Commands in flight: the hub's bound is 64, and the library's own commands need some of it. */
const IN_FLIGHT = 60;
/** The longest wait between attempts while the browser says that there is no network, in milliseconds. */
const OFFLINE_MS = 30_000;
/** What a hub accepts at most where it has not said, in bytes. */
const FRAME_BYTES = 100_000;

/** Who is told what happens. */
export type Tell = <Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]) => void;

/** The state machine. */
export class Driver {
  state: ClientState = "idle";
  connected: Connected | undefined;
  /** Why the client ended. */
  ended: EndedError | undefined;

  private received = new Received();
  private readonly saver: Saver;
  private readonly codec: Codec;
  private readonly pending: Pending;
  private readonly reconnect: Reconnect;
  private session: Session | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempts = 0;
  private reason: TokenReason = "connect";
  private stopWatching = () => {};
  /** What the caller set for the session itself: a new session is told again. */
  private readonly own = new Map<"presenceSet" | "presenceWatch", Command>();

  constructor(
    private readonly settings: Settings,
    private readonly tell: Tell,
  ) {
    this.codec = codecFor(settings.format);
    this.pending = new Pending(IN_FLIGHT, settings.queue);
    this.reconnect = new Reconnect(settings.backoff);
    this.saver = new Saver(settings.storage, () => this.received.positions());
  }

  /** Opens the first session. */
  async start(): Promise<void> {
    if (this.state !== "idle") return;
    this.become("connecting");
    const positions = await this.saver.load();
    if (positions !== undefined) this.received = new Received(positions);
    if (this.ended !== undefined) return;
    this.stopWatching = watchNetwork({
      offline: () => this.probe(),
      online: () => this.hurry(),
      visible: () => this.hurry(),
    });
    this.attempt();
  }

  /** Leaves at once. Commands under way fail. */
  close(): void {
    this.finish(new EndedError("the client was closed"));
  }

  /** Puts a command on its way. Throws where the client has ended or its queue is full. */
  submit(outgoing: Outgoing): void {
    if (this.ended !== undefined) throw this.ended;
    const { command } = outgoing;
    if (command.case === "presenceSet" || command.case === "presenceWatch")
      this.own.set(command.case, command);
    this.pending.add(outgoing);
    this.pump();
  }

  /** The end of what was handed over. */
  positions(): Positions {
    return this.received.positions();
  }

  private attempt(): void {
    clearTimeout(this.timer);
    this.become("connecting");
    const { urls, token, connectTimeoutMs, WebSocket } = this.settings;
    const url = urls[this.attempts % urls.length] ?? "";
    this.attempts += 1;
    const session: Session = new Session(
      {
        url,
        WebSocket,
        codec: this.codec,
        token: () => token(this.reason),
        hello: (value) => this.hello(value),
        timeoutMs: connectTimeoutMs,
      },
      {
        connected: (connected) => this.begin(connected),
        frame: (frame) => this.receive(frame),
        ended: (end) => this.lost(session, end),
      },
    );
    this.session = session;
    void session.open();
  }

  private hello(token: string): Command {
    const { name: client, instance } = this.settings;
    const [rooms, inbox] = [this.received.resume(), this.received.inbox.resume()];
    const resume = rooms.length > 0 || inbox ? { resume: { rooms, ...(inbox && { inbox }) } } : {};
    return { case: "hello", value: { token, protocol: PROTOCOL, client, instance, ...resume } };
  }

  /** Tells the caller, and the hub what it has forgotten: the session's own state and the unanswered commands. */
  private begin(connected: Connected): void {
    const isVoid = this.received.inbox.connected(connected);
    this.connected = connected;
    this.become("connected");
    this.tell("connected", connected);
    if (isVoid) this.tell("inboxTruncated", undefined);
    for (const command of this.own.values()) this.sendOwn(command);
    this.pump();
  }

  private lost(session: Session, end: End): void {
    const lastedMs = session.openedAt === 0 ? 0 : Math.max(1, Date.now() - session.openedAt);
    this.session = undefined;
    this.pending.requeue();
    const next = this.reconnect.next(end, lastedMs, Math.random());
    const reason = describe(end);
    if (next === undefined) {
      this.finish(new EndedError(reason, codeOf(end)), end);
      return;
    }
    this.reason = next.token;
    const offline = this.settings.urls.every(isOffline);
    const waitMs = offline ? Math.max(next.waitMs, OFFLINE_MS) : next.waitMs;
    this.timer = setTimeout(() => this.attempt(), waitMs);
    this.become(offline ? "offline" : "waiting");
    this.tell("disconnected", { code: codeOf(end), reason, reconnectAfterMs: waitMs });
  }

  private finish(error: EndedError, end?: End): void {
    if (this.ended !== undefined) return;
    this.ended = error;
    clearTimeout(this.timer);
    this.stopWatching();
    this.session?.leave(
      this.encode({ commandId: this.pending.freeId(), command: { case: "goodbye", value: {} } }),
    );
    this.session = undefined;
    void this.saver.flush();
    this.pending.failAll(error);
    this.state = "closed";
    if (end)
      this.tell("disconnected", { code: codeOf(end), reason: error.message, reconnectAfterMs: undefined });
    this.tell("state", "closed");
  }

  /** The network is back, or the page is seen again: waiting longer makes no sense, and a frozen socket may be dead. */
  private hurry(): void {
    if (this.state === "waiting" || this.state === "offline") this.attempt();
    else this.probe();
  }

  private probe(): void {
    if (this.state !== "connected") return;
    this.sendOwn({ case: "ping", value: {} });
    this.session?.probe();
  }

  private become(state: ClientState): void {
    if (this.state === state) return;
    this.state = state;
    this.tell("state", state);
  }

  /** Sends what may be sent now. */
  private pump(): void {
    if (this.state !== "connected") return;
    for (let next = this.pending.next(); next !== undefined; next = this.pending.next()) {
      const data = this.encode({
        commandId: next.id,
        idempotencyKey: next.outgoing.key,
        command: this.commandOf(next.outgoing),
      });
      const limit = this.connected?.limits?.frameBytes || FRAME_BYTES;
      // The hub would end the session; and again, as the command is sent again.
      if (data.length > limit) {
        const error = RefusedError.ofCode("MESSAGE_TOO_LARGE", `a frame of more than ${limit} bytes`);
        this.pending.take(next.id)?.answer?.reject(error);
      } else {
        this.session?.send(data);
      }
    }
  }

  /** A join that carries on says where from, at the time it is sent. */
  private commandOf({ command, continues }: Outgoing): Command {
    if (command.case !== "join" || !continues) return command;
    const { room = "", presence = false } = command.value;
    const since = this.received.position(room);
    return since ? { case: "join", value: { room, presence, since } } : command;
  }

  private sendOwn(command: Command): void {
    const id = this.pending.track({ command, key: new Uint8Array(), abandoned: false });
    this.session?.send(this.encode({ commandId: id, command }));
  }

  private encode(request: RequestFrame): Uint8Array<ArrayBuffer> | string {
    return this.codec.encode(request);
  }

  private receive({ commandId, kind }: SessionResponse): void {
    if (commandId !== 0) {
      this.answer(commandId, kind);
    } else if (kind.case === "ping") {
      const id = this.pending.freeId();
      this.session?.send(this.encode({ commandId: id, command: { case: "pong", value: {} } }));
    } else if (kind.case === "tokenExpiring") {
      void this.refresh();
    } else if (kind.case === "goingAway") {
      this.tell("goingAway", { reconnectAfterMs: kind.value.reconnectAfterMs });
    } else {
      this.handOver(kind);
    }
  }

  /** Answers a command. `joined`, `left` and one's own marks are events too: the objects hear of them in one way. */
  private answer(id: number, kind: Kind): void {
    const outgoing = this.pending.take(id);
    if (outgoing === undefined) return;
    if (kind.case === "joined" || kind.case === "left") this.handOver(kind, askedBy(outgoing));
    if (kind.case === "marksAccepted" && kind.value.marks) this.tell("marks", kind.value.marks);
    if (kind.case === "error") outgoing.answer?.reject(RefusedError.of(kind.value));
    else outgoing.answer?.resolve(kind);
    this.pump();
  }

  private async refresh(): Promise<void> {
    const session = this.session;
    try {
      const token = await this.settings.token("expiring");
      if (session === this.session) this.sendOwn({ case: "refreshToken", value: { token } });
    } catch {
      // Without one the session ends in time, and then the provider is asked once more.
    }
  }

  private handOver(kind: Kind, asked?: Asked): void {
    const event = eventOf(kind);
    if (event === undefined) return;
    if (event.type === "joined") {
      const truncated = this.received.joined(event.value, asked);
      this.tell("joined", event.value);
      if (truncated) this.tell("truncated", { room: event.value.room });
    } else if (this.isNews(event)) {
      this.tell(event.type, event.value as never);
    }
    this.saver.schedule();
  }

  private isNews(event: PushEvent): boolean {
    switch (event.type) {
      case "left":
        this.received.left(event.value.room);
        return true;
      case "gap":
        return this.received.gap(event.value.room, event.value.to);
      case "notification":
        return this.received.inbox.notification(event.value.position);
      default: {
        const { room, header } = event.value as { room?: string; header?: EntryHeader };
        return room === undefined || header === undefined || this.received.entry(room, header);
      }
    }
  }
}
