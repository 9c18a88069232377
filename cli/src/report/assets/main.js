// Unpacks the recording and puts the page together.
import { OPEN, unpack } from "./data.js";
import { byId, count, element, offset } from "./text.js";
import { onTheme } from "./colour.js";
import { selection, showLosses, showOpen, showSummary } from "./summary.js";
import { describeActivity, drawActivity } from "./charts.js";
import { Timeline } from "./timeline.js";
import { Names } from "./names.js";
import { drawCounters, showBeside } from "./beside.js";
import { describeSpan, showDetails } from "./details.js";
import { Search } from "./search.js";

const LEGEND = [
  ["open", "open: goes on at the end"],
  ["cancelled", "cancelled: dropped before it was ready"],
  ["panicked", "panicked, or ended with an error; also where spans that went wrong are too many to be drawn apart"],
  ["many", "several spans in one pixel: zoom in"],
  ["instant", "an instant: something that happened there"],
  ["loss", "events are missing there"],
];

async function start() {
  const loadStarted = performance.now();
  const recording = await unpack(byId("data"));
  for (const section of document.querySelectorAll("main > section")) section.hidden = false;
  byId("loading").remove();
  showSummary(recording);

  const activity = byId("activity");
  let activityDue = false;
  const timeline = new Timeline(recording, { canvas: byId("canvas"), holder: byId("lanes"), spacer: byId("spacer"), tip: byId("tip") }, {
    onSelect: (index) => {
      showDetails(recording, byId("details"), byId("tree"), index, { select: (other) => timeline.select(other) });
      byId("zoom-selected").disabled = index < 0;
      byId("announce").textContent = index < 0 ? "Nothing selected" : describeSpan(recording, index);
    },
    onView: (from, to) => {
      const step = (to - from) / 1000;
      byId("range").textContent = `${offset(from, step)} to ${offset(to, step)}`;
      if (!activityDue) {
        activityDue = true;
        requestAnimationFrame(() => {
          activityDue = false;
          activity.chart?.redraw(false, false);
        });
      }
    },
  });
  const redrawActivity = () => drawActivity(activity, recording, (from, to) => timeline.show(from, to), () => [timeline.from, timeline.to]);
  activity.setAttribute("aria-label", describeActivity(recording));
  redrawActivity();
  showDetails(recording, byId("details"), byId("tree"), -1, {});
  timeline.showAll();
  const search = new Search(recording, timeline);
  const names = new Names(recording, {
    selectSlowest: (row) => {
      timeline.select(slowestOf(recording, row), { zoom: true });
      toTimeline();
    },
    find: (row) => {
      search.findRow(row);
      toTimeline();
    },
  });
  showOpen(recording, (index) => {
    timeline.select(index);
    toTimeline();
  });
  showBeside(recording);
  showLosses(recording, (from, to) => {
    timeline.show(from - (to - from) * 0.1, to + (to - from) * 0.1);
    byId("lanes").scrollTop = 0;
    toTimeline();
  });
  byId("timeline-note").textContent = recording.length < recording.info.spans ? `Not every span is drawn: ${selection(recording)}`
    : recording.length === 0 ? "There are no spans." : `All ${count(recording.length, "span")}. What is there at the same time is never in the same lane.`;
  byId("legend").replaceChildren(...LEGEND.map(([kind, text]) => element("li", {}, element("span", { class: `mark ${kind}` }), text)));

  byId("zoom-in").addEventListener("click", () => timeline.zoom(0.5));
  byId("zoom-out").addEventListener("click", () => timeline.zoom(2));
  byId("zoom-all").addEventListener("click", () => timeline.showAll());
  byId("zoom-selected").addEventListener("click", () => timeline.showSpan(timeline.selected));
  onTheme(() => {
    timeline.learnColours();
    redrawActivity();
    drawCounters(recording);
    showDetails(recording, byId("details"), byId("tree"), timeline.selected, { select: (other) => timeline.select(other) });
  });
  let width = innerWidth;
  addEventListener("resize", () => {
    timeline.redraw();
    if (width === innerWidth) return;
    width = innerWidth;
    redrawActivity();
    drawCounters(recording);
    names.drawChosen();
  });
  addEventListener("keydown", (event) => globalKey(event, search));
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  // For scripts, and for those who look into the page with their browser's tools.
  globalThis.spanring = { recording, timeline, search, readyMs: performance.now() - loadStarted };
  document.documentElement.dataset.ready = "true";
}

function toTimeline() {
  byId("timeline").scrollIntoView({ block: "start" });
  byId("canvas").focus({ preventScroll: true });
}

function slowestOf(recording, row) {
  let slowest = -1;
  for (let index = 0; index < recording.length; index++) {
    const counts = recording.row[index] === row.number && recording.ending(index) !== OPEN;
    if (counts && (slowest < 0 || recording.duration(index) > recording.duration(slowest))) slowest = index;
  }
  return slowest;
}

function globalKey(event, search) {
  const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const actions = {
    "/": () => byId("search-text").focus(),
    t: () => toTimeline(),
    n: () => search.go(1),
    N: () => search.go(-1),
    "?": () => byId("help").showModal(),
  };
  const action = actions[event.key];
  if (action !== undefined) {
    event.preventDefault();
    action();
  }
}

start().catch((error) => {
  const message = element("p", { class: "banner bad", role: "alert" }, element("strong", {}, "This page cannot be shown:"), ` ${error.message}. It needs a browser of 2023 or later; or the file is cut off.`);
  document.querySelector("main").prepend(message);
  byId("loading")?.remove();
  throw error;
});
