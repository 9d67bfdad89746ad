/** Choosing whom to be. */

import { useEffect, useState } from "preact/hooks";
import { type DevTokens, devTokens, type Identity, identityOf, watcherOf } from "./identity.js";
import { nameOf } from "./ui/format.js";
import icon from "./ui/icon.svg";
import { Icon } from "./ui/icons.js";
import { Avatar } from "./ui/parts.js";

/** The first view: development tokens as buttons, and a field for any other token. */
export function SignIn({ onSignIn, problem }: { onSignIn: (identity: Identity) => void; problem?: string }) {
  const [offered, setOffered] = useState<DevTokens | undefined | "loading">("loading");
  useEffect(() => {
    void devTokens().then(setOffered);
  }, []);
  return (
    <main class="signin">
      <div class="signin-card">
        <div class="brand brand-large">
          <img src={icon} alt="" width="44" height="44" />
          <h1>Carillon</h1>
        </div>
        <p class="quiet">Messaging, presence and notifications over one connection. Sign in to try it.</p>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="signin-people">
          {offered !== "loading" &&
            identitiesIn(offered).map((identity) => (
              <Person key={identity.name} identity={identity} onSignIn={onSignIn} />
            ))}
        </div>
        <TokenField onSignIn={onSignIn} isOpen={offered === undefined} />
      </div>
    </main>
  );
}

/** The people, and the one service that sees the overview. */
function identitiesIn(offered: DevTokens | undefined): Identity[] {
  if (offered === undefined) return [];
  const people = Object.values(offered.tokens).map(identityOf);
  return [...people.filter((identity) => !identity?.isService), watcherOf(offered)].filter(
    (identity) => identity !== undefined,
  );
}

function Person({ identity, onSignIn }: { identity: Identity; onSignIn: (identity: Identity) => void }) {
  const name = nameOf(identity.name);
  return (
    <button type="button" class="person" onClick={() => onSignIn(identity)}>
      {identity.isService ? (
        <span class="avatar avatar-plain">
          <Icon name="chart" />
        </span>
      ) : (
        <Avatar id={identity.name} name={name} />
      )}
      <span>
        <strong>{name}</strong>
        <small>{identity.isService ? "See the hub's figures" : "Chat as this person"}</small>
      </span>
    </button>
  );
}

function TokenField({ onSignIn, isOpen }: { onSignIn: (identity: Identity) => void; isOpen: boolean }) {
  const [problem, setProblem] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = String(new FormData(event.target as HTMLFormElement).get("token")).trim();
    const identity = identityOf(token);
    if (identity) onSignIn(identity);
    else setProblem("This is no token: it has three parts with dots between them.");
  };
  return (
    <details class="signin-token" open={isOpen}>
      <summary>Use another token</summary>
      <form onSubmit={submit}>
        <label for="token">Token (JWT)</label>
        <div class="field-row">
          <input id="token" name="token" required autocomplete="off" spellcheck={false} placeholder="eyJ…" />
          <button type="submit" class="button">
            Sign in
          </button>
        </div>
        <p class="problem" role="alert">
          {problem}
        </p>
      </form>
    </details>
  );
}
