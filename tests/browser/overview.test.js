// The operator watches the hub while people come and talk.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Person, startBrowser } from "./browser.js";
import { Hub, WAYS } from "./hub.js";

/** A hub and a browser for the tests around: where they are, once they are there. */
function house(options) {
  const here = {};
  before(async () => {
    here.hub = await new Hub(options).start();
    here.browser = await startBrowser();
  });
  after(async () => {
    await here.browser?.close();
    await here.hub?.stop();
  });
  return here;
}

/** Waits until each chart's picture is another than these; returns the new ones. */
async function chartsOtherThan(page, before) {
  const moved = await page.waitForFunction((known) => {
    const now = [...document.querySelectorAll(".chart canvas")].map((canvas) => canvas.toDataURL());
    return now.length === 5 && now.every((picture, index) => picture !== known[index]) && now;
  }, before);
  return moved.jsonValue();
}

for (const { way, apart } of WAYS)
  describe(way, () => {
    const here = house({ apart });

    test("the overview's figures follow what happens, and its charts move", async () => {
      const operator = await Person.at(here.hub, here.browser, "operator", "/overview");
      await operator.is("live");
      await operator.tile("Live sessions").getByText("0", { exact: true }).waitFor();
      const first = await chartsOtherThan(operator.page, []);
      const alice = await Person.at(here.hub, here.browser, "alice");
      await alice.is("connected");
      await operator.tile("Live sessions").getByText("1", { exact: true }).waitFor();
      await alice.starts("Notes", "bob");
      await alice.says("a note");
      await operator.tile("Active rooms").getByText("0", { exact: true }).waitFor({ state: "detached" });
      const second = await chartsOtherThan(operator.page, first);
      await chartsOtherThan(operator.page, second);
      await here.hub.kill();
      await operator.is("broken");
      await here.hub.start();
      await operator.is("live");
      await alice.leaves();
      // A room stays in memory for a while once all have left it: it is not active.
      await operator.tile("Active rooms").getByText("0", { exact: true }).waitFor();
      await operator.leaves();
    });
  });

// A person's overview is that of the operator whose token the hub's own process hands out.
describe("for people", () => {
  const here = house();

  test("who goes to the overview before the playground has connected stays signed in", async () => {
    const context = await here.browser.newContext();
    const page = await context.newPage();
    // A hub that says nothing.
    await page.routeWebSocket(/\/v1\/session/, () => {});
    await page.goto(`http://${here.hub.bridge}/#token=${here.hub.token("alice")}`);
    await page.locator(".connection-trying").waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.locator('.connection[data-state="live"]').waitFor();
    await context.close();
  });

  test("a person sees the overview in development, a stranger does not", async () => {
    const alice = await Person.at(here.hub, here.browser, "alice");
    await alice.page.getByRole("link", { name: "Overview" }).click();
    await alice.is("live");
    await alice.leaves();
    const stranger = await here.browser.newPage();
    const url = `http://${here.hub.bridge}/v1/overview`;
    const [answer] = await Promise.all([stranger.waitForResponse(url), stranger.goto(url)]);
    assert.equal(answer.status(), 401);
    await stranger.close();
  });
});
