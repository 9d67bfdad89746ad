// What is particular to a browser: the network's events, and the tab's name.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Story, settle } from "./hub.js";

class Page extends EventTarget {
  visibilityState = "visible";
}

let page: Page;
let network: EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  page = new Page();
  network = new EventTarget();
  vi.stubGlobal("window", network);
  vi.stubGlobal("document", page);
  vi.stubGlobal("navigator", { onLine: true });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("without a network the wait is longer, and ends when it is back", async () => {
  const story = await new Story().connects();
  vi.stubGlobal("navigator", { onLine: false });
  story.socket.end();
  expect(story.client.state).toBe("offline");
  await vi.advanceTimersByTimeAsync(20_000);
  expect(story.connections).toBe(1);
  network.dispatchEvent(new Event("online"));
  await settle();
  expect([story.connections, story.client.state]).toEqual([2, "connecting"]);
});

test("a connection that may be dead is asked, and given up when it does not answer", async () => {
  const story = await new Story().connects();
  await vi.advanceTimersByTimeAsync(1_000);
  network.dispatchEvent(new Event("offline"));
  const ping = story.socket.last("ping");
  await vi.advanceTimersByTimeAsync(1_000);
  story.socket.push({ case: "pong", value: {} }, ping.id);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(story.client.state).toBe("connected");
  page.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(story.heard).toEqual(["disconnected:broken"]);
});

test("a closed client listens no more", async () => {
  const story = await new Story().connects();
  story.client.close();
  network.dispatchEvent(new Event("online"));
  await settle();
  expect(story.connections).toBe(1);
});

test("a tab keeps its name over a reload, and a copy of it gets another", async () => {
  const stored = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  const load = async () => {
    vi.resetModules();
    const { claimInstance } = await import("../../src/environment/instance.js");
    return [claimInstance(), claimInstance()];
  };
  const [first, second] = await load();
  expect(second).toBe(`${first}.2`);
  const [copy] = await load();
  expect(copy).not.toBe(first);
  stored.clear();
  network = new EventTarget();
  vi.stubGlobal("addEventListener", network.addEventListener.bind(network));
  const [before] = await load();
  network.dispatchEvent(new Event("pagehide"));
  expect((await load())[0]).toBe(before);
});
