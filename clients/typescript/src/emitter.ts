/** Typed events: listeners, and async iterators with a bounded queue. */
import { OverflowError } from "./errors.js";

/** Stops a listener. */
export type Off = () => void;

/** An event with its name, as iterators give them. */
export type Named<Events> = {
  [Type in keyof Events]: { readonly type: Type; readonly value: Events[Type] };
}[keyof Events];

/** How an iterator listens. */
export interface StreamOptions {
  /** Ends the iterator. */
  readonly signal?: AbortSignal;
  /** Events that may wait for the loop; one more ends it with `OverflowError`. Default 1,000. */
  readonly limit?: number;
}

type Listener = (value: never) => void;

/** Something that others listen to. Listeners run in the order in which they came, before `emit` returns. */
export class Emitter<Events> {
  private readonly listeners = new Map<keyof Events, Set<Listener>>();
  private readonly streams = new Set<(event: Named<Events>) => void>();
  private readonly endings = new Set<() => void>();

  /** Calls `listener` with each event of this type, until the returned function is called. */
  on<Type extends keyof Events>(type: Type, listener: (value: Events[Type]) => void): Off {
    const listeners = this.listeners.get(type) ?? new Set<Listener>();
    this.listeners.set(type, listeners);
    // One of its own, so that the same function may be given twice.
    const own: Listener = (value) => listener(value);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  /** All events from now on, in order. Ends with the source, the signal, or `break`. */
  async *events({ signal, limit = 1_000 }: StreamOptions = {}): AsyncGenerator<Named<Events>, void, void> {
    const queue: Named<Events>[] = [];
    const state = { isFull: false, hasEnded: signal?.aborted === true };
    let wake = () => {};
    const push = (event: Named<Events>) => {
      if (queue.length < limit) queue.push(event);
      else state.isFull = true;
      wake();
    };
    const end = () => {
      state.hasEnded = true;
      wake();
    };
    this.streams.add(push);
    this.endings.add(end);
    signal?.addEventListener("abort", end);
    try {
      while (true) {
        for (let event = queue.shift(); event !== undefined; event = queue.shift()) yield event;
        if (state.isFull) throw new OverflowError(`more than ${limit} events waited for the loop`);
        if (state.hasEnded) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.streams.delete(push);
      this.endings.delete(end);
      signal?.removeEventListener("abort", end);
    }
  }

  /** Tells all. What a listener throws is reported like any uncaught error, and stops nobody else. */
  protected emit<Type extends keyof Events>(type: Type, value: Events[Type]): void {
    for (const listener of [...(this.listeners.get(type) ?? [])]) {
      try {
        (listener as (value: Events[Type]) => void)(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    for (const push of [...this.streams]) push({ type, value } as Named<Events>);
  }

  /** Nothing comes any more: iterators end. */
  protected endStreams(): void {
    for (const end of [...this.endings]) end();
  }
}
