/** How a client connects and behaves. */
import { claimInstance } from "./environment/instance.js";
import { CarillonError, TokenError } from "./errors.js";
import type { PositionStorage } from "./positions.js";
import type { Backoff } from "./reconnect.js";
import type { WebSocketConstructor } from "./socket.js";
import type { Format } from "./wire/codec.js";

/** Version of this library, as the hub is told. */
const VERSION = "0.1.0";

/**
 * Why the library asks for a token: a session is about to open (a cached one will do), the session's token expires soon,
 * or the hub said that the last one has expired (a newer one is needed).
 */
export type TokenReason = "connect" | "expiring" | "expired";

/** Gives a JWT of the same user and tenant each time. Throws `TokenError` where asking again will not help. */
export type TokenProvider = (reason: TokenReason) => string | Promise<string>;

/** What a client is made of. Every setting but address and token has a default. */
export interface ClientOptions {
  /** The bridge's address, as `wss://hub.example` or `https://hub.example`; several are tried in turn. */
  readonly url: string | readonly string[];
  /** One token for the client's whole life, or where tokens come from. */
  readonly token: string | TokenProvider;
  /** How frames are written. Default `binary`. */
  readonly format?: Format;
  /** Name and version of the program, as `notes/2.1.0`, at most 64 bytes; for the operator's eyes. */
  readonly name?: string;
  /**
   * Names this tab or process: a new session of the same user and instance replaces this one. By default an id that a
   * browser's tab keeps over reloads; elsewhere a random one.
   */
  readonly instance?: string;
  /** The class of sockets, where there is no global one: in Node before 22 give that of the package `ws`. */
  readonly WebSocket?: WebSocketConstructor;
  /** The bounds of the waits between attempts. Default 1,000 to 5,000 ms. */
  readonly backoff?: Partial<Backoff>;
  /** How long opening a session may take, the token included. Default 10,000 ms. */
  readonly connectTimeoutMs?: number;
  /** How long a command may take, reconnects included. Default 30,000 ms. */
  readonly commandTimeoutMs?: number;
  /** Commands that may wait beside those under way, before a further one is refused. Default 1,000. */
  readonly queue?: number;
  /** Keeps positions over restarts. Default: none, each process starts afresh. */
  readonly storage?: PositionStorage;
  /** Room objects tell the hub what they have received («delivered»). Default true. */
  readonly acknowledge?: boolean;
}

/** The options with their defaults. */
export interface Settings {
  readonly urls: readonly string[];
  readonly token: TokenProvider;
  readonly format: Format;
  readonly name: string;
  readonly instance: string;
  readonly WebSocket: WebSocketConstructor;
  readonly backoff: Backoff;
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
  readonly queue: number;
  readonly storage: PositionStorage | undefined;
  readonly acknowledge: boolean;
}

/** Fills in the defaults. Throws where no attempt could succeed. */
export function settle(options: ClientOptions): Settings {
  const initialMs = options.backoff?.initialMs ?? 1_000;
  return {
    urls: [options.url].flat().map(endpoint),
    token: typeof options.token === "string" ? fixed(options.token) : options.token,
    format: options.format ?? "binary",
    name: options.name ?? `carillon-typescript/${VERSION}`,
    instance: options.instance ?? claimInstance(),
    WebSocket: options.WebSocket ?? globalSocket(),
    backoff: { initialMs, mostMs: Math.max(initialMs, options.backoff?.mostMs ?? 5_000) },
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    commandTimeoutMs: options.commandTimeoutMs ?? 30_000,
    queue: options.queue ?? 1_000,
    storage: options.storage,
    acknowledge: options.acknowledge ?? true,
  };
}

/** One token for ever: once it has expired there is none. */
function fixed(token: string): TokenProvider {
  return (reason) => {
    if (reason === "connect") return token;
    throw new TokenError("the token has expired: get a new one");
  };
}

function globalSocket(): WebSocketConstructor {
  if (typeof WebSocket === "undefined") {
    throw new CarillonError(
      "there is no global WebSocket: give the option `WebSocket`, as that of the package ws",
    );
  }
  return WebSocket;
}

/** `https://hub.example` and `wss://hub.example/v1/session` mean the same. */
function endpoint(address: string): string {
  const url = new URL(address);
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new CarillonError("an address begins with ws, wss, http or https");
  }
  if (url.pathname === "/") url.pathname = "/v1/session";
  return url.href;
}
