/** The page: whom one is, and which of its two halves is shown. */
import { lazy, Suspense } from "preact/compat";
import { useState } from "preact/hooks";
import { useEvent } from "./hooks.js";
import {
  calledBy,
  currentIdentity,
  devTokens,
  type Identity,
  isInFragment,
  signIn,
  signOut,
} from "./identity.js";
import { Playground } from "./playground/playground.js";
import { SignIn } from "./signin.js";
import { Skeleton } from "./ui/parts.js";
import { TopBar } from "./ui/topbar.js";

const Overview = lazy(() => import("./overview/overview.js"));

/** Where one is. */
export type Place = "playground" | "overview";

/** The whole page. */
export function App() {
  const [identity, setIdentity] = useState(currentIdentity);
  const [place, setPlace] = useState<Place>(() => placeOf(location.pathname, identity));
  const [problem, setProblem] = useState("");
  useEvent(window, "popstate", () => setPlace(placeOf(location.pathname)));
  // A link to the page that is opened in its own tab loads nothing anew.
  useEvent(window, "hashchange", () => {
    if (!isInFragment()) return;
    const as = currentIdentity();
    setProblem("");
    setIdentity(as);
    setPlace(placeOf(location.pathname, as));
  });

  const go = (to: Place) => {
    history.pushState(null, "", to === "overview" ? "/overview" : "/");
    setPlace(to);
  };
  const enter = (as: Identity) => {
    signIn(as);
    setProblem("");
    setIdentity(as);
    const to = as.isService ? "overview" : "playground";
    if (to !== place) go(to);
  };
  const leave = (why = "") => {
    signOut();
    setProblem(why);
    setIdentity(undefined);
    go("playground");
  };

  if (place === "overview") {
    return (
      <Suspense fallback={<Skeleton lines={6} />}>
        <Overview key={identity?.token} identity={identity} onGo={go} onLeave={leave} onSignIn={enter} />
      </Suspense>
    );
  }
  if (identity === undefined) return <SignIn onSignIn={enter} problem={problem} />;
  if (identity.isService) {
    return (
      <>
        <TopBar place="playground" onGo={go} onLeave={() => leave()} user={calledBy(identity)} />
        <SignIn onSignIn={enter} problem="A service has no conversations: sign in as a person to see some." />
      </>
    );
  }
  const isService = () => enter({ ...identity, isService: true });
  return (
    <Playground key={identity.token} identity={identity} onGo={go} onLeave={leave} onService={isService} />
  );
}

/** The development token of another user as an address, so that a second window is that user. */
export async function addressOf(name: string): Promise<string | undefined> {
  const token = (await devTokens())?.tokens[name];
  return token && `/#token=${token}`;
}

/** Where an address leads. One that was opened by a service leads to where there is something for it. */
function placeOf(path: string, identity?: Identity): Place {
  if (path === "/overview") return "overview";
  if (!identity?.isService) return "playground";
  history.replaceState(null, "", "/overview");
  return "overview";
}
