/** Who one is: a token from the address bar, from this tab, or from the development tokens. */

/** A token, and what it says. */
export interface Identity {
  readonly token: string;
  /** The id of the user or service, as far as the token tells: which claim has it is the hub's to say. */
  readonly name: string;
  /** Whether it is a service's, as far as the token tells. */
  readonly isService: boolean;
}

/** The hub's development tokens; only a development server gives them. */
export interface DevTokens {
  readonly tenant: string;
  readonly tokens: Readonly<Record<string, string>>;
}

// One per tab, so that two windows can be two people.
const KEY = "carillon.token";

/** Whether the address has a token: it came with the page, or was opened in the tab where the page is. */
export function isInFragment(): boolean {
  return tokenInFragment() !== null;
}

function tokenInFragment(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("token");
}

/** The identity of this tab. A token in the fragment wins, and leaves the address bar and the history at once. */
export function currentIdentity(): Identity | undefined {
  const fragment = tokenInFragment();
  if (fragment !== null) {
    history.replaceState(null, "", location.pathname);
    const identity = identityOf(fragment);
    if (identity !== undefined) signIn(identity);
    return identity;
  }
  const stored = sessionStorage.getItem(KEY);
  return stored === null ? undefined : identityOf(stored);
}

/** Keeps an identity for this tab. */
export function signIn({ token }: Identity): void {
  sessionStorage.setItem(KEY, token);
}

/** Forgets it. */
export function signOut(): void {
  sessionStorage.removeItem(KEY);
}

/** What to call whom one is. */
export function calledBy({ name, isService }: Identity): string {
  return name || (isService ? "service" : "");
}

/** What a JWT says, unchecked: the hub checks it. `undefined`: it is none. */
export function identityOf(token: string): Identity | undefined {
  try {
    const [, payload = ""] = token.split(".");
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) =>
      c.charCodeAt(0),
    );
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown; svc?: unknown } | null;
    if (typeof claims !== "object" || claims === null) return undefined;
    return { token, name: typeof claims.sub === "string" ? claims.sub : "", isService: claims.svc === true };
  } catch {
    return undefined;
  }
}

/** The development tokens; `undefined` where the server gives none. */
export async function devTokens(): Promise<DevTokens | undefined> {
  try {
    const response = await fetch("/dev/tokens");
    return response.ok ? ((await response.json()) as DevTokens) : undefined;
  } catch {
    return undefined;
  }
}

/** The service that may see the overview: the operator, else the tenant's own service. */
export function watcherOf({ tokens }: DevTokens): Identity | undefined {
  return identityOf(tokens.operator ?? tokens.service ?? "");
}

/** A newer token of the same name, where the server gives development tokens. */
export async function freshToken(identity: Identity): Promise<string> {
  return (await devTokens())?.tokens[identity.name] ?? identity.token;
}
