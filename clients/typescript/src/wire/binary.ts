/** The binary form of a message. Unknown fields are passed over, as protobuf asks. */
import { Reader, WireError, Writer } from "./bytes.js";
import {
  defaultOf,
  emptyMessage,
  type Field,
  type Fields,
  type FieldType,
  getValue,
  isDefault,
  type MessageType,
  messageType,
  setValue,
} from "./table.js";

const VARINT = 0;
const DELIMITED = 2;
const FIXED32 = 5;

/** Encodes a message, or what stands for one with fields left out. */
export function encodeBinary(type: MessageType, message: Fields): Uint8Array {
  const writer = new Writer();
  for (const field of type.fields) {
    const value = getValue(message, field);
    if (value === undefined) continue;
    if (field.holds === "list") writeList(writer, field, value as readonly unknown[]);
    else if (field.holds === "map") writeMap(writer, field, value as Fields);
    else if (field.presence || field.type.is === "message" || !isDefault(value)) {
      writeValue(writer, field.number, field.type, value);
    }
  }
  return writer.finish();
}

/** Decodes a message. Throws `WireError` where the bytes are none. */
export function decodeBinary(type: MessageType, bytes: Uint8Array): Fields {
  return decodeInto(emptyMessage(type), type, bytes);
}

/** Reads what a message's bytes say of it over what is known already. */
function decodeInto(message: Fields, type: MessageType, bytes: Uint8Array): Fields {
  const reader = new Reader(bytes);
  while (!reader.atEnd) {
    const tag = reader.uint32();
    const field = type.byNumber.get(tag >>> 3);
    if (field === undefined) reader.skip(tag & 7);
    else readField(reader, message, field, tag & 7);
  }
  return message;
}

function writeList(writer: Writer, field: Field, values: readonly unknown[]): void {
  if (values.length === 0) return;
  if (wireTypeOf(field.type) === DELIMITED) {
    for (const value of values) writeValue(writer, field.number, field.type, value);
    return;
  }
  const packed = new Writer();
  for (const value of values) writeBare(packed, field.type, value);
  writer.uint32((field.number << 3) | DELIMITED);
  writer.delimited(packed.finish());
}

function writeMap(writer: Writer, field: Field, map: Fields): void {
  for (const [key, value] of Object.entries(map)) {
    const entry = new Writer();
    entry.uint32((1 << 3) | DELIMITED);
    entry.string(key);
    writeValue(entry, 2, field.type, value);
    writer.uint32((field.number << 3) | DELIMITED);
    writer.delimited(entry.finish());
  }
}

function writeValue(writer: Writer, number: number, type: FieldType, value: unknown): void {
  writer.uint32((number << 3) | wireTypeOf(type));
  writeBare(writer, type, value);
}

function writeBare(writer: Writer, type: FieldType, value: unknown): void {
  if (type.is === "message") {
    writer.delimited(encodeBinary(messageType(type.name), value as Fields));
  } else if (type.is === "enum") {
    writer.uint32(value as number);
  } else {
    writeScalar(writer, type.letter, value);
  }
}

function writeScalar(writer: Writer, letter: string, value: unknown): void {
  if (letter === "s") writer.string(value as string);
  else if (letter === "y") writer.delimited(value as Uint8Array);
  else if (letter === "b") writer.uint32(value === true ? 1 : 0);
  else if (letter === "f") writer.fixed32(value as number);
  else if (letter === "u") writer.uint32(value as number);
  else writer.uint64(BigInt(value as bigint));
}

function readField(reader: Reader, message: Fields, field: Field, wireType: number): void {
  const expected = wireTypeOf(field.type);
  if (field.holds === "map") {
    const [key, value] = readEntry(reader, field.type);
    (message[field.name] as Fields)[key] = value;
  } else if (field.holds === "list") {
    const list = message[field.name] as unknown[];
    if (wireType !== DELIMITED || expected === DELIMITED) {
      list.push(readValue(reader, field.type));
      return;
    }
    const packed = new Reader(reader.delimited());
    while (!packed.atEnd) list.push(readValue(packed, field.type));
  } else if (wireType !== expected) {
    throw new WireError(`wire type ${wireType} for ${field.name}`);
  } else if (field.type.is === "message") {
    // One that comes in pieces is the sum of them.
    const type = messageType(field.type.name);
    const known = (getValue(message, field) as Fields | undefined) ?? emptyMessage(type);
    setValue(message, field, decodeInto(known, type, reader.delimited()));
  } else {
    setValue(message, field, readValue(reader, field.type));
  }
}

function readEntry(reader: Reader, type: FieldType): [string, unknown] {
  const entry = new Reader(reader.delimited());
  let key = "";
  let value = defaultOf(type);
  while (!entry.atEnd) {
    const tag = entry.uint32();
    if (tag >>> 3 === 1) key = entry.string();
    else if (tag >>> 3 === 2) value = readValue(entry, type);
    else entry.skip(tag & 7);
  }
  return [key, value];
}

function readValue(reader: Reader, type: FieldType): unknown {
  if (type.is === "message") return decodeBinary(messageType(type.name), reader.delimited());
  if (type.is === "enum") return reader.uint32() | 0;
  switch (type.letter) {
    case "s":
      return reader.string();
    case "y":
      // A copy: what the caller keeps must not hold the whole frame.
      return reader.delimited().slice();
    case "b":
      return reader.uint64() !== 0n;
    case "l":
      return reader.uint64();
    case "i":
      return BigInt.asIntN(64, reader.uint64());
    case "f":
      return reader.fixed32();
    default:
      return reader.uint32();
  }
}

function wireTypeOf(type: FieldType): number {
  if (type.is === "message") return DELIMITED;
  if (type.is === "enum") return VARINT;
  return type.letter === "s" || type.letter === "y" ? DELIMITED : type.letter === "f" ? FIXED32 : VARINT;
}
