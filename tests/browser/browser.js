// Debian's chromium, and the people who sit at it.
import { chromium } from "playwright-core";

/** A name that no hub was told of, and that leads to this machine. */
export const FORGED_HOST = "evil.example";
/** How long a person waits for something to show, in milliseconds. */
const PATIENCE_MS = 30_000;
const TEXTS = "[role=log] .bubble-words";

/** Starts the browser. */
export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--headless=new", `--host-resolver-rules=MAP ${FORGED_HOST} 127.0.0.1`],
  });
}

/** A person with a window of her own: nothing is shared with other windows. */
export class Person {
  constructor(name, context, page) {
    this.name = name;
    this.context = context;
    this.page = page;
    /** What the page threw. */
    this.errors = [];
    page.on("pageerror", (error) => this.errors.push(error));
  }

  /** Opens the page, signed in by the address. */
  static async at(hub, browser, name, path = "/") {
    const context = await browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(name, context, await context.newPage());
    await person.page.goto(`http://${hub.bridge}${path}#token=${hub.token(name)}`);
    return person;
  }

  /** The connection is `connected`, `live` and so on. */
  async is(state) {
    await this.page.locator(`.connection[data-state="${state}"]`).waitFor();
  }

  /** The connection is lost, and the page tries to have it back. */
  async isCutOff() {
    await this.page.locator(".connection-trying").waitFor();
  }

  /** Starts a conversation. */
  async starts(title, ...members) {
    await this.page.getByRole("button", { name: "New conversation" }).click();
    await this.page.getByLabel("Members").fill(members.join(", "));
    await this.page.getByLabel("Title").fill(title);
    await this.page.getByRole("button", { name: "Start" }).click();
    await this.page.getByRole("heading", { level: 1, name: title }).waitFor();
  }

  /** Opens a conversation out of the list. */
  async opens(title) {
    await this.page.locator(".room-link", { hasText: title }).click();
    await this.page.getByRole("heading", { level: 1, name: title }).waitFor();
  }

  /** Waits until the list says that nothing in a conversation is unread. */
  async hasRead(title) {
    const link = this.page.locator(".room-link", { hasText: title });
    await link.locator(".badge-none").waitFor({ state: "attached" });
  }

  /** Leaves it for the inbox. */
  async opensInbox() {
    await this.page.locator(".inbox-link").click();
    await this.page.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  }

  /** Writes words without sending them. */
  async types(words) {
    await this.page.getByLabel("Message", { exact: true }).fill(words);
  }

  /** Sends a message. */
  async says(words) {
    await this.types(words);
    await this.page.getByLabel("Message", { exact: true }).press("Enter");
  }

  /** Waits for words anywhere in view. */
  async sees(words) {
    await this.page.getByText(words).first().waitFor();
  }

  /** The line before what was unread when the conversation was opened. */
  newLine() {
    return this.page.locator(".divider-new");
  }

  /** Waits until one's message bears this mark: `Sending`, `Sent`, `Delivered` or `Read by Bob`. */
  async seesMark(words, mark) {
    const message = this.page.locator("article.message-own", { hasText: words });
    await message.getByRole("img", { name: mark, exact: true }).waitFor();
  }

  /** Waits until so many messages are there, and all of one's own are acknowledged; returns them in their order. */
  async hears(count) {
    await this.page.waitForFunction(
      ({ texts, least }) =>
        document.querySelectorAll(texts).length >= least &&
        document.querySelector(".message-outbound") === null,
      { texts: TEXTS, least: count },
    );
    return this.page.locator(TEXTS).allTextContents();
  }

  /** What a tile of the overview says. */
  tile(name) {
    return this.page.locator(".tile", { hasText: name }).locator(".tile-value");
  }

  /** Leaves; what the page threw fails the test. */
  async leaves() {
    await this.context.close();
    if (this.errors.length > 0) throw new AggregateError(this.errors, `${this.name}'s page threw errors`);
  }
}
