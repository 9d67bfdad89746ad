/** Something that is done again until it succeeds, or is refused for good. */
import { OverflowError, RefusedError, TimeoutError } from "./errors.js";
import type { ClientState } from "./events.js";

/** The least wait before the next try within a session, in milliseconds; up to twice as long. */
const PAUSE_MS = 3_000;

/** An act that is owed once it has failed in a way that may pass: it is tried after a while, and in the next session. */
export class Again {
  private owed = false;
  private running = false;
  /** Which try this is: how an earlier one ends does not matter. */
  private turn = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly client: { readonly state: ClientState },
    /** Without a signal when it is done again: whose it was has had the answer. */
    private readonly act: (signal?: AbortSignal) => Promise<unknown>,
  ) {}

  /** Whether it is under way or owed. */
  get isWanted(): boolean {
    return this.running || this.owed;
  }

  /** Acts. Rejects where this try fails, even if it is owed then. */
  async now(signal?: AbortSignal): Promise<void> {
    this.stop();
    const { turn } = this;
    this.running = true;
    try {
      await this.act(signal);
      if (turn === this.turn) this.running = false;
    } catch (error) {
      if (turn === this.turn) this.failed(error);
      throw error;
    }
  }

  /** Acts, and nobody asks how it went. */
  soon(): void {
    void this.now().catch(() => {});
  }

  /** Acts after a while. */
  later(afterMs = 0): void {
    this.stop();
    this.owed = true;
    const waitMs = Math.max(afterMs, PAUSE_MS) * (1 + Math.random());
    // Without a session it waits for `connected`, lest commands pile up.
    this.timer = setTimeout(() => this.client.state === "connected" && this.soon(), waitMs);
  }

  /** A session is open: what is owed is done. */
  connected(): void {
    if (this.owed) this.soon();
  }

  /** Owes nothing, whatever comes of a try that is under way. */
  stop(): void {
    clearTimeout(this.timer);
    this.owed = this.running = false;
    this.turn += 1;
  }

  private failed(error: unknown): void {
    this.running = false;
    const isRefusal = error instanceof RefusedError;
    const mayPass = isRefusal
      ? error.retryable
      : error instanceof TimeoutError || error instanceof OverflowError;
    if (mayPass) this.later(isRefusal ? error.retryAfterMs : 0);
  }
}
