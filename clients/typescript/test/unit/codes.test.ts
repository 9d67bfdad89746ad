// What a socket's close code says, held to the table of docs/errors.md.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { meaningOfClose } from "../../src/codes.js";

/** The rows of the table of close codes: the code, and whether to come back. */
function rows(): [number, boolean][] {
  const page = readFileSync(new URL("../../../../docs/errors.md", import.meta.url), "utf8");
  const lines = page.slice(page.indexOf("## Close codes")).split("\n");
  const cells = lines.map((line) => line.split("|").map((cell) => cell.trim()));
  return cells
    .filter(([, close]) => /^\d{4}$/.test(close ?? ""))
    .map(([, close, , , reconnect]) => [Number(close), reconnect?.startsWith("yes") === true]);
}

test("every close code means what the table says", () => {
  // The client's own end is no answer of the hub's.
  const table = rows().filter(([close]) => close !== 1000);
  expect(table.length).toBeGreaterThan(20);
  expect(table.map(([close]) => [close, meaningOfClose(close).reconnect])).toEqual(table);
});
