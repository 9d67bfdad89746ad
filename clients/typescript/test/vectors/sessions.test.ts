// A session's life: each script, played over a real socket in both forms.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkedFrame, checkedScript, scripts } from "./files.js";
import { Play } from "./play.js";
import { FORMATS } from "./wire.js";

let playing: Play | undefined;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  playing?.end();
  vi.useRealTimers();
});

test("there are scripts", () => {
  expect(scripts().length).toBeGreaterThan(80);
});

test("what is not known here is refused", () => {
  const step = (step: object) => checkedScript({ name: "one", why: "to see", steps: [step] } as never);
  expect(() => step({ do: "quiet", ms: 1 })).not.toThrow();
  for (const unknown of [
    { do: "dances" },
    { do: "breaks", ms: 1 },
    { do: "sends", raw: { binary: "", json: "{}", text: "" } },
    { ms: 1 },
  ]) {
    expect(() => step(unknown), JSON.stringify(unknown)).toThrow();
  }
  const frame = { name: "one", type: "SessionRequest", client: "deals", json: {}, binary: "" } as const;
  expect(() => checkedFrame(frame)).not.toThrow();
  for (const unknown of [{ client: "drops" }, { title: "one" }, { same: { text: [] } }])
    expect(() => checkedFrame({ ...frame, ...unknown } as never), JSON.stringify(unknown)).toThrow();
});

describe.each(FORMATS)("%s", (format) => {
  test.each(scripts().map((script) => [script.name, script] as const))("%s", async (_, script) => {
    playing = await Play.begin(format);
    await playing.play(script);
  });
});
