/** The bar at the top: brand, places, connection, theme, whom one is. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { addressOf, type Place } from "../app.js";
import { devTokens, identityOf } from "../identity.js";
import { nameOf } from "./format.js";
import icon from "./icon.svg";
import { Icon, type IconName } from "./icons.js";
import { Avatar, IconButton } from "./parts.js";
import { applyTheme, storedTheme, type Theme } from "./theme.js";

interface TopBarProps {
  place: Place;
  onGo: (place: Place) => void;
  onLeave: () => void;
  /** Whom one is; `undefined` where no user is signed in. */
  user?: string | undefined;
  /** The connection's state, or what else belongs here. */
  children?: ComponentChildren;
}

/** The bar. */
export function TopBar({ place, onGo, onLeave, user, children }: TopBarProps) {
  return (
    <header class="topbar">
      <div class="brand">
        <img src={icon} alt="" width="28" height="28" />
        <span>Carillon</span>
      </div>
      <nav class="places" aria-label="Places">
        <PlaceLink place="playground" icon="chat" current={place} onGo={onGo} />
        <PlaceLink place="overview" icon="chart" current={place} onGo={onGo} />
      </nav>
      <div class="topbar-end">
        {children}
        <ThemeButton />
        {user && <UserMenu user={user} onLeave={onLeave} />}
      </div>
    </header>
  );
}

interface PlaceLinkProps {
  place: Place;
  icon: IconName;
  current: Place;
  onGo: (place: Place) => void;
}

function PlaceLink({ place, icon, current, onGo }: PlaceLinkProps) {
  const go = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onGo(place);
  };
  return (
    <a
      href={place === "overview" ? "/overview" : "/"}
      aria-current={place === current ? "page" : undefined}
      aria-label={nameOf(place)}
      onClick={go}
    >
      <Icon name={icon} size={18} />
      <span>{nameOf(place)}</span>
    </a>
  );
}

const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const THEME_ICONS: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };
const THEME_NAMES: Record<Theme, string> = { auto: "as the system", light: "light", dark: "dark" };

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const change = () => {
    applyTheme(NEXT[theme]);
    setTheme(NEXT[theme]);
  };
  return <IconButton icon={THEME_ICONS[theme]} label={`Colours: ${THEME_NAMES[theme]}`} onClick={change} />;
}

function UserMenu({ user, onLeave }: { user: string; onLeave: () => void }) {
  const name = nameOf(user);
  return (
    <details class="menu">
      <summary aria-label={`Signed in as ${name}`} title={`Signed in as ${name}`}>
        <Avatar id={user} name={name} small />
      </summary>
      <div class="menu-items">
        <p>
          Signed in as <strong>{name}</strong>
        </p>
        <OtherWindows user={user} />
        <button type="button" onClick={onLeave}>
          <Icon name="leave" size={18} /> Sign out
        </button>
      </div>
    </details>
  );
}

/** Links that open a window as somebody else, to talk with oneself. */
export function OtherWindows({ user }: { user: string }) {
  const [links, setLinks] = useState<{ name: string; href: string }[]>([]);
  useEffect(() => {
    void othersThan(user).then(setLinks);
  }, [user]);
  return (
    <>
      {links.map(({ name, href }) => (
        <a key={name} href={href} target="_blank" rel="noopener noreferrer">
          <Icon name="window" size={18} /> Open a window as {nameOf(name)}
        </a>
      ))}
    </>
  );
}

async function othersThan(user: string): Promise<{ name: string; href: string }[]> {
  const names = Object.entries((await devTokens())?.tokens ?? {});
  const people = names.filter(([name, token]) => name !== user && identityOf(token)?.isService === false);
  const links = people.map(async ([name]) => ({ name, href: (await addressOf(name)) ?? "" }));
  return Promise.all(links);
}
