// What uPlot draws: the distribution of a name's durations, and the activity over time.
import { themed } from "./colour.js";
import { count, duration, number, offset } from "./text.js";

const FONT = "12px system-ui, sans-serif";
/** As high as an axis below a chart is: one line. */
const BELOW = 30;

/** The least duration of a bucket of a histogram. */
export function leastOf(bucket) {
  return bucket === 0 ? 0 : 2 ** Math.floor((bucket - 1) / 8) * (1 + ((bucket - 1) % 8) / 8);
}

/** The duration at a place on the axis of buckets. */
function durationAt(at) {
  const bucket = Math.floor(at);
  return Math.round(leastOf(bucket) + (at - bucket) * (leastOf(bucket + 1) - leastOf(bucket)));
}

/** Where on the axis of buckets a duration is. */
function positionOf(ns) {
  if (ns < 1) return 0;
  const octave = Math.floor(Math.log2(ns));
  return 1 + 8 * octave + (ns / 2 ** octave - 1) * 8;
}

function axis(options) {
  return { font: FONT, stroke: themed("soft"), grid: { stroke: themed("line"), width: 1 }, ticks: { stroke: themed("line"), width: 1 }, ...options };
}

/** An axis of time: no step between two marks has more digits than the marks show. */
function timeAxis() {
  return axis({ size: BELOW, incrs: STEPS, values: (_chart, splits) => splits.map((ns) => offset(ns, splits[1] - splits[0])), space: 80 });
}

const STEPS = Array.from({ length: 20 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

/** A chart in `holder`, in place of what is there. */
function draw(holder, options, data) {
  holder.chart?.destroy();
  holder.replaceChildren();
  const width = Math.max(200, Math.floor(holder.clientWidth));
  holder.chart = new uPlot({ width, ...options }, data, holder);
  return holder.chart;
}

/** The histogram of a row, with its percentiles. */
export function drawDistribution(holder, row, logarithmic) {
  const first = row.histogram[0][0] - 1;
  const last = row.histogram.at(-1)[0] + 1;
  const buckets = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const counts = buckets.map(() => (logarithmic ? null : 0));
  for (const [bucket, amount] of row.histogram) counts[bucket - first] = amount;
  const decades = Array.from({ length: 20 }, (_, power) => 10 ** power);
  const inSight = (durations) => durations.map(positionOf).filter((at) => at >= first && at <= last);
  // What is between decades too, where there is room for it: from 5 to 10 it is an octave.
  const octave = (8 * (holder.clientWidth - 100)) / buckets.length;
  const round = inSight(octave < 60 ? decades : decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]));
  // Where that is nowhere or once, the bounds say where this is.
  const splits = round.length > 1 ? round : [first, last + 1];
  const marks = [["p50", row.p50_ns], ["p99", row.p99_ns], ["max", row.max_ns]];
  const markPercentiles = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.lineWidth = devicePixelRatio;
    marks.forEach(([name, ns], line) => {
      const x = Math.round(chart.valToPos(positionOf(ns), "x", true));
      ctx.strokeStyle = ctx.fillStyle = themed("text");
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const text = `${name} ${duration(ns)}`;
      const right = x + 5 + ctx.measureText(text).width > bbox.left + bbox.width;
      ctx.textAlign = right ? "right" : "left";
      const left = x + (right ? -5 : 5);
      const width = ctx.measureText(text).width;
      ctx.fillStyle = themed("card");
      ctx.fillRect(right ? left - width - 2 : left - 2, bbox.top + line * 16 * devicePixelRatio, width + 4, 15 * devicePixelRatio);
      ctx.fillStyle = themed("text");
      ctx.fillText(text, left, bbox.top + line * 16 * devicePixelRatio);
    });
    ctx.restore();
  };
  return draw(holder, {
    height: 220,
    legend: { live: true },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [first, last + 1] },
      y: logarithmic ? { distr: 3, range: (_chart, _least, most) => [0.5, Math.max(10, most * 2)] } : { range: (_chart, _least, most) => [0, most * 1.05] },
    },
    axes: [
      axis({ size: BELOW, splits: () => splits, values: (_chart, splits) => splits.map((at) => duration(durationAt(at)).replace(/\.0+(?=\D)/, "")) }),
      axis({ size: 64, values: (_chart, splits) => splits.map((value) => (value === null || value % 1 !== 0 ? "" : number(value))) }),
    ],
    series: [
      { label: "took", value: (_chart, bucket) => (bucket === null || bucket === undefined ? "–" : `${duration(leastOf(bucket))} to ${duration(leastOf(bucket + 1))}`) },
      { label: "spans", stroke: themed("accent"), fill: themed("accent-soft"), width: 1, paths: uPlot.paths.bars({ size: [1, Infinity], align: 1 }), points: { show: false }, value: (_chart, amount) => (amount === null || amount === undefined ? "–" : number(amount)) },
    ],
    hooks: { draw: [markPercentiles] },
  }, [buckets, counts]);
}

/** What went on over time. A range that is dragged goes to `onRange`; `windowOf` tells which one the timeline shows. */
export function drawActivity(holder, recording, onRange, windowOf) {
  const { activity, losses, until } = recording;
  const step = 2 ** activity.step_log2;
  const shift = Number(BigInt(Math.round(recording.info.started_unix_ns)) - recording.base);
  const times = [];
  const running = [];
  const failed = [];
  let now = 0;
  activity.began.forEach((began, index) => {
    now += began;
    times.push(shift + index * step);
    running.push(now);
    failed.push(activity.failed[index] > 0 ? activity.failed[index] : null);
    now -= activity.ended[index];
  });
  times.push(Math.max(until, shift + activity.began.length * step));
  running.push(now);
  failed.push(null);
  const underneath = (chart) => {
    const { ctx, bbox } = chart;
    const x = (ns) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, chart.valToPos(ns, "x", true)));
    ctx.save();
    const [from, to] = windowOf();
    ctx.fillStyle = themed("window");
    ctx.fillRect(x(from), bbox.top, Math.max(2, x(to) - x(from)), bbox.height);
    ctx.fillStyle = themed("loss");
    for (const gap of losses) {
      const begin = x(gap.after_ns ?? 0);
      ctx.fillRect(begin, bbox.top, Math.max(2, x(gap.before_ns ?? until) - begin), 6 * devicePixelRatio);
    }
    ctx.restore();
  };
  return draw(holder, {
    height: 120,
    legend: { live: true },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 } },
    scales: {
      x: { time: false, range: () => [0, until] },
      y: { range: (_chart, _least, most) => [0, Math.max(1, most) * 1.1] },
      failed: { range: (_chart, _least, most) => [0, Math.max(1, most ?? 0) * 2] },
    },
    axes: [
      timeAxis(),
      axis({ size: 64, values: (_chart, splits) => splits.map((value) => (value % 1 === 0 ? number(value) : "")), space: 30 }),
    ],
    series: [
      { label: "at", value: (_chart, ns) => (ns === null || ns === undefined ? "–" : offset(ns, step)) },
      { label: "spans there at that time", stroke: themed("accent"), fill: themed("accent-soft"), width: 1, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: (_chart, value) => (value === null || value === undefined ? "–" : number(value)) },
      { label: "went wrong (a scale of its own)", scale: "failed", stroke: themed("bad"), fill: themed("bad"), width: 0, paths: uPlot.paths.bars({ size: [0.9, 100, 1], align: 1 }), points: { show: false }, value: (_chart, value, _series, index) => (index === null ? "–" : number(value ?? 0)) },
    ],
    hooks: {
      drawClear: [underneath],
      setSelect: [(chart) => {
        const { left, width } = chart.select;
        if (width > 3) onRange(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
        chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
  }, [times, running, failed]);
}

/** A counter's values over time. */
export function drawCounter(holder, recording, counter) {
  const step = 2 ** counter.step_log2;
  const shift = Number(BigInt(Math.round(recording.info.started_unix_ns)) - recording.base);
  const times = counter.steps.map(([at]) => shift + at * step);
  const column = (which) => counter.steps.map((values) => values[which]);
  const shown = (_chart, value) => (value === null || value === undefined ? "–" : number(value));
  const { until } = recording;
  return draw(holder, {
    height: 140,
    legend: { live: true },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [0, until] },
      y: { range: (_chart, least, most) => [Math.min(0, least ?? 0), (most ?? 0) > Math.min(0, least ?? 0) ? most + (most - Math.min(0, least)) * 0.08 : 1] },
    },
    axes: [
      timeAxis(),
      axis({ size: 64, values: (_chart, splits) => splits.map((value) => compact.format(value)), space: 18 }),
    ],
    series: [
      { label: "at", value: (_chart, ns) => (ns === null || ns === undefined ? "–" : offset(ns, step)) },
      { label: "least", stroke: themed("accent-soft"), width: 1, points: { show: false }, value: shown },
      { label: "greatest", stroke: themed("accent-soft"), width: 1, points: { show: false }, value: shown },
      { label: "last", stroke: themed("accent"), width: 1.5, points: { show: counter.steps.length < 3, size: 6 }, value: shown },
    ],
    bands: [{ series: [2, 1], fill: themed("accent-soft") }],
  }, [times, column(1), column(2), column(3)]);
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

/** What the activity chart says, in words. */
export function describeActivity(recording) {
  const { activity } = recording;
  let now = 0;
  let most = 0;
  activity.began.forEach((began, index) => {
    most = Math.max(most, now + began);
    now += began - activity.ended[index];
  });
  const failed = activity.failed.reduce((sum, value) => sum + value, 0);
  return `Activity over ${duration(recording.until)}, in steps of ${duration(2 ** activity.step_log2)}: up to ${count(most, "span")} in a step, ${count(failed, "span")} went wrong. Drag to choose a range.`;
}
