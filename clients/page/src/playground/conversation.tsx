/** One room: its head, its messages, and where one writes. */
import type { Room, RoomMessage } from "@carillon/client";
import { LeaveReason, PresenceStatus } from "@carillon/client";
import { useEffect, useState } from "preact/hooks";
import { useObject } from "../hooks.js";
import { nameOf } from "../ui/format.js";
import { Avatar, Empty, IconButton } from "../ui/parts.js";
import { Composer } from "./composer.js";
import { LOBBY, titleOf, useClient } from "./context.js";
import { MessageList } from "./messages.js";
import { People } from "./people.js";
import { Problem } from "./playground.js";

/** What the composer is about to do with what one writes. */
export type Draft = { readonly kind: "send" } | { readonly kind: "reply" | "edit"; readonly to: RoomMessage };

interface ConversationProps {
  name: string;
  me: string;
  onBack: () => void;
}

/** An open room. */
export function Conversation({ name, me, onBack }: ConversationProps) {
  const client = useClient();
  const room = useObject(client.room(name));
  const [error, setError] = useState<unknown>();
  const [isReady, setIsReady] = useState(room.joined !== undefined && room.messages.length > 0);
  const [draft, setDraft] = useState<Draft>({ kind: "send" });
  const [showsPeople, setShowsPeople] = useState(false);
  useEffect(() => {
    room.open().then(
      () => setIsReady(true),
      (problem: unknown) => setError(problem),
    );
  }, [room]);
  const act = (doing: Promise<unknown>) => {
    setError(undefined);
    doing.catch(setError);
  };
  const isGone = room.leftBecause === LeaveReason.REMOVED || room.leftBecause === LeaveReason.DENIED;
  return (
    <section class="pane conversation" aria-label="Conversation">
      <Head
        room={room}
        me={me}
        onBack={onBack}
        showsPeople={showsPeople}
        onPeople={() => setShowsPeople(!showsPeople)}
      />
      <div class="conversation-body">
        <div class="conversation-main">
          <MessageList
            room={room}
            me={me}
            isReady={isReady || error !== undefined}
            onDraft={setDraft}
            act={act}
          />
          <Problem error={error} />
          {isGone ? (
            <Empty icon="leave" title="You are not in this conversation any more" />
          ) : (
            <Composer room={room} me={me} draft={draft} onDraft={setDraft} act={act} />
          )}
        </div>
        {showsPeople && <People room={room} me={me} onClose={() => setShowsPeople(false)} act={act} />}
      </div>
    </section>
  );
}

interface HeadProps {
  room: Room;
  me: string;
  onBack: () => void;
  showsPeople: boolean;
  onPeople: () => void;
}

function Head({ room, me, onBack, showsPeople, onPeople }: HeadProps) {
  const client = useClient();
  const listed = useObject(client.roomList).get(room.name);
  const presence = useObject(client.presence);
  const title = titleOf(room.name, listed);
  const peer = listed?.peer;
  const online = peer === undefined ? undefined : presence.isOnline(peer) || room.presence.has(peer);
  return (
    <header class="pane-head">
      <span class="only-narrow">
        <IconButton icon="back" label="Back to the list" onClick={onBack} />
      </span>
      <Avatar id={peer ?? room.name} name={title} online={online} />
      <div class="pane-title">
        <h1>{title}</h1>
        <p aria-live="polite">{subtitleOf(room, me, peer, online)}</p>
      </div>
      <IconButton icon="people" label="People" pressed={showsPeople} onClick={onPeople} />
    </header>
  );
}

/** Who types, else who is there. */
function subtitleOf(room: Room, me: string, peer: string | undefined, online: boolean | undefined): string {
  const typing = room.typing.filter((user) => user !== me).map(nameOf);
  if (typing.length > 2) return `${typing.length} people are typing…`;
  if (typing.length > 0) return `${typing.join(" and ")} ${typing.length === 1 ? "is" : "are"} typing…`;
  if (room.joined === undefined) return room.name === LOBBY ? "Open to everyone" : "…";
  if (peer !== undefined) return online ? statusOf(room, peer) : "Offline";
  return room.occupancy === 1 ? "Only you are here" : `${room.occupancy} here now`;
}

function statusOf(room: Room, peer: string): string {
  const state = room.presence.get(peer);
  const words =
    state?.status === PresenceStatus.BUSY
      ? "Busy"
      : state?.status === PresenceStatus.AWAY
        ? "Away"
        : "Online";
  return state?.text ? `${words} · ${state.text}` : words;
}
