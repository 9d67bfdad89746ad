/** Sends the latest of many values, at most once in a while. */
import { Again } from "../again.js";
import type { ClientState } from "../events.js";

/** Calls `send` at once, and then no more than once per pause, with the highest value that was asked for. */
export class Throttle {
  private wanted = 0n;
  private sent = 0n;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly sending: Again;

  constructor(
    client: { readonly state: ClientState },
    private readonly pauseMs: number,
    /** Where it fails in a way that may pass, the highest value is sent again. */
    private readonly send: (value: bigint) => Promise<unknown>,
  ) {
    this.sending = new Again(client, () => this.post());
  }

  /** Asks for this value; lower ones than before are ignored. */
  raise(value: bigint): void {
    if (value <= this.wanted) return;
    this.wanted = value;
    if (this.timer === undefined) this.flush();
  }

  /** A session is open: what has failed is sent again. */
  connected(): void {
    this.sending.connected();
  }

  /** Forgets what was asked for. */
  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wanted = this.sent = 0n;
    this.sending.stop();
  }

  private flush(): void {
    this.timer = undefined;
    if (this.wanted > this.sent) this.sending.soon();
  }

  private post(): Promise<unknown> {
    this.sent = this.wanted;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), this.pauseMs);
    return this.send(this.wanted);
  }
}
