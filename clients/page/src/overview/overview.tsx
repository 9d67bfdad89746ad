/** What the hub holds and does, as figures and moving charts. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { Place } from "../app.js";
import { calledBy, devTokens, type Identity, watcherOf } from "../identity.js";
import { SignIn } from "../signin.js";
import { figure, megabytes, milliseconds } from "../ui/format.js";
import { TopBar } from "../ui/topbar.js";
import { Chart, type Line, WINDOW_S } from "./chart.js";
import { type Reading, type StreamState, watchOverview } from "./stream.js";
import "../styles/overview.css";

interface OverviewProps {
  identity: Identity | undefined;
  onGo: (place: Place) => void;
  onLeave: (why?: string) => void;
  onSignIn: (as: Identity) => void;
}

const STATES: Record<StreamState, string> = {
  connecting: "Connecting",
  live: "Live",
  broken: "Reconnecting",
  refused: "Not allowed",
};

/** The overview. It needs the token of a service that may see it: the one that is signed in, or development's own. */
export default function Overview({ identity, onGo, onLeave, onSignIn }: OverviewProps) {
  const [service, setService] = useState<Identity | undefined | "loading">(
    identity?.isService ? identity : "loading",
  );
  useEffect(() => {
    if (service === "loading") void devWatcher().then(setService);
  }, [service]);
  const bar = (children?: ComponentChildren) => (
    <TopBar place="overview" onGo={onGo} onLeave={() => onLeave()} user={identity && calledBy(identity)}>
      {children}
    </TopBar>
  );
  const { readings, state } = useReadings(service === "loading" ? undefined : service);
  if (service === undefined || state === "refused") {
    const problem = "The overview needs the token of a service that may see the whole node.";
    return (
      <>
        {identity && bar()}
        <SignIn problem={problem} onSignIn={onSignIn} />
      </>
    );
  }
  return (
    <>
      {bar(
        <output
          class={`connection connection-${state === "live" ? "connected" : "trying"}`}
          data-state={state}
        >
          <span class="connection-dot" />
          <span class="connection-words">{STATES[state]}</span>
        </output>,
      )}
      <main class="overview">
        <h1 class="for-readers">Overview</h1>
        <Tiles latest={readings.at(-1)} />
        <Charts readings={readings} />
      </main>
    </>
  );
}

function Tiles({ latest }: { latest: Reading | undefined }) {
  const show = (value: number | undefined, format = figure) => (value === undefined ? "–" : format(value));
  const away = latest?.storeAwaySinceMs;
  return (
    <dl class="tiles">
      <Tile name="Live sessions" value={show(latest?.sessions)} note={`peak ${show(latest?.sessionsPeak)}`} />
      <Tile name="Active rooms" value={show(latest?.rooms)} note="joined by somebody" />
      <Tile
        name="Messages"
        value={show(latest?.messagesPerS)}
        unit="/s"
        note={`${show(latest?.commandsPerS)} commands/s`}
      />
      <Tile name="Deliveries" value={show(latest?.deliveriesPerS)} unit="/s" note="frames to sessions" />
      <Tile
        name="Latency p99"
        value={show(latest?.latency?.p99, milliseconds)}
        unit="ms"
        note="of commands"
      />
      <Tile
        name="Limits hit"
        value={show(latest?.limitsHit)}
        unit="/s"
        note={`${show(latest?.slowConsumers)} slow readers`}
      />
      <Tile
        name="Memory"
        value={show(latest?.memoryBytes, megabytes)}
        unit="MB"
        note={
          away
            ? `store away since ${new Date(away).toLocaleTimeString()}`
            : `${show(latest?.storeQueued)} changes queued`
        }
      />
    </dl>
  );
}

function Tile({
  name,
  value,
  unit = "",
  note,
}: {
  name: string;
  value: string;
  unit?: string;
  note: string;
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        <span class="tile-value">
          {value}
          <small>{unit}</small>
        </span>
        <span class="tile-note">{note}</span>
      </dd>
    </div>
  );
}

function Charts({ readings }: { readings: readonly Reading[] }) {
  const times = useMemo(() => readings.map(({ timeMs }) => timeMs / 1_000), [readings]);
  const of = (label: string, colour: Line["colour"], value: (reading: Reading) => number | null): Line => ({
    label,
    colour,
    values: readings.map(value),
  });
  const latency = (name: "p50" | "p95" | "p99") => (reading: Reading) => reading.latency?.[name] ?? null;
  const charts = useMemo(
    () => [
      {
        title: "Messages a second",
        format: figure,
        lines: [of("Messages", "--line-1", (r) => r.messagesPerS)],
      },
      {
        title: "Deliveries a second",
        format: figure,
        lines: [of("Deliveries", "--line-2", (r) => r.deliveriesPerS)],
      },
      {
        title: "Latency of commands, ms",
        format: milliseconds,
        lines: [
          of("p50", "--line-1", latency("p50")),
          of("p95", "--line-2", latency("p95")),
          of("p99", "--line-3", latency("p99")),
        ],
      },
      {
        title: "Sessions and rooms",
        format: figure,
        lines: [of("Sessions", "--line-1", (r) => r.sessions), of("Rooms", "--line-2", (r) => r.rooms)],
      },
      {
        title: "Limits hit a second",
        format: figure,
        lines: [of("Limits", "--line-3", (r) => r.limitsHit)],
      },
    ],
    [readings],
  );
  return (
    <div class="charts">
      {charts.map((chart) => (
        <Chart key={chart.title} times={times} {...chart} />
      ))}
    </div>
  );
}

/** The readings of the last minutes. */
function useReadings(service: Identity | undefined): { readings: readonly Reading[]; state: StreamState } {
  const [readings, setReadings] = useState<readonly Reading[]>([]);
  const [state, setState] = useState<StreamState>("connecting");
  useEffect(() => {
    if (service === undefined) return undefined;
    const add = (reading: Reading) => setReadings((known) => [...known.slice(-WINDOW_S - 5), reading]);
    return watchOverview(service, add, setState);
  }, [service]);
  return { readings, state };
}

async function devWatcher(): Promise<Identity | undefined> {
  const dev = await devTokens();
  return dev && watcherOf(dev);
}
