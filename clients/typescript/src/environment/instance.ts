/**
 * Names a tab, so that a reload replaces the session of the page before it at once.
 *
 * The id lies in `sessionStorage` only between two pages: a tab that is duplicated copies the storage of a live page,
 * and must not find the id there, or both would take turns in replacing each other.
 */

const KEY = "carillon.instance";

let tab: string | undefined;
let claims = 0;

/** This tab's id, with a number for each further client in it; elsewhere a random id. At most 128 bytes. */
export function claimInstance(): string {
  tab ??= takeStored() ?? randomId();
  claims += 1;
  return claims === 1 ? tab : `${tab}.${claims}`;
}

/** 128 random bits, in hexadecimal digits. */
export function randomId(): string {
  return [...randomBytes()].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** 16 random bytes. */
export function randomBytes(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

function takeStored(): string | undefined {
  if (typeof sessionStorage === "undefined" || typeof addEventListener === "undefined") return undefined;
  try {
    const stored = sessionStorage.getItem(KEY) ?? undefined;
    sessionStorage.removeItem(KEY);
    addEventListener("pagehide", () => sessionStorage.setItem(KEY, tab ?? ""));
    // A page that comes back from the browser's cache is live again.
    addEventListener("pageshow", () => sessionStorage.removeItem(KEY));
    return stored === "" ? undefined : stored;
  } catch {
    // Storage is switched off: a reload then waits for the presence grace.
    return undefined;
  }
}
