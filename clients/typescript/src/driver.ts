/**
 * The state machine behind a client: session after session, until it is closed or a session would only fail again. It
 * alone decides what is sent and what is handed over.
 */
import { isOffline, watchNetwork } from "./environment/network.js";
import { EndedError, RefusedError } from "./errors.js";
import { type ClientEvents, type ClientState, eventOf, type PushEvent } from "./events.js";
import type { EntryHeader } from "./gen/carillon/v1/common_pb.js";
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import { JoinReason, LeaveReason, type Left } from "./gen/carillon/v1/rooms_pb.js";
import type { SessionResponse } from "./gen/carillon/v1/session_pb.js";
import { fitting, Late } from "./late.js";
import type { Settings, TokenReason } from "./options.js";
import { askedBy, type Command, type Kind, type Outgoing, Pending } from "./pending.js";
import type { Positions } from "./positions.js";
import { type Asked, Received, type ResumeRoom } from "./received.js";
import { codeOf, describe, type End, Reconnect } from "./reconnect.js";
import { Saver } from "./saver.js";
import { HELLO_ID, Session } from "./session.js";
import { byteLength, type Codec, codecFor, type RequestFrame } from "./wire/codec.js";

/** The version of the protocol that this library speaks. */
const PROTOCOL = 1;
/** Commands in flight: the hub's bound is 64, and the library's own commands need some of it. */
const IN_FLIGHT = 60;
/** The longest wait between attempts while the browser says that there is no network, in milliseconds. */
const OFFLINE_MS = 30_000;
/** What every hub accepts, in bytes: the least that one can be set to. */
const FRAME_BYTES = 16_384;

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
  private late = new Late();
  private lateTimer: ReturnType<typeof setTimeout> | undefined;
  /** What the caller set for the session itself, and the hub accepted: a new session is told again. */
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
    const [all, inbox] = [this.received.resume(), this.received.inbox.resume()];
    const hello = (rooms: readonly ResumeRoom[]): Command => {
      const resume =
        rooms.length > 0 || inbox ? { resume: { rooms: [...rooms], ...(inbox && { inbox }) } } : {};
      return { case: "hello", value: { token, protocol: PROTOCOL, client, instance, ...resume } };
    };
    const bytes = (rooms: readonly ResumeRoom[]) =>
      byteLength(this.encode({ commandId: HELLO_ID, command: hello(rooms) }));
    const rooms = fitting(all, bytes, this.frameBytes());
    this.late = new Late(all.slice(rooms.length).map(({ room }) => room));
    return hello(rooms);
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
    this.requeue();
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

  /** What has no answer, and what was held back, is sent again by the next session. */
  private requeue(): void {
    clearTimeout(this.lateTimer);
    this.pending.putFirst(this.late.end());
    this.pending.requeue();
    this.late = new Late();
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
    this.requeue();
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
      if (this.late.holds(next.outgoing)) {
        this.pending.take(next.id);
        continue;
      }
      const data = this.encode({
        commandId: next.id,
        idempotencyKey: next.outgoing.key,
        command: this.commandOf(next.outgoing),
      });
      const limit = this.frameBytes();
      // The hub would end the session; and again, as the command is sent again.
      if (byteLength(data) > limit) {
        const error = RefusedError.ofCode("MESSAGE_TOO_LARGE", `a frame of more than ${limit} bytes`);
        this.pending.take(next.id)?.answer?.reject(error);
      } else {
        this.session?.send(data);
      }
    }
    this.joinLate();
  }

  private frameBytes(): number {
    return this.connected?.limits?.frameBytes || FRAME_BYTES;
  }

  /** Joins what `hello` had no place for, as far as it is time for that. */
  private joinLate(): void {
    for (let room = this.late.next(Date.now()); room !== undefined; room = this.late.next(Date.now())) {
      const rejoin = this.received.rejoin(room);
      if (rejoin === undefined) this.late.answered(room, undefined, 0);
      else this.sendOwn({ case: "join", value: rejoin });
    }
    clearTimeout(this.lateTimer);
    const { notBefore } = this.late;
    if (notBefore > 0) this.lateTimer = setTimeout(() => this.pump(), notBefore - Date.now());
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
    } else if (!this.isEarly(kind)) {
      this.handOver(kind);
    }
  }

  /** Answers a command. `joined`, `left` and one's own marks are events too: the objects hear of them in one way. */
  private answer(id: number, kind: Kind): void {
    const outgoing = this.pending.take(id);
    if (outgoing === undefined) return;
    const { command } = outgoing;
    if (command.case === "join" && outgoing.answer === undefined) {
      this.answerLate(command.value.room ?? "", kind);
      return;
    }
    if (command.case === "join" && kind.case === "error") this.late.refused(command.value.room ?? "");
    if ((command.case === "presenceSet" || command.case === "presenceWatch") && kind.case === "done")
      this.own.set(command.case, command);
    if (kind.case === "joined" || kind.case === "left") this.handOver(kind, askedBy(outgoing));
    if (kind.case === "marksAccepted" && kind.value.marks) this.tell("marks", kind.value.marks);
    if (kind.case === "error") outgoing.answer?.reject(RefusedError.of(kind.value));
    else outgoing.answer?.resolve(kind);
    this.pump();
  }

  /** The answer to the library's own join, told as what it is to the caller: a room that was resumed, or was not. */
  private answerLate(room: string, kind: Kind): void {
    const refusal = kind.case === "error" ? kind.value : undefined;
    const { held, isRefused } = this.late.answered(room, refusal, Date.now());
    if (kind.case === "joined")
      this.handOver({ case: "joined", value: { ...kind.value, reason: JoinReason.RESUMED } });
    if (isRefused) {
      const isDenied = refusal?.code === "ACCESS_DENIED" || refusal?.code === "NOT_FOUND";
      const reason = isDenied ? LeaveReason.DENIED : LeaveReason.UNAVAILABLE;
      this.handOver({ case: "left", value: { room, reason } as Left });
    }
    this.pending.putFirst(held);
    this.pump();
  }

  /**
   * Whether this is of a room whose own join is still to come, as the hub may join it by itself before. What the position
   * still misses would be passed over; it all follows that join.
   */
  private isEarly(kind: Kind): boolean {
    const { room = "", header } = (kind.value ?? {}) as { room?: string; header?: EntryHeader };
    const isOfLog = kind.case === "joined" || kind.case === "gap" || (header?.seq ?? 0n) > 0n;
    return isOfLog && this.late.expects(room);
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
      this.late.settled(event.value.room);
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
        this.late.settled(event.value.room);
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
