// The vectors, read so that a field or a step that is not known here fails.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "@bufbuild/protobuf";

const FOLDER = fileURLToPath(new URL("../../../../tests/vectors", import.meta.url));

/** Frames as written: hexadecimal digits, and texts. */
export interface Forms {
  readonly binary?: readonly string[];
  readonly json?: readonly string[];
}

/** A frame, and what a client makes of it. */
export interface FrameVector {
  readonly name: string;
  readonly type: "SessionRequest" | "SessionResponse";
  readonly client: "sends" | "tells" | "answers" | "deals" | "ignores" | "ends";
  /** The command that a reply answers. */
  readonly call?: JsonObject;
  readonly json: JsonObject;
  readonly binary: string;
  readonly same?: Forms;
  readonly wrong?: Forms;
}

/** A step of a script. */
export type Step = { readonly do: keyof typeof STEPS } & {
  readonly command?: JsonObject;
  readonly as?: string;
  readonly call?: string;
  readonly with?: JsonObject;
  readonly code?: string;
  readonly reason?: string;
  readonly give?: string;
  readonly event?: JsonObject;
  readonly optional?: boolean;
  readonly afterMs?: number;
  readonly frame?: JsonObject;
  readonly key?: string;
  readonly raw?: { readonly binary: string; readonly json: string };
  readonly to?: string;
  readonly hello?: JsonObject;
  readonly connected?: JsonObject;
  readonly ms?: number;
};

/** A part of a session's life. */
export interface Script {
  readonly name: string;
  readonly why: string;
  readonly each?: readonly string[];
  readonly steps: readonly Step[];
}

/** What each step may say. */
const STEPS = {
  connect: [],
  call: ["command", "as"],
  close: [],
  answered: ["call", "with"],
  refused: ["call", "code"],
  ended: ["call"],
  token: ["reason", "give"],
  told: ["event", "optional"],
  opens: ["afterMs"],
  receives: ["frame", "as", "key"],
  sends: ["frame", "raw", "to"],
  accepts: ["hello", "connected", "afterMs"],
  breaks: [],
  ends: ["code"],
  left: [],
  quiet: ["ms"],
  passes: ["ms"],
} as const;

const PARTS = ["sends", "tells", "answers", "deals", "ignores", "ends"];
const FRAME = ["name", "type", "client", "call", "json", "binary", "same", "wrong"];

function only(what: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`${what}: ${unknown.join(", ")} is not known`);
}

function all<T>(folder: string): T[] {
  const names = readdirSync(join(FOLDER, folder)).sort();
  return names.flatMap((name) => JSON.parse(readFileSync(join(FOLDER, folder, name), "utf8")) as T[]);
}

/** Refuses what is not known here. */
export function checkedFrame(vector: FrameVector): FrameVector {
  only(vector.name, vector, FRAME);
  for (const forms of [vector.same, vector.wrong]) only(vector.name, forms ?? {}, ["binary", "json"]);
  if (!PARTS.includes(vector.client)) throw new Error(`${vector.name}: ${vector.client} is not known`);
  return vector;
}

/** Refuses what is not known here. */
export function checkedScript(script: Script): Script {
  only(script.name, script, ["name", "why", "each", "steps"]);
  for (const step of script.steps) {
    const known = STEPS[step.do];
    if (known === undefined) throw new Error(`${script.name}: no step ${step.do}`);
    only(`${script.name}, ${step.do}`, step, ["do", ...known]);
    only(`${script.name}, ${step.do}`, step.raw ?? {}, ["binary", "json"]);
  }
  return script;
}

/** All frames. */
export function frames(): FrameVector[] {
  return all<FrameVector>("frames").map(checkedFrame);
}

/** The scripts, one for each value of `each`. */
export function scripts(): Script[] {
  const scripts = all<Script>("sessions").map(checkedScript);
  return scripts.flatMap((script) => script.each?.map((value) => once(script, value)) ?? [script]);
}

function once(script: Script, value: string): Script {
  const steps = JSON.parse(JSON.stringify(script.steps).replaceAll("$each", value)) as Step[];
  return { ...script, name: `${script.name}: ${value}`, steps };
}

/** Whether all that is expected is there. `null` expects that there is nothing; lists are of one length. */
export function matches(expected: unknown, actual: unknown): boolean {
  if (expected === null) return actual === undefined || actual === null;
  if (Array.isArray(expected)) {
    const isAsLong = Array.isArray(actual) && actual.length === expected.length;
    return isAsLong && expected.every((item, at) => matches(item, actual[at]));
  }
  if (typeof expected !== "object") return expected === actual;
  if (typeof actual !== "object" || actual === null || Array.isArray(actual)) return false;
  return Object.entries(expected).every(([name, value]) => matches(value, (actual as JsonObject)[name]));
}
