/** The hub's figures, once a second: an event stream, opened again whenever it breaks. */
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
  let timer: ReturnType<typeof setTimeout> | undefined;
  const listen = async () => {
    const { state, afterMs } = await readAll(identity, stop.signal, (told) => {
      // Why there is none now; the end follows.
      if (told.error !== undefined) return;
      onState("live");
      onReading(readingOf(told));
    });
    if (stop.signal.aborted) return;
    onState(state);
    if (state !== "refused") timer = setTimeout(() => void listen(), afterMs * (1 + Math.random()));
  };
  onState("connecting");
  void listen();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}

/** How a stream ended, and when to ask again. */
interface Ended {
  readonly state: "broken" | "refused";
  readonly afterMs: number;
}

/** Reads a stream to its end. `EventSource` could not send the token, and would not say why there is no stream. */
async function readAll(
  { token }: Identity,
  signal: AbortSignal,
  onEvent: (data: Record<string, unknown>) => void,
): Promise<Ended> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch("/v1/overview", { headers, signal });
    if (response.ok && response.body) {
      const lines = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (let read = await lines.read(); !read.done; read = await lines.read()) {
        const events = (rest + read.value).split("\n\n");
        rest = events.pop() ?? "";
        for (const event of events)
          if (event.startsWith("data: ")) onEvent(JSON.parse(event.slice("data: ".length)));
      }
      return { state: "broken", afterMs: AGAIN_MS };
    }
    const isRefused = response.status === 401 || response.status === 403;
    const afterMs = Math.max(AGAIN_MS, 1_000 * Number(response.headers.get("retry-after") ?? 0));
    return { state: isRefused ? "refused" : "broken", afterMs };
  } catch {
    return { state: "broken", afterMs: AGAIN_MS };
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
