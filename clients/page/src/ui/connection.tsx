/** How the connection is, in words and a colour. */
import type { Client, ClientState } from "@carillon/client";
import { useEffect, useState } from "preact/hooks";
import { useTick } from "../hooks.js";

const WORDS: Record<ClientState, string> = {
  idle: "Connecting",
  connecting: "Connecting",
  connected: "Connected",
  waiting: "Reconnecting",
  offline: "Offline",
  closed: "Disconnected",
};

/** The state of the client's connection. Its place is kept, whatever it says. */
export function Connection({ client }: { client: Client }) {
  const [state, setState] = useState<ClientState>(client.state);
  const [again, setAgain] = useState<{ at: number; reason: string }>();
  useEffect(() => {
    setState(client.state);
    const offs = [
      client.on("state", setState),
      client.on("disconnected", ({ reconnectAfterMs = 0, reason }) =>
        setAgain({ at: Date.now() + reconnectAfterMs, reason }),
      ),
    ];
    return () => {
      for (const off of offs) off();
    };
  }, [client]);
  useTick(state === "waiting" || state === "offline" ? 500 : 60_000);
  const isTrying = state !== "connected" && state !== "closed";
  const words = state === "connecting" && again ? "Reconnecting" : WORDS[state];
  const seconds = again && Math.ceil((again.at - Date.now()) / 1_000);
  const wait = state === "offline" && seconds !== undefined && seconds > 0 ? ` · again in ${seconds} s` : "";
  return (
    <output
      class={`connection connection-${isTrying ? "trying" : state}`}
      title={again?.reason ?? ""}
      data-state={state}
    >
      <span class="connection-dot" />
      <span class="connection-words">
        {words}
        {wait}
      </span>
    </output>
  );
}
