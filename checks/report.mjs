// Drives pages of `spanring report` in a real browser, and compares what they say with the recordings. See scripts/check-report.
//
//   node report.mjs check PROGRAM CASES      every case below CASES, as `cases record` makes them
//   node report.mjs measure PAGE             how long a page takes to load, and its frames while it is zoomed and moved
import { chromium } from "playwright-core";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const SIZES = [[390, 844], [1280, 800], [1920, 1080]];

const [verb, ...rest] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  if (verb === "check") process.exitCode = (await checkAll(...rest)) ? 0 : 1;
  else if (verb === "measure") await measure(...rest);
  else throw new Error(`there is no ${verb}`);
} finally {
  await browser.close();
}

/** Opens a page; what goes wrong in it, or leaves it, is a difference. */
async function open(file, [width, height], differences) {
  const page = await browser.newPage({ viewport: { width, height } });
  page.on("pageerror", (error) => differences.push(`script error: ${error.message}`));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && differences.push(`console: ${message.text()}`));
  page.on("dialog", (dialog) => {
    differences.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  const url = pathToFileURL(file).href;
  page.on("request", (request) => request.url() !== url && differences.push(`request: ${request.url().slice(0, 200)}`));
  await page.goto(url);
  await page.waitForSelector("html[data-ready]", { timeout: 60_000 });
  return page;
}

async function checkAll(program, cases) {
  console.log("| case | spans compared | values compared | differences | seconds |");
  console.log("|---|---:|---:|---:|---:|");
  let good = true;
  let spans = 0;
  for (const name of readdirSync(cases).sort()) {
    const began = performance.now();
    const differences = [];
    const counts = await checkCase(program, join(cases, name), differences);
    spans += counts.spans;
    console.log(`| ${name} | ${counts.spans.toLocaleString("en")} | ${counts.values.toLocaleString("en")} | ${differences.length} | ${((performance.now() - began) / 1000).toFixed(1)} |`);
    for (const difference of differences.slice(0, 20)) console.error(`${name}: ${difference}`);
    good &&= differences.length === 0;
  }
  if (spans === 0) console.error("nothing was compared");
  return good && spans > 0;
}

async function checkCase(program, directory, differences) {
  const recording = join(directory, "recording");
  const out = join(directory, "report.html");
  const run = (...words) => execFileSync(program, words, { encoding: "utf8", maxBuffer: 1 << 30, stdio: ["ignore", "pipe", "pipe"] });
  run("report", recording, "--out", out);
  const truth = readFileSync(join(directory, "truth.jsonl"), "utf8").trimEnd().split("\n").map(parseExactly);
  const [info, top, opened] = ["info", "top", "open"].map((verb) => JSON.parse(run(verb, recording, "--json")));
  const page = await open(out, SIZES[1], differences);
  const counts = { spans: 0, values: 0 };
  const same = (what, expected, found) => {
    counts.values++;
    if (String(expected) !== String(found)) differences.push(`${what}: ${found}, and not ${expected}`);
  };
  await compareSpans(page, truth.filter((line) => line.is === "span"), same, counts);
  const ended = run("tail", recording, "--json", "-n", "1000000000").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  await compareDetails(page, ended, info, same);
  await compareTexts(page, info, top, opened, same);
  await compareLanes(page, same);
  if (info.spans > 0) await drive(page, truth.filter((line) => line.is === "span"), same);
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    same(`pixels that the page is too wide at ${width}`, 0, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth));
  }
  await page.close();
  return counts;
}

/** A line of the truth. Moments stay text: they are beyond what JavaScript's numbers hold exactly. */
function parseExactly(line) {
  return JSON.parse(line.replace(/"start_ns":(\d+)/, '"start_ns":"$1"'));
}

async function compareSpans(page, spans, same, counts) {
  const shown = await page.evaluate(() => {
    const { recording } = spanring;
    return Array.from({ length: recording.length }, (_, index) => {
      const span = recording.span(index);
      return [span.id, span.parent, span.name, span.begin_unix_ns, span.duration_ns, span.ending, span.kind, span.polls].map((value) => String(value));
    });
  });
  same("spans in the page", spans.length, shown.length);
  const byId = new Map(shown.map((span) => [span[0], span]));
  for (const span of spans) {
    counts.spans++;
    const found = byId.get(String(span.id)) ?? [];
    // Whose parent is not in the recording either has none in the page.
    const parent = byId.has(String(span.parent)) || Number(span.parent) === 0 ? span.parent : undefined;
    const expected = [span.id, parent, span.name, span.start_ns, span.duration_ns ?? undefined, span.outcome, span.kind, span.polls];
    expected.forEach((value, index) => same(`span ${span.id}, value ${index}`, value, found[index]));
  }
}

/** Attributes, instants and counters, with what the program prints as JSON. */
async function compareDetails(page, ended, info, same) {
  const shown = await page.evaluate(() => {
    const { recording } = spanring;
    const plain = ({ name, unix_ns, attributes }) => ({ name, unix_ns: String(unix_ns), attributes });
    const spans = Array.from({ length: recording.length }, (_, index) => recording.span(index));
    const details = spans.map(({ id, attributes, instants }) => [String(id), { attributes, instants: instants.map(plain) }]);
    return { details, counters: recording.counters.reduce((sum, counter) => sum + counter.count, 0) };
  });
  const byId = new Map(shown.details);
  const comparePairs = (what, expected, found) => {
    same(`${what}, keys`, JSON.stringify(Object.keys(expected).sort()), JSON.stringify(found.map(([key]) => key).sort()));
    for (const [key, type, value] of found) {
      const typed = type === "bool" ? value === "true" : ["i64", "u64", "f64"].includes(type) && typeof expected[key] === "number" ? Number(value) : value;
      same(`${what}, ${key}`, `${typeof expected[key]} ${expected[key]}`, `${typeof typed} ${typed}`);
    }
  };
  // Keys that are lost have one name, so that in JSON one of them hides the others.
  const keysAreKnown = info.missing.names === 0 && info.complete;
  for (const span of ended) {
    const found = byId.get(String(span.id));
    if (found === undefined || !keysAreKnown) continue;
    comparePairs(`span ${span.id}`, span.attributes, found.attributes);
    same(`instants of span ${span.id}`, span.instants.map(({ name }) => name).join("\n"), found.instants.map(({ name }) => name).join("\n"));
    span.instants.forEach((instant, index) => comparePairs(`span ${span.id}, instant ${index}`, instant.attributes, found.instants[index]?.attributes ?? []));
  }
  same("values of counters", info.beside_spans.counters, shown.counters);
}

async function compareTexts(page, info, top, opened, same) {
  const texts = await page.evaluate(() => {
    const cells = (selector) => [...document.querySelectorAll(selector)].map((row) => [...row.cells].map((cell) => cell.textContent));
    while (!document.getElementById("names-more").hidden) document.getElementById("names-more").click();
    while (!document.getElementById("open-more").hidden) document.getElementById("open-more").click();
    return { events: cells("#accounting tr"), names: cells("#names-table tbody tr"), open: cells("#open-table tbody tr"), gaps: spanring.recording.losses.reduce((sum, gap) => sum + gap.records, 0), banners: document.getElementById("banners").innerText };
  });
  const plain = (text) => Number(text.replaceAll(",", ""));
  const events = Object.fromEntries(texts.events.map(([what, amount]) => [what, plain(amount)]));
  const { missing } = info;
  same("events read", info.records, events.read);
  same("events lost", missing.dropped_records, events.lost);
  same("events overwritten", missing.overwritten_records, events.overwritten);
  same("events retired", missing.retired_records, events.retired);
  same("events damaged", missing.damaged_records, events.damaged);
  same("events recorded", events.read + events.lost + events.overwritten + events.retired + events.damaged, events.recorded);
  same("whether it says that nothing was recorded", info.spans === 0, texts.banners.includes("Nothing was recorded"));
  same("whether it says that it is complete", info.complete && info.spans > 0, texts.banners.includes("Complete:"));
  same("rows of names", top.rows.length, texts.names.length);
  const columns = { count: 2, failed: 7, cancelled: 8, panicked: 9, open: 10 };
  const numbersOf = (rows, of) => rows.map(of).sort().join("\n");
  same("numbers of names", numbersOf(top.rows, (row) => Object.keys(columns).map((key) => row[key]).join(" ")),
    numbersOf(texts.names, (row) => Object.values(columns).map((column) => plain(row[column])).join(" ")));
  same("events missing in the gaps", missing.dropped_records + missing.overwritten_records + missing.retired_records, texts.gaps);
  same("lines of open spans", opened.tree.length, texts.open.length);
}

/** What is there at the same time is in different lanes, and all that is drawn is inside its band. */
async function compareLanes(page, same) {
  const overlaps = await page.evaluate(() => {
    const { recording } = spanring;
    let found = 0;
    for (let lane = 0; lane + 1 < recording.laneStart.length; lane++) {
      for (let at = recording.laneStart[lane] + 1; at < recording.laneStart[lane + 1]; at++) {
        if (recording.laneEnd[at - 1] > recording.laneBegin[at] || recording.laneBegin[at - 1] === recording.laneBegin[at]) found++;
      }
    }
    return found;
  });
  same("spans that overlap in a lane", 0, overlaps);
}

/** By keyboard and mouse, as people do. */
async function drive(page, spans, same) {
  const view = () => page.evaluate(() => ({ from: spanring.timeline.from, to: spanring.timeline.to, selected: spanring.timeline.selected }));
  await page.keyboard.press("t");
  same("what has the focus after t", "canvas", await page.evaluate(() => document.activeElement.id));
  await page.keyboard.press("0");
  const all = await view();
  await page.keyboard.press("+");
  const near = await view();
  same("whether + shows less", true, near.to - near.from < all.to - all.from || all.to - all.from <= 100);
  await page.keyboard.press("0");
  await page.keyboard.press("Enter");
  const { selected } = await view();
  same("whether Enter selects", true, selected >= 0);
  await page.keyboard.press("Enter");
  const heading = await page.locator("#details h3").innerText();
  const name = await page.evaluate((index) => spanring.recording.nameOf(index), selected);
  same("whether the details are those of the selected span", true, name.trim() === "" || heading.length > 0);
  const id = await page.evaluate((index) => String(spanring.recording.id[index]), selected);
  same("the id in the details", true, (await page.locator("#details").innerText()).includes(id));

  // A click in the middle of what is drawn for the selected span selects it again.
  await page.keyboard.press("Escape");
  same("whether Escape selects nothing", -1, (await view()).selected);
  const point = await page.evaluate((index) => {
    const { timeline, recording } = spanring;
    const scale = timeline.width / (timeline.to - timeline.from);
    const left = Math.max(0, (recording.begin[index] - timeline.from) * scale);
    const right = Math.min(timeline.width, (recording.end[index] - timeline.from) * scale);
    return { x: (left + right) / 2, y: timeline.topOfLane(recording.lane[index]) - timeline.holder.scrollTop + timeline.laneHeight / 2 };
  }, selected);
  await page.locator("#canvas").click({ position: point });
  same("the span that a click selects", selected, (await view()).selected);

  // The wheel zooms around the pointer, and dragging moves.
  const before = await view();
  const box = await page.locator("#canvas").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.keyboard.down("Control");
  await page.mouse.wheel(0, 200);
  await page.keyboard.up("Control");
  await page.waitForFunction((length) => spanring.timeline.to - spanring.timeline.from !== length, before.to - before.from, { timeout: 2000 }).catch(() => {});
  const wide = await view();
  same("whether the wheel zooms out", true, wide.to - wide.from > before.to - before.from || before.to - before.from >= all.to - all.from);
  await page.evaluate(() => spanring.timeline.zoom(0.25));
  const still = await view();
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  const moved = await view();
  same("whether dragging to the right shows what was before", true, moved.from < still.from || still.from <= 0);

  // The search counts what the recording has.
  const wanted = spans[Math.floor(spans.length / 2)].name.slice(0, 40);
  if (wanted.trim() === wanted && wanted !== "" && !/[\r\n\u0000]/.test(wanted)) {
    await page.locator("#search-text").fill(wanted);
    await page.keyboard.press("Enter");
    const expected = await page.evaluate((text) => {
      const { recording } = spanring;
      let found = 0;
      for (let index = 0; index < recording.length; index++) {
        const row = recording.rowOf(index);
        if (recording.nameOf(index).toLowerCase().includes(text) || `${row.file}:${row.line}`.toLowerCase().includes(text)) found++;
      }
      return found;
    }, wanted.toLowerCase());
    const named = spans.filter((span) => span.name.toLowerCase().includes(wanted.toLowerCase())).length;
    same("whether the search finds all of a name", true, expected >= named && named > 0);
    const said = await page.locator("#search-result").innerText();
    same("what the search counts", expected, Number(said.split(" ")[0].replaceAll(",", "")));
    const isMatch = () => page.evaluate(() => spanring.search.matches[spanring.timeline.selected] === 1);
    await page.locator("#search-next").click();
    same("whether the next match is one", true, await isMatch());
    await page.evaluate(() => spanring.timeline.select(-1));
    await page.locator("#search-text").press("Enter");
    same("whether Enter once more goes to a match", true, await isMatch());
    await page.locator("#search-clear").click();
  }
  const failed = spans.filter((span) => ["failed", "cancelled", "panicked"].includes(span.outcome)).length;
  await page.locator("#search-ending").selectOption("failed");
  same("failed spans found", failed, Number((await page.locator("#search-result").innerText()).split(" ")[0].replaceAll(",", "")));
  await page.locator("#search-clear").click();
  await page.locator("#canvas").focus();
  await page.keyboard.press("?");
  same("whether ? tells the keys", true, await page.locator("#help").isVisible());
  await page.keyboard.press("Escape");
}

async function measure(file) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const began = performance.now();
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector("html[data-ready]", { timeout: 120_000 });
  const loaded = performance.now() - began;
  const figures = await page.evaluate(async () => {
    const { timeline, recording, readyMs } = spanring;
    timeline.canvas.scrollIntoView({ behavior: "instant" });
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const run = async (steps, step) => {
      const between = [];
      const drawn = [];
      let last = await frame();
      for (let index = 0; index < steps; index++) {
        step(index);
        const now = await frame();
        between.push(now - last);
        drawn.push(timeline.frameTime);
        last = now;
      }
      const sorted = (all) => all.sort((a, b) => a - b);
      const at = (all, share) => all[Math.min(all.length - 1, Math.floor(all.length * share))].toFixed(1);
      return { frame: sorted(between), drawn: sorted(drawn), at, text: `p50 ${at(between, 0.5)} ms, p95 ${at(between, 0.95)} ms, worst ${at(between, 1)} ms between frames; of that drawing p50 ${at(drawn, 0.5)} ms, worst ${at(drawn, 1)} ms` };
    };
    timeline.showAll();
    const still = await run(60, () => timeline.invalidate());
    const zooming = await run(120, (index) => timeline.zoom(index < 60 ? 0.85 : 1 / 0.85));
    timeline.show(recording.until * 0.4, recording.until * 0.5);
    const moving = await run(120, () => timeline.show(timeline.from + (timeline.to - timeline.from) * 0.02, timeline.to + (timeline.to - timeline.from) * 0.02));
    timeline.showAll();
    const scrolling = await run(120, (index) => { timeline.holder.scrollTop = index * 37; });
    const searchStarted = performance.now();
    document.getElementById("search-ending").value = "failed";
    spanring.search.run();
    const search = performance.now() - searchStarted;
    return { spans: recording.length, readyMs, search, still: still.text, zooming: zooming.text, moving: moving.text, scrolling: scrolling.text, heap: performance.memory?.usedJSHeapSize };
  });
  console.log(`${figures.spans.toLocaleString("en")} spans: loaded in ${(loaded / 1000).toFixed(2)} s (unpacking and building ${(figures.readyMs / 1000).toFixed(2)} s), search ${figures.search.toFixed(0)} ms`);
  for (const what of ["still", "zooming", "moving", "scrolling"]) console.log(`${what}: ${figures[what]}`);
  await page.close();
}
