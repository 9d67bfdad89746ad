// A page of another origin reaches nothing, with a stolen token neither.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { FORGED_HOST, startBrowser } from "./browser.js";
import { Hub } from "./hub.js";

let hub;
let browser;
let site;

before(async () => {
  hub = await new Hub().start();
  browser = await startBrowser();
  site = createServer((_, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><title>elsewhere</title>");
  }).listen(0, "127.0.0.1");
  await once(site, "listening");
});
after(async () => {
  await browser?.close();
  site?.closeAllConnections();
  site?.close();
  await hub?.stop();
});

/** Opens a socket in a page that the host serves: whether it opened, and what the browser complained of. */
async function socketFrom(host) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(`http://${host}:${site.address().port}/`);
  const opened = await page.evaluate((bridge) => {
    const socket = new WebSocket(`ws://${bridge}/v1/session`, ["carillon.v1.json"]);
    return new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onclose = () => resolve(false);
    });
  }, hub.bridge);
  await page.close();
  return { opened, complaints: complaints.join("\n") };
}

test("a socket of a forged origin is refused with 403, one of this machine is not", async () => {
  const forged = await socketFrom(FORGED_HOST);
  assert.equal(forged.opened, false);
  assert.match(forged.complaints, /403/);
  assert.deepEqual(await socketFrom("localhost"), { opened: true, complaints: "" });
});

test("a request of a forged origin is refused with 403 before its token is looked at", async () => {
  const page = await browser.newPage();
  await page.goto(`http://${FORGED_HOST}:${site.address().port}/`);
  for (const [method, path] of [
    ["POST", "/v1/tickets"],
    ["POST", "/v1/commands"],
  ]) {
    const url = `http://${hub.bridge}${path}`;
    const answer = page.waitForResponse((response) => response.url() === url);
    const sent = page.evaluate(
      ([address, verb]) => fetch(address, { method: verb, mode: "no-cors" }).then(({ type }) => type),
      [url, method],
    );
    assert.equal((await answer).status(), 403, path);
    assert.equal(await sent, "opaque");
  }
  // With a token the browser asks first, and then does not send it at all.
  const refused = page.evaluate(
    ([address, authorization]) =>
      fetch(address, { method: "POST", headers: { authorization } }).then(
        () => "answered",
        () => "blocked",
      ),
    [`http://${hub.bridge}/v1/tickets`, `Bearer ${hub.token("alice")}`],
  );
  assert.equal(await refused, "blocked");
  await page.close();
});
