/** Messages on their way: shown at once, gone when they come back as entries. */
import { type CommandOptions, type Commands, contentOf, type Words } from "../commands.js";
import { randomBytes } from "../environment/instance.js";
import type { MessageSent } from "../gen/carillon/v1/messages_pb.js";

/** A message that has not come back yet. */
export interface Outbound {
  /** Tells it from others; also the key that makes a retry safe. */
  readonly id: string;
  readonly content: Exclude<Words, string>;
  /** Seq of the message that this answers. */
  readonly replyTo: bigint | undefined;
  /** When it was sent, by this machine's clock, in milliseconds since 1970. */
  readonly timeMs: number;
  /** Why it failed. `undefined`: it is on its way. */
  readonly error: unknown;
}

/** What a message bears beside its content. */
export interface SendOptions extends CommandOptions {
  /** Seq of the message that this answers. */
  readonly replyTo?: bigint;
  /** For the application: at most 16 entries. */
  readonly attributes?: Record<string, string>;
}

interface Item extends Outbound {
  readonly options: SendOptions;
  readonly key: Uint8Array;
  seq?: bigint | undefined;
}

/** A room's messages on their way, in the order in which they were sent. */
export class Outbox {
  private items: readonly Item[] = [];

  constructor(
    private readonly commands: Commands,
    private readonly room: string,
    /** Whether the entry of this seq is there, or will not come. */
    private readonly hasArrived: (seq: bigint) => boolean,
    private readonly changed: () => void,
  ) {}

  /** What has not come back yet. The same array until something changes. */
  get all(): readonly Outbound[] {
    return this.items;
  }

  /** Sends a message. Where that fails it stays, with its error, until `retry` or `discard`. */
  send(words: Words, options: SendOptions = {}): Promise<MessageSent> {
    const key = options.key ?? randomBytes();
    const item: Item = {
      id: [...key].join("."),
      content: contentOf(words),
      replyTo: options.replyTo,
      timeMs: Date.now(),
      error: undefined,
      options,
      key,
    };
    this.items = [...this.items, item];
    this.changed();
    return this.post(item);
  }

  /** Sends a failed message again, under the same key: if the first attempt did arrive, there is still one message. */
  async retry(id: string): Promise<MessageSent | undefined> {
    const item = this.items.find((other) => other.id === id);
    if (item === undefined) return undefined;
    const { signal: _, ...options } = item.options;
    return this.post(this.replace(item, { ...item, options, error: undefined }));
  }

  /** Forgets a message. */
  discard(id: string): void {
    this.items = this.items.filter((other) => other.id !== id);
    this.changed();
  }

  /** Entries came: what has come back is on its way no more. */
  sweep(): void {
    const left = this.items.filter(({ seq }) => seq === undefined || !this.hasArrived(seq));
    if (left.length === this.items.length) return;
    this.items = left;
    this.changed();
  }

  private async post(item: Item): Promise<MessageSent> {
    const { replyTo, attributes, ...options } = item.options;
    const message = {
      room: this.room,
      content: item.content,
      ...(replyTo !== undefined && { replyTo }),
      ...(attributes && { attributes }),
    };
    try {
      const sent = await this.commands.sendMessage(message, { ...options, key: item.key });
      this.replace(item, { ...item, seq: sent.position?.seq });
      this.sweep();
      return sent;
    } catch (error) {
      this.replace(item, { ...item, error });
      throw error;
    }
  }

  private replace(item: Item, next: Item): Item {
    this.items = this.items.map((other) => (other === item ? next : other));
    this.changed();
    return next;
  }
}
