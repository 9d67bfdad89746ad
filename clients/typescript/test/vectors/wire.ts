// Frames in both forms, as protobuf-es has them: what this library makes of them is not asked here.
import {
  create,
  fromBinary,
  fromJson,
  fromJsonString,
  type JsonObject,
  toBinary,
  toJson,
  toJsonString,
} from "@bufbuild/protobuf";
import {
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "../../src/gen/carillon/v1/session_pb.js";
import type { Format } from "../../src/wire/codec.js";

export const FORMATS: readonly Format[] = ["binary", "json"];

export function bytesOf(hex: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/.test(hex)) throw new Error(`${hex} is not hexadecimal`);
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** A command that a caller sends. */
export function commandOf(json: JsonObject): SessionRequest {
  return fromJson(SessionRequestSchema, json);
}

/** A frame of the hub. */
export function written(json: JsonObject, commandId: number, format: Format): Uint8Array | string {
  const frame = fromJson(SessionResponseSchema, json);
  frame.commandId ||= commandId;
  return format === "json"
    ? toJsonString(SessionResponseSchema, frame)
    : toBinary(SessionResponseSchema, frame);
}

/** A frame of the client, which must be of the format's kind and hold nothing that is not known. */
export function read(data: Uint8Array | string, format: Format): SessionRequest {
  if ((typeof data === "string") !== (format === "json")) throw new Error("a frame of the other form");
  return typeof data === "string"
    ? fromJsonString(SessionRequestSchema, data)
    : fromBinary(SessionRequestSchema, data);
}

export function requestJson(request: SessionRequest): JsonObject {
  return toJson(SessionRequestSchema, request) as JsonObject;
}

/** A reply or push, as the client has it, in the canonical JSON. */
export function kindJson(kind: SessionResponse["kind"]): JsonObject {
  return toJson(SessionResponseSchema, create(SessionResponseSchema, { kind } as never)) as JsonObject;
}
