// Numbers, times and texts for people, and elements that hold them.

/** A duration as in the terminal, with three significant digits: `0ns`, `12.3µs`, `4.56s`, `2h46m`. */
export function duration(ns) {
  if (ns < 1000) return `${Math.round(ns)}ns`;
  for (const [unit, scale] of [["µs", 1e3], ["ms", 1e6], ["s", 1e9]]) {
    const value = ns / scale;
    if (value < 999.5) return `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)}${unit}`;
  }
  const seconds = Math.floor((ns + 5e8) / 1e9);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  if (hours < 48) return `${hours}h${minutes % 60}m`;
  return `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** A duration from what people write: `250ms`, `1.5s`, `2h30m`; NaN if it is none. */
export function parseDuration(text) {
  const units = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12, d: 8.64e13 };
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d*)?|\.\d+)\s*(ns|us|µs|μs|ms|s|m|h|d)\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  if (parts.length === 0 || length !== text.trim().length) return NaN;
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * units[unit], 0);
}

const grouped = new Intl.NumberFormat("en");

/** A number with its thousands apart. */
export function number(value) {
  return grouped.format(value);
}

/** `1 span`, `2,000 spans`. */
export function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** All nanoseconds of a duration. */
export function exact(ns) {
  return `${number(ns)} ns`;
}

/** A moment from nanoseconds since 1970, a BigInt: `2026-01-31 23:59:59.999 UTC`. */
export function moment(unixNs) {
  const date = new Date(Number(unixNs / 1000000n));
  return `${date.toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

/** A moment of the recording, from its start: `+1.234567s`, with as many digits as tell it from others `stepNs` away. */
export function offset(ns, stepNs) {
  const scales = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
  const [unit, scale] = scales.find(([, scale]) => Math.abs(ns) >= scale) ?? scales[3];
  const digits = Math.max(0, Math.min(9, Math.ceil(Math.log10(scale / Math.max(stepNs, 1)))));
  const value = (ns / scale).toFixed(unit === "ns" ? 0 : digits);
  return `${ns < 0 ? "" : "+"}${value}${unit}`;
}

/** A text of a recording: what has no shape, or would change how the rest is read, is shown by its number. */
export function clean(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => ({ "\n": "\\n", "\r": "\\r", "\t": "\\t" })[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** The same, cut to a length that can be shown in one line. */
export function brief(text, most = 120) {
  const points = [...clean(text.slice(0, 4 * most))];
  return points.length > most || text.length > 4 * most ? `${points.slice(0, most - 1).join("")}…` : points.join("");
}

/** An element. Attributes with `on` are listeners; `text` in children is never markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** The element of the page with that id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A name of a recording, as long as it is, apart from the text around it. */
export function named(text, most) {
  const short = brief(text, most);
  return element("bdi", short === text ? {} : { title: brief(text, 2000) }, short);
}

/**
 * Fills a table in portions: a head, and a row for each item, of which `step` more are shown each time that `more` is pressed.
 * A column is `{ title, cell(item), kind }`; kind is `number`, `name` (its cells are row headers), `wide` or nothing.
 */
export function fillTable(table, more, caption, columns, items, step, decorate = () => {}) {
  let shown = 0;
  const body = element("tbody");
  const head = columns.map((column) => {
    const heading = element("th", { scope: "col", class: column.kind, "aria-sort": column.sorted }, column.heading ?? column.title);
    return heading;
  });
  table.replaceChildren(element("caption", {}, caption), element("thead", {}, element("tr", {}, ...head)), body);
  const show = () => {
    for (const item of items.slice(shown, shown + step)) {
      const cells = columns.map((column) =>
        element(column.kind === "name" ? "th" : "td", { class: column.kind, scope: column.kind === "name" ? "row" : undefined }, column.cell(item)),
      );
      const row = element("tr", {}, ...cells);
      decorate(row, item);
      body.append(row);
    }
    shown = Math.min(items.length, shown + step);
    more.hidden = shown >= items.length;
    more.textContent = `Show ${number(Math.min(step, items.length - shown))} more of ${number(items.length - shown)}`;
  };
  more.onclick = show;
  show();
}
