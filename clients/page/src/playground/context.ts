/** What the playground's parts share. */
import type { Client, ListedRoom, RoomMessage } from "@carillon/client";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { nameOf } from "../ui/format.js";

/** The client, connected or about to be. */
export const ClientContext = createContext<Client | undefined>(undefined);

/** The client of the playground that this is within. */
export function useClient(): Client {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error("not within a playground");
  return client;
}

/** Whether one has sent a message oneself: a service may have one's name. */
export function isOf(me: string, { sender, byService }: Pick<RoomMessage, "sender" | "byService">): boolean {
  return !byService && sender === me;
}

/** The room that all users of a development hub may enter. */
export const LOBBY = "room:lobby";

/** What a room is called. */
export function titleOf(room: string, listed: ListedRoom | undefined): string {
  if (room === LOBBY) return "Lobby";
  const title = listed?.metadata.title;
  if (title) return title;
  if (listed?.peer) return nameOf(listed.peer);
  if (room.startsWith("org:")) return "Everyone";
  return room.startsWith("conversation:") ? "Conversation" : nameOf(room);
}
