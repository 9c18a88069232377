// What goes with spans: attributes, instants, and the counters with their charts.
import { drawCounter } from "./charts.js";
import { brief, byId, count, element, fillTable, moment, named, number, offset } from "./text.js";

/** Attributes as a list of terms; `of` says how many are missing. */
export function pairsOf(of) {
  const pairs = (of.attributes ?? []).flatMap(([key, type, value]) => [
    element("dt", {}, named(key, 60)),
    element("dd", {}, value === "" ? element("span", { class: "faint" }, "empty text") : named(value, 400), " ", element("span", { class: "faint" }, type)),
  ]);
  return pairs.length === 0 ? undefined : element("dl", { class: "facts" }, ...pairs);
}

/** Attributes in a line. */
export function inLine(of) {
  return (of.attributes ?? []).map(([key, , value]) => `${brief(key, 40)}=${brief(value, 80)}`).join("  ");
}

/** The parts of a name in a table, and below them the attributes of its span where it has any, all of it indented. */
export function withAttributes(of, indent, ...name) {
  const beside = inLine(of ?? {});
  return element("div", { style: `padding-inline-start:${indent}` }, ...name, beside === "" ? "" : element("bdi", { class: "beside", title: beside }, beside));
}

/** What is not there of a span's details, in words. */
export function lacksOf(details) {
  return [
    [details?.dropped_attributes ?? 0, "attribute", "too many to be kept"],
    [details?.lost_attributes ?? 0, "attribute", "lost"],
    [details?.dropped_instants ?? 0, "instant", "too many to be kept"],
  ].filter(([amount]) => amount > 0).map(([amount, noun, why]) => `${count(amount, noun)} ${amount === 1 ? "is" : "are"} ${why}`);
}

/** Instants as a list, their times from `from` on. */
export function instantsOf(recording, instants, from) {
  const line = (instant) => element("li", {},
    element("span", { class: "at", title: moment(recording.unix(instant.at_ns)) }, offset(instant.at_ns - from, 1e3)), " ",
    element("span", { title: instant.place === undefined ? undefined : brief(instant.place, 200) }, named(instant.name, 120)),
    pairsOf(instant));
  return element("ul", { class: "instants" }, ...instants.map(line));
}

/** The counters with their charts, and instants that are in no span. Hides the section if there are none. */
export function showBeside(recording) {
  const { counters, instants } = recording;
  const nothing = counters.length === 0 && instants.length === 0;
  byId("beside").hidden = nothing;
  byId("beside-link").hidden = nothing;
  if (nothing) return;
  byId("beside-note").textContent = [
    counters.length > 0 ? `${count(counters.length, "counter")}: the band is from the least to the greatest value of a moment.` : "",
    instants.length > 0 ? `${count(instants.length + recording.more_instants, "instant")} in no span${recording.more_instants > 0 ? `, of which the first ${number(instants.length)} are listed` : ""}.` : "",
  ].join(" ");
  const value = (what) => (what === null ? "–" : typeof what === "number" ? number(what) : what);
  byId("charts").replaceChildren(...counters.map((counter) => element("figure", { class: "card" },
    element("figcaption", {}, element("strong", {}, named(counter.name, 80)), element("span", { class: "faint" },
      ` ${count(counter.count, "value")}, ${value(counter.min)} to ${value(counter.max)}, mean ${value(counter.mean)}, last ${value(counter.last)}`)),
    counter.steps.length > 0 ? element("div", { class: "chart", role: "img", "aria-label": `${brief(counter.name, 80)} over time` }) : undefined)));
  drawCounters(recording);
  if (instants.length === 0) return;
  fillTable(byId("instants-table"), byId("instants-more"), "Instants in no span", [
    { title: "instant", kind: "name", cell: (instant) => named(instant.name, 120) },
    { title: "at", kind: "number", cell: (instant) => element("span", { title: moment(recording.unix(instant.at_ns)) }, offset(instant.at_ns, 1e3)) },
    { title: "thread", cell: (instant) => named(recording.threadName(instant.thread + 1) ?? "", 60) },
    { title: "attributes", kind: "wide", cell: (instant) => inLine(instant) },
  ], instants, 20);
}

/** Draws the charts, once more where the page has another size or other colours. */
export function drawCounters(recording) {
  const drawn = recording.counters.filter((counter) => counter.steps.length > 0);
  [...byId("charts").querySelectorAll(".chart")].forEach((holder, index) => drawCounter(holder, recording, drawn[index]));
}
