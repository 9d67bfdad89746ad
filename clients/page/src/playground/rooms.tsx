/** The list of rooms, those with the latest message first. */
import type { ListedRoom } from "@carillon/client";
import { useEffect } from "preact/hooks";
import { useObject } from "../hooks.js";
import { nameOf, shortTime } from "../ui/format.js";
import { Icon } from "../ui/icons.js";
import { Avatar, IconButton, Skeleton } from "../ui/parts.js";
import { LOBBY, titleOf, useClient } from "./context.js";
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
  const rooms = list.get(LOBBY) ? list.rooms : [...list.rooms, lobbyOf(client.room(LOBBY).unread)];
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
  listed: ListedRoom;
  me: string;
  isCurrent: boolean;
  online: boolean | undefined;
  onOpen: () => void;
}

function RoomLink({ listed, me, isCurrent, online, onOpen }: RoomLinkProps) {
  const title = titleOf(listed.room, listed);
  const { lastMessage } = listed;
  return (
    <button type="button" class="room-link" aria-current={isCurrent ? "true" : undefined} onClick={onOpen}>
      <Avatar id={listed.peer ?? listed.room} name={title} online={online} />
      <span class="room-words">
        <span class="room-title">{title}</span>
        <span class="room-preview">{previewOf(listed, me)}</span>
      </span>
      <span class="room-end">
        <time>{lastMessage?.header ? shortTime(Number(lastMessage.header.timeMs)) : ""}</time>
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

function previewOf({ lastMessage, room }: ListedRoom, me: string): string {
  if (lastMessage === undefined) return room === LOBBY ? "Everyone may come in" : "No messages yet";
  if (lastMessage.deleted) return "Message deleted";
  const { sender = "" } = lastMessage.header ?? {};
  const words = lastMessage.content?.body.case === "text" ? lastMessage.content.body.value : "Attachment";
  return `${sender === me ? "You" : nameOf(sender)}: ${words}`;
}

function lobbyOf(unread: number): ListedRoom {
  return { room: LOBBY, unread, lastMessage: undefined, metadata: {}, peer: undefined };
}
