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

/** Events for one loop. */
export interface EventStream<Event> extends AsyncIterableIterator<Event, void, void> {
  next(): Promise<IteratorResult<Event, void>>;
  /** Gives them up, also before the loop begins: nothing is held for it any more. */
  return(): Promise<IteratorResult<Event, void>>;
}

type Listener = (value: never) => void;

/** Something that others listen to. Listeners run in the order in which they came, before `emit` returns. */
export class Emitter<Events> {
  private readonly listeners = new Map<keyof Events, Set<Listener>>();
  private readonly streams = new Set<(event: Named<Events>) => void>();
  private readonly endings = new Set<() => void>();
  private isOver = false;

  /** Calls `listener` with each event of this type, until the returned function is called. */
  on<Type extends keyof Events>(type: Type, listener: (value: Events[Type]) => void): Off {
    const listeners = this.listeners.get(type) ?? new Set<Listener>();
    this.listeners.set(type, listeners);
    // One of its own, so that the same function may be given twice.
    const own: Listener = (value) => listener(value);
    listeners.add(own);
    return () => listeners.delete(own);
  }

  /**
   * All events from this call on, in order, whenever the loop begins. Ends with the source, the signal, `break` or
   * `return`; one that nothing takes holds `limit` events until then.
   */
  events({ signal, limit = 1_000 }: StreamOptions = {}): EventStream<Named<Events>> {
    const queue: Named<Events>[] = [];
    const state = { isFull: false, hasEnded: false };
    let wake = () => {};
    const end = () => {
      state.hasEnded = true;
      this.streams.delete(push);
      this.endings.delete(end);
      signal?.removeEventListener("abort", end);
      wake();
    };
    const push = (event: Named<Events>) => {
      if (queue.length < limit) queue.push(event);
      else state.isFull = true;
      if (state.isFull) end();
      else wake();
    };
    this.streams.add(push);
    this.endings.add(end);
    signal?.addEventListener("abort", end);
    if (this.isOver || signal?.aborted) end();
    const loop = (async function* () {
      while (true) {
        for (let event = queue.shift(); event !== undefined; event = queue.shift()) yield event;
        if (state.isFull) throw new OverflowError(`more than ${limit} events waited for the loop`);
        if (state.hasEnded) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    })();
    return {
      next: () => loop.next(),
      // A generator that has not begun runs nothing of its own when it is given up.
      return: () => {
        end();
        return loop.return();
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Tells all. What a listener throws is reported like any uncaught error, and stops nobody else. */
  protected emit<Type extends keyof Events>(type: Type, value: Events[Type]): void {
    // First, as a listener may make something else happen: that comes after this.
    for (const push of [...this.streams]) push({ type, value } as Named<Events>);
    for (const listener of [...(this.listeners.get(type) ?? [])]) {
      try {
        (listener as (value: Events[Type]) => void)(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Nothing comes any more: iterators end, and those that are asked for later are empty. */
  protected endStreams(): void {
    this.isOver = true;
    for (const end of [...this.endings]) end();
  }
}
