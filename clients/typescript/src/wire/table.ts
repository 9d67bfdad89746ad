/**
 * What the codecs know of the protocol: the messages of a session, read from a compact table that the proto files make.
 *
 * protobuf-es gives the types; its runtime with descriptors is larger than this whole library may be. So a message is
 * a line, `Name:number field type,...`. A type is a scalar's letter (s string, y bytes, b bool, u uint32, l uint64, i
 * int64, f fixed32), `#Enum` or `Message`; then `*` repeated, `%` a map by string, `?` presence, `@name` of a oneof. An
 * enum is `#Name:VALUE,...`, numbered from 0. `test/unit/wire.test.ts` compares both codecs with protobuf-es.
 */
import { TABLE } from "../gen/table.js";

/** A field's value before encoding, or after decoding. Its type is protobuf-es's; the table knows it at run time. */
export type Fields = Record<string, unknown>;

/** What a field's value is. */
export type FieldType =
  | { readonly is: "scalar"; readonly letter: string }
  | { readonly is: "enum"; readonly name: string }
  | { readonly is: "message"; readonly name: string };

/** A field of a message. */
export interface Field {
  readonly number: number;
  readonly name: string;
  readonly type: FieldType;
  /** One value, a list, or a map by string. */
  readonly holds: "one" | "list" | "map";
  /** Whether absence differs from the default value. */
  readonly presence: boolean;
  /** The oneof that the field belongs to. */
  readonly oneof: string | undefined;
}

/** A message of the protocol. */
export interface MessageType {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly byNumber: ReadonlyMap<number, Field>;
}

interface Table {
  readonly messages: ReadonlyMap<string, MessageType>;
  readonly enums: ReadonlyMap<string, readonly string[]>;
}

let parsed: Table | undefined;

/** The message of this name, without its package. */
export function messageType(name: string): MessageType {
  const type = table().messages.get(name);
  if (type === undefined) throw new TypeError(`no message ${name}`);
  return type;
}

/** The names of an enum's values; the index is the number. */
export function enumNames(name: string): readonly string[] {
  return table().enums.get(name) ?? [];
}

/** A message with every field at its default, as protobuf-es makes them. */
export function emptyMessage(type: MessageType): Fields {
  const message: Fields = { $typeName: `carillon.v1.${type.name}` };
  for (const field of type.fields) {
    if (field.oneof !== undefined) message[field.oneof] = { case: undefined };
    else if (field.holds === "list") message[field.name] = [];
    else if (field.holds === "map") message[field.name] = {};
    else if (!field.presence && field.type.is !== "message") message[field.name] = defaultOf(field.type);
  }
  return message;
}

/** What a field of this type is when nothing was sent. */
export function defaultOf(type: FieldType): unknown {
  if (type.is === "message") return emptyMessage(messageType(type.name));
  if (type.is === "enum") return 0;
  switch (type.letter) {
    case "s":
      return "";
    case "y":
      return new Uint8Array();
    case "b":
      return false;
    case "l":
    case "i":
      return 0n;
    default:
      return 0;
  }
}

/** Whether a value is what nothing sent stands for, so that it needs no place in a frame. */
export function isDefault(value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === undefined || value === "" || value === false || value === 0 || value === 0n;
}

/** The value of a field in a message, through its oneof. `undefined`: not set. */
export function getValue(message: Fields, field: Field): unknown {
  if (field.oneof === undefined) return message[field.name];
  const chosen = message[field.oneof] as { case?: string; value?: unknown } | undefined;
  return chosen?.case === field.name ? chosen.value : undefined;
}

/** Sets a field that holds one value. */
export function setValue(message: Fields, field: Field, value: unknown): void {
  if (field.oneof === undefined) message[field.name] = value;
  else message[field.oneof] = { case: field.name, value };
}

function table(): Table {
  parsed ??= parse(TABLE);
  return parsed;
}

function parse(text: string): Table {
  const messages = new Map<string, MessageType>();
  const enums = new Map<string, readonly string[]>();
  for (const line of text.trim().split("\n")) {
    const [name = "", rest = ""] = line.split(":");
    if (name.startsWith("#")) {
      enums.set(name.slice(1), rest.split(","));
      continue;
    }
    const fields = rest === "" ? [] : rest.split(",").map(parseField);
    messages.set(name, { name, fields, byNumber: new Map(fields.map((field) => [field.number, field])) });
  }
  return { messages, enums };
}

function parseField(text: string): Field {
  const [number = "", name = "", rest = ""] = text.split(" ");
  const [, type = "", suffix = "", oneof] = /^([#\w]+)([*%?]?)@?(.*)$/.exec(rest) ?? [];
  return {
    number: Number(number),
    name,
    type: parseType(type),
    holds: suffix === "*" ? "list" : suffix === "%" ? "map" : "one",
    presence: suffix === "?" || oneof !== "",
    oneof: oneof === "" ? undefined : oneof,
  };
}

function parseType(text: string): FieldType {
  if (text.startsWith("#")) return { is: "enum", name: text.slice(1) };
  if (text.length === 1) return { is: "scalar", letter: text };
  return { is: "message", name: text };
}
