/** Sends the latest of many values, at most once in a while. */

/** Calls `send` at once, and then no more than once per pause, with the highest value that was asked for. */
export class Throttle {
  private wanted = 0n;
  private sent = 0n;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly pauseMs: number,
    private readonly send: (value: bigint) => void,
  ) {}

  /** Asks for this value; lower ones than before are ignored. */
  raise(value: bigint): void {
    if (value <= this.wanted) return;
    this.wanted = value;
    if (this.timer === undefined) this.flush();
  }

  /** Forgets what was asked for. */
  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.wanted = this.sent = 0n;
  }

  private flush(): void {
    this.timer = undefined;
    if (this.wanted <= this.sent) return;
    this.sent = this.wanted;
    this.timer = setTimeout(() => this.flush(), this.pauseMs);
    this.send(this.wanted);
  }
}
