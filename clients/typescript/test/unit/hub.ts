// A hub that the tests play: sockets that record what is sent, and send what a test says.
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { vi } from "vitest";
import {
  type SessionRequest,
  SessionRequestSchema,
  SessionResponseSchema,
} from "../../src/gen/carillon/v1/session_pb.js";
import { Client, type ClientOptions, type Room } from "../../src/index.js";

type ResponseKind = NonNullable<MessageInitShape<typeof SessionResponseSchema>["kind"]>;
type CommandCase = NonNullable<SessionRequest["command"]["case"]>;
/** The value of a command that the client sent. */
type Sent<Case extends CommandCase> = Extract<SessionRequest["command"], { case: Case }>["value"];

export const ROOM = "conversation:1";

/** One connection, as the hub sees it. */
export class FakeSocket {
  binaryType = "";
  readyState = 0;
  closedWith: number | undefined;
  readonly requests: SessionRequest[] = [];
  private readonly listeners = new Map<string, ((event: never) => void)[]>();

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this);
  }

  static all: FakeSocket[] = [];

  addEventListener(type: string, listener: (event: never) => void): void {
    this.listeners.set(type, [...(this.listeners.get(type) ?? []), listener]);
  }

  send(data: string | ArrayBufferView<ArrayBuffer>): void {
    this.requests.push(fromBinary(SessionRequestSchema, new Uint8Array(data as Uint8Array<ArrayBuffer>)));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith ??= code;
  }

  /** The connection stands. */
  open(): void {
    this.readyState = 1;
    this.fire("open", {});
  }

  /** The connection ends. */
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.fire("close", { code, reason });
  }

  /** Sends a push, or a reply. */
  push(kind: ResponseKind, commandId = 0): void {
    const frame = toBinary(SessionResponseSchema, create(SessionResponseSchema, { commandId, kind }));
    this.fire("message", { data: frame.slice().buffer });
  }

  /** Sends something else. */
  pushRaw(data: unknown): void {
    this.fire("message", { data });
  }

  /** The commands of a kind that came. */
  all<Case extends CommandCase>(name: Case): { id: number; key: Uint8Array; value: Sent<Case> }[] {
    const requests = this.requests.filter((request) => request.command.case === name);
    return requests.map(({ commandId, idempotencyKey, command }) => ({
      id: commandId,
      key: idempotencyKey,
      value: command.value as Sent<Case>,
    }));
  }

  /** The last of them. */
  last<Case extends CommandCase>(name: Case): { id: number; key: Uint8Array; value: Sent<Case> } {
    const last = this.all(name).at(-1);
    if (last === undefined) throw new Error(`no ${name} came`);
    return last;
  }

  private fire(type: string, event: object): void {
    for (const listener of this.listeners.get(type) ?? []) listener(event as never);
  }
}

/** The story that a test tells: a client, and the hub at the other end. */
export class Story {
  readonly client: Client;
  /** The events that came, as `type` or `type:what`. */
  readonly heard: string[] = [];

  constructor(options: Partial<ClientOptions> = {}) {
    FakeSocket.all = [];
    this.client = new Client({
      url: "ws://hub.test",
      token: "token",
      instance: "tab",
      WebSocket: FakeSocket,
      ...options,
    });
    this.client.on("message", ({ header }) => this.heard.push(`message:${header?.seq}`));
    this.client.on("truncated", ({ room }) => this.heard.push(`truncated:${room}`));
    this.client.on("gap", ({ from, to }) => this.heard.push(`gap:${from}-${to}`));
    this.client.on("disconnected", ({ code, reconnectAfterMs }) =>
      this.heard.push(`disconnected:${code ?? "broken"}${reconnectAfterMs === undefined ? ":ended" : ""}`),
    );
  }

  /** The newest connection. */
  get socket(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (socket === undefined) throw new Error("no connection came");
    return socket;
  }

  /** The connections so far. */
  get connections(): number {
    return FakeSocket.all.length;
  }

  /** Begins to connect, and lets the hub open the session. */
  async connects(connected: Extract<ResponseKind, { case: "connected" }>["value"] = {}): Promise<this> {
    void this.client.connect().catch(() => {});
    await settle();
    await this.accepts(connected);
    return this;
  }

  /** The hub opens the session that the newest connection asks for. */
  async accepts(connected: Extract<ResponseKind, { case: "connected" }>["value"] = {}): Promise<void> {
    this.socket.open();
    const heartbeat = { intervalMs: 25_000, timeoutMs: 60_000 };
    const value = { user: "alice", tenant: "dev", session: "5e55", heartbeat, ...connected } as never;
    this.socket.push({ case: "connected", value }, this.socket.last("hello").id);
    await settle();
  }

  /** The connection breaks, the wait passes, and a new one is accepted. */
  async breaksAndReturns(): Promise<void> {
    this.socket.end();
    await vi.advanceTimersByTimeAsync(5_000);
    await this.accepts();
  }

  /** The client joins the room, whose log ends at `head`. */
  async joins(head: bigint, rewind = 0): Promise<void> {
    const joining = this.client.join({ room: ROOM, rewind, presence: true });
    this.socket.push({ case: "joined", value: joined(head) }, this.socket.last("join").id);
    await joining;
  }
}

/** Lets promises run. */
export async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

/** A place in the room's log. */
export function at(seq: bigint, epoch = 1n) {
  return { epoch, seq, tag: seq === 0n ? 0 : 7 };
}

/** What a join is answered with. */
export function joined(head: bigint, more: object = {}) {
  const rules = { durable: true, typing: true, receipts: true };
  return { room: ROOM, position: at(head), occupancy: 1, rules, marks: { user: "alice" }, ...more };
}

/** A message's push. */
export function message(seq: bigint, more: object = {}) {
  const header = { ...at(seq), timeMs: 1_000n * seq, sender: "bob" };
  const content = { body: { case: "text", value: `words ${seq}` } };
  return {
    case: "message",
    value: { room: ROOM, header, number: seq, version: 1, content, ...more },
  } as ResponseKind;
}

/** A page of the room's messages from `from` to `to`. */
export function page(from: bigint, to: bigint, more = false, asOf = to) {
  const entries = [];
  for (let seq = from; seq <= to; seq += 1n) entries.push({ entry: message(seq) });
  return { case: "historyPage", value: { entries, asOf: at(asOf), more } } as never;
}

/** The room, opened: the hub says where its log ends, and gives all of it. */
export async function opens(story: Story, head = 3n, read = 0n): Promise<Room> {
  const room = story.client.room(ROOM);
  const opening = room.open();
  const marks = { user: "alice", read, delivered: read };
  story.socket.push({ case: "joined", value: joined(head, { marks }) }, story.socket.last("join").id);
  await settle();
  story.socket.push(page(1n, head), story.socket.last("history").id);
  await opening;
  return room;
}
