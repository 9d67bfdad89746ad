/** Critical notifications that nobody has read: at the top, until they are acknowledged. */
import type { Inbox } from "@carillon/client";
import { useObject } from "../hooks.js";
import { timeOf } from "../ui/format.js";
import { Icon } from "../ui/icons.js";

/** Alerts shown at once; the rest are counted. */
const SHOWN = 2;

/** The alerts. */
export function Alerts({ inbox }: { inbox: Inbox }) {
  const { alerts } = useObject(inbox);
  if (alerts.length === 0) return null;
  const acknowledge = (ids: string[]) => void inbox.read(ids).catch(() => {});
  return (
    <section class="alerts" aria-label="Alerts">
      {alerts.slice(0, SHOWN).map(({ id, title, body, sender, timeMs }) => (
        <div key={id} class="alert" role="alert">
          <Icon name="alert" />
          <div class="alert-words">
            <strong>{title}</strong>
            {body?.body.case === "text" && <span> {body.body.value}</span>}
            <small>
              {sender} · {timeOf(Number(timeMs))}
            </small>
          </div>
          <button type="button" class="button button-small" onClick={() => acknowledge([id])}>
            Acknowledge
          </button>
        </div>
      ))}
      {alerts.length > SHOWN && (
        <button type="button" class="alerts-more" onClick={() => acknowledge(alerts.map(({ id }) => id))}>
          {alerts.length - SHOWN} more · acknowledge all
        </button>
      )}
    </section>
  );
}
