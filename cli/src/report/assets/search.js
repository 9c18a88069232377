// The search: which spans match, how many, the slowest of them, and from one to the next.
import { ENDINGS, OPEN } from "./data.js";
import { withAttributes } from "./beside.js";
import { byId, count, duration, element, fillTable, named, number, offset, parseDuration } from "./text.js";

const LISTED = 1000;

export class Search {
  /** Wires the form to the timeline. */
  constructor(recording, timeline) {
    this.recording = recording;
    this.timeline = timeline;
    this.matches = null;
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      // As in a browser's own search: Enter once more is the next one.
      if (this.matches !== null && this.asked === question()) this.go(1);
      else this.run();
    });
    byId("search-ending").addEventListener("change", () => this.run());
    byId("search-text").addEventListener("keydown", (event) => event.key === "Escape" && this.clear());
    byId("search-next").addEventListener("click", () => this.go(1));
    byId("search-previous").addEventListener("click", () => this.go(-1));
    byId("search-clear").addEventListener("click", () => this.clear());
  }

  /** Searches for spans of one row. */
  findRow(row) {
    byId("search-text").value = row.name;
    byId("search-least").value = "";
    byId("search-ending").value = "";
    this.run((index) => this.recording.row[index] === row.number);
  }

  run(test = this.wanted()) {
    if (test === null) return;
    const { length, end, begin } = this.recording;
    const matches = new Uint8Array(length);
    let found = 0;
    for (let index = 0; index < length; index++) {
      if (test(index)) {
        matches[index] = 1;
        found++;
      }
    }
    this.matches = matches;
    this.asked = question();
    this.timeline.mark(matches);
    const indices = new Uint32Array(found);
    for (let index = 0, next = 0; index < length; index++) if (matches[index] === 1) indices[next++] = index;
    const slowest = indices.sort((a, b) => end[b] - begin[b] - (end[a] - begin[a]) || a - b);
    this.show(slowest);
  }

  /** A test for what the form asks for; null if it asks for nothing. */
  wanted() {
    const { recording } = this;
    const text = byId("search-text").value;
    const leastText = byId("search-least").value.trim();
    const ending = byId("search-ending").value;
    const least = leastText === "" ? 0 : parseDuration(leastText);
    if (Number.isNaN(least)) {
      byId("search-result").textContent = "“at least” is a number with a unit: 250ms, 1.5s, 2h30m";
      byId("search-least").setAttribute("aria-invalid", "true");
      return null;
    }
    byId("search-least").removeAttribute("aria-invalid");
    if (text === "" && leastText === "" && ending === "") {
      this.clear();
      return null;
    }
    const id = /^#(\d+)$/.exec(text.trim());
    const wanted = text.toLowerCase();
    const rowMatches = recording.rowsByNumber.map((row) => row.name.toLowerCase().includes(wanted) || `${row.file}:${row.line}`.toLowerCase().includes(wanted));
    const nameMatches = recording.names.map((name) => name.toLowerCase().includes(wanted));
    const pair = /^\s*([^=]+)=(.*)$/s.exec(text);
    const pairTest = pair === null ? () => false : attributeTest(recording, pair[1].trim().toLowerCase(), pair[2].trim().toLowerCase());
    const textTest = id !== null ? (index) => recording.id[index] === BigInt(id[1])
      : (index) => pairTest(index) || rowMatches[recording.row[index]] || (recording.name[index] > 0 && nameMatches[recording.name[index] - 1]);
    const endingTest = ending === "" ? () => true : ending === "failed" ? (index) => recording.failed(index) : (index) => recording.ending(index) === Number(ending);
    return (index) => endingTest(index) && recording.end[index] - recording.begin[index] >= least && textTest(index);
  }

  show(slowest) {
    const { recording } = this;
    const found = slowest.length;
    this.byTime = slowest.slice().sort();
    const said = `${number(found)} ${found === 1 ? "match" : "matches"} of ${count(recording.length, "span")}${recording.length < recording.info.spans ? " that are shown" : ""}`;
    byId("search-result").replaceChildren(said, ...(found === 0 ? [] : [": ", element("a", { href: "#matches" }, "list")]));
    for (const id of ["search-next", "search-previous"]) byId(id).disabled = found === 0;
    byId("search-clear").disabled = false;
    const holder = byId("matches");
    holder.replaceChildren();
    if (found === 0) return;
    const table = element("table", { class: "grid" });
    const more = element("button", { type: "button" });
    holder.append(element("div", { class: "scroll", role: "region", "aria-label": "Table of matches", tabindex: "0" }, table), element("p", {}, more));
    const caption = found > LISTED ? `The ${number(LISTED)} slowest of ${number(found)} matches` : "Matches, the slowest first";
    fillTable(table, more, caption, [
      { title: "span", kind: "name", cell: (index) => withAttributes(recording.detailsBySpan.get(index), "0", element("button", { type: "button", class: "link", onclick: () => this.timeline.select(index, { zoom: true }) }, named(recording.nameOf(index)))) },
      { title: "took", kind: "number", cell: (index) => duration(recording.duration(index)) },
      { title: "began", kind: "number", cell: (index) => offset(recording.begin[index], 1e3) },
      { title: "ending", cell: (index) => element("span", { class: `ending ${ENDINGS[recording.ending(index)]}` }, ENDINGS[recording.ending(index)]) },
      { title: "polls", kind: "number", cell: (index) => (recording.isThreadSpan(index) || recording.ending(index) === OPEN ? "" : number(recording.polls[index])) },
      { title: "id", kind: "number", cell: (index) => String(recording.id[index]) },
    ], [...slowest.subarray(0, LISTED)], 10);
  }

  /** Selects the next or previous match by time, from the selected span on. */
  go(by) {
    const { byTime } = this;
    if (this.matches === null || byTime.length === 0) return;
    const selected = this.timeline.selected;
    let at = by > 0 ? byTime.findIndex((index) => index > selected) : byTime.findLastIndex((index) => index < selected);
    if (at < 0) at = by > 0 ? 0 : byTime.length - 1;
    this.timeline.select(byTime[at]);
  }

  clear() {
    for (const id of ["search-text", "search-least", "search-ending"]) byId(id).value = "";
    for (const id of ["search-next", "search-previous", "search-clear"]) byId(id).disabled = true;
    byId("search-result").textContent = "";
    byId("matches").replaceChildren();
    this.matches = null;
    this.timeline.mark(null);
  }
}

/** What the form asks for, to tell whether it asks for something else. */
function question() {
  return JSON.stringify(["search-text", "search-least", "search-ending"].map((id) => byId(id).value));
}

/** A test for spans with an attribute of this key, and this value of it; with an empty one, any. */
function attributeTest(recording, key, value) {
  const same = ([itsKey, , itsValue]) => itsKey.toLowerCase() === key && (value === "" || itsValue.toLowerCase() === value);
  const has = (of) => (of.attributes ?? []).some(same);
  return (index) => {
    const details = recording.detailsBySpan.get(index);
    return details !== undefined && (has(details) || (details.instants ?? []).some(has));
  };
}
