// Opening, heartbeat, token, and how a session ends.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EndedError, TokenError } from "../../src/index.js";
import { type FakeSocket, ROOM, Story, settle } from "./hub.js";

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.999);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("hello bears token, protocol, client and instance, on the binary sub-protocol", async () => {
  const story = await new Story({ name: "notes/2.1.0" }).connects();
  expect(story.socket).toMatchObject({ url: "ws://hub.test/v1/session", protocols: ["carillon.v1.proto"] });
  expect(story.socket.last("hello")).toMatchObject({
    id: 1,
    value: { token: "token", protocol: 1, client: "notes/2.1.0", instance: "tab" },
  });
  expect(story.client).toMatchObject({ state: "connected", user: "alice" });
});

test("the format json asks for the other sub-protocol", async () => {
  const story = new Story({ format: "json", url: "https://hub.test/" });
  void story.client.connect().catch(() => {});
  await settle();
  expect(story.socket).toMatchObject({ url: "wss://hub.test/v1/session", protocols: ["carillon.v1.json"] });
});

test("several addresses are tried in turn", async () => {
  const story = new Story({ url: ["ws://one.test", "ws://two.test"] });
  void story.client.connect().catch(() => {});
  for (const host of ["one", "two", "one"]) {
    await settle();
    expect(story.socket.url).toContain(host);
    story.socket.end();
    await vi.advanceTimersByTimeAsync(5_000);
  }
});

test("ping is answered with pong, under an id that is free", async () => {
  const story = await new Story().connects();
  story.socket.push({ case: "ping", value: {} });
  expect(story.socket.last("pong").id).toBe(2);
});

test("a hub that says nothing for the time-out is given up, and one that does is not", async () => {
  const story = await new Story().connects();
  await vi.advanceTimersByTimeAsync(59_000);
  story.socket.push({ case: "ping", value: {} });
  await vi.advanceTimersByTimeAsync(59_000);
  expect(story.client.state).toBe("connected");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(story.client.state).toBe("waiting");
  expect(story.socket.closedWith).toBe(1000);
});

test("a hub that does not open the session in time is given up", async () => {
  const story = new Story({ connectTimeoutMs: 2_000 });
  void story.client.connect().catch(() => {});
  await settle();
  story.socket.open();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(story.heard).toEqual(["disconnected:broken"]);
});

test("a token that expires soon is replaced within the session", async () => {
  const token = vi.fn((reason: string) => Promise.resolve(`token for ${reason}`));
  const story = await new Story({ token }).connects();
  story.socket.push({ case: "tokenExpiring", value: { expiresMs: 5n } });
  await settle();
  expect(story.socket.last("refreshToken").value.token).toBe("token for expiring");
  expect(token.mock.calls).toEqual([["connect"], ["expiring"]]);
});

test("after TOKEN_EXPIRED the provider is asked for a newer one", async () => {
  const token = vi.fn((reason: string) => `token for ${reason}`);
  const story = await new Story({ token }).connects();
  story.socket.push({ case: "disconnected", value: { code: "TOKEN_EXPIRED", reconnect: true } });
  await vi.advanceTimersByTimeAsync(5_000);
  story.socket.open();
  expect(story.socket.last("hello").value.token).toBe("token for expired");
});

test("one token for ever ends with it", async () => {
  const story = await new Story().connects();
  story.socket.push({ case: "disconnected", value: { code: "TOKEN_EXPIRED", reconnect: true } });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(story.client.state).toBe("closed");
  await expect(story.client.connect()).rejects.toThrow("the token has expired");
});

test("a provider that fails is asked again, unless it says that this will not help", async () => {
  const token = vi.fn<() => string>();
  token.mockImplementationOnce(() => {
    throw new Error("the network is down");
  });
  token.mockImplementation(() => {
    throw new TokenError("signed out");
  });
  const story = new Story({ token });
  const connecting = story.client.connect();
  connecting.catch(() => {});
  await vi.advanceTimersByTimeAsync(5_000);
  expect(token).toHaveBeenCalledTimes(2);
  await expect(connecting).rejects.toThrow("no token: signed out");
});

const closes: [number, string, boolean][] = [
  [1000, "broken", true],
  [1001, "GOING_AWAY", true],
  [1006, "broken", true],
  [1009, "MESSAGE_TOO_LARGE", false],
  [1011, "INTERNAL", true],
  [1012, "broken", true],
  [1013, "UNAVAILABLE", true],
  [4000, "TOKEN_EXPIRED", true],
  [4005, "SLOW_CONSUMER", true],
  [4499, "broken", true],
  [4500, "AUTH_REQUIRED", false],
  [4504, "SESSION_REPLACED", false],
  [4999, "CLOSE_4999", false],
];

test.each(closes)("close code %i means %s, reconnect: %s", async (close, code, reconnects) => {
  const story = await new Story({ token: () => "token" }).connects();
  story.socket.end(close);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(story.heard).toEqual([`disconnected:${code}${reconnects ? "" : ":ended"}`]);
  expect(story.connections).toBe(reconnects ? 2 : 1);
});

test("what the hub says of reconnecting wins over its code, and its wait is kept", async () => {
  const story = await new Story().connects();
  const value = { code: "SESSION_REPLACED", reconnect: true, retryAfterMs: 20_000 };
  story.socket.push({ case: "disconnected", value });
  await vi.advanceTimersByTimeAsync(19_999);
  expect(story.connections).toBe(1);
  await vi.advanceTimersByTimeAsync(5_001);
  expect(story.connections).toBe(2);
});

test("a hub that goes away is left alone for as long as it asks", async () => {
  const story = await new Story().connects();
  const going = vi.fn();
  story.client.on("goingAway", going);
  story.socket.push({ case: "goingAway", value: { reconnectAfterMs: 10_000 } });
  story.socket.end(1001);
  await vi.advanceTimersByTimeAsync(9_999);
  expect([going.mock.calls[0], story.connections]).toEqual([[{ reconnectAfterMs: 10_000 }], 1]);
  await vi.advanceTimersByTimeAsync(1_001);
  expect(story.connections).toBe(2);
});

test("a refused hello ends the client where the code says so", async () => {
  const story = new Story();
  const connecting = story.client.connect();
  connecting.catch(() => {});
  await settle();
  story.socket.open();
  story.socket.push(
    { case: "error", value: { code: "INVALID_TOKEN", message: "the token is not valid" } },
    1,
  );
  await expect(connecting).rejects.toThrow(EndedError);
  await expect(story.client.send(ROOM, "hello")).rejects.toMatchObject({ code: "INVALID_TOKEN" });
});

test("waits double up to the bound and begin anew after a session that lasted", async () => {
  const story = await new Story().connects();
  const waits: number[] = [];
  story.client.on("disconnected", ({ reconnectAfterMs }) => waits.push(Math.round(reconnectAfterMs ?? -1)));
  const fail = async (socket: FakeSocket) => {
    socket.end();
    await vi.advanceTimersByTimeAsync(5_000);
  };
  for (let attempt = 0; attempt < 5; attempt += 1) await fail(story.socket);
  expect(waits).toEqual([999, 1998, 3996, 4995, 4995]);
  await story.accepts();
  await vi.advanceTimersByTimeAsync(5_001);
  await fail(story.socket);
  expect(waits.at(-1)).toBe(999);
  vi.mocked(Math.random).mockReturnValue(0);
  await fail(story.socket);
  expect(waits.at(-1)).toBe(0);
});

test("closing says goodbye, fails what is under way and ends iterators", async () => {
  const story = await new Story().connects();
  const sending = story.client.send(ROOM, "hello");
  const events = story.client.events();
  const reading = events.next();
  story.client.close();
  await expect(sending).rejects.toThrow("the client was closed");
  expect(story.socket.all("goodbye")).toHaveLength(1);
  expect(story.socket.closedWith).toBe(1000);
  expect((await reading).value).toMatchObject({ type: "state", value: "closed" });
  expect((await events.next()).done).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(story.connections).toBe(1);
});

test("connecting can be given up", async () => {
  const story = new Story();
  const giveUp = new AbortController();
  const connecting = story.client.connect({ signal: giveUp.signal });
  giveUp.abort(new Error("enough"));
  await expect(connecting).rejects.toThrow("enough");
  expect(story.client.state).toBe("closed");
});

test("a frame that is none ends the connection, and the next one is tried", async () => {
  const story = await new Story().connects();
  story.socket.pushRaw("text on the binary protocol");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(story.connections).toBe(2);
});
