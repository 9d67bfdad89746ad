/** Rooms, a conversation and the inbox of one user. */
import { Client, EndedError, RefusedError, TokenError } from "@carillon/client";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Place } from "../app.js";
import { useEvent, useObject } from "../hooks.js";
import { freshToken, type Identity } from "../identity.js";
import { Connection } from "../ui/connection.js";
import { Icon } from "../ui/icons.js";
import { Empty } from "../ui/parts.js";
import { OtherWindows, TopBar } from "../ui/topbar.js";
import { Alerts } from "./alerts.js";
import { ClientContext } from "./context.js";
import { Conversation } from "./conversation.js";
import { InboxView } from "./inbox.js";
import { NewConversation } from "./new.js";
import { RoomsPane } from "./rooms.js";

interface PlaygroundProps {
  identity: Identity;
  onGo: (place: Place) => void;
  onLeave: (why?: string) => void;
  /** The token turned out to be a service's. */
  onService: () => void;
}

/** What is open beside the list of rooms: a room, or the inbox. */
export type Pane = { readonly room: string } | "inbox" | undefined;

/** The playground. */
export function Playground({ identity, onGo, onLeave, onService }: PlaygroundProps) {
  const client = useMemo(() => clientOf(identity), [identity]);
  const [pane, setPane] = usePane();
  const [isCreating, setIsCreating] = useState(false);
  // What the token tells, until the hub says whose it is.
  const [me, setMe] = useState(identity.name);
  useEffect(() => {
    // Who goes elsewhere closes the client, which is no reason to sign them out.
    let isHere = true;
    const connecting = client.connect().then(({ user }) => setMe(user));
    connecting.catch((error: unknown) => {
      if (!isHere) return;
      if (error instanceof EndedError && error.code === "PERMISSION_DENIED") onService();
      else onLeave(error instanceof Error ? error.message : String(error));
    });
    void client.roomList.open().catch(() => {});
    void client.inbox.open().catch(() => {});
    return () => {
      isHere = false;
      client.close();
    };
  }, [client]);
  useTitle(client);
  const created = (room: string) => {
    setIsCreating(false);
    setPane({ room });
  };
  return (
    <ClientContext.Provider value={client}>
      <TopBar place="playground" onGo={onGo} onLeave={() => onLeave()} user={me}>
        <Connection client={client} />
      </TopBar>
      <Alerts inbox={client.inbox} />
      <main class="playground" data-pane={pane ? "open" : "list"}>
        <RoomsPane me={me} pane={pane} onOpen={setPane} onCreate={() => setIsCreating(true)} />
        <PaneView pane={pane} me={me} onBack={() => setPane(undefined)} />
      </main>
      {isCreating && <NewConversation onCreated={created} onClose={() => setIsCreating(false)} />}
    </ClientContext.Provider>
  );
}

function PaneView({ pane, me, onBack }: { pane: Pane; me: string; onBack: () => void }) {
  if (pane === "inbox") return <InboxView me={me} onBack={onBack} />;
  if (pane) return <Conversation key={pane.room} name={pane.room} me={me} onBack={onBack} />;
  return (
    <section class="pane pane-empty" aria-label="Nothing open">
      <Empty icon="chat" title="Choose a conversation">
        <p>Messages arrive here as they are sent, each once and in order.</p>
        <p class="empty-links">
          <OtherWindows user={me} />
        </p>
      </Empty>
    </section>
  );
}

/** The open pane, kept in the address, so that back and reload work. */
function usePane(): [Pane, (pane: Pane) => void] {
  const [pane, setPane] = useState<Pane>(() => paneOf(location.hash));
  useEvent(window, "hashchange", () => setPane(paneOf(location.hash)));
  const go = (to: Pane) => {
    const hash = to === "inbox" ? "#inbox" : to ? `#${encodeURIComponent(to.room)}` : "";
    history.pushState(null, "", location.pathname + hash);
    setPane(to);
  };
  useEvent(window, "popstate", () => setPane(paneOf(location.hash)));
  return [pane, go];
}

function paneOf(hash: string): Pane {
  const name = decoded(hash.slice(1));
  if (name === "inbox") return "inbox";
  return name.includes(":") ? { room: name } : undefined;
}

/** Empty where it is no percent-encoding, as in an address that somebody cut off. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** What waits, in the window's title. */
function useTitle(client: Client): void {
  const rooms = useObject(client.roomList);
  const inbox = useObject(client.inbox);
  const waiting = rooms.unread + inbox.unread;
  useEffect(() => {
    document.title = waiting > 0 ? `(${waiting}) Carillon` : "Carillon";
  }, [waiting]);
}

function clientOf(identity: Identity): Client {
  return new Client({
    url: location.origin,
    name: "carillon-page/0.1.0",
    token: async (reason) => {
      if (reason === "connect") return identity.token;
      const token = await freshToken(identity);
      if (token === identity.token) throw new TokenError("the token has expired: sign in again");
      return token;
    },
  });
}

/** What to tell a person when a command failed. */
export function problemOf(error: unknown): string {
  if (error instanceof RefusedError) {
    const [violation] = error.violations;
    return violation ? `${violation.field}: ${violation.rule}` : error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** A line that says what went wrong. */
export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null;
  return (
    <p class="problem" role="alert">
      <Icon name="alert" size={16} /> {problemOf(error)}
    </p>
  );
}
