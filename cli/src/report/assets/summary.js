// Who recorded, what is there, what is missing, and whether to worry.

import { withAttributes } from "./beside.js";
import { byId, count, duration, element, exact, fillTable, moment, named, number, offset } from "./text.js";

/** Fills the summary. */
export function showSummary(recording) {
  const { info, open } = recording;
  const program = info.executable.split("/").pop() || "a program";
  document.title = `${program} (${info.pid}): spanring report`;
  byId("subject").replaceChildren(named(program), ` · process ${info.pid} on `, named(info.host), ` · ${number(info.spans)} spans`);
  byId("banners").replaceChildren(...banners(recording).map(([kind, title, text]) =>
    element("p", { class: `banner ${kind}`, role: kind === "bad" ? "alert" : undefined }, element("strong", {}, title), " ", text)));
  const last = info.last_record_unix_ns === null ? "no event" : moment(BigInt(Math.round(info.last_record_unix_ns)));
  const span = info.last_record_unix_ns === null ? "" : `, ${duration(info.last_record_unix_ns - info.started_unix_ns)} after the start`;
  const facts = [
    ["program", named(info.executable, 200)],
    ["process", element("span", {}, `${info.pid} on `, named(info.host), ", ", named(`${info.os} ${info.arch}`))],
    ["session", named(info.session)],
    ["recorder", `spanring ${info.version}, ${info.discipline} discipline, rings of ${number(info.ring_bytes / 1024)} KiB`],
    ["since", moment(BigInt(Math.round(info.started_unix_ns)))],
    ["last event", last + span],
    ["writer", { running: "running: it still recorded when this page was made", stopped: "stopped: it closed the recording",
      died: "died: it ended without closing the recording" }[info.writer]
      ?? "unknown: the session file, which would say so, is missing or damaged"],
    ["spans", `${number(info.spans)}, ${number(open.open)} of them open`],
    ...besideSpans(info.beside_spans),
  ];
  byId("facts").replaceChildren(...facts.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]));
  byId("accounting").replaceChildren(accounting(recording));
  byId("made").textContent = `Made ${moment(recording.unix(recording.made_ns))} by spanring, from ${info.path}. This page holds all that it shows, and asks for nothing else.`;
}

/** What was recorded beside spans, if anything. */
function besideSpans(beside) {
  const lacks = [
    [beside.late_attributes, "attribute", "of spans that are not there"],
    [beside.dropped_attributes, "attribute", "too many for their spans"],
    [beside.dropped_instants, "instant", "too many for their spans"],
  ].filter(([amount]) => amount > 0).map(([amount, noun, why]) => `; ${count(amount, noun)} ${why}`).join("");
  const text = `${count(beside.attributes, "attribute")}, ${count(beside.instants, "instant")}, ${count(beside.counters, "value")} of counters${lacks}`;
  return beside.attributes + beside.instants + beside.counters > 0 ? [["beside", text]] : [];
}

/** What has to be said first, as kind, title and text. */
function banners(recording) {
  const { info, open, status } = recording;
  const { missing } = info;
  const lost = missing.dropped_records + missing.damaged_records;
  const found = [];
  if (info.spans === 0) {
    const why = lost > 0 ? "Everything that was written is lost or damaged." : info.writer === "running"
      ? "The recorder runs, but no event has reached it: are the spans compiled in, and is the instrumented code running?"
      : "The recorder ran, but no event reached it: were the spans compiled in, and did the instrumented code run?";
    found.push(["bad", "Nothing was recorded.", why]);
  }
  const lacks = [
    [missing.dropped_records, "event", "lost because a ring was full"],
    [missing.damaged_records, "event", "in damaged places"],
    [missing.names, "name", "lost"],
    [missing.cut_names, "name", "cut"],
    [missing.damage.length, "place", "in the files damaged"],
    [status?.refused ?? 0, "event", "refused before it became a record"],
    [status?.write_errors ?? 0, "write", "to the disk failed"],
    [status?.spoiled_files ?? 0, "file", "removed or cut off by someone else"],
  ].filter(([amount]) => amount > 0).map(([amount, noun, how]) => `${count(amount, noun)} ${how}`);
  if (!info.complete || lacks.length > 0) {
    const begins = !info.complete && missing.begins > 0 ? [`${count(missing.begins, "span")} known by their ends alone`] : [];
    found.push([lost > 0 || missing.damage.length > 0 ? "bad" : "warn", "Incomplete:", `${[...lacks, ...begins].join(", ")}.${lost > 0 || missing.damage.length > 0 ? " Counts may be too low, and open spans may have ended." : ""}`]);
  } else if (info.spans > 0 && info.writer === "unknown") {
    found.push(["warn", "As far as is known, complete:", "every event that is there has been read, with its name. The session file, which says how many there were, is lost."]);
  } else if (info.spans > 0) {
    const older = missing.overwritten_records + missing.retired_records;
    found.push(["good", "Complete:", older === 0
      ? `every event has been read, with its name.`
      : `every event that was kept has been read, with its name. ${count(older, "older event")} made room for newer ones, as the recorder was told.`]);
  }
  if (info.writer === "died") {
    found.push(["warn", "The process died", `without closing the recording; its last sign is of ${moment(BigInt(Math.round(open.until_unix_ns)))}. ${open.open === 0 ? "No span was open." : `${count(open.open, "span")} ${open.open === 1 ? "was" : "were"} open then.`}`]);
  }
  if (info.writer === "running") {
    found.push(["info", "A snapshot:", "the process still recorded when this page was made."]);
  }
  if (recording.length < info.spans) found.push(["info", "Not every span is drawn:", selection(recording)]);
  return found;
}

/** Which spans are shown one by one. */
export function selection(recording) {
  const { info, chosen } = recording;
  const rules = [];
  if (chosen !== null) {
    if (chosen.slowest > 0) rules.push(`the ${number(chosen.slowest)} slowest of each name`);
    rules.push("open ones and those that went wrong as far as there was room");
    rules.push(`of the other trees a uniform sample, one in ${number(2 ** chosen.one_in_log2)}`);
  }
  return `the timeline, trees and search have ${number(recording.length)} of ${count(info.spans, "span")}: ${rules.join(", ")}, and what is above them. Counts, sums, percentiles, histograms and the activity chart are of all spans.`;
}

/** Where every event went. */
function accounting(recording) {
  const { info, carried_begins: carried, status } = recording;
  const { missing } = info;
  const lost = missing.dropped_records + missing.overwritten_records;
  const recorded = info.records + lost + missing.retired_records + missing.damaged_records;
  const rows = [
    ["recorded", recorded, "sum", "all that threads wrote, or wanted to"],
    ["read", info.records, "", [info.recovered_records > 0 ? `${number(info.recovered_records)} recovered from rings` : "", info.unknown_records > 0 ? `${number(info.unknown_records)} of an unknown kind` : ""].filter(Boolean).join(", ")],
    ["lost", missing.dropped_records, missing.dropped_records > 0 ? "alarm" : "", "their ring was full"],
    ["overwritten", missing.overwritten_records, "", "by newer ones: flight discipline"],
    ["retired", missing.retired_records, "", "the directory has a budget"],
    ["damaged", missing.damaged_records, missing.damaged_records > 0 ? "alarm" : "", "in places that cannot be read"],
  ];
  const table = element("table", { class: "grid account" }, element("caption", {}, "Events: recorded = read + lost + overwritten + retired + damaged"), element("tbody", {},
    ...rows.map(([what, amount, kind, note]) => element("tr", { class: kind }, element("th", { scope: "row" }, what), element("td", { class: "number" }, number(amount)), element("td", { class: "remark" }, note)))));
  const aside = [];
  if (carried > 0) aside.push(`${count(carried, "begin")} of those that are missing ${carried === 1 ? "is" : "are"} there all the same: carried forward because the span was open.`);
  if (status !== null && status.unscanned > 0) aside.push(`${count(status.unscanned, "record")} overwritten before anyone saw whether they began a span that is still open.`);
  if (status !== null && status.waits > 0) aside.push(`${count(status.waits, "record")} waited for room in a ring.`);
  return element("div", {}, table, ...aside.map((text) => element("p", { class: "note" }, text)));
}

const CAUSES = { dropped: "lost: ring full", overwritten: "overwritten by newer", retired: "retired: budget" };

/** What a gap is called. */
export function causeOf(gap) {
  return CAUSES[gap.cause];
}

/** A column, unless there would be nothing in it. */
function unless(isEmpty, column) {
  return isEmpty ? [] : [column];
}

/** Fills the tables of losses, damage and threads. */
export function showLosses(recording, goTo) {
  const { info, losses } = recording;
  byId("damage").replaceChildren(...info.missing.damage.slice(0, 100).map((damage) =>
    element("p", { class: "banner bad" }, element("strong", {}, "Damage:"), " ", named(damage.path, 300), `, byte ${number(damage.offset)}: ${damage.what} (${count(damage.bytes, "byte")}, ${count(damage.records, "record")})`)));
  const time = (ns, otherwise) => (ns === null ? otherwise : offset(ns, 1e3));
  const table = byId("losses-table");
  if (losses.length === 0) {
    table.replaceChildren(element("caption", {}, "No events are missing from any thread."));
    byId("losses-more").hidden = true;
  } else {
    fillTable(table, byId("losses-more"), `${count(losses.length, "gap")} in which events are missing`, [
      { title: "thread", kind: "name", cell: (gap) => named(recording.threadName(gap.thread + 1)) },
      { title: "events", kind: "number", cell: (gap) => number(gap.records) },
      { title: "why", cell: causeOf },
      { title: "after", kind: "number", cell: (gap) => time(gap.after_ns, "the start") },
      { title: "before", kind: "number", cell: (gap) => time(gap.before_ns, "the end") },
      ...unless(losses.every((gap) => gap.gaps === 1), { title: "drawn as one", kind: "number", cell: (gap) => (gap.gaps === 1 ? "" : count(gap.gaps, "gap")) }),
      { title: "", cell: (gap) => element("button", { type: "button", class: "link", onclick: () => goTo(gap.after_ns ?? 0, gap.before_ns ?? recording.until) }, "Show") },
    ], losses, 20);
  }
  byId("threads-table").parentElement.hidden = info.threads.length === 0;
  fillTable(byId("threads-table"), byId("threads-more"), count(info.threads.length, "thread"), [
    { title: "thread", kind: "name", cell: (thread) => named(thread.name) },
    { title: "id", kind: "number", cell: (thread) => String(thread.id) },
    { title: "os id", kind: "number", cell: (thread) => String(thread.os_id) },
    { title: "spans begun", kind: "number", cell: (thread) => number(thread.began) },
    { title: "spans ended", kind: "number", cell: (thread) => number(thread.ended) },
    { title: "events lost", kind: "number", cell: (thread) => number(thread.lost_records) },
  ], info.threads, 50);
}

/** Fills the table of open spans. */
export function showOpen(recording, select) {
  const { open } = recording;
  const listed = open.tree.filter((line) => line.state === "open").length;
  const until = moment(BigInt(Math.round(open.until_unix_ns)));
  const instant = { running: "now: the process was still recording", stopped: "when the recording was stopped", died: "the last sign of the process, which died" }[open.writer]
    ?? "the last sign of the process, of which nothing says how it ended";
  const doubt = open.doubtful > 0 ? ` ${count(open.doubtful, "span")} marked “end lost?” may have ended among lost events.` : "";
  byId("open-note").textContent = open.open === 0
    ? "No span is open: every span whose begin is there has ended."
    : `${count(open.open, "open span")}, ${number(open.roots)} of them ${open.roots === 1 ? "a root" : "roots"}${listed < open.open ? `; the ${number(listed)} oldest trees are listed` : ""}. Ages count up to ${until}, ${instant}.${doubt}`;
  byId("open-table").parentElement.hidden = open.tree.length === 0;
  if (open.tree.length === 0) return;
  fillTable(byId("open-table"), byId("open-more"), "Children stand below their parents, the oldest first", [
    { title: "span", kind: "name", cell: (line) => openName(recording, line, select) },
    { title: "age", kind: "number", cell: (line) => (line.age_ns === null ? line.state : element("span", { title: exact(line.age_ns) }, duration(line.age_ns))) },
    ...unless(open.doubtful === 0, { title: "end", cell: (line) => (line.end_may_be_lost ? "end lost?" : "") }),
    { title: "kind", cell: (line) => line.kind ?? "?" },
    { title: "began on", cell: (line) => (line.thread === null ? "?" : named(line.thread.name)) },
    { title: "where", cell: (line) => (line.file === null ? "?" : named(`${line.file}:${line.line}`)) },
  ], open.tree, 30, (row, line) => line.state === "open" || row.classList.add("faint"));
}

function openName(recording, line, select) {
  const name = line.state === "unknown" ? `<unknown span ${line.id}>` : line.name;
  const index = recording.indexOfId(line.id);
  const level = Math.min(line.level, 20);
  const text = index === undefined ? named(name) : element("button", { type: "button", class: "link", onclick: () => select(index) }, named(name));
  return withAttributes(recording.detailsBySpan.get(index), `${level * 0.8}rem`, line.level > level ? `+${line.level - level} ` : "", text);
}
