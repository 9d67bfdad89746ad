// Who a tab is: the token of the link that it was opened with, which does not stay where others find it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser } from "./browser.js";
import { Hub } from "./hub.js";

let hub;
let browser;

before(async () => {
  hub = await new Hub().start();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});

const link = (token, path = "/") => `http://${hub.bridge}${path}#token=${token}`;
const connected = (page) => page.locator('.connection[data-state="connected"]').waitFor();
const signIn = (page) => page.locator(".signin-card").waitFor();
/** Whom the page greets as oneself: whose token the tab keeps. */
const whose = (page) =>
  page.evaluate(() => {
    const token = sessionStorage.getItem("carillon.token");
    return token && JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
  });

test("a link signs in, and its token is in no address and no history", async () => {
  const page = await browser.newPage();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto("about:blank");
  await page.goto(link(hub.token("alice")));
  await connected(page);
  assert.equal(page.url(), `http://${hub.bridge}/`);
  await page.goto("about:blank");
  await page.goBack();
  await connected(page);
  assert.equal(page.url(), `http://${hub.bridge}/`);
  assert.deepEqual(
    asked.filter((url) => url.includes(hub.token("alice"))),
    [],
  );
  assert.equal(await whose(page), "alice");
  await page.close();
});

test("a link to the overview stays there", async () => {
  const page = await browser.newPage();
  await page.goto(link(hub.token("operator"), "/overview"));
  await page.locator('.connection[data-state="live"]').waitFor();
  assert.equal(page.url(), `http://${hub.bridge}/overview`);
  await page.close();
});

test("another's link in the same tab is another person, and leaves the address as well", async () => {
  const page = await browser.newPage();
  await page.goto(link(hub.token("alice")));
  await connected(page);
  // The address differs in its fragment alone: the browser loads nothing anew.
  await page.goto(link(hub.token("bob")));
  await page.waitForFunction(() => location.hash === "");
  await connected(page);
  assert.equal(await whose(page), "bob");
  await page.reload();
  await connected(page);
  assert.equal(await whose(page), "bob");
  await page.close();
});

test("what is no token signs nobody in, and leaves the address", async () => {
  for (const nonsense of ["", "nonsense", "a.b.c", "%3Cscript%3E"]) {
    const page = await browser.newPage();
    await page.goto(link(nonsense));
    await signIn(page);
    assert.equal(page.url(), `http://${hub.bridge}/`, nonsense);
    assert.equal(await whose(page), null, nonsense);
    await page.close();
  }
});

test("another tab is nobody yet, and a fragment that is none of ours is left alone", async () => {
  const context = await browser.newContext();
  const [first, second] = [await context.newPage(), await context.newPage()];
  await first.goto(link(hub.token("alice")));
  await connected(first);
  await second.goto(`http://${hub.bridge}/#elsewhere`);
  await signIn(second);
  assert.equal(second.url(), `http://${hub.bridge}/#elsewhere`);
  await context.close();
});

/** Pastes a token where the page asks for one. */
async function pastes(page, token) {
  const field = page.getByLabel("Token (JWT)");
  if (!(await field.isVisible())) await page.getByText("Use another token").click();
  await field.fill(token);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

test("a service of one tenant is told that it may not see the node, once, and may be another", async () => {
  const page = await browser.newPage();
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().endsWith("/v1/overview")) asked += 1;
  });
  await page.goto(link(hub.token("service"), "/overview"));
  await page.getByText("needs the token of a service that may see the whole node").waitFor();
  assert.equal(asked, 1);
  await pastes(page, hub.token("operator"));
  await page.locator('.connection[data-state="live"]').waitFor();
  assert.equal(await whose(page), "operator");
  await page.reload();
  await page.locator('.connection[data-state="live"]').waitFor();
  assert.equal(page.url(), `http://${hub.bridge}/overview`);
  await page.close();
});

test("a person's token that is pasted at the overview signs that person in", async () => {
  const page = await browser.newPage();
  await page.goto(link(hub.token("service"), "/overview"));
  await signIn(page);
  await pastes(page, hub.token("bob"));
  await connected(page);
  assert.equal(page.url(), `http://${hub.bridge}/`);
  assert.equal(await whose(page), "bob");
  await page.close();
});

test("an operator may go to the playground, and be a person there", async () => {
  const page = await browser.newPage();
  await page.goto(link(hub.token("operator")));
  await page.locator('.connection[data-state="live"]').waitFor();
  await page.getByRole("link", { name: "Playground" }).click();
  await page.getByText("A service has no conversations").waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.locator('.connection[data-state="live"]').waitFor();
  await page.getByRole("link", { name: "Playground" }).click();
  await pastes(page, hub.token("alice"));
  await connected(page);
  assert.equal(await whose(page), "alice");
  await page.close();
});

test("whose a token is the hub says, whatever its claims are called", async () => {
  const claims = { uid: "alice", tenants: "*" };
  const token = ["{}", JSON.stringify(claims), "x"].map((part) => btoa(part)).join(".");
  // A hub that takes it for a service's, as far as sessions go.
  const page = await browser.newPage();
  await page.routeWebSocket(/\/v1\/session/, (socket) => {
    socket.onMessage(() => socket.close({ code: 4506, reason: "PERMISSION_DENIED" }));
  });
  await page.goto(link(token));
  await page.getByText("needs the token of a service that may see the whole node").waitFor();
  assert.equal(page.url(), `http://${hub.bridge}/overview`);
  await page.close();
});
