// An EventSource asks again by itself where that may help, and nowhere else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "./browser.js";
import { Hub } from "./hub.js";

let hub;
let browser;

before(async () => {
  hub = await new Hub({ apart: true }).start();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

/** A page of the bridge's own, so that nothing is asked for across origins. */
async function anyPage() {
  const page = await browser.newPage();
  await page.goto(`http://${hub.bridge}/`);
  return page;
}

test("without a good token an EventSource is closed for good", async () => {
  const page = await anyPage();
  for (const path of ["/v1/events", "/v1/events?token=a.b.c", "/v1/overview"]) {
    const state = await page.evaluate((address) => {
      const source = new EventSource(address);
      return new Promise((resolve) => {
        source.onerror = () => resolve(source.readyState);
      });
    }, path);
    assert.equal(state, 2, path);
  }
  await page.close();
});

test("while the hub is away an EventSource is told so, and goes on when it is back", async () => {
  const page = await anyPage();
  await hub.kill();
  await page.evaluate((token) => {
    window.said = [];
    window.source = new EventSource(`/v1/events?token=${token}`);
    window.source.onmessage = ({ data }) => window.said.push(JSON.parse(data));
  }, hub.token("alice"));
  await page.waitForFunction(() => window.said.some(({ error }) => error?.code === "UNAVAILABLE"));
  await hub.start();
  await page.waitForFunction(() => window.said.some(({ connected }) => connected?.user === "alice"));
  assert.equal(await page.evaluate(() => window.source.readyState), 1);
  await page.close();
});
