/** One's notifications as an object. */
import { Again } from "./again.js";
import { type Changes, Changing } from "./changing.js";
import type { Client } from "./client.js";
import type { CommandOptions } from "./commands.js";
import type { ClientEvent, ClientEvents, PushEvents } from "./events.js";
import { type Notification, NotificationPriority } from "./gen/carillon/v1/inbox_pb.js";
import type { InboxPlace } from "./received-inbox.js";

/** Notifications per page, where what is loaded is read again. */
const PAGE = 200;
/** Notifications kept in memory; the oldest are dropped, and can be loaded again. */
const KEEP = 1_000;

/** What the inbox tells. */
export interface InboxEvents extends Changes {
  /** A new notification. */
  notification: Notification;
}

/** The inbox. Hears what comes by itself; `open` reads what was there before. */
export class Inbox extends Changing<InboxEvents> {
  /** Unread notifications in the whole inbox. */
  unread = 0;
  /** Whether older ones can be loaded; known after `open`. */
  hasMore = false;

  private readonly byId = new Map<string, Notification>();
  private ordered: readonly Notification[] | undefined;
  private cursor = "";
  private opened = false;
  private readonly again: Again;

  /** Made by `Client`. */
  constructor(private readonly client: Client) {
    super();
    this.again = new Again(client, () => this.refresh());
  }

  /** Those that are loaded, newest first. The same array until something changes. */
  get notifications(): readonly Notification[] {
    this.ordered ??= [...this.byId.values()].sort((a, b) => Number(b.timeMs - a.timeMs));
    return this.ordered;
  }

  /** Unread ones of the highest priority, newest first. */
  get alerts(): readonly Notification[] {
    return this.notifications.filter(
      ({ read, priority }) => !read && priority === NotificationPriority.CRITICAL,
    );
  }

  /** Reads the newest page. */
  async open(limit = 50, options?: CommandOptions): Promise<this> {
    this.opened = true;
    this.cursor = "";
    await this.readPage(limit, options);
    return this;
  }

  /** Reads the next older page. */
  async loadMore(limit = 50, options?: CommandOptions): Promise<void> {
    if (this.hasMore) await this.readPage(limit, options);
  }

  /** Marks these as read. */
  read(ids: readonly string[], options?: CommandOptions): Promise<void> {
    return this.client.readNotifications(ids, options);
  }

  /** Marks all that were loaded, and all before them, as read. */
  async readAll(options?: CommandOptions): Promise<void> {
    const epoch = this.notifications[0]?.position?.epoch;
    if (epoch === undefined) return;
    const highest = (log: "own" | "broadcast") =>
      this.notifications.reduce(
        (high, { position }) => (position && position[log] > high ? position[log] : high),
        0n,
      );
    await this.client.readNotifications(
      { own: highest("own"), broadcast: highest("broadcast"), epoch },
      options,
    );
  }

  /** Removes these. */
  delete(ids: readonly string[], options?: CommandOptions): Promise<void> {
    return this.client.deleteNotifications(ids, options);
  }

  /** An event. Called by the client. */
  hear<Type extends keyof ClientEvents>(type: Type, value: ClientEvents[Type]): void {
    const event = { type, value } as ClientEvent;
    if (event.type === "connected") this.onConnected(event.value.inboxUnread);
    else if (event.type === "inboxUnread") this.count(event.value.count);
    else if (event.type === "notification") this.onNotification(event.value);
    else if (event.type === "notificationState") this.onState(event.value);
    else if (event.type === "inboxTruncated") this.onTruncated();
  }

  private onConnected(unread: bigint): void {
    this.count(unread);
    // What was read or removed meanwhile on another device is in the pages alone.
    if (this.byId.size > 0) this.again.soon();
    else this.again.connected();
  }

  private onNotification(notification: Notification): void {
    this.byId.set(notification.id, notification);
    if (this.byId.size > KEEP) this.byId.delete(this.notifications.at(-1)?.id ?? "");
    this.touch();
    this.emit("notification", notification);
  }

  private onState({ ids, upTo, read, deleted, inboxUnread }: PushEvents["notificationState"]): void {
    const named = new Set(ids);
    for (const [id, notification] of this.byId) {
      const isMeant = named.has(id) || (upTo !== undefined && isWithin(notification, upTo));
      if (isMeant && deleted) this.byId.delete(id);
      else if (isMeant && read) this.byId.set(id, { ...notification, read: true });
    }
    this.count(inboxUnread);
  }

  private onTruncated(): void {
    this.byId.clear();
    this.touch();
    if (this.opened) this.again.soon();
  }

  /** Reads again as much as is loaded, a page at least; what is not there any more is dropped. */
  private async refresh(): Promise<void> {
    const gone = new Set(this.byId.keys());
    let left = gone.size;
    this.cursor = "";
    do {
      const page = await this.readPage(PAGE);
      for (const { id } of page) gone.delete(id);
      left -= page.length;
    } while (this.hasMore && left > 0);
    for (const id of gone) this.byId.delete(id);
    this.touch();
  }

  private async readPage(limit: number, options?: CommandOptions): Promise<readonly Notification[]> {
    const page = await this.client.notifications({ cursor: this.cursor, limit }, options);
    for (const notification of page.notifications) this.byId.set(notification.id, notification);
    this.cursor = page.nextCursor;
    this.hasMore = page.nextCursor !== "";
    this.count(page.inboxUnread);
    return page.notifications;
  }

  private count(unread: bigint): void {
    this.unread = Number(unread);
    this.touch();
  }

  private touch(): void {
    this.ordered = undefined;
    this.changed();
  }
}

function isWithin({ position }: Notification, bound: InboxPlace): boolean {
  return position !== undefined && position.own <= bound.own && position.broadcast <= bound.broadcast;
}
