/** One WebSocket: opening it, its two directions, and when it counts as dead. */
import { meaningOfClose } from "./codes.js";
import { TokenError } from "./errors.js";
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import type { SessionResponse } from "./gen/carillon/v1/session_pb.js";
import type { Kind } from "./pending.js";
import type { End } from "./reconnect.js";
import { OPEN, type WebSocketConstructor, type WebSocketLike } from "./socket.js";
import type { Codec, RequestFrame } from "./wire/codec.js";

/** Silence that counts as death where the hub does not say, in milliseconds. */
const SILENCE_MS = 60_000;
/** How long a probe waits for an answer, in milliseconds. */
const PROBE_MS = 5_000;
/** The id of `hello`. */
export const HELLO_ID = 1;
/** The code of a close on purpose. */
const NORMAL = 1000;

/** What a session is opened with. */
export interface SessionSetup {
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly codec: Codec;
  /** Asked once, before the socket is opened. */
  readonly token: () => string | Promise<string>;
  /** The command `hello` with this token. */
  readonly hello: (token: string) => NonNullable<RequestFrame["command"]>;
  /** How long opening may take, the token included, in milliseconds. */
  readonly timeoutMs: number;
}

/** Who is told. After `ended` nothing follows. */
export interface SessionListener {
  connected(connected: Connected): void;
  /** Any frame but `connected` and `disconnected`. */
  frame(frame: SessionResponse): void;
  ended(end: End): void;
}

/** A session, open or about to be. */
export class Session {
  /** When it was opened, in milliseconds of the clock. 0: not yet. */
  openedAt = 0;
  private socket: WebSocketLike | undefined;
  private over = false;
  private lastFrame = 0;
  private timeoutMs = SILENCE_MS;
  private goingAwayMs: number | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly setup: SessionSetup,
    private readonly listener: SessionListener,
  ) {}

  /** Begins to open it. */
  async open(): Promise<void> {
    const { timeoutMs } = this.setup;
    this.timer = setTimeout(
      () => this.end(broken(`the hub did not open the session within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      const token = await this.setup.token();
      if (!this.over) this.dial(token);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.end({ kind: "token", reason, permanent: error instanceof TokenError });
    }
  }

  /** Sends a frame that is encoded already. What is lost with a socket that just closed is sent again by the next. */
  send(data: Uint8Array<ArrayBuffer> | string): void {
    if (this.socket?.readyState === OPEN) this.socket.send(data);
  }

  /** Leaves on purpose, with a `goodbye` so that others see it at once. The listener is not told. */
  leave(goodbye: Uint8Array<ArrayBuffer> | string): void {
    this.send(goodbye);
    this.stop(NORMAL);
  }

  /** A ping was sent: where nothing comes within five seconds, the connection is dead. */
  probe(): void {
    const sentAt = Date.now();
    setTimeout(() => {
      if (this.lastFrame < sentAt) this.end(broken("the hub did not answer"));
    }, PROBE_MS);
  }

  private dial(token: string): void {
    const { url, codec } = this.setup;
    let socket: WebSocketLike;
    try {
      socket = new this.setup.WebSocket(url, [codec.protocol]);
    } catch (error) {
      // A page over https may not open an insecure socket.
      this.end(broken(error instanceof Error ? error.message : "the socket cannot be opened"));
      return;
    }
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.send(codec.encode({ commandId: HELLO_ID, command: this.setup.hello(token) }));
    });
    socket.addEventListener("message", ({ data }) => this.receive(data));
    // A `close` follows each `error`, and says as much.
    socket.addEventListener("error", () => {});
    socket.addEventListener("close", ({ code, reason }) => this.closed(code, reason));
  }

  private receive(data: unknown): void {
    if (this.over) return;
    this.lastFrame = Date.now();
    let frame: SessionResponse;
    try {
      frame = this.setup.codec.decode(data);
    } catch (error) {
      this.end(broken(`an undecodable frame: ${error instanceof Error ? error.message : error}`));
      return;
    }
    const { kind } = frame;
    if (kind.case === "disconnected") {
      this.end(endOf(kind.value, this.goingAwayMs));
    } else if (kind.case === "connected" && this.openedAt === 0) {
      this.opened(kind.value);
    } else if (this.openedAt > 0) {
      if (kind.case === "goingAway") this.goingAwayMs = kind.value.reconnectAfterMs;
      this.listener.frame(frame);
    } else if (kind.case === "error") {
      const { code, message, retryAfterMs } = kind.value;
      this.end({ kind: "refused", code, message, reconnect: undefined, retryAfterMs });
    }
  }

  private opened(connected: Connected): void {
    clearTimeout(this.timer);
    this.openedAt = this.lastFrame;
    this.timeoutMs = connected.heartbeat?.timeoutMs || SILENCE_MS;
    this.watchSilence();
    this.listener.connected(connected);
  }

  private watchSilence(): void {
    const left = this.lastFrame + this.timeoutMs - Date.now();
    if (left <= 0) this.end(broken("the hub fell silent"));
    else this.timer = setTimeout(() => this.watchSilence(), left);
  }

  private closed(close: number, reason: string): void {
    const { code, reconnect } = meaningOfClose(close);
    if (this.goingAwayMs !== undefined) this.end({ kind: "goingAway", afterMs: this.goingAwayMs });
    else if (code === undefined && reconnect) this.end(broken(`the connection closed (${close})`));
    else
      this.end({
        kind: "refused",
        code: code ?? `CLOSE_${close}`,
        message: reason,
        reconnect,
        retryAfterMs: 0,
      });
  }

  private end(end: End): void {
    if (this.over) return;
    this.stop(NORMAL);
    this.listener.ended(end);
  }

  private stop(code: number): void {
    this.over = true;
    clearTimeout(this.timer);
    this.socket?.close(code);
  }
}

function broken(reason: string): End {
  return { kind: "broken", reason };
}

/** The hub's own account of the end. What `going_away` asked for before holds, too. */
function endOf(disconnected: Extract<Kind, { case: "disconnected" }>["value"], goingAwayMs = 0): End {
  const { code, message, reconnect, retryAfterMs } = disconnected;
  return { kind: "refused", code, message, reconnect, retryAfterMs: Math.max(retryAfterMs, goingAwayMs) };
}
