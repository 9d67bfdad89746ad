/** A message of one's own that has not come back yet. */
import type { Outbound, Room } from "@carillon/client";
import { timeOf } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { problemOf } from "./playground.js";

/** The message, with what can be done when it failed. */
export function OutboundItem({ item, room }: { item: Outbound; room: Room }) {
  const words = item.content.body?.case === "text" ? item.content.body.value : "";
  const hasFailed = item.error !== undefined;
  return (
    <article class="message message-own message-outbound" data-failed={hasFailed}>
      <div class="bubble">
        <p class="bubble-words">{words}</p>
        <p class="bubble-end">
          {timeOf(item.timeMs)}
          <span role="img" aria-label={hasFailed ? "Not sent" : "Sending"}>
            <Icon name={hasFailed ? "alert" : "clock"} size={14} />
          </span>
        </p>
      </div>
      {hasFailed && (
        <p class="failed">
          {problemOf(item.error)}
          <button type="button" class="link" onClick={() => void room.retry(item.id).catch(() => {})}>
            Try again
          </button>
          <button type="button" class="link" onClick={() => room.discard(item.id)}>
            Discard
          </button>
        </p>
      )}
    </article>
  );
}
