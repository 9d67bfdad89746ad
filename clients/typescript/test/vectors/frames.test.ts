// Frames: the client makes of each, over a real socket and in both forms, what its vector says.
import type { JsonObject } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RefusedError } from "../../src/errors.js";
import { codecFor, type Format } from "../../src/wire/codec.js";
import { type FrameVector, frames } from "./files.js";
import { Play } from "./play.js";
import { bytesOf, commandOf, FORMATS, kindJson, read, requestJson, written } from "./wire.js";

let playing: Play | undefined;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  playing?.end();
  vi.useRealTimers();
});

/** The vectors with this part of a client, each for `test.each`. */
function those(client: FrameVector["client"]): (readonly [string, FrameVector])[] {
  const found = frames().filter((vector) => vector.client === client);
  return found.map((vector) => [vector.name, vector] as const);
}

/** The frame as the hub writes it, and as it may be written. */
function ways({ json, binary, same }: FrameVector, format: Format): (Uint8Array | string)[] {
  if (format === "json") return [JSON.stringify(json), ...(same?.json ?? [])];
  return [binary, ...(same?.binary ?? [])].map(bytesOf);
}

function wrongs({ wrong }: FrameVector, format: Format): (Uint8Array | string)[] {
  return format === "json" ? [...(wrong?.json ?? [])] : (wrong?.binary ?? []).map(bytesOf);
}

function withoutId({ json }: FrameVector): JsonObject {
  const { commandId: _, ...kind } = json;
  return kind;
}

async function open(format: Format): Promise<Play> {
  playing?.end();
  playing = await Play.begin(format);
  playing.connect();
  await playing.accepts();
  return playing;
}

/** The same frame as an answer: of a field that stands twice the last counts. */
function answering(frame: Uint8Array | string, id: number): Uint8Array | string {
  if (typeof frame === "string") return JSON.stringify({ ...JSON.parse(frame), commandId: id });
  return Uint8Array.from([...frame, 0x08, id]);
}

describe.each(FORMATS)("%s", (format) => {
  test.each(those("tells"))("the client tells its caller: %s", async (_, vector) => {
    for (const way of ways(vector, format)) {
      const { peer, events } = await open(format);
      peer.send(way);
      expect(await events.take(), String(way)).toEqual(withoutId(vector));
    }
  });

  test.each(those("answers"))("the client answers its caller: %s", async (_, vector) => {
    for (const way of ways(vector, format)) {
      const { peer, client } = await open(format);
      const call = client.call(commandOf(vector.call ?? {}).command as never);
      const answer = call.then(kindJson, (error) => refused(error, vector));
      const asked = read(await peer.frames.take(), format);
      peer.send(answering(way, asked.commandId));
      expect(await answer, String(way)).toEqual(withoutId(vector));
    }
  });

  test.each(those("ignores"))("the client ignores: %s", async (_, vector) => {
    for (const way of ways(vector, format)) {
      const { peer, events } = await open(format);
      const marker = { occupancy: { room: "room:marker", count: 1 } };
      peer.send(way);
      peer.send(written(marker, 0, format));
      expect(await events.take(), String(way)).toEqual(marker);
    }
  });

  test.each(those("ends"))("the client ends the session and opens another: %s", async (_, vector) => {
    for (const way of wrongs(vector, format)) {
      const play = await open(format);
      play.peer.send(way);
      const event = await play.events.take();
      expect(event, String(way)).toMatchObject({ disconnected: { reconnect: true } });
      await play.accepts();
    }
  });

  test.each(those("sends"))("the client sends: %s", async (_, vector) => {
    const { peer, client } = await open(format);
    const request = commandOf(vector.json);
    const key = request.idempotencyKey;
    void client.call(request.command as never, { ...(key.length > 0 && { key }) }).catch(() => {});
    const asked = read(await peer.frames.take(), format);
    const sent = { ...asked, commandId: request.commandId, idempotencyKey: key };
    expect(requestJson(sent)).toEqual(vector.json);
  });

  test("what is written is what the vectors have", () => {
    const requests = frames().filter(({ type }) => type === "SessionRequest");
    expect(requests.length).toBeGreaterThan(30);
    for (const { name, json, binary } of requests) {
      const data = codecFor(format).encode(commandOf(json) as never);
      if (typeof data === "string") expect(JSON.parse(data), name).toEqual(json);
      else expect(Buffer.from(data).toString("hex"), name).toBe(binary);
    }
  });
});

/** An error as the caller has it: its message begins with the code, and when it happened, the caller is not told. */
function refused(error: unknown, { json }: FrameVector): JsonObject {
  if (!(error instanceof RefusedError)) throw error;
  const { code, requestId, retryable, retryAfterMs, violations } = error;
  const message = error.message.replace(code, "").replace(/^: /, "");
  const timeMs = BigInt((json.error as { timeMs?: string }).timeMs ?? 0);
  const value = { code, message, timeMs, requestId, retryable, retryAfterMs, violations };
  return kindJson({ case: "error", value } as never);
}
