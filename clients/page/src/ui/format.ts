/** Times, names and figures as people read them. */

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

/** 14:05. */
export function timeOf(ms: number): string {
  return time.format(ms);
}

/** The whole of it, for titles. */
export function exactTime(ms: number): string {
  return exact.format(ms);
}

/** Today, Yesterday, or the day. */
export function dayOf(ms: number): string {
  const days = daysAgo(ms);
  if (days === 0) return "Today";
  return days === 1 ? "Yesterday" : day.format(ms);
}

/** 14:05 today, else the day. */
export function shortTime(ms: number): string {
  return daysAgo(ms) === 0 ? timeOf(ms) : shortDay.format(ms);
}

/** 1,234, or 12.3K. */
export function figure(value: number): string {
  return value < 10_000 ? whole.format(value) : compact.format(value);
}

/** Milliseconds with as many digits as matter. */
export function milliseconds(value: number): string {
  return value >= 100 ? whole.format(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Bytes as MB. */
export function megabytes(bytes: number): string {
  return whole.format(bytes / 1_000_000);
}

/** «alice» as Alice, «room:lobby» as Lobby. */
export function nameOf(id: string): string {
  const last = id.split(":").at(-1) ?? id;
  return last.charAt(0).toUpperCase() + last.slice(1);
}

/** One or two letters. */
export function initialsOf(name: string): string {
  const words = name.split(/[\s._-]+/).filter((word) => word !== "");
  return words
    .slice(0, 2)
    .map((word) => word.charAt(0).toUpperCase())
    .join("");
}

/** One of eight hues, always the same for the same id. */
export function hueOf(id: string): number {
  let hash = 0;
  for (const character of id) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % 8;
}

function daysAgo(ms: number): number {
  const midnight = (value: number) => new Date(value).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(ms)) / 86_400_000);
}
