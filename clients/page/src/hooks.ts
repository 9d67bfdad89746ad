/** Hooks over the client library's objects. */
import { useEffect, useReducer, useRef } from "preact/hooks";

interface Changing {
  on(type: "change", listener: () => void): () => void;
}

/** Draws again when the object says that it changed. */
export function useObject<T extends Changing>(object: T): T {
  const redraw = useRedraw();
  useEffect(() => {
    // What changed between drawing and listening.
    redraw();
    return object.on("change", redraw);
  }, [object, redraw]);
  return object;
}

/** A function that draws the component again. */
export function useRedraw(): () => void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  return useRef(() => redraw(undefined as never)).current;
}

/** Draws again every so often, in milliseconds, for what depends on the clock. */
export function useTick(everyMs: number): void {
  const redraw = useRedraw();
  useEffect(() => {
    const timer = setInterval(redraw, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, redraw]);
}

/** Calls the latest `listener` with events of the window or the document. */
export function useEvent(target: EventTarget, type: string, listener: (event: Event) => void): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    const call = (event: Event) => latest.current(event);
    target.addEventListener(type, call);
    return () => target.removeEventListener(type, call);
  }, [target, type]);
}
