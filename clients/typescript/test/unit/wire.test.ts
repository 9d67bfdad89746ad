// Both codecs against protobuf-es, over random messages of every type.
import {
  create,
  type DescField,
  type DescFile,
  type DescMessage,
  fromBinary,
  fromJson,
  type Message,
  ScalarType,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  file_carillon_v1_session,
  SessionRequestSchema,
  SessionResponseSchema,
} from "../../src/gen/carillon/v1/session_pb.js";
import { decodeBinary, encodeBinary } from "../../src/wire/binary.js";
import { WireError } from "../../src/wire/bytes.js";
import { codecFor } from "../../src/wire/codec.js";
import { decodeJson, encodeJson } from "../../src/wire/json.js";
import { type Fields, messageType } from "../../src/wire/table.js";
import { randomFrom } from "./random.js";

const ROUNDS = 60;

function allMessages(file: DescFile = file_carillon_v1_session): DescMessage[] {
  const all = [...file.messages, ...file.dependencies.flatMap((imported) => allMessages(imported))];
  return [...new Set(all)];
}

const random = randomFrom(20);
const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;

function scalar(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return pick(["", "a", "grüße 👋", 'quote " and \\', "x".repeat(200)]);
    case ScalarType.BYTES:
      return Uint8Array.from({ length: random(40) }, () => random(256));
    case ScalarType.BOOL:
      return random(2) === 1;
    case ScalarType.UINT64:
      return pick([0n, 1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 64n - 1n]);
    case ScalarType.INT64:
      return pick([0n, 1n, -1n, 1_700_000_000_000n, 2n ** 63n - 1n, -(2n ** 63n)]);
    default:
      return pick([0, 1, 127, 128, 65_536, 2 ** 31, 2 ** 32 - 1]);
  }
}

function single(field: DescField & { scalar?: ScalarType }, depth: number): unknown {
  if (field.message) return sample(field.message, depth + 1);
  if (field.enum) return pick(field.enum.values).number;
  return scalar(field.scalar as ScalarType);
}

function getValue(field: DescField, depth: number): unknown {
  const of = () => single(field as DescField & { scalar?: ScalarType }, depth);
  if (field.fieldKind === "list") return Array.from({ length: random(4) }, of);
  if (field.fieldKind === "map")
    return Object.fromEntries(Array.from({ length: random(4) }, (_, at) => [`k${at}`, of()]));
  return of();
}

/** A random message; fields are left out half of the time, and always below the fourth level. */
function sample(type: DescMessage, depth = 0): Message {
  const init: Record<string, unknown> = {};
  for (const member of type.members) {
    if (random(2) === 0 || depth > 3) continue;
    if (member.kind === "oneof") {
      const field = pick(member.fields);
      init[member.localName] = { case: field.localName, value: getValue(field, depth) };
    } else {
      init[member.localName] = getValue(member, depth);
    }
  }
  return create(type, init as never);
}

describe.each(allMessages().map((type) => [type.name, type] as const))("%s", (name, type) => {
  const ours = messageType(name);
  const samples = Array.from({ length: ROUNDS }, () => sample(type));

  test("what we write, protobuf-es reads", () => {
    for (const message of samples) {
      const fields = message as unknown as Fields;
      expect(fromBinary(type, encodeBinary(ours, fields))).toEqual(message);
      expect(fromJson(type, encodeJson(ours, fields) as never)).toEqual(message);
    }
  });

  test("what protobuf-es writes, we read as it does", () => {
    for (const message of samples) {
      expect({ ...decodeBinary(ours, toBinary(type, message)) }).toEqual(message);
      expect({ ...decodeJson(ours, JSON.parse(JSON.stringify(toJson(type, message)))) }).toEqual(message);
    }
  });
});

test("the table names every message of a session", () => {
  expect(allMessages().length).toBeGreaterThan(60);
});

test("commands may be written with fields left out", () => {
  const command = { commandId: 7, command: { case: "join", value: { room: "room:a" } } } as const;
  const bytes = codecFor("binary").encode(command) as Uint8Array;
  expect(fromBinary(SessionRequestSchema, bytes)).toEqual(create(SessionRequestSchema, command));
  expect(codecFor("json").encode(command)).toBe('{"commandId":7,"join":{"room":"room:a"}}');
});

test("fields and values of a newer hub are passed over", () => {
  const typing = create(SessionResponseSchema, {
    kind: { case: "typing", value: { room: "room:a", active: true } },
  });
  const known = toBinary(SessionResponseSchema, typing);
  // Field 2000: a varint, eight bytes, a string, four bytes.
  const unknown = [
    0x80, 0x7d, 5, 0x81, 0x7d, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0x7d, 2, 65, 66, 0x85, 0x7d, 1, 2, 3, 4,
  ];
  const frame = Uint8Array.from([...unknown, ...known, ...unknown]);
  expect({ ...codecFor("binary").decode(frame.buffer) }).toEqual(typing);
  const text = '{"later":{"x":1},"typing":{"room":"room:a","active":true,"more":[1]}}';
  expect({ ...codecFor("json").decode(text) }).toEqual(typing);
  const presence = '{"presence":{"room":"room:a","reason":"PRESENCE_REASON_LATER"}}';
  expect(codecFor("json").decode(presence).kind).toMatchObject({ case: "presence", value: { reason: 0 } });
});

test("64-bit numbers may be numbers", () => {
  const message = decodeJson(messageType("Position"), { epoch: 5, seq: "9007199254740993" });
  expect(message).toMatchObject({ epoch: 5n, seq: 9_007_199_254_740_993n });
});

test("what is no frame says so", () => {
  const binary = codecFor("binary");
  for (const bytes of [
    [0x0a, 5, 1],
    [0x08],
    [0x08, ...Array<number>(11).fill(0xff)],
    [0x0b],
    [0x12, 1, 0x0d],
  ]) {
    expect(() => binary.decode(Uint8Array.from(bytes).buffer), String(bytes)).toThrow(WireError);
  }
  expect(() => binary.decode("{}")).toThrow(WireError);
  for (const text of [
    "",
    "[]",
    "3",
    '{"connected":5}',
    '{"message":{"number":"x"}}',
    '{"message":{"reactions":{}}}',
  ]) {
    expect(() => codecFor("json").decode(text), text).toThrow(WireError);
  }
  expect(() => codecFor("json").decode(new ArrayBuffer(2))).toThrow(WireError);
});
