/** The hub's figures, once a second: server-sent events, opened again whenever they break. */
import type { Identity } from "../identity.js";

/** A reading. 64-bit numbers come as strings, and what is 0 does not come. */
export interface Reading {
  readonly timeMs: number;
  readonly sessions: number;
  readonly sessionsPeak: number;
  readonly rooms: number;
  readonly messagesPerS: number;
  readonly deliveriesPerS: number;
  readonly commandsPerS: number;
  /** Milliseconds; `undefined` where no command came. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number } | undefined;
  readonly limitsHit: number;
  readonly slowConsumers: number;
  readonly storeQueued: number;
  readonly memoryBytes: number;
  /** 0 while the store is there. */
  readonly storeAwaySinceMs: number;
}

/** How the stream is. */
export type StreamState = "connecting" | "live" | "broken" | "refused";

/** The wait before the next attempt, in milliseconds: a random part is added, so that pages do not come together. */
const AGAIN_MS = 1_000;

/** Listens until the returned function is called. */
export function watchOverview(
  identity: Identity,
  onReading: (reading: Reading) => void,
  onState: (state: StreamState) => void,
): () => void {
  const stop = new AbortController();
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = (state: StreamState) => {
    source?.close();
    if (stop.signal.aborted) return;
    onState(state);
    if (state !== "refused") timer = setTimeout(() => void open(), AGAIN_MS * (1 + Math.random()));
  };
  const open = async () => {
    // A ticket is good for one stream: `EventSource` cannot send the token, and must not reconnect by itself.
    const ticket = await ticketFor(identity, stop.signal);
    if (typeof ticket === "string") return again(ticket as "broken" | "refused");
    source = new EventSource(`/v1/overview?ticket=${encodeURIComponent(ticket.ticket)}`);
    source.onmessage = ({ data }) => {
      const told = JSON.parse(String(data)) as Record<string, unknown>;
      // Why there is none now; the end follows.
      if (told.error !== undefined) return;
      onState("live");
      onReading(readingOf(told));
    };
    source.onerror = () => again("broken");
  };
  onState("connecting");
  void open();
  return () => {
    stop.abort();
    clearTimeout(timer);
    source?.close();
  };
}

async function ticketFor(
  { token }: Identity,
  signal: AbortSignal,
): Promise<{ ticket: string } | StreamState> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch("/v1/tickets", { method: "POST", headers, signal });
    if (response.ok) return (await response.json()) as { ticket: string };
    return response.status === 401 || response.status === 403 ? "refused" : "broken";
  } catch {
    return "broken";
  }
}

function readingOf(json: Record<string, unknown>): Reading {
  const number = (name: string, from: Record<string, unknown> = json) => Number(from[name] ?? 0);
  const latency = json.latency as Record<string, unknown> | undefined;
  return {
    timeMs: number("timeMs"),
    sessions: number("sessions"),
    sessionsPeak: number("sessionsPeak"),
    rooms: number("rooms"),
    messagesPerS: number("messagesPerS"),
    deliveriesPerS: number("deliveriesPerS"),
    commandsPerS: number("commandsPerS"),
    latency: latency && {
      p50: number("p50Ms", latency),
      p95: number("p95Ms", latency),
      p99: number("p99Ms", latency),
    },
    limitsHit: number("limitsHit"),
    slowConsumers: number("slowConsumers"),
    storeQueued: number("storeQueued"),
    memoryBytes: number("memoryBytes"),
    storeAwaySinceMs: number("storeAwaySinceMs"),
  };
}
