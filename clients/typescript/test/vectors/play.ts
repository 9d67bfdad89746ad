// Plays a script: the caller's part and the hub's, around the real client. Time is driven: it passes where the script
// lets it, and as long as the client says that it waits.
import type { JsonObject } from "@bufbuild/protobuf";
import { expect, vi } from "vitest";
import { PUSHES } from "../../src/events.js";
import type { SessionResponse } from "../../src/gen/carillon/v1/session_pb.js";
import { Client, EndedError, RefusedError } from "../../src/index.js";
import type { Kind } from "../../src/pending.js";
import type { Format } from "../../src/wire/codec.js";
import { Channel, inTime } from "./channel.js";
import { matches, type Script, type Step } from "./files.js";
import { Hub, type Peer } from "./hub.js";
import { bytesOf, commandOf, kindJson, read, requestJson, written } from "./wire.js";

const CONNECTED = {
  session: "5e5500000000000000000000000000aa",
  user: "alice",
  tenant: "acme",
  heartbeat: { intervalMs: 25_000, timeoutMs: 60_000 },
  inbox: { epoch: "1" },
};

/** A script that is played. */
export class Play {
  /** What the caller was told, each an object whose only field is the event's name. */
  readonly events = new Channel<JsonObject>("an event");
  private readonly waits = new Channel<number>("a wait");
  private readonly asked = new Channel<{ reason: string; give: (token: string) => void }>("a question");
  private readonly calls = new Map<string, Promise<Kind>>();
  private readonly ids = new Map<string, number>();
  private readonly keys = new Map<string, string>();
  private optional: JsonObject[] = [];
  private endedAt = 0;
  private looksAtTokens = false;
  private current: Client | undefined;
  private session: Peer | undefined;

  private constructor(
    private readonly hub: Hub,
    private readonly format: Format,
  ) {}

  static async begin(format: Format): Promise<Play> {
    return new Play(await Hub.start(), format);
  }

  get client(): Client {
    if (this.current === undefined) throw new Error("there is no client");
    return this.current;
  }

  get peer(): Peer {
    if (this.session === undefined) throw new Error("there is no session");
    return this.session;
  }

  end(): void {
    this.current?.close();
    this.hub.stop();
  }

  /** Plays all steps; says at which it fails. */
  async play({ steps }: Script): Promise<void> {
    this.looksAtTokens = steps.some((step) => step.do === "token");
    for (const [at, step] of steps.entries()) {
      try {
        await this.step(step);
      } catch (error) {
        throw new Error(`step ${at + 1}, ${JSON.stringify(step)}: ${error}`);
      }
    }
  }

  private async step(step: Step): Promise<void> {
    const { call = "", code = "", ms = 0 } = step;
    switch (step.do) {
      case "connect":
        return this.connect();
      case "call":
        return this.call(step.as ?? "", step.command ?? {});
      case "close":
        return this.client.close();
      case "answered":
        return expected(step.with, kindJson(await this.outcome(call)));
      case "refused":
        return this.refused(call, code);
      case "ended":
        return fails(this.outcome(call), (error) => expect(error).toBeInstanceOf(EndedError));
      case "token":
        return this.token(step.reason ?? "", step.give ?? "");
      case "told":
        if (step.optional) this.optional.push(step.event ?? {});
        else await this.told(step.event ?? {});
        return;
      case "opens":
        return this.opens(step.afterMs);
      case "receives":
        return this.receives(step.frame ?? {}, step.as, step.key);
      case "sends":
        return this.sends(step);
      case "accepts":
        return this.accepts(step.hello, step.connected, step.afterMs);
      case "breaks":
        return this.peer.break();
      case "ends":
        return this.peer.end(code);
      case "left":
        return this.peer.left();
      case "quiet":
        return this.quiet(ms);
      case "passes":
        await vi.advanceTimersByTimeAsync(ms);
    }
  }

  connect(): void {
    const token = (reason: string) => {
      if (!this.looksAtTokens) return "token";
      return new Promise<string>((give) => this.asked.push({ reason, give }));
    };
    const { format, hub } = this;
    const { url, WebSocket } = hub;
    this.current = new Client({ url, token, format, name: "vectors/1", instance: "tab", WebSocket });
    for (const name of PUSHES)
      this.client.on(name, (value) => this.hears({ case: name, value } as SessionResponse["kind"]));
    this.client.on("connected", (value) => this.hears({ case: "connected", value }));
    for (const name of ["goingAway", "truncated"] as const)
      this.client.on(name, (value) => this.events.push({ [name]: { ...value } }));
    this.client.on("inboxTruncated", () => this.events.push({ inboxTruncated: {} }));
    this.client.on("disconnected", ({ code, reconnectAfterMs: afterMs }) => {
      this.endedAt = Date.now();
      if (afterMs !== undefined) this.waits.push(afterMs);
      const how = { code: code ?? null, reconnect: afterMs !== undefined, afterMs: afterMs ?? null };
      this.events.push({ disconnected: how });
    });
    const connecting = this.client.connect();
    this.keep(
      "connect",
      connecting.then((value) => ({ case: "connected", value })),
    );
  }

  private hears(kind: SessionResponse["kind"]): void {
    this.events.push(kindJson(kind));
  }

  private call(name: string, command: JsonObject): void {
    this.keep(name, this.client.call(commandOf(command).command as never));
  }

  private keep(name: string, call: Promise<Kind>): void {
    call.catch(() => {});
    this.calls.set(name, call);
  }

  private outcome(name: string): Promise<Kind> {
    const call = this.calls.get(name);
    if (call === undefined) throw new Error("no such call");
    return inTime(call, "an outcome");
  }

  private refused(call: string, code: string): Promise<void> {
    return fails(this.outcome(call), (error) => {
      expect(error).toBeInstanceOf(call === "connect" ? EndedError : RefusedError);
      expect((error as RefusedError | EndedError).code).toBe(code);
    });
  }

  private async token(expectedReason: string, token: string): Promise<void> {
    // It is asked for when the wait is over.
    await this.untilReady(this.asked);
    const { reason, give } = await this.asked.take();
    expect(reason).toBe(expectedReason);
    give(token);
  }

  private async told(event: JsonObject): Promise<void> {
    for (;;) {
      const came = await this.events.take();
      if (isTold(event, came)) break;
      this.mayBeTold(came);
    }
    this.optional = [];
  }

  private mayBeTold(event: JsonObject): void {
    const at = this.optional.findIndex((optional) => isTold(optional, event));
    if (at < 0) throw new Error(`${JSON.stringify(event)} is told`);
    this.optional.splice(at, 1);
  }

  /** Lets as much time pass as the client says that it waits, until it does this. */
  private async untilReady(done: Channel<unknown>): Promise<void> {
    while (done.size === 0) {
      await inTime(Promise.race([done.ready(), this.waits.ready()]), "what the client waits for");
      if (this.waits.size > 0) await vi.advanceTimersByTimeAsync(await this.waits.take());
    }
  }

  private async opens(afterMs = 0): Promise<void> {
    await this.untilReady(this.hub.sessions);
    this.session = await this.hub.sessions.take();
    this.waits.clear();
    expect((this.hub.dialledAt.at(-1) ?? 0) - this.endedAt).toBeGreaterThanOrEqual(afterMs);
  }

  private async receives(frame: JsonObject, name?: string, key?: string): Promise<void> {
    const request = read(await this.peer.frames.take(), this.format);
    expect(request.commandId).not.toBe(0);
    if (key !== undefined) {
      const hex = Buffer.from(request.idempotencyKey).toString("hex");
      expect(hex.length / 2).toBeGreaterThanOrEqual(8);
      expect(hex.length / 2).toBeLessThanOrEqual(64);
      expect(hex).toBe(this.keys.get(key) ?? hex);
      this.keys.set(key, hex);
    }
    if (name !== undefined) this.ids.set(name, request.commandId);
    expected(frame, requestJson(request));
  }

  private sends({ frame, raw, to }: Step): void {
    const id = to === undefined ? 0 : this.ids.get(to);
    if (id === undefined) throw new Error("no such command came");
    if ((frame === undefined) === (raw === undefined)) throw new Error("either a frame or its bytes");
    if (frame !== undefined) this.peer.send(written(frame, id, this.format));
    else if (raw !== undefined) this.peer.send(this.format === "json" ? raw.json : bytesOf(raw.binary));
  }

  /** Opens the next session, and has the caller told of it. */
  async accepts(hello: JsonObject = {}, connected: JsonObject = {}, afterMs = 0): Promise<void> {
    await this.opens(afterMs);
    await this.receives({ hello }, "hello");
    this.sends({ do: "sends", frame: { connected: { ...CONNECTED, ...connected } }, to: "hello" });
    await this.told({ connected: { user: "alice" } });
  }

  /** Nothing happens for so long: no event but those that may be, no frame, no session. */
  private async quiet(ms: number): Promise<void> {
    const dialled = this.hub.dialledAt.length;
    await vi.advanceTimersByTimeAsync(ms);
    await this.session?.settled();
    expect(this.hub.dialledAt.length, "the client comes again").toBe(dialled);
    expect(this.session?.frames.size ?? 0, "the client sends").toBe(0);
    while (this.events.size > 0) this.mayBeTold(await this.events.take());
  }
}

/** The wait before the next session is at least what is expected. */
function isTold(expectedEvent: JsonObject, actual: JsonObject): boolean {
  const { afterMs = null, ...how } = (expectedEvent.disconnected ?? {}) as JsonObject;
  if (expectedEvent.disconnected === undefined) return matches(expectedEvent, actual);
  const waits = (actual.disconnected as JsonObject | undefined)?.afterMs ?? -1;
  return matches({ disconnected: how }, actual) && (afterMs === null || Number(waits) >= Number(afterMs));
}

function expected(wanted: JsonObject | undefined, actual: JsonObject): void {
  if (!matches(wanted ?? {}, actual)) throw new Error(`instead of it ${JSON.stringify(actual)}`);
}

async function fails(call: Promise<unknown>, judge: (error: unknown) => void): Promise<void> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) throw new Error(`it is answered: ${outcome.value}`);
  judge(outcome.error);
}
