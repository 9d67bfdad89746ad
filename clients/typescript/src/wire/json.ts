/**
 * The canonical JSON form of a message: lowerCamelCase names, 64-bit numbers as strings, bytes in base64, enums by name.
 * What is not known is ignored.
 */
import { WireError } from "./bytes.js";
import {
  emptyMessage,
  enumNames,
  type Field,
  type Fields,
  type FieldType,
  getValue,
  isDefault,
  type MessageType,
  messageType,
  setValue,
} from "./table.js";

/** Encodes a message, or what stands for one with fields left out. */
export function encodeJson(type: MessageType, message: Fields): Fields {
  const json: Fields = {};
  for (const field of type.fields) {
    const value = getValue(message, field);
    if (value === undefined) continue;
    if (field.holds === "list") {
      const list = value as readonly unknown[];
      if (list.length > 0) json[field.name] = list.map((item) => toJson(field.type, item));
    } else if (field.holds === "map") {
      const entries = Object.entries(value as Fields);
      const converted = entries.map(([key, item]) => [key, toJson(field.type, item)] as const);
      if (entries.length > 0) json[field.name] = Object.fromEntries(converted);
    } else if (field.presence || field.type.is === "message" || !isDefault(value)) {
      json[field.name] = toJson(field.type, value);
    }
  }
  return json;
}

/** Decodes what `JSON.parse` gave. Throws `WireError` where it is no such message. */
export function decodeJson(type: MessageType, json: unknown): Fields {
  if (!isObject(json)) throw new WireError(`${type.name} is no object`);
  const message = emptyMessage(type);
  for (const field of type.fields) {
    const value = json[field.name];
    if (value !== undefined && value !== null) readField(message, field, value);
  }
  return message;
}

function readField(message: Fields, field: Field, value: unknown): void {
  if (field.holds === "list") {
    if (!Array.isArray(value)) throw new WireError(`${field.name} is no list`);
    const items = value.map((item) => fromJson(field.type, item));
    message[field.name] = items.filter((item) => item !== undefined);
  } else if (field.holds === "map") {
    if (!isObject(value)) throw new WireError(`${field.name} is no map`);
    const entries = Object.entries(value);
    message[field.name] = Object.fromEntries(entries.map(([key, item]) => [key, fromJson(field.type, item)]));
  } else {
    const read = fromJson(field.type, value);
    if (read !== undefined) setValue(message, field, read);
  }
}

function toJson(type: FieldType, value: unknown): unknown {
  if (type.is === "message") return encodeJson(messageType(type.name), value as Fields);
  if (type.is === "enum") return enumNames(type.name)[value as number] ?? value;
  if (type.letter === "l" || type.letter === "i") return String(value);
  return type.letter === "y" ? toBase64(value as Uint8Array) : value;
}

/** `undefined`: an enum's value that this version does not know. */
function fromJson(type: FieldType, value: unknown): unknown {
  if (type.is === "message") return decodeJson(messageType(type.name), value);
  if (type.is === "enum") {
    if (Number.isInteger(value)) return value;
    const number = enumNames(type.name).indexOf(text(value));
    return number < 0 ? undefined : number;
  }
  switch (type.letter) {
    case "l":
    case "i":
      return toBigInt(value);
    case "u":
    case "f":
      return toUint32(value);
    case "y":
      return fromBase64(text(value));
    case "b":
      if (typeof value !== "boolean") throw new WireError("neither true nor false");
      return value;
    default:
      return text(value);
  }
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new WireError("no text");
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function toBigInt(value: unknown): bigint {
  const isNumber = typeof value === "string" ? /^-?\d+$/.test(value) : Number.isInteger(value);
  if (!isNumber) throw new WireError("no number");
  return BigInt(value as string | number);
}

function toUint32(value: unknown): number {
  const number = toBigInt(value);
  if (number !== BigInt.asUintN(32, number)) throw new WireError("no number of 32 bits");
  return Number(number);
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    throw new WireError("no base64");
  }
}
