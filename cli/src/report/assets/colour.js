// Colours: those of the page's style sheet, and one for each name.

/** The value of a colour that the style sheet names. */
export function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Calls when the page turns light or dark. */
export function onTheme(listener) {
  dark.addEventListener("change", listener);
}

const hues = new Map();

/** The colour of a name: always the same, with enough contrast to `themed("on-name")`. */
export function colourOf(name) {
  let hue = hues.get(name);
  if (hue === undefined) {
    let hash = 2166136261;
    for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 16777619);
    hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
    hue = (hash >>> 0) % 360;
    hues.set(name, hue);
  }
  return dark.matches ? `oklch(0.45 0.09 ${hue})` : `oklch(0.83 0.09 ${hue})`;
}
