// What has come and was not looked at yet.

/** Taken before the tests put their own clock in its place. */
const { setTimeout: later, clearTimeout: notLater } = globalThis;
/** How long the machine may take for what does not depend on time. */
const PATIENCE_MS = 20_000;

/** A queue that can be waited for. */
export class Channel<T> {
  private readonly items: T[] = [];
  private waiting: (() => void)[] = [];

  constructor(private readonly what: string) {}

  get size(): number {
    return this.items.length;
  }

  push(item: T): void {
    this.items.push(item);
    for (const wake of this.waiting.splice(0)) wake();
  }

  clear(): void {
    this.items.length = 0;
  }

  /** Resolves when something is there. */
  ready(): Promise<void> {
    if (this.items.length > 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async take(): Promise<T> {
    await inTime(this.ready(), this.what);
    return this.items.shift() as T;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  drop(): void {
    this.items.shift();
  }
}

/** Fails where it does not come. */
export async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<never>((_, reject) => {
    timer = later(() => reject(new Error(`${what} does not come`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, never]);
  } finally {
    notLater(timer);
  }
}
