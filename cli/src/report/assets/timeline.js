// The timeline: every span in its lane, drawn on a canvas, at any zoom.
//
// A lane's spans do not overlap and are sorted, so what is at a pixel is found by halving, and a frame costs as much as there
// are pixels, however many spans there are. Spans narrower than two pixels are drawn as one block per pixel.
import { colourOf, themed } from "./colour.js";
import { CANCELLED, ENDINGS, FAILED, OPEN, PANICKED } from "./data.js";
import { inLine } from "./beside.js";
import { brief, count, duration, element, number, offset } from "./text.js";
import { causeOf } from "./summary.js";

const LANE = 18;
const HEADING = 20;
const RULER = 22;
/** An element cannot be much higher. */
const HIGHEST = 8e6;
const SHORTEST_VIEW = 100;

export class Timeline {
  /** Draws into the elements of the page; `onSelect` hears which span is selected, `onView` which range is shown. */
  constructor(recording, elements, { onSelect, onView }) {
    this.recording = recording;
    Object.assign(this, elements);
    this.onSelect = onSelect;
    this.onView = onView;
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.selected = -1;
    this.hovered = -1;
    this.matches = null;
    this.from = 0;
    this.to = recording.until;
    this.pointers = new Map();
    this.stack();
    this.listen();
    this.resize();
  }

  /** Puts bands below each other. A stripe is what is drawn at one height: a heading, a lane, or a thread's losses. */
  stack() {
    const { bands, losses } = this.recording;
    this.gapsByThread = new Map();
    for (const gap of losses) {
      if (!this.gapsByThread.has(gap.thread)) this.gapsByThread.set(gap.thread, []);
      this.gapsByThread.get(gap.thread).push(gap);
    }
    const lossLanes = [...this.gapsByThread.keys()].sort((a, b) => a - b);
    const lanes = bands.reduce((sum, band) => sum + band.lanes, lossLanes.length);
    this.laneHeight = Math.max(2, Math.min(LANE, HIGHEST / Math.max(1, lanes)));
    this.blocks = [];
    let top = RULER;
    const add = (block) => {
      this.blocks.push({ ...block, top });
      top += HEADING + block.lanes * this.laneHeight + 4;
    };
    if (lossLanes.length > 0) add({ title: "Missing events, by thread", lanes: lossLanes.length, threads: lossLanes });
    for (const band of bands) add({ title: this.titleOf(band), lanes: band.lanes, first: band.first });
    this.height = top + 4;
  }

  titleOf(band) {
    const { rowsByNumber } = this.recording;
    if (band.of === "others") return "roots made elsewhere";
    if (band.of.thread !== undefined) return `thread ${brief(this.recording.threadName(band.of.thread + 1) ?? "unknown", 80)}`;
    const row = rowsByNumber[band.row];
    return band.rows === 1 ? brief(row.name, 80) : `${brief(row.name, 40)} and ${count(band.rows - 1, "other name")}, ${brief(`${row.file}:${row.line}`, 60)}`;
  }

  /** Fits everything to the size of the page. */
  resize() {
    this.width = Math.max(50, this.holder.clientWidth);
    const most = Math.max(220, Math.min(this.height, Math.floor(innerHeight * 0.62)));
    this.holder.style.height = `${Math.min(this.height, most)}px`;
    this.viewHeight = Math.min(this.height, most);
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.viewHeight * ratio);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.viewHeight}px`;
    this.spacer.style.height = `${this.height - this.viewHeight}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.learnColours();
    this.invalidate();
  }

  /** The same, drawn at once: a page that is being printed has no next frame. */
  redraw() {
    this.resize();
    this.draw();
  }

  learnColours() {
    this.colours = Object.fromEntries(["back", "card", "text", "soft", "line", "many", "on-name", "bad", "warn", "loss", "select", "dim", "match"].map((name) => [name, themed(name)]));
    this.colourOfRow = [];
    this.invalidate();
  }

  invalidate() {
    if (this.frame === undefined) {
      this.frame = requestAnimationFrame(() => {
        this.frame = undefined;
        this.draw();
      });
    }
  }

  /** Shows a range of time. */
  show(from, to) {
    const { until } = this.recording;
    let length = Math.min(Math.max(to - from, SHORTEST_VIEW), until * 1.02);
    if (until < SHORTEST_VIEW) length = SHORTEST_VIEW;
    this.from = Math.min(Math.max(from, -until * 0.01), Math.max(until * 1.01 - length, -until * 0.01));
    this.to = this.from + length;
    this.invalidate();
    this.onView(this.from, this.to);
  }

  showAll() {
    this.show(0, this.recording.until);
  }

  zoom(factor, around = (this.from + this.to) / 2) {
    this.show(around - (around - this.from) * factor, around + (this.to - around) * factor);
  }

  /** Zooms to a span, with some room around it. */
  showSpan(index) {
    const { begin, end } = this.recording;
    const length = Math.max(end[index] - begin[index], SHORTEST_VIEW);
    this.show(begin[index] - length * 0.15, end[index] + length * 0.15);
  }

  /** Selects a span and brings it into sight. */
  select(index, { reveal = true, zoom = false } = {}) {
    this.selected = index;
    if (index >= 0 && reveal) {
      const { begin, end } = this.recording;
      const visible = this.to - this.from;
      if (zoom) this.showSpan(index);
      else if (end[index] < this.from || begin[index] > this.to) {
        this.show(begin[index] - visible / 3, begin[index] + (visible * 2) / 3);
      }
      const top = this.topOfLane(this.recording.lane[index]);
      const { scrollTop } = this.holder;
      if (top < scrollTop + RULER + HEADING || top + this.laneHeight > scrollTop + this.viewHeight) {
        this.holder.scrollTop = Math.max(0, top - this.viewHeight / 3);
      }
    }
    this.invalidate();
    this.onSelect(index);
  }

  /** Marks the spans that `matches` has a 1 for; null: none are marked. */
  mark(matches) {
    this.matches = matches;
    this.matchedBefore = null;
    if (matches !== null) {
      const { inLane, length } = this.recording;
      this.matchedBefore = new Uint32Array(length + 1);
      for (let position = 0; position < length; position++) {
        this.matchedBefore[position + 1] = this.matchedBefore[position] + matches[inLane[position]];
      }
    }
    this.invalidate();
  }

  blockOfLane(lane) {
    const blocks = this.blocks;
    let low = blocks.findIndex((block) => block.first !== undefined);
    let high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (blocks[middle].first <= lane) low = middle;
      else high = middle - 1;
    }
    return blocks[low];
  }

  topOfLane(lane) {
    const block = this.blockOfLane(lane);
    return block.top + HEADING + (lane - block.first) * this.laneHeight;
  }

  /** The first position in a lane whose span ends after `ns`. */
  firstEndingAfter(lane, ns) {
    const { laneStart, laneEnd } = this.recording;
    let low = laneStart[lane];
    let high = laneStart[lane + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (laneEnd[middle] > ns) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The first position from `low` on whose span begins at `ns` or later: near ones are found fast. */
  firstBeginningAt(low, last, ns) {
    const { laneBegin } = this.recording;
    let step = 1;
    let high = low;
    while (high < last && laneBegin[high] < ns) {
      low = high + 1;
      high += step;
      step *= 2;
    }
    high = Math.min(high, last);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (laneBegin[middle] >= ns) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  draw() {
    const { context, colours } = this;
    const started = performance.now();
    context.fillStyle = colours.card;
    context.fillRect(0, 0, this.width, this.viewHeight);
    const scroll = this.holder.scrollTop;
    this.drawGrid();
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const scale = this.width / (this.to - this.from);
    for (const block of this.blocks) {
      const top = block.top - scroll;
      const bottom = top + HEADING + block.lanes * this.laneHeight;
      if (bottom < RULER || top > this.viewHeight) continue;
      const first = Math.max(0, Math.floor((RULER - top - HEADING) / this.laneHeight));
      const last = Math.min(block.lanes, Math.ceil((this.viewHeight - top - HEADING) / this.laneHeight));
      for (let lane = first; lane < last; lane++) {
        const y = top + HEADING + lane * this.laneHeight;
        if (block.threads === undefined) this.drawLane(block.first + lane, y, scale);
        else this.drawLosses(block.threads[lane], y, scale);
      }
    }
    this.drawHeadings(scroll);
    this.drawSelection(scroll, scale);
    this.drawRuler();
    this.frameTime = performance.now() - started;
  }

  drawHeadings(scroll) {
    const { context, colours } = this;
    context.font = "600 12px system-ui, sans-serif";
    for (const block of this.blocks) {
      const top = block.top - scroll;
      const bottom = top + HEADING + block.lanes * this.laneHeight;
      if (bottom < RULER || top > this.viewHeight) continue;
      // The heading of the topmost band stays in sight.
      const y = Math.min(Math.max(top, RULER), bottom - HEADING);
      context.fillStyle = colours.back;
      context.fillRect(0, y, this.width, HEADING);
      context.fillStyle = colours.text;
      const lanes = block.threads === undefined && block.lanes > 1 ? `  ·  ${number(block.lanes)} lanes` : "";
      context.fillText(block.title + lanes, 6, y + HEADING / 2 + 1, this.width - 12);
    }
  }

  drawLane(lane, y, scale) {
    const { recording, context, colours, from, to } = this;
    const { laneBegin, laneEnd, laneStart, inLane, failedBefore } = recording;
    const last = laneStart[lane + 1];
    const height = Math.max(1, this.laneHeight - 2);
    let position = this.firstEndingAfter(lane, from);
    // Neighbouring pixels of the same colour are one block.
    let blockFrom = 0;
    let blockTo = -1;
    let blockColour = null;
    const flush = () => {
      if (blockColour !== null) {
        context.fillStyle = blockColour;
        context.fillRect(blockFrom, y + 1, blockTo - blockFrom, height);
      }
      blockColour = null;
    };
    while (position < last && laneBegin[position] < to) {
      const left = (laneBegin[position] - from) * scale;
      const right = (laneEnd[position] - from) * scale;
      if (right - left >= 2) {
        flush();
        this.drawSpan(inLane[position], Math.max(left, -2), Math.min(right, this.width + 2), y, height);
        position++;
        continue;
      }
      const pixel = Math.floor(left);
      let next = this.firstBeginningAt(position + 1, last, from + (pixel + 1) / scale);
      // The last one may reach further than that.
      if (next - 1 > position && (laneEnd[next - 1] - laneBegin[next - 1]) * scale >= 2) next--;
      const matched = this.matchedBefore === null || this.matchedBefore === undefined ? undefined : this.matchedBefore[next] - this.matchedBefore[position] > 0;
      let colour = matched === true ? colours.match : matched === false ? colours.dim
        : failedBefore[next] - failedBefore[position] > 0 ? colours.bad
        : next - position > 1 ? colours.many : this.rowColour(inLane[position]);
      if (matched === undefined && next - position === 1 && recording.ending(inLane[position]) === CANCELLED) colour = colours.warn;
      if (blockColour === colour && pixel <= blockTo) blockTo = pixel + 1;
      else {
        flush();
        [blockFrom, blockTo, blockColour] = [pixel, pixel + 1, colour];
      }
      position = next;
    }
    flush();
  }

  drawSpan(index, left, right, y, height) {
    const { recording, context, colours } = this;
    const ending = recording.ending(index);
    const dimmed = this.matches !== null && this.matches[index] === 0;
    const width = right - left;
    context.fillStyle = dimmed ? colours.dim : this.rowColour(index);
    context.fillRect(left, y + 1, Math.max(1, width - 0.5), height);
    if (height >= 8 && width >= 3 && ending !== 0) {
      // A mark at the end: by shape as well as by colour.
      const mark = Math.min(6, width);
      context.fillStyle = ending === PANICKED || ending === FAILED ? colours.bad : ending === CANCELLED ? colours.warn : colours.select;
      if (ending === OPEN) {
        for (let dash = 0; dash < height; dash += 4) context.fillRect(right - 3, y + 1 + dash, 3, 2);
      } else if (ending === CANCELLED) {
        context.beginPath();
        context.moveTo(right - mark, y + 1);
        context.lineTo(right - 0.5, y + 1);
        context.lineTo(right - 0.5, y + 1 + height);
        context.fill();
      } else {
        context.fillRect(right - mark, y + 1, mark - 0.5, height);
      }
    }
    if (width >= 34 && height >= 12) {
      const start = Math.max(left, 0) + 4;
      const room = Math.min(right, this.width) - start - 8;
      if (room >= 24) {
        context.fillStyle = dimmed ? colours.soft : colours["on-name"];
        context.fillText(this.fit(this.label(index), room), start, y + 1 + height / 2 + 0.5);
      }
    }
    if (height >= 8) for (const instant of recording.instantsOf(index)) this.drawInstant(instant, y, height);
  }

  /** A flag at a moment: a line with a head. */
  drawInstant(instant, y, height) {
    const { context, colours } = this;
    const x = Math.round((instant.at_ns - this.from) * (this.width / (this.to - this.from)));
    if (x < -4 || x > this.width + 4) return;
    context.fillStyle = colours.select;
    context.fillRect(x - 0.5, y + 1, 1, height);
    context.beginPath();
    context.moveTo(x - 3.5, y + 1);
    context.lineTo(x + 3.5, y + 1);
    context.lineTo(x, y + 6);
    context.fill();
  }

  /** The instant of a span that is drawn next to a point; undefined if there is none near. */
  instantNear(index, x) {
    const near = (5 * (this.to - this.from)) / this.width;
    const away = (instant) => Math.abs(instant.at_ns - this.timeAt(x));
    return this.recording.instantsOf(index).filter((instant) => away(instant) <= near).sort((a, b) => away(a) - away(b))[0];
  }

  label(index) {
    const { recording } = this;
    return `${brief(recording.nameOf(index), 60)}  ${duration(recording.duration(index))}${recording.ending(index) === OPEN ? " …" : ""}`;
  }

  /** As much of a text as fits: its widths are remembered by length, for measuring is slow. */
  fit(text, room) {
    this.charWidth ??= this.context.measureText("abcdefghij0123456789 ").width / 21;
    const most = Math.floor(room / this.charWidth);
    if (text.length <= most) return text;
    return most < 3 ? "" : `${text.slice(0, most - 1)}…`;
  }

  drawLosses(thread, y, scale) {
    const { context, colours, from, recording } = this;
    const height = Math.max(2, this.laneHeight - 2);
    for (const gap of this.gapsByThread.get(thread)) {
      const left = Math.max(-2, ((gap.after_ns ?? 0) - from) * scale);
      const right = Math.min(this.width + 2, ((gap.before_ns ?? recording.until) - from) * scale);
      if (right < 0 || left > this.width) continue;
      const width = Math.max(2, right - left);
      context.fillStyle = colours.loss;
      context.fillRect(left, y + 1, width, height);
      context.save();
      context.beginPath();
      context.rect(left, y + 1, width, height);
      context.clip();
      context.strokeStyle = colours.card;
      context.lineWidth = 1.5;
      context.beginPath();
      for (let x = Math.floor(left / 8) * 8 - height; x < left + width; x += 8) {
        context.moveTo(x, y + 1 + height);
        context.lineTo(x + height, y + 1);
      }
      context.stroke();
      context.restore();
      const text = this.fit(`${number(gap.records)} events of ${brief(recording.threadName(thread + 1) ?? "", 40)} ${causeOf(gap)}`, width - 14);
      if (width > 60 && height >= 12) {
        context.fillStyle = colours.card;
        context.fillRect(Math.max(left, 0) + 3, y + 2, context.measureText(text).width + 6, height - 2);
        context.fillStyle = colours.text;
        context.fillText(text, Math.max(left, 0) + 6, y + 1 + height / 2 + 0.5);
      }
    }
  }

  drawSelection(scroll, scale) {
    const { recording, context, colours } = this;
    const outline = (index, width) => {
      const left = (recording.begin[index] - this.from) * scale;
      const right = (recording.end[index] - this.from) * scale;
      const y = this.topOfLane(recording.lane[index]) - scroll;
      context.strokeStyle = colours.select;
      context.lineWidth = width;
      const start = Math.max(-4, left - 1);
      context.strokeRect(start, y, Math.max(4, Math.min(this.width + 4, right + 1) - start), this.laneHeight);
    };
    if (this.hovered >= 0) outline(this.hovered, 1);
    if (this.selected < 0) return;
    // Where the selected one comes from.
    const to = recording.parent[this.selected];
    if (to >= 0) {
      const x = (recording.begin[this.selected] - this.from) * scale;
      context.strokeStyle = colours.select;
      context.lineWidth = 1;
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(x, this.topOfLane(recording.lane[to]) - scroll + this.laneHeight);
      context.lineTo(x, this.topOfLane(recording.lane[this.selected]) - scroll);
      context.stroke();
      context.setLineDash([]);
    }
    outline(this.selected, 2.5);
  }

  /** Moments to draw lines at. */
  ticks() {
    const rough = (this.to - this.from) / Math.max(2, this.width / 110);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough));
    const all = [];
    for (let at = Math.ceil(this.from / step) * step; at <= this.to; at += step) all.push(at);
    return { step, all };
  }

  drawGrid() {
    const { context, colours } = this;
    const scale = this.width / (this.to - this.from);
    context.fillStyle = colours.line;
    for (const at of this.ticks().all) context.fillRect(Math.round((at - this.from) * scale), 0, 1, this.viewHeight);
    const { until } = this.recording;
    context.fillStyle = colours.back;
    const edge = (until - this.from) * scale;
    if (edge < this.width) context.fillRect(edge, 0, this.width - edge, this.viewHeight);
    const start = -this.from * scale;
    if (start > 0) context.fillRect(0, 0, start, this.viewHeight);
  }

  drawRuler() {
    const { context, colours } = this;
    const scale = this.width / (this.to - this.from);
    context.fillStyle = colours.back;
    context.fillRect(0, 0, this.width, RULER);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colours.soft;
    const { step, all } = this.ticks();
    for (const at of all) {
      const x = Math.round((at - this.from) * scale);
      context.fillRect(x, RULER - 5, 1, 5);
      const text = offset(at, step);
      if (x + 4 + context.measureText(text).width < this.width) context.fillText(text, x + 4, RULER / 2);
    }
    context.fillStyle = colours.line;
    context.fillRect(0, RULER - 1, this.width, 1);
  }

  rowColour(index) {
    const { recording } = this;
    const row = recording.row[index];
    return (this.colourOfRow[row] ??= colourOf(recording.rowsByNumber[row].name));
  }

  timeAt(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  /** What is at a point: a span's index, -1, or the gaps there. */
  at(x, y) {
    if (y < RULER) return { index: -1 };
    const inside = y + this.holder.scrollTop;
    for (const block of this.blocks) {
      const lane = Math.floor((inside - block.top - HEADING) / this.laneHeight);
      if (lane < 0 || lane >= block.lanes) continue;
      const near = (3 * (this.to - this.from)) / this.width;
      if (block.threads !== undefined) {
        const time = this.timeAt(x);
        const gap = this.gapsByThread.get(block.threads[lane]).find((gap) => (gap.after_ns ?? 0) - near <= time && (gap.before_ns ?? this.recording.until) + near >= time);
        return { index: -1, gap };
      }
      return { index: this.nearest(block.first + lane, this.timeAt(x), near) };
    }
    return { index: -1 };
  }

  /** The span of a lane at a moment, or the nearest one not more than `near` away; -1: there is none. */
  nearest(lane, time, near) {
    const { laneStart, laneBegin, laneEnd, inLane } = this.recording;
    const position = this.firstEndingAfter(lane, time);
    let best = -1;
    let distance = near;
    for (const candidate of [position - 1, position]) {
      if (candidate < laneStart[lane] || candidate >= laneStart[lane + 1]) continue;
      const away = Math.max(0, laneBegin[candidate] - time, time - laneEnd[candidate]);
      if (away <= distance) [best, distance] = [inLane[candidate], away];
    }
    return best;
  }

  listen() {
    const { canvas, holder } = this;
    new ResizeObserver(() => this.redraw()).observe(holder.parentElement);
    holder.addEventListener("scroll", () => this.invalidate(), { passive: true });
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.release(event));
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("dblclick", (event) => {
      const { index } = this.at(event.offsetX, event.offsetY);
      if (index >= 0) this.select(index, { zoom: true });
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(Math.max(-100, Math.min(100, event.deltaY)) * 0.004), this.timeAt(event.offsetX));
      return;
    }
    const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      event.preventDefault();
      const by = (sideways / this.width) * (this.to - this.from);
      this.show(this.from + by, this.to + by);
    }
  }

  press(event) {
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.canvas.setPointerCapture(event.pointerId);
    this.dragged = this.pointers.size > 1;
    this.hover(-1);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (before === undefined) {
      const { index, gap } = this.at(now.x, now.y);
      this.hover(index, now, gap);
      return;
    }
    if (!this.dragged && Math.hypot(now.x - before.x, now.y - before.y) < 4) return;
    this.dragged = true;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    if (others.length === 0) {
      const by = ((before.x - now.x) / this.width) * (this.to - this.from);
      this.show(this.from + by, this.to + by);
      if (event.pointerType === "mouse") this.holder.scrollTop += before.y - now.y;
    } else {
      // Two fingers: what is below each stays below it.
      const [other] = others;
      const wide = (x) => Math.sign(x - other.x || 1) * Math.max(20, Math.abs(x - other.x));
      const [anchor, time] = [this.timeAt(other.x), this.timeAt(before.x)];
      const perPixel = ((time - anchor) / wide(before.x) || (this.to - this.from) / this.width) * Math.abs(wide(before.x) / wide(now.x));
      this.show(anchor - other.x * perPixel, anchor + (this.width - other.x) * perPixel);
    }
    this.pointers.set(event.pointerId, now);
  }

  release(event) {
    const pressed = this.pointers.delete(event.pointerId);
    if (pressed && !this.dragged && event.type === "pointerup") {
      this.select(this.at(event.offsetX, event.offsetY).index, { reveal: false });
    }
    if (this.pointers.size === 0) this.dragged = false;
  }

  hover(index, at, gap) {
    const { tip, recording } = this;
    if (index !== this.hovered) this.invalidate();
    this.hovered = index;
    tip.hidden = index < 0 && gap === undefined;
    this.canvas.style.cursor = tip.hidden ? "grab" : "pointer";
    if (tip.hidden) return;
    if (index >= 0) {
      const instant = this.instantNear(index, at.x);
      const beside = inLine(instant ?? recording.detailsBySpan.get(index) ?? {});
      tip.replaceChildren(element("bdi", {}, brief(recording.nameOf(index), 100)), ` · ${duration(recording.duration(index))} · ${ENDINGS[recording.ending(index)]}`,
        instant === undefined ? "" : element("div", {}, "▾ ", element("bdi", {}, brief(instant.name, 100)), ` ${offset(instant.at_ns, 1e3)}`),
        beside === "" ? "" : element("div", { class: "faint" }, element("bdi", {}, brief(beside, 300))));
    } else {
      tip.textContent = `${number(gap.records)} events ${causeOf(gap)}`;
    }
    const left = Math.min(at.x + 12, Math.max(0, this.width - tip.offsetWidth - 6));
    const top = at.y + 18 + tip.offsetHeight > this.viewHeight ? at.y - tip.offsetHeight - 8 : at.y + 18;
    tip.style.transform = `translate(${left}px, ${top}px)`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { recording, selected } = this;
    const length = this.to - this.from;
    const middle = (this.from + this.to) / 2;
    const around = selected >= 0 && recording.begin[selected] < this.to && recording.end[selected] > this.from
      ? Math.min(this.to, Math.max(this.from, (recording.begin[selected] + recording.end[selected]) / 2)) : middle;
    const move = (by) => this.show(this.from + by * length, this.to + by * length);
    const scroll = (by) => {
      this.holder.scrollTop += by;
    };
    const actions = {
      ArrowLeft: () => (event.shiftKey ? this.step(-1) : move(-0.15)),
      ArrowRight: () => (event.shiftKey ? this.step(1) : move(0.15)),
      ArrowUp: () => (event.shiftKey ? this.stepLane(-1) : scroll(-3 * LANE)),
      ArrowDown: () => (event.shiftKey ? this.stepLane(1) : scroll(3 * LANE)),
      PageUp: () => scroll(-this.viewHeight * 0.8),
      PageDown: () => scroll(this.viewHeight * 0.8),
      "+": () => this.zoom(0.6, around),
      "=": () => this.zoom(0.6, around),
      "-": () => this.zoom(1 / 0.6, around),
      0: () => this.showAll(),
      Home: () => this.showAll(),
      p: () => selected >= 0 && recording.parent[selected] >= 0 && this.select(recording.parent[selected]),
      c: () => selected >= 0 && recording.children(selected).length > 0 && this.select(recording.children(selected)[0]),
      Enter: () => (selected >= 0 ? this.showSpan(selected) : this.select(this.anyInSight())),
      Escape: () => this.select(-1),
    };
    const action = actions[event.key];
    if (action !== undefined) {
      event.preventDefault();
      action();
    }
  }

  /** Selects the span before or after the selected one in its lane. */
  step(by) {
    if (this.selected < 0) return this.select(this.anyInSight());
    const { lane, laneStart, inLane, begin } = this.recording;
    const own = lane[this.selected];
    const position = this.firstBeginningAt(laneStart[own], laneStart[own + 1], begin[this.selected]) + by;
    if (position >= laneStart[own] && position < laneStart[own + 1]) this.select(inLane[position]);
  }

  /** Selects a span in the nearest lane above or below that has one near. */
  stepLane(by) {
    if (this.selected < 0) return this.select(this.anyInSight());
    const { lane, begin, laneStart } = this.recording;
    for (let next = lane[this.selected] + by; next >= 0 && next < laneStart.length - 1; next += by) {
      const index = this.nearest(next, Math.max(begin[this.selected], this.from), (this.to - this.from) / 2);
      if (index >= 0) return this.select(index);
    }
  }

  /** A span in the middle of what is shown, or any. */
  anyInSight() {
    const { recording } = this;
    if (recording.length === 0) return -1;
    for (let y = RULER + HEADING + 2; y < this.viewHeight; y += Math.max(2, this.laneHeight / 2)) {
      const inside = this.at(this.width / 2, y);
      if (inside.index >= 0) return inside.index;
    }
    return 0;
  }
}
