/** Saves positions now and then. */
import type { PositionStorage, Positions } from "./positions.js";

/** The time between two saves at least, in milliseconds. */
const PAUSE_MS = 500;

/** Between the driver and a storage. A storage that fails loses nothing but the positions. */
export class Saver {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly storage: PositionStorage | undefined,
    private readonly positions: () => Positions,
  ) {}

  /** What was saved; `undefined` where there is nothing, or nothing that can be read. */
  async load(): Promise<Positions | undefined> {
    try {
      return await this.storage?.load();
    } catch {
      return undefined;
    }
  }

  /** Something changed. */
  schedule(): void {
    if (this.storage === undefined || this.timer !== undefined) return;
    this.timer = setTimeout(() => void this.flush(), PAUSE_MS);
  }

  /** Saves now. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    try {
      await this.storage?.save(this.positions());
    } catch {
      // As it would be without a storage: the next process starts afresh.
    }
  }
}
