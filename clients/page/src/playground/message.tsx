/** One message, with what one can do about it. */
import type { Reacted, Room, RoomMessage } from "@carillon/client";
import { useRef } from "preact/hooks";
import { exactTime, nameOf, timeOf } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { Avatar, IconButton } from "../ui/parts.js";
import { isOf, useClient } from "./context.js";
import type { Draft } from "./conversation.js";

const EMOJI = ["👍", "❤️", "😂", "🎉", "👀", "🙏"];

interface MessageItemProps {
  message: RoomMessage;
  room: Room;
  me: string;
  /** Whether it stands below another of the same sender. */
  isFollowing: boolean;
  onDraft: (draft: Draft) => void;
  /** Carries out a command and shows what goes wrong. */
  act: (doing: Promise<unknown>) => void;
}

/** A message. It takes the focus, and then shows its tools; with a mouse, pointing at it is enough. */
export function MessageItem(props: MessageItemProps) {
  const { message, room, me, isFollowing, act } = props;
  const client = useClient();
  const isOwn = isOf(me, message);
  const react = (key: string) => {
    const mine = message.reactions.find((reacted) => reacted.key === key)?.users.includes(me) ?? false;
    act(client.react(room.name, message.seq, key, !mine));
  };
  return (
    <article
      class={`message ${isOwn ? "message-own" : ""} ${isFollowing ? "message-following" : ""}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: its tools appear with the focus
      tabIndex={0}
      data-seq={String(message.seq)}
      aria-label={`${isOwn ? "You" : nameOf(message.sender)}, ${timeOf(message.timeMs)}`}
    >
      {!isOwn &&
        (isFollowing ? (
          <span class="avatar-gap" />
        ) : (
          <Avatar id={message.sender} name={nameOf(message.sender)} small />
        ))}
      <div class="message-main">
        {!isOwn && !isFollowing && <p class="sender">{nameOf(message.sender)}</p>}
        <div class="bubble-row">
          <Bubble message={message} room={room} me={me} />
          {!message.deleted && <Tools {...props} isOwn={isOwn} onReact={react} />}
        </div>
        <Reactions reactions={message.reactions} me={me} onReact={react} />
      </div>
    </article>
  );
}

function Bubble({ message, room, me }: { message: RoomMessage; room: Room; me: string }) {
  if (message.deleted) return <p class="bubble bubble-deleted">Message deleted</p>;
  return (
    <div class="bubble">
      {message.replyTo !== undefined && (
        <Quote message={room.messages.find(({ seq }) => seq === message.replyTo)} />
      )}
      <p class="bubble-words">{wordsOf(message)}</p>
      <p class="bubble-end">
        {message.editedMs > 0 && <span title={exactTime(message.editedMs)}>edited</span>}
        <time title={exactTime(message.timeMs)}>{timeOf(message.timeMs)}</time>
        {isOf(me, message) && <Receipt message={message} room={room} me={me} />}
      </p>
    </div>
  );
}

function Quote({ message }: { message: RoomMessage | undefined }) {
  return (
    <blockquote class="quote">
      <strong>{message ? nameOf(message.sender) : "Earlier message"}</strong>
      <span>{message ? wordsOf(message) : "…"}</span>
    </blockquote>
  );
}

/** Sent, delivered to somebody, read by somebody. */
function Receipt({ message, room, me }: { message: RoomMessage; room: Room; me: string }) {
  const others = [...room.marks].filter(([user]) => user !== me);
  const readers = others.filter(([, mark]) => mark.read >= message.seq).map(([user]) => nameOf(user));
  const isDelivered = others.some(([, mark]) => mark.delivered >= message.seq);
  const words = readers.length > 0 ? `Read by ${readers.join(", ")}` : isDelivered ? "Delivered" : "Sent";
  const level = readers.length > 0 ? "read" : isDelivered ? "delivered" : "sent";
  return (
    <span class={`receipt receipt-${level}`} role="img" aria-label={words} title={words}>
      <Icon name={level === "sent" ? "check" : "checks"} size={16} />
    </span>
  );
}

function Tools({ message, room, isOwn, onDraft, act, onReact }: MessageItemProps & ToolsProps) {
  const client = useClient();
  const picker = useRef<HTMLDetailsElement>(null);
  const pick = (key: string) => {
    picker.current?.removeAttribute("open");
    onReact(key);
  };
  return (
    <div class="tools" role="toolbar" aria-label="Message tools">
      <details class="picker" ref={picker}>
        <summary class="icon-button" aria-label="React" title="React">
          <Icon name="smile" />
        </summary>
        <div class="picker-choices">
          {EMOJI.map((key) => (
            <button key={key} type="button" aria-label={`React with ${key}`} onClick={() => pick(key)}>
              {key}
            </button>
          ))}
        </div>
      </details>
      <IconButton icon="reply" label="Reply" onClick={() => onDraft({ kind: "reply", to: message })} />
      {isOwn && (
        <IconButton icon="edit" label="Edit" onClick={() => onDraft({ kind: "edit", to: message })} />
      )}
      {isOwn && (
        <IconButton icon="trash" label="Delete" onClick={() => act(client.delete(room.name, message.seq))} />
      )}
    </div>
  );
}

interface ToolsProps {
  isOwn: boolean;
  onReact: (key: string) => void;
}

function Reactions({
  reactions,
  me,
  onReact,
}: {
  reactions: readonly Reacted[];
  me: string;
  onReact: (key: string) => void;
}) {
  if (reactions.length === 0) return null;
  return (
    <div class="reactions">
      {reactions.map(({ key, users, count }) => (
        <button
          key={key}
          type="button"
          class="reaction"
          aria-pressed={users.includes(me)}
          aria-label={`${key}, ${count}`}
          title={users.map(nameOf).join(", ")}
          onClick={() => onReact(key)}
        >
          {key} <span>{count}</span>
        </button>
      ))}
    </div>
  );
}

/** The words of a message, or what stands for them. */
export function wordsOf({ content, deleted }: RoomMessage): string {
  if (deleted) return "Message deleted";
  return content?.body.case === "text" ? content.body.value : "Attachment";
}
