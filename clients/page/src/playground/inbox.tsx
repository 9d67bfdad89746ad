/** The inbox: one's notifications, newest first. */
import { type Notification, NotificationPriority } from "@carillon/client";
import { useObject } from "../hooks.js";
import { exactTime, shortTime } from "../ui/format.js";
import { Empty, IconButton } from "../ui/parts.js";
import { useClient } from "./context.js";

const PRIORITIES: Record<number, string> = {
  [NotificationPriority.LOW]: "low",
  [NotificationPriority.HIGH]: "high",
  [NotificationPriority.CRITICAL]: "critical",
};

/** The inbox as a pane. */
export function InboxView({ me, onBack }: { me: string; onBack: () => void }) {
  const inbox = useObject(useClient().inbox);
  const { notifications } = inbox;
  return (
    <section class="pane" aria-label="Inbox">
      <header class="pane-head">
        <span class="only-narrow">
          <IconButton icon="back" label="Back to the list" onClick={onBack} />
        </span>
        <div class="pane-title">
          <h1>Inbox</h1>
          <p>{inbox.unread === 0 ? "All read" : `${inbox.unread} unread`}</p>
        </div>
        <button
          type="button"
          class="button button-quiet"
          disabled={inbox.unread === 0}
          onClick={() => void inbox.readAll().catch(() => {})}
        >
          Mark all read
        </button>
      </header>
      <div class="pane-body">
        {notifications.length === 0 ? (
          <Empty icon="bell" title="Nothing for you yet">
            <p>What services tell you waits here, whether you are there or not. Try it from a terminal:</p>
            <code>carillon notify --user {me} "Your table is ready" --as service</code>
          </Empty>
        ) : (
          <ul class="notifications">
            {notifications.map((notification) => (
              <NotificationItem key={notification.id} notification={notification} />
            ))}
          </ul>
        )}
        {inbox.hasMore && (
          <button
            type="button"
            class="button button-quiet load-more"
            onClick={() => void inbox.loadMore().catch(() => {})}
          >
            Older ones
          </button>
        )}
      </div>
    </section>
  );
}

function NotificationItem({ notification }: { notification: Notification }) {
  const { inbox } = useClient();
  const { id, title, body, sender, kind, priority, read, timeMs } = notification;
  const level = PRIORITIES[priority];
  return (
    <li class="notification" data-read={read}>
      <span class="notification-dot" aria-hidden="true" />
      <div class="notification-words">
        <p class="notification-title">
          <strong>{title}</strong>
          {level && <span class={`chip chip-${level}`}>{level}</span>}
          {!read && <span class="for-readers">unread</span>}
        </p>
        {body?.body.case === "text" && <p>{body.body.value}</p>}
        <p class="quiet">
          {sender} · {kind} · <time title={exactTime(Number(timeMs))}>{shortTime(Number(timeMs))}</time>
        </p>
      </div>
      <div class="notification-actions">
        <IconButton
          icon="check"
          label={`Mark «${title}» read`}
          disabled={read}
          onClick={() => void inbox.read([id]).catch(() => {})}
        />
        <IconButton
          icon="trash"
          label={`Remove «${title}»`}
          onClick={() => void inbox.delete([id]).catch(() => {})}
        />
      </div>
    </li>
  );
}
