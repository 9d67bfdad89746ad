/** Whether the browser thinks that there is a network, and when it is worth asking the hub at once. */

/** What a browser's window tells. */
export interface NetworkListener {
  /** The network is gone, or the browser thinks so. */
  offline(): void;
  /** The network is back. */
  online(): void;
  /** The page is seen again; a phone may have frozen it together with its connection. */
  visible(): void;
}

/** Whether the browser says that there is no network for this address; a hub on this machine needs none. */
export function isOffline(url: string): boolean {
  const isHere = /^wss?:\/\/(localhost|127\.|\[::1\])/.test(url);
  return !isHere && typeof navigator !== "undefined" && navigator.onLine === false;
}

/** Listens until the returned function is called. Does nothing outside of browsers. */
export function watchNetwork(listener: NetworkListener): () => void {
  if (typeof window === "undefined" || typeof document === "undefined") return () => {};
  const visibility = () => {
    if (document.visibilityState === "visible") listener.visible();
  };
  const stop = new AbortController();
  window.addEventListener("offline", () => listener.offline(), { signal: stop.signal });
  window.addEventListener("online", () => listener.online(), { signal: stop.signal });
  document.addEventListener("visibilitychange", visibility, { signal: stop.signal });
  return () => stop.abort();
}
