// The table of names: how many spans of each, how long they took, how they ended; and the distribution of one of them.
import { byId, count, duration, element, exact, fillTable, named, number } from "./text.js";
import { drawDistribution, leastOf } from "./charts.js";
import { onTheme } from "./colour.js";

const STEP = 15;

export class Names {
  /** Fills the section. `actions` are `selectSlowest(row)` and `find(row)`. */
  constructor(recording, actions) {
    this.recording = recording;
    this.actions = actions;
    this.sorted = "total_ns";
    this.down = true;
    this.chosen = null;
    const { rows, info } = recording;
    byId("names-note").textContent = `${count(info.spans, "span")} in ${count(rows.length, "row")}, by name, kind and place. Exact, of all spans; percentiles of those that ended, right to three digits. Select a name to see its distribution.`;
    byId("names-filter").addEventListener("input", () => this.fill());
    byId("distribution-log").addEventListener("change", () => this.drawChosen());
    byId("distribution-slowest").addEventListener("click", () => actions.selectSlowest(this.chosen));
    byId("distribution-find").addEventListener("click", () => actions.find(this.chosen));
    onTheme(() => this.drawChosen());
    this.fill();
    // One span is no distribution.
    const first = rows.find((row) => row.count - row.open >= 100) ?? rows.find((row) => row.histogram.length > 0);
    if (first !== undefined) this.choose(first);
  }

  fill() {
    const wanted = byId("names-filter").value.toLowerCase();
    const rows = this.recording.rows.filter((row) => row.name.toLowerCase().includes(wanted) || (row.file ?? "").toLowerCase().includes(wanted));
    const key = (row) => row[this.sorted] ?? -1;
    const order = (a, b) => (this.sorted === "name" ? (a.name < b.name ? 1 : a.name > b.name ? -1 : 0) : key(b) - key(a));
    rows.sort((a, b) => (this.down ? order(a, b) : -order(a, b)));
    const time = (key) => (row) => (row[key] === null || (key === "total_ns" && row.max_ns === null) ? "–" : element("span", { title: exact(row[key]) }, duration(row[key])));
    const amount = (key) => (row) => (row[key] === 0 ? element("span", { class: "faint" }, "0") : number(row[key]));
    const column = (title, key, cell, kind = "number") => ({ title, kind, cell, heading: this.heading(title, key), sorted: this.sorted === key ? (this.down ? "descending" : "ascending") : undefined });
    const mostCount = (row) => Math.max(...row.histogram.map(([, amount]) => amount));
    fillTable(byId("names-table"), byId("names-more"), "Spans by name", [
      column("name", "name", (row) => this.nameButton(row), "name"),
      { title: "where", kind: "place", cell: (row) => (row.file === null ? "?" : named(`${row.file}:${row.line}`)) },
      column("count", "count", amount("count")),
      column("total", "total_ns", time("total_ns")),
      column("p50", "p50_ns", time("p50_ns")),
      column("p99", "p99_ns", time("p99_ns")),
      column("max", "max_ns", time("max_ns")),
      column("fail.", "failed", amount("failed")),
      column("canc.", "cancelled", amount("cancelled")),
      column("panic", "panicked", amount("panicked")),
      column("open", "open", amount("open")),
      { title: "distribution", kind: "spark", cell: (row) => (row.histogram.length > 0 ? this.spark(row, mostCount(row)) : "") },
    ], rows, STEP, (row, item) => row.classList.toggle("chosen", item === this.chosen));
  }

  heading(title, key) {
    const mark = this.sorted === key ? (this.down ? " ↓" : " ↑") : "";
    return element("button", { type: "button", class: "sort", onclick: () => {
      this.down = this.sorted === key ? !this.down : key !== "name";
      if (this.sorted !== key && key === "name") this.down = false;
      this.sorted = key;
      this.fill();
      [...byId("names-table").querySelectorAll("th button.sort")].find((button) => button.dataset.key === key)?.focus();
    }, "data-key": key }, title + mark);
  }

  nameButton(row) {
    const mark = row.kind === "thread" ? " (thread)" : "";
    return element("button", { type: "button", class: "link", "aria-pressed": String(row === this.chosen), onclick: () => {
      this.choose(row);
      byId("distribution").scrollIntoView({ block: "nearest" });
    } }, named(row.name), mark);
  }

  /** A histogram as small as a word, over the range of all rows. */
  spark(row, most) {
    const { low, high } = this.range();
    const width = 120;
    const scale = width / (high - low + 1);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${width} 20`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `from ${duration(leastOf(row.histogram[0][0]))} to ${duration(row.max_ns)}`);
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", row.histogram.map(([bucket, amount]) => {
      const height = Math.max(1, 20 * Math.sqrt(amount / most));
      return `M${((bucket - low) * scale).toFixed(1)} 20v${-height.toFixed(1)}h${Math.max(1, scale).toFixed(1)}V20z`;
    }).join(""));
    svg.append(path);
    return svg;
  }

  range() {
    if (this.extent === undefined) {
      let [low, high] = [Infinity, 0];
      for (const { histogram } of this.recording.rows) {
        if (histogram.length === 0) continue;
        low = Math.min(low, histogram[0][0]);
        high = Math.max(high, histogram.at(-1)[0]);
      }
      this.extent = { low, high };
    }
    return this.extent;
  }

  choose(row) {
    this.chosen = row;
    for (const button of byId("names-table").querySelectorAll("tbody button.link")) {
      button.setAttribute("aria-pressed", "false");
      button.closest("tr").classList.remove("chosen");
    }
    this.fillKeepingPosition();
    this.drawChosen();
  }

  fillKeepingPosition() {
    const { activeElement } = document;
    const buttons = [...byId("names-table").querySelectorAll("tbody button.link")];
    const at = buttons.indexOf(activeElement);
    const shown = buttons.length;
    this.fill();
    while (byId("names-table").querySelectorAll("tbody tr").length < shown && !byId("names-more").hidden) byId("names-more").onclick();
    if (at >= 0) byId("names-table").querySelectorAll("tbody button.link")[at]?.focus();
  }

  drawChosen() {
    const row = this.chosen;
    byId("distribution").hidden = row === null;
    if (row === null) return;
    byId("distribution-title").replaceChildren("How long ", named(row.name, 80), " took");
    const chart = byId("distribution-chart");
    byId("distribution-slowest").disabled = byId("distribution-find").disabled = row.shown === 0;
    if (row.histogram.length === 0) {
      chart.chart?.destroy();
      chart.chart = undefined;
      chart.replaceChildren();
      byId("distribution-text").textContent = "None of these spans has ended.";
      return;
    }
    drawDistribution(chart, row, byId("distribution-log").checked);
    const ended = row.count - row.open;
    const text = `${count(ended, "span")} that ended: half of them within ${duration(row.p50_ns)}, 99 % within ${duration(row.p99_ns)}, all within ${duration(row.max_ns)}.`;
    chart.setAttribute("aria-label", `Histogram of ${text}`);
    byId("distribution-text").textContent = `${text}${row.shown < row.count ? ` The timeline has ${number(row.shown)} of them.` : ""}`;
  }
}
