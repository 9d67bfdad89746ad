/** Where a caller's copy ends: what it stores across its own restarts, as JSON. */

/** The end of a caller's copy of each joined room and of the inbox. Survives `JSON.stringify`. */
export interface Positions {
  /** The joined rooms. */
  readonly rooms: Readonly<Record<string, StoredRoom>>;
  /** The last notification. Absent: none yet. */
  readonly inbox?: StoredInbox;
}

/** One joined room. */
export interface StoredRoom {
  /** Whether the join asked for presence. */
  readonly presence: boolean;
  /** The last entry handed over; the numbers of 64 bits are written out. Absent: joined without recovery. */
  readonly position?: { readonly epoch: string; readonly seq: string; readonly tag: number };
}

/** A place in the inbox; the numbers of 64 bits are written out. */
export interface StoredInbox {
  readonly own: string;
  readonly broadcast: string;
  readonly epoch: string;
}

/**
 * Where positions are kept. They are saved at most twice a second, after the listeners of an event have run, and once
 * more when the client closes. Delivery is exactly once over restarts only where what the listeners do is stored
 * together with `client.positions()`; with a storage of its own, at most the last half second comes again.
 */
export interface PositionStorage {
  /** `undefined`: there are none, start afresh. */
  load(): Positions | undefined | Promise<Positions | undefined>;
  save(positions: Positions): void | Promise<void>;
}

/** Keeps positions in `localStorage`, `sessionStorage` or the like, under one key. */
export function webStorage(storage: Pick<Storage, "getItem" | "setItem">, key: string): PositionStorage {
  return {
    load: () => {
      const text = storage.getItem(key);
      return text === null ? undefined : (JSON.parse(text) as Positions);
    },
    save: (positions) => storage.setItem(key, JSON.stringify(positions)),
  };
}
