/** The base of objects that keep state: they say `change` once for all that one frame, or one burst of them, changed. */
import { Emitter } from "./emitter.js";

/** What every such object tells. */
export interface Changes {
  /** Something about the object's state is different. */
  change: undefined;
}

/** An object with state. */
export abstract class Changing<Events extends Changes> extends Emitter<Events> {
  private scheduled = false;

  /** The client is closed. Iterators end, after what was still to be told: that commands have failed, above all. Called by the client. */
  ended(): void {
    setTimeout(() => this.endStreams(), 0);
  }

  /** Tells `change` soon, once. */
  protected changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.emit("change", undefined as Events["change"]);
    });
  }
}
