// Makes src/gen from the protocol's files: the types by protobuf-es, and the table that src/wire reads.
// With --check: fails where what is committed differs from what would be made.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createFileRegistry, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const PROTO = join(PACKAGE, "../../proto");
const ROOT = "carillon/v1/session.proto";
const SCALARS = {
  [ScalarType.STRING]: "s",
  [ScalarType.BYTES]: "y",
  [ScalarType.BOOL]: "b",
  [ScalarType.UINT32]: "u",
  [ScalarType.UINT64]: "l",
  [ScalarType.INT64]: "i",
  [ScalarType.FIXED32]: "f",
};

function buf(...args) {
  return execFileSync(join(PACKAGE, "node_modules/.bin/buf"), args, { cwd: PACKAGE, maxBuffer: 1 << 26 });
}

// The type of a field as the table writes it: a scalar's letter, `#Enum` or `Message`.
function typeOf(field) {
  const kind =
    field.fieldKind === "list" ? field.listKind : field.fieldKind === "map" ? field.mapKind : field.fieldKind;
  if (kind === "message") return field.message.name;
  if (kind === "enum") return `#${field.enum.name}`;
  const letter = SCALARS[field.scalar];
  if (letter === undefined) throw new Error(`${field}: this scalar is not in the table's language`);
  return letter;
}

function suffixOf(field) {
  if (field.fieldKind === "list") return "*";
  if (field.fieldKind === "map") {
    if (field.mapKey !== ScalarType.STRING) throw new Error(`${field}: only maps by string`);
    return "%";
  }
  if (field.oneof) return `@${field.oneof.localName}`;
  return field.proto.proto3Optional ? "?" : "";
}

function lineOf(message) {
  const fields = message.fields.map((field) => {
    if (field.localName !== field.jsonName) throw new Error(`${field}: its JSON name differs`);
    return `${field.number} ${field.localName} ${typeOf(field)}${suffixOf(field)}`;
  });
  return `${message.name}:${fields.join(",")}`;
}

function lineOfEnum(type) {
  if (type.values.some((value, index) => value.number !== index)) {
    throw new Error(`${type}: its numbers are not 0, 1, 2, ...`);
  }
  return `#${type.name}:${type.values.map((value) => value.name).join(",")}`;
}

function table() {
  const image = buf("build", PROTO, "--path", join(PROTO, ROOT), "-o", "-");
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
  const lines = [...registry.files].flatMap((file) => [
    ...file.messages.map(lineOf),
    ...file.enums.map(lineOfEnum),
  ]);
  return [
    "// Made by scripts/generate.mjs from proto/. Do not edit.",
    "",
    "/** The messages and enums of a session, in the language that wire/table.ts explains. */",
    `export const TABLE: string = \`\n${lines.join("\n")}\n\`;`,
    "",
  ].join("\n");
}

function make(out) {
  // protobuf-es writes into <out>/carillon/v1.
  buf("generate", "--template", templateFor(out));
  writeFileSync(join(out, "table.ts"), table());
}

function templateFor(out) {
  const template = readFileSync(join(PACKAGE, "buf.gen.yaml"), "utf8");
  return template.replace("out: src/gen", `out: ${JSON.stringify(out)}`);
}

function filesIn(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath ?? file.path, file.name);
      return [path.slice(folder.length), readFileSync(path, "utf8")];
    }),
  );
}

function check() {
  const fresh = mkdtempSync(join(tmpdir(), "carillon-gen-"));
  try {
    make(fresh);
    const [made, committed] = [filesIn(fresh), filesIn(join(PACKAGE, "src/gen"))];
    const paths = new Set([...made.keys(), ...committed.keys()]);
    const stale = [...paths].filter((path) => made.get(path) !== committed.get(path));
    if (stale.length > 0)
      throw new Error(`src/gen is not current: run npm run generate (${stale.join(", ")})`);
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

if (process.argv.includes("--check")) {
  check();
  console.log("src/gen is current");
} else {
  make(join(PACKAGE, "src/gen"));
}
