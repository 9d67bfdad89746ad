/** The messages of a room: earlier ones load as one scrolls up, new ones keep the end in view. */
import type { Room, RoomMessage } from "@carillon/client";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useEvent } from "../hooks.js";
import { dayOf } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { Empty, Skeleton } from "../ui/parts.js";
import { isOf } from "./context.js";
import type { Draft } from "./conversation.js";
import { MessageItem } from "./message.js";
import { OutboundItem } from "./outbound.js";

/** Messages of one sender within this time stand together, in milliseconds. */
const TOGETHER_MS = 5 * 60_000;
/** So near to the end counts as at the end, in pixels. */
const NEAR = 80;
/** So near to the beginning loads more, in pixels. */
const EARLY = 300;

interface MessageListProps {
  room: Room;
  me: string;
  isReady: boolean;
  onDraft: (draft: Draft) => void;
  /** Carries out a command and shows what goes wrong. */
  act: (doing: Promise<unknown>) => void;
}

/** The list. */
export function MessageList({ room, me, isReady, onDraft, act }: MessageListProps) {
  const { messages, outbound } = room;
  const { scroller, isAtEnd, news, toEnd, onScroll } = useScroll(room);
  const firstUnread = useFirstUnread(room, me, isReady);
  useReading(room, isAtEnd && isReady);
  if (!isReady) {
    return (
      <div class="messages">
        <Skeleton lines={5} />
      </div>
    );
  }
  return (
    <div class="messages-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <div class="messages" ref={scroller} onScroll={onScroll} role="log" aria-label="Messages" tabIndex={0}>
        <Beginning room={room} />
        {messages.map((message, index) => {
          const before = messages[index - 1];
          return (
            <div key={String(message.seq)} class="message-place">
              {startsDay(message, before) && <Divider words={dayOf(message.timeMs)} />}
              {message.seq === firstUnread && <Divider words="New" isNew />}
              <MessageItem
                message={message}
                room={room}
                me={me}
                isFollowing={before !== undefined && belongTogether(before, message)}
                onDraft={onDraft}
                act={act}
              />
            </div>
          );
        })}
        {outbound.map((item) => (
          <OutboundItem key={item.id} item={item} room={room} />
        ))}
      </div>
      {!isAtEnd && (
        <button type="button" class="to-end" onClick={toEnd}>
          <Icon name="down" size={18} />
          {news > 0 ? `${news} new` : <span class="for-readers">To the latest message</span>}
        </button>
      )}
    </div>
  );
}

function Beginning({ room }: { room: Room }) {
  if (room.isLoading) return <p class="beginning">Loading earlier messages…</p>;
  if (room.hasEarlier) return <p class="beginning" />;
  if (room.messages.length + room.outbound.length > 0)
    return <p class="beginning">This is where it begins.</p>;
  return (
    <Empty icon="chat" title="Nothing here yet">
      <p>Write the first message.</p>
    </Empty>
  );
}

function Divider({ words, isNew = false }: { words: string; isNew?: boolean }) {
  return (
    <p class={isNew ? "divider divider-new" : "divider"}>
      <span>{words}</span>
    </p>
  );
}

/** Keeps the end in view while it is in view, and what one reads in its place while earlier messages come. */
function useScroll(room: Room) {
  const scroller = useRef<HTMLDivElement>(null);
  const height = useRef(0);
  const first = useRef<bigint | undefined>(undefined);
  const [isAtEnd, setIsAtEnd] = useState(true);
  const seen = useRef(room.messages.length);
  const { messages, outbound } = room;
  const toEnd = () => {
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  };
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const added = element.scrollHeight - height.current;
    const isEarlier =
      first.current !== undefined && messages[0] !== undefined && messages[0].seq < first.current;
    if (isEarlier) element.scrollTop += added;
    else if (isAtEnd) toEnd();
    if (isEarlier || isAtEnd) seen.current = messages.length;
    height.current = element.scrollHeight;
    first.current = messages[0]?.seq;
  });
  // One's own message is what one wants to see.
  useLayoutEffect(() => {
    if (outbound.length > 0) toEnd();
  }, [outbound.length]);
  useEvent(window, "resize", () => {
    if (isAtEnd) toEnd();
  });
  const onScroll = () => {
    const element = scroller.current;
    if (element === null) return;
    setIsAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < NEAR);
    if (element.scrollTop < EARLY && room.hasEarlier && !room.isLoading)
      void room.loadEarlier().catch(() => {});
  };
  return { scroller, isAtEnd, news: messages.length - seen.current, toEnd, onScroll };
}

/** The first of those that were unread when the room was opened; what comes while one is here is not among them. */
function useFirstUnread(room: Room, me: string, isReady: boolean): bigint | undefined {
  const [opened, setOpened] = useState({ read: 0n, last: 0n });
  useEffect(() => {
    if (isReady) setOpened({ read: room.ownMark.read, last: room.messages.at(-1)?.seq ?? 0n });
  }, [room, isReady]);
  const { read, last } = opened;
  if (read === 0n) return undefined;
  return room.messages.find((message) => message.seq > read && message.seq <= last && !isOf(me, message))
    ?.seq;
}

/** What is in view of somebody who looks counts as read. */
function useReading(room: Room, isInView: boolean): void {
  const last = room.messages.at(-1)?.seq;
  const read = () => {
    if (isInView && document.visibilityState === "visible" && document.hasFocus()) room.markRead();
  };
  useEffect(read, [room, isInView, last]);
  useEvent(window, "focus", read);
  useEvent(document, "visibilitychange", read);
}

function startsDay(message: RoomMessage, before: RoomMessage | undefined): boolean {
  return (
    before === undefined || new Date(before.timeMs).toDateString() !== new Date(message.timeMs).toDateString()
  );
}

function belongTogether(before: RoomMessage, message: RoomMessage): boolean {
  return (
    before.sender === message.sender &&
    before.byService === message.byService &&
    message.timeMs - before.timeMs < TOGETHER_MS &&
    !startsDay(message, before)
  );
}
