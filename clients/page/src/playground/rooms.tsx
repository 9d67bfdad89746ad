/** The list of rooms, those with the latest message first. */
import type { ListedRoom, Room, RoomMessage } from "@carillon/client";
import { useEffect } from "preact/hooks";
import { useObject } from "../hooks.js";
import { nameOf, shortTime } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { Avatar, IconButton, Skeleton } from "../ui/parts.js";
import { isOf, LOBBY, titleOf, useClient } from "./context.js";
import type { Pane } from "./playground.js";

interface RoomsPaneProps {
  me: string;
  pane: Pane;
  onOpen: (pane: Pane) => void;
  onCreate: () => void;
}

/** The left pane. */
export function RoomsPane({ me, pane, onOpen, onCreate }: RoomsPaneProps) {
  const client = useClient();
  const list = useObject(client.roomList);
  const presence = useObject(client.presence);
  const peers = list.rooms.flatMap(({ peer }) => peer ?? []);
  const watched = peers.slice(0, 100).join(" ");
  useEffect(() => {
    if (watched !== "") void client.presence.watch(watched.split(" ")).catch(() => {});
  }, [client, watched]);
  const lobby = useObject(client.room(LOBBY));
  const own = list.rooms.map(listedOf);
  const rooms = list.get(LOBBY) ? own : [...own, lobbyOf(lobby)];
  const current = typeof pane === "object" ? pane.room : undefined;
  return (
    <nav class="rooms" aria-label="Conversations">
      <InboxLink isCurrent={pane === "inbox"} onOpen={() => onOpen("inbox")} />
      <div class="rooms-head">
        <h2>Conversations</h2>
        <IconButton icon="plus" label="New conversation" onClick={onCreate} />
      </div>
      {list.isOpen ? (
        <ul class="rooms-list">
          {rooms.map((room) => (
            <li key={room.room}>
              <RoomLink
                listed={room}
                me={me}
                isCurrent={room.room === current}
                online={room.peer === undefined ? undefined : presence.isOnline(room.peer)}
                onOpen={() => onOpen({ room: room.room })}
              />
            </li>
          ))}
        </ul>
      ) : (
        <Skeleton lines={4} />
      )}
      {list.isOpen && list.rooms.length === 0 && (
        <p class="rooms-hint quiet">No conversations of your own yet. Start one with the plus sign.</p>
      )}
    </nav>
  );
}

function InboxLink({ isCurrent, onOpen }: { isCurrent: boolean; onOpen: () => void }) {
  const inbox = useObject(useClient().inbox);
  return (
    <button type="button" class="inbox-link" aria-current={isCurrent ? "true" : undefined} onClick={onOpen}>
      <Icon name="bell" />
      <span>Inbox</span>
      <Badge count={inbox.unread} of="notifications" />
    </button>
  );
}

interface RoomLinkProps {
  listed: Listed;
  me: string;
  isCurrent: boolean;
  online: boolean | undefined;
  onOpen: () => void;
}

function RoomLink({ listed, me, isCurrent, online, onOpen }: RoomLinkProps) {
  const { title, last } = listed;
  return (
    <button type="button" class="room-link" aria-current={isCurrent ? "true" : undefined} onClick={onOpen}>
      <Avatar id={listed.peer ?? listed.room} name={title} online={online} />
      <span class="room-words">
        <span class="room-title">{title}</span>
        <span class="room-preview">{previewOf(listed, me)}</span>
      </span>
      <span class="room-end">
        <time>{last ? shortTime(last.timeMs) : ""}</time>
        <Badge count={listed.unread} of="messages" />
      </span>
    </button>
  );
}

function Badge({ count, of }: { count: number; of: string }) {
  if (count === 0) return <span class="badge badge-none" />;
  return (
    <span class="badge">
      {count > 99 ? "99+" : count}
      <span class="for-readers"> unread {of}</span>
    </span>
  );
}

/** The last message, in one line. */
function previewOf({ last, room }: Listed, me: string): string {
  if (last === undefined) return room === LOBBY ? "Everyone may come in" : "No messages yet";
  if (last.deleted) return "Message deleted";
  const words = last.content?.body.case === "text" ? last.content.body.value : "Attachment";
  return `${isOf(me, last) ? "You" : nameOf(last.sender)}: ${words}`;
}

/** A room as its link shows it. */
interface Listed {
  readonly room: string;
  readonly peer: string | undefined;
  readonly title: string;
  readonly unread: number;
  readonly last: Pick<RoomMessage, "sender" | "byService" | "timeMs" | "content" | "deleted"> | undefined;
}

function listedOf(listed: ListedRoom): Listed {
  const { room, peer, unread, lastMessage } = listed;
  const last = lastMessage && {
    sender: lastMessage.header?.sender ?? "",
    byService: lastMessage.byService,
    timeMs: Number(lastMessage.header?.timeMs ?? 0n),
    content: lastMessage.content,
    deleted: lastMessage.deleted,
  };
  return { room, peer, title: titleOf(room, listed), unread, last };
}

/** The lobby, which has no members and so is in nobody's list. */
function lobbyOf({ unread, messages }: Room): Listed {
  return { room: LOBBY, peer: undefined, title: titleOf(LOBBY, undefined), unread, last: messages.at(-1) };
}
