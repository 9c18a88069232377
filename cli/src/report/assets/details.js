// The selected span: what is known of it, and the tree around it with where the time went.
import { ENDINGS, OPEN, PARENT_NOT_HERE } from "./data.js";
import { instantsOf, lacksOf, pairsOf, withAttributes } from "./beside.js";
import { brief, duration, element, exact, moment, named, number, offset } from "./text.js";
import { colourOf } from "./colour.js";

const ROWS = 200;

/** What is known of a span's time: nanoseconds, or undefined. */
function times(recording, index) {
  const total = recording.duration(index);
  const busy = recording.busyOf(index);
  const wait = recording.waitOf(index);
  return { total, busy, idle: busy === undefined ? undefined : Math.max(0, total - busy), wait, below: below(recording, index) };
}

/** For how long at least one child was there. */
function below(recording, index) {
  let covered = 0;
  let until = recording.begin[index];
  for (const child of recording.children(index)) {
    const end = Math.min(recording.end[child], recording.end[index]);
    const begin = Math.max(until, recording.begin[child]);
    if (end > begin) {
      covered += end - begin;
      until = end;
    }
  }
  return covered;
}

/** Shows what is known of a span in `holder`, and its tree in `treeHolder`; -1: none. */
export function showDetails(recording, holder, treeHolder, index, actions) {
  if (index < 0) {
    treeHolder.replaceChildren();
    holder.replaceChildren(element("p", { class: "note" }, "Select a span in the timeline to see what it did, and the tree that it belongs to."));
    return;
  }
  const row = recording.rowOf(index);
  const { total, busy, idle, wait, below } = times(recording, index);
  const open = recording.ending(index) === OPEN;
  const flags = recording.flags[index];
  const doubts = [
    [flags & 8, "its begin is lost: this is what its end says"],
    [flags & 16, "its end may be among lost events"],
    [flags & 32, "its name was too long and is cut"],
    [flags & 64, "its name is lost"],
    [flags & 128, "some of its polls are lost, so nobody knows how long it was busy"],
    [recording.parent[index] === PARENT_NOT_HERE, "its parent is not in this page"],
    ...lacksOf(recording.detailsBySpan.get(index)).map((lack) => [true, lack]),
  ].filter(([is]) => is).map(([, what]) => what);
  const time = (ns) => element("span", {}, duration(ns), " ", element("span", { class: "faint" }, exact(ns)));
  const moments = (ns) => element("span", { title: moment(recording.unix(ns)) }, offset(ns, 1), element("br"), element("span", { class: "faint" }, moment(recording.unix(ns))));
  const parent = recording.parent[index];
  const facts = [
    ["ending", element("span", { class: `ending ${ENDINGS[recording.ending(index)]}` }, ENDINGS[recording.ending(index)])],
    [open ? "age" : "took", time(total)],
    ["waited before", wait === undefined ? undefined : time(wait)],
    ["busy", busy === undefined ? undefined : time(busy)],
    ["idle", idle === undefined ? undefined : time(idle)],
    ["in children", recording.children(index).length === 0 ? undefined : time(below)],
    ["began", moments(recording.begin[index])],
    ["ended", open ? undefined : moments(recording.end[index])],
    ["polls", recording.isThreadSpan(index) || open ? undefined : number(recording.polls[index])],
    ["first polled on", thread(recording, recording.begin_thread[index])],
    ["ended on", thread(recording, recording.end_thread[index])],
    ["where", row.file === null ? undefined : named(`${row.file}:${row.line}`, 200)],
    ["target", row.target ? named(row.target) : undefined],
    ["kind", recording.isThreadSpan(index) ? "thread span" : "async span"],
    ["id", String(recording.id[index])],
    ["parent", parent < 0 ? undefined : element("button", { type: "button", class: "link", onclick: () => actions.select(parent) }, named(recording.nameOf(parent), 60))],
  ].filter(([, value]) => value !== undefined);
  holder.replaceChildren(
    element("h3", {}, element("span", { class: "swatch", style: `background:${colourOf(row.name)}` }), named(recording.nameOf(index), 200)),
    ...doubts.map((doubt) => element("p", { class: "banner warn" }, `Beware: ${doubt}.`)),
    ...besides(recording, index),
    element("dl", { class: "facts" }, ...facts.flatMap(([term, value]) => [element("dt", {}, term), element("dd", {}, value)])),
  );
  treeHolder.replaceChildren(tree(recording, index, actions));
}

/** Attributes and instants of a span, if it has any, each below a heading. */
function besides(recording, index) {
  const details = recording.detailsBySpan.get(index);
  if (details === undefined) return [];
  const pairs = pairsOf(details);
  const instants = recording.instantsOf(index);
  return [
    ...(pairs === undefined ? [] : [element("h4", {}, "Attributes"), pairs]),
    ...(instants.length === 0 ? [] : [element("h4", {}, "Instants"), instantsOf(recording, instants, recording.begin[index])]),
    element("h4", {}, "Span"),
  ];
}

function thread(recording, idAfter) {
  const name = recording.threadName(idAfter);
  return name === undefined ? undefined : named(name);
}

/** The ancestors of a span, itself, and all that is below it. */
function tree(recording, index, actions) {
  const above = [];
  for (let next = recording.parent[index]; next >= 0; next = recording.parent[next]) above.unshift(next);
  const body = element("tbody");
  const { measured } = recording;
  const titles = ["span", "after", "took", ...(measured ? ["wait", "busy", "idle"] : []), "polls", "when"];
  const table = element("table", { class: "grid tree" }, element("caption", {}, "Tree of the selected span"), element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", { scope: "col", class: title === "span" || title === "when" ? title : `number ${title}` }, title)))), body);
  const frame = { begin: recording.begin[index], length: Math.max(1, recording.duration(index)) };
  const line = (span, level, kind) => {
    const { total, busy, idle, wait } = times(recording, span);
    const cell = (ns) => element("td", { class: "number" }, ns === undefined ? "" : element("span", { title: exact(ns) }, duration(ns)));
    const ending = recording.ending(span);
    const indent = `${Math.min(level, 24) * 0.8}rem`;
    const name = span === index ? element("strong", {}, named(recording.nameOf(span), 60)) : element("button", { type: "button", class: "link", onclick: () => actions.select(span) }, named(recording.nameOf(span), 60));
    return element("tr", { class: kind, "data-span": String(span) },
      element("th", { scope: "row" }, withAttributes(recording.detailsBySpan.get(span), indent, level > 24 ? `+${level - 24} ` : "", name, ending === 0 ? "" : element("span", { class: `ending ${ENDINGS[ending]}` }, ENDINGS[ending]))),
      element("td", { class: "number" }, span === index ? "" : offset(recording.begin[span] - frame.begin, frame.length / 1000)),
      cell(total), ...(measured ? [cell(wait), cell(busy), cell(idle)] : []),
      element("td", { class: "number polls" }, recording.isThreadSpan(span) || ending === OPEN ? "" : number(recording.polls[span])),
      element("td", { class: "when" }, kind === "above" ? "" : bar(recording, span, frame)));
  };
  // A chain of ancestors can be as long as a recursion is deep: its ends say most.
  const listed = above.length > 24 ? [...above.slice(0, 12), null, ...above.slice(-12)] : above;
  listed.forEach((span, level) => body.append(span === null ? element("tr", { class: "above" }, element("th", { scope: "row", colspan: titles.length }, `… ${number(above.length - 24)} more`)) : line(span, Math.min(level, 6), "above")));
  const start = Math.min(listed.length, 7);
  // Depth first, children by begin; what has not been shown yet waits in `stack`.
  const stack = [[index, start]];
  const more = element("button", { type: "button" });
  const grow = () => {
    for (let shown = 0; stack.length > 0 && shown < ROWS; shown++) {
      const [span, level] = stack.pop();
      body.append(line(span, level, span === index ? "chosen" : ""));
      const children = recording.children(span);
      for (let child = children.length - 1; child >= 0; child--) stack.push([children[child], level + 1]);
    }
    more.hidden = stack.length === 0;
    more.textContent = `Show ${number(ROWS)} more`;
  };
  more.addEventListener("click", grow);
  grow();
  return element("div", {}, element("div", { class: "scroll", role: "region", "aria-label": "Tree of the selected span", tabindex: "0" }, table), element("p", {}, more));
}

/** When a span was there, within the selected one. */
function bar(recording, span, frame) {
  const from = Math.max(0, Math.min(100, ((recording.begin[span] - frame.begin) / frame.length) * 100));
  const to = Math.max(0, Math.min(100, ((recording.end[span] - frame.begin) / frame.length) * 100));
  return element("span", { class: "bar" }, element("span", { style: `inset-inline-start:${from.toFixed(2)}%;inline-size:max(2px, ${(to - from).toFixed(2)}%);background:${colourOf(recording.rowOf(span).name)}` }));
}

/** One line about a span, for those who do not see it. */
export function describeSpan(recording, index) {
  const children = recording.children(index).length;
  return `${brief(recording.nameOf(index))}, ${ENDINGS[recording.ending(index)]}, ${duration(recording.duration(index))}, ${offset(recording.begin[index], 1e3)} after the start, ${children === 1 ? "1 child" : `${number(children)} children`}`;
}

