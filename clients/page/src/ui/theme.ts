/** Dark, light, or as the system says. */

/** The choice. */
export type Theme = "auto" | "light" | "dark";

const KEY = "carillon.theme";

/** What was chosen before. */
export function storedTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

/** Shows it and keeps it. */
export function applyTheme(theme: Theme): void {
  if (theme === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("themechange"));
}
