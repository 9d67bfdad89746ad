/** One's own status, and that of chosen users, whatever rooms they are in. */
import { type Changes, Changing } from "./changing.js";
import type { Client } from "./client.js";
import type { CommandOptions } from "./commands.js";
import type { ClientEvents, PushEvents } from "./events.js";
import { type PresenceState, PresenceStatus } from "./gen/carillon/v1/presence_pb.js";

/** Presence beyond rooms. */
export class Presence extends Changing<Changes> {
  private readonly states = new Map<string, PresenceState>();
  private watched: ReadonlySet<string> = new Set();

  /** Made by `Client`. */
  constructor(private readonly client: Client) {
    super();
  }

  /** Sets one's status; it is set again after each reconnect. */
  set(status: PresenceStatus, text = "", options?: CommandOptions): Promise<void> {
    return this.client.setPresence(status, text, options);
  }

  /** Watches these users and no others, at most 100. */
  async watch(users: readonly string[], options?: CommandOptions): Promise<void> {
    const [before, wanted] = [this.watched, new Set(users)];
    this.watched = wanted;
    try {
      await this.client.watchPresence(users, options);
    } catch (error) {
      // The hub goes on with those before.
      if (this.watched === wanted) this.watched = before;
      throw error;
    }
    for (const user of this.states.keys()) if (!this.watched.has(user)) this.states.delete(user);
    this.changed();
  }

  /** How a watched user is. `undefined`: not known yet, or not watched. */
  of(user: string): PresenceState | undefined {
    return this.states.get(user);
  }

  /** Whether a watched user has a session. */
  isOnline(user: string): boolean {
    const status = this.of(user)?.status ?? PresenceStatus.OFFLINE;
    return status !== PresenceStatus.OFFLINE && status !== PresenceStatus.UNSPECIFIED;
  }

  /** An event. Called by the client. */
  hear<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    if (type !== "presence") return;
    const { room, state } = value as PushEvents["presence"];
    if (room !== "" || state === undefined || !this.watched.has(state.user)) return;
    this.states.set(state.user, state);
    this.changed();
  }
}
