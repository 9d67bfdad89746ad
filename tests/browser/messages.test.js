// What one does with messages that are there, and who is there to see it.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Person, startBrowser } from "./browser.js";
import { Hub } from "./hub.js";

/** More than the page reads at once, twice. */
const MANY = 120;

let hub;
let browser;
let alice;
let bob;

before(async () => {
  hub = await new Hub().start();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await hub?.stop();
});
beforeEach(async () => {
  [alice, bob] = await Promise.all(["alice", "bob"].map((name) => Person.at(hub, browser, name)));
  await Promise.all([alice.is("connected"), bob.is("connected")]);
});
afterEach(() => Promise.all([alice.leaves(), bob.leaves()]));

/** A message by its words. */
const message = (person, words) => person.page.locator("article", { hasText: words });

/** Takes a tool of a message. */
async function takes(person, words, tool) {
  const item = message(person, words);
  await item.hover();
  await item.getByLabel(tool, { exact: true }).click();
  return item;
}

test("an edit, a reaction and a deletion are seen by the other", async () => {
  await alice.starts("Dinner", "bob");
  await alice.says("at seven?");
  await bob.opens("Dinner");
  await bob.hears(1);
  await takes(alice, "at seven?", "Edit");
  await alice.says("at eight?");
  await message(bob, "at eight?").getByText("edited").waitFor();
  assert.equal(await bob.page.getByRole("log").getByText("at seven?").count(), 0);

  const item = await takes(bob, "at eight?", "React");
  await item.getByLabel("React with 🎉").click();
  const reaction = (person, count) => message(person, "at eight?").getByLabel(`🎉, ${count}`);
  await reaction(alice, 1).click();
  await Promise.all([alice, bob].map((person) => reaction(person, 2).waitFor()));
  await reaction(bob, 2).click();
  await reaction(alice, 1).waitFor();
  assert.equal(await reaction(alice, 1).getAttribute("aria-pressed"), "true");

  assert.equal(await message(bob, "at eight?").getByLabel("Delete").count(), 0, "it is not his");
  await takes(alice, "at eight?", "Delete");
  for (const person of [alice, bob]) {
    await person.page.getByRole("log").getByText("Message deleted").waitFor();
    assert.equal(await person.page.getByRole("log").getByText("at eight?").count(), 0);
  }
});

test("scrolling up loads what was said before, in order, until it begins", async () => {
  const words = Array.from({ length: MANY }, (_, index) => `verse ${index}.`);
  await alice.starts("Epic", "bob");
  for (const text of words) await alice.says(text);
  await alice.hears(MANY);
  await bob.opens("Epic");
  // The list of conversations shows the last words as well, and sooner.
  await bob.page.getByRole("log").getByText("verse 119.").waitFor();
  const texts = bob.page.locator("[role=log] .bubble-words");
  const shown = await texts.allTextContents();
  assert.ok(shown.length < MANY, "the page reads some at once");
  assert.deepEqual(shown, words.slice(-shown.length));
  await bob.page.locator("[role=log]").focus();
  while (!(await bob.page.getByText("This is where it begins.").isVisible())) {
    const before = await texts.count();
    await bob.page.keyboard.press("Home");
    await bob.page.waitForFunction(
      (count) =>
        document.querySelectorAll("[role=log] .bubble-words").length > count ||
        document.querySelector(".beginning")?.textContent.startsWith("This is"),
      before,
    );
  }
  assert.deepEqual(await texts.allTextContents(), words);
});

test("People shows the members, and who of them is there", async () => {
  await alice.starts("Choir", "bob", "carol");
  await alice.page.getByRole("button", { name: "People" }).click();
  const people = alice.page.getByRole("complementary", { name: "People" });
  const member = (name, state) =>
    people.getByRole("listitem").filter({ hasText: name, has: alice.page.locator(`.dot-${state}`) });
  await member("Alice (you)", "online").getByText("Owner").waitFor();
  await member("Carol", "offline").waitFor();
  await bob.opens("Choir");
  await member("Bob", "online").waitFor();
  await bob.page.close();
  await member("Bob", "offline").waitFor();
  assert.equal(await people.getByRole("listitem").count(), 3);
});
