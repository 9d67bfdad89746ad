/** The page: whom one is, and which of its two halves is shown. */
import { lazy, Suspense } from "preact/compat";
import { useState } from "preact/hooks";
import { useEvent } from "./hooks.js";
import { currentIdentity, devTokens, type Identity, isInFragment, signIn, signOut } from "./identity.js";
import { Playground } from "./playground/playground.js";
import { SignIn } from "./signin.js";
import { Skeleton } from "./ui/parts.js";

const Overview = lazy(() => import("./overview/overview.js"));

/** Where one is. */
export type Place = "playground" | "overview";

/** The whole page. */
export function App() {
  const [identity, setIdentity] = useState(currentIdentity);
  const [place, setPlace] = useState<Place>(() => placeOf(location.pathname));
  const [problem, setProblem] = useState("");
  useEvent(window, "popstate", () => setPlace(placeOf(location.pathname)));
  // A link to the page that is opened in its own tab loads nothing anew.
  useEvent(window, "hashchange", () => {
    if (!isInFragment()) return;
    setProblem("");
    setIdentity(currentIdentity());
  });

  const go = (to: Place) => {
    history.pushState(null, "", to === "overview" ? "/overview" : "/");
    setPlace(to);
  };
  const enter = (as: Identity) => {
    signIn(as);
    setProblem("");
    setIdentity(as);
    if (as.isService) go("overview");
  };
  const leave = (why = "") => {
    signOut();
    setProblem(why);
    setIdentity(undefined);
    go("playground");
  };

  if (identity === undefined && place === "playground") return <SignIn onSignIn={enter} problem={problem} />;
  if (place === "overview" || identity === undefined || identity.isService) {
    return (
      <Suspense fallback={<Skeleton lines={6} />}>
        <Overview identity={identity} onGo={go} onLeave={leave} />
      </Suspense>
    );
  }
  return <Playground key={identity.token} identity={identity} onGo={go} onLeave={leave} />;
}

/** The development token of another user as an address, so that a second window is that user. */
export async function addressOf(name: string): Promise<string | undefined> {
  const token = (await devTokens())?.tokens[name];
  return token && `/#token=${token}`;
}

function placeOf(path: string): Place {
  return path === "/overview" ? "overview" : "playground";
}
