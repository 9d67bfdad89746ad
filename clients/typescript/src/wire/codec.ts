/** The two forms of a session's frames, and the sub-protocols that name them. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SessionRequestSchema, SessionResponse } from "../gen/carillon/v1/session_pb.js";
import { decodeBinary, encodeBinary } from "./binary.js";
import { WireError } from "./bytes.js";
import { decodeJson, encodeJson } from "./json.js";
import { type Fields, messageType } from "./table.js";

/** How frames are written: `binary` is smaller and faster, `json` can be read in a browser's network panel. */
export type Format = "binary" | "json";

/** A frame to the hub, with fields left out where they are at their defaults. */
export type RequestFrame = MessageInitShape<typeof SessionRequestSchema>;

/** One form of frames. */
export interface Codec {
  /** The WebSocket sub-protocol. */
  readonly protocol: string;
  encode(request: RequestFrame): Uint8Array<ArrayBuffer> | string;
  /** Throws `WireError` where the data is no frame of this form. */
  decode(data: unknown): SessionResponse;
}

/** How large a frame is, as the hub counts. */
export function byteLength(data: Uint8Array | string): number {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
}

/** The codec of a format. */
export function codecFor(format: Format): Codec {
  return format === "json" ? json : binary;
}

const binary: Codec = {
  protocol: "carillon.v1.proto",
  encode: (request) =>
    encodeBinary(messageType("SessionRequest"), request as Fields) as Uint8Array<ArrayBuffer>,
  decode: (data) => {
    if (!(data instanceof ArrayBuffer)) throw new WireError("a text frame on the binary protocol");
    return decodeBinary(messageType("SessionResponse"), new Uint8Array(data)) as unknown as SessionResponse;
  },
};

const json: Codec = {
  protocol: "carillon.v1.json",
  encode: (request) => JSON.stringify(encodeJson(messageType("SessionRequest"), request as Fields)),
  decode: (data) => {
    if (typeof data !== "string") throw new WireError("a binary frame on the JSON protocol");
    return decodeJson(messageType("SessionResponse"), parse(data)) as unknown as SessionResponse;
  },
};

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new WireError("no JSON");
  }
}
