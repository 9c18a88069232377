// The recording, unpacked: facts, and a column of numbers for each property of its spans.

export const COMPLETED = 0;
export const CANCELLED = 1;
export const PANICKED = 2;
export const OPEN = 3;
export const FAILED = 4;
export const ENDINGS = ["completed", "cancelled", "panicked", "open", "failed"];

export const NO_PARENT = -1;
export const PARENT_NOT_HERE = -2;

/** Unpacks what an element holds in base64. */
export async function unpack(holder) {
  const text = holder.textContent.trim();
  holder.remove();
  const packed = new Blob(bytesOf(text));
  const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return new Recording(facts, new Numbers(bytes, 4 + length));
}

/** Base64 as pieces of bytes: a text of many megabytes need not be there twice. */
function bytesOf(text) {
  const pieces = [];
  const step = 1 << 20;
  for (let start = 0; start < text.length; start += step) {
    const binary = atob(text.slice(start, start + step));
    const bytes = new Uint8Array(binary.length);
    for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
    pieces.push(bytes);
  }
  return pieces;
}

/** Reads varints. */
class Numbers {
  constructor(bytes, position) {
    this.bytes = bytes;
    this.position = position;
  }

  next() {
    const { bytes } = this;
    let byte = bytes[this.position++];
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      byte = bytes[this.position++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value;
  }

  /** The same for numbers that may be larger than JavaScript's are exact. */
  nextBig() {
    let value = 0n;
    let shift = 0n;
    let byte;
    do {
      byte = this.bytes[this.position++];
      value |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte >= 128);
    return value;
  }

  column(Type, length) {
    const column = new Type(length);
    for (let index = 0; index < length; index++) column[index] = this.next();
    return column;
  }
}

/** All that a page knows. Times are nanoseconds from its base on; spans are numbered by begin. */
class Recording {
  constructor(facts, numbers) {
    Object.assign(this, facts);
    this.base = BigInt(facts.base_unix_ns);
    const length = facts.shown;
    this.length = length;
    const read = {
      begin: () => this.begins(numbers),
      end: () => numbers.column(Float64Array, length),
      id: () => this.readIds(numbers),
      parent: () => this.parents(numbers),
      row: () => numbers.column(Uint32Array, length),
      name: () => numbers.column(Uint32Array, length),
      lane: () => numbers.column(Uint32Array, length),
      begin_thread: () => numbers.column(Float64Array, length),
      end_thread: () => numbers.column(Float64Array, length),
      polls: () => numbers.column(Uint32Array, length),
      flags: () => numbers.column(Uint16Array, length),
      wait: () => numbers.column(Float64Array, length),
      busy: () => numbers.column(Float64Array, length),
    };
    for (const column of facts.columns) this[column] = read[column]();
    /** Whether there is any span of which it is known how long it waited or was busy. */
    this.measured = this.wait.some((wait) => wait > 0) || this.busy.some((busy) => busy > 0);
    this.until = this.lastMoment();
    for (let index = 0; index < length; index++) {
      this.end[index] = this.end[index] === 0 ? Math.max(this.until, this.begin[index]) : this.begin[index] + this.end[index] - 1;
    }
    this.rowsByNumber = new Array(facts.rows.length);
    for (const row of facts.rows) this.rowsByNumber[row.number] = row;
    this.threadsById = new Map(facts.info.threads.map((thread) => [thread.id, thread]));
    this.detailsBySpan = new Map(facts.details.map((details) => [details.span, details]));
    this.sortIntoLanes();
    this.findChildren();
  }

  begins(numbers) {
    const column = numbers.column(Float64Array, this.length);
    for (let index = 1; index < column.length; index++) column[index] += column[index - 1];
    return column;
  }

  readIds(numbers) {
    const column = new BigUint64Array(this.length);
    let previous = 0;
    for (let index = 0; index < column.length; index++) {
      const start = numbers.position;
      const zigzag = numbers.next();
      const value = typeof previous === "number" ? previous + (zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2) : NaN;
      if (zigzag < Number.MAX_SAFE_INTEGER && Number.isSafeInteger(value)) {
        previous = value;
        column[index] = BigInt(value);
      } else {
        numbers.position = start;
        const big = numbers.nextBig();
        const difference = big % 2n === 0n ? big / 2n : -(big + 1n) / 2n;
        column[index] = BigInt.asUintN(64, BigInt(previous) + difference);
        previous = column[index] <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(column[index]) : column[index];
      }
    }
    return column;
  }

  parents(numbers) {
    const column = new Int32Array(this.length);
    for (let index = 0; index < column.length; index++) {
      const value = numbers.next();
      column[index] = value === 0 ? NO_PARENT : value === 1 ? PARENT_NOT_HERE : index - value + 1;
    }
    return column;
  }

  /** Up to when open spans are drawn, and the timeline reaches. */
  lastMoment() {
    let last = Number(BigInt(Math.round(this.open.until_unix_ns)) - this.base);
    for (let index = 0; index < this.length; index++) {
      const end = this.begin[index] + Math.max(0, this.end[index] - 1);
      if (end > last) last = end;
    }
    return Math.max(1, last);
  }

  /** For each lane its spans by begin: those at `laneStart[lane]` up to `laneStart[lane + 1]` in `inLane`. */
  sortIntoLanes() {
    const lanes = this.bands.reduce((sum, band) => sum + band.lanes, 0);
    this.laneStart = startsOf(this.lane, lanes);
    this.inLane = new Uint32Array(this.length);
    this.laneBegin = new Float64Array(this.length);
    this.laneEnd = new Float64Array(this.length);
    const next = this.laneStart.slice();
    for (let index = 0; index < this.length; index++) {
      const position = next[this.lane[index]]++;
      this.inLane[position] = index;
      this.laneBegin[position] = this.begin[index];
      this.laneEnd[position] = this.end[index];
    }
    this.sumInLane((index) => this.failed(index));
  }

  /** How many spans in the lanes before a position fail. */
  sumInLane(test) {
    this.failedBefore = new Uint32Array(this.length + 1);
    for (let position = 0; position < this.length; position++) {
      this.failedBefore[position + 1] = this.failedBefore[position] + (test(this.inLane[position]) ? 1 : 0);
    }
  }

  findChildren() {
    const owner = this.parent;
    const counts = new Uint32Array(this.length + 1);
    for (let index = 0; index < this.length; index++) if (owner[index] >= 0) counts[owner[index] + 1]++;
    for (let index = 0; index < this.length; index++) counts[index + 1] += counts[index];
    this.childStart = counts;
    this.childList = new Uint32Array(counts[this.length]);
    const next = counts.slice();
    for (let index = 0; index < this.length; index++) {
      if (owner[index] >= 0) this.childList[next[owner[index]]++] = index;
    }
  }

  children(index) {
    return this.childList.subarray(this.childStart[index], this.childStart[index + 1]);
  }

  ending(index) {
    return (this.flags[index] & 3) | ((this.flags[index] >> 6) & 4);
  }

  failed(index) {
    const ending = this.ending(index);
    return ending === CANCELLED || ending === PANICKED || ending === FAILED;
  }

  isThreadSpan(index) {
    return (this.flags[index] & 4) !== 0;
  }

  rowOf(index) {
    return this.rowsByNumber[this.row[index]];
  }

  nameOf(index) {
    return this.name[index] === 0 ? this.rowOf(index).name : this.names[this.name[index] - 1];
  }

  duration(index) {
    return this.end[index] - this.begin[index];
  }

  /** Nanoseconds from when a span was made to its first poll; undefined if that is not known. */
  waitOf(index) {
    return this.wait[index] > 0 ? this.wait[index] - 1 : undefined;
  }

  /** Nanoseconds that a span was polled for; undefined if that is not known. */
  busyOf(index) {
    return this.busy[index] > 0 ? this.busy[index] - 1 : undefined;
  }

  /** A thread's name by its id, plus 1; 0 is none. */
  threadName(idAfter) {
    if (idAfter === 0) return undefined;
    return this.threadsById.get(idAfter - 1)?.name ?? `thread ${idAfter - 1}`;
  }

  /** Nanoseconds since 1970. */
  unix(ns) {
    return this.base + BigInt(Math.round(ns));
  }

  /** Attributes of a span: key, type and value, all of them text. */
  attributesOf(index) {
    return this.detailsBySpan.get(index)?.attributes ?? [];
  }

  /** What happened in a span, by time. */
  instantsOf(index) {
    return this.detailsBySpan.get(index)?.instants ?? [];
  }

  indexOfId(id) {
    const index = this.id.indexOf(BigInt(id));
    return index < 0 ? undefined : index;
  }

  /** A span as one object, exact: for scripts and tests. */
  span(index) {
    const open = this.ending(index) === OPEN;
    return {
      id: this.id[index],
      parent: this.parent[index] >= 0 ? this.id[this.parent[index]] : this.parent[index] === NO_PARENT ? 0n : undefined,
      name: this.nameOf(index),
      ending: ENDINGS[this.ending(index)],
      kind: this.isThreadSpan(index) ? "thread" : "async",
      begin_unix_ns: this.unix(this.begin[index]),
      duration_ns: open ? undefined : this.duration(index),
      wait_ns: this.waitOf(index),
      busy_ns: this.busyOf(index),
      polls: this.polls[index],
      lane: this.lane[index],
      attributes: this.attributesOf(index),
      instants: this.instantsOf(index).map((instant) => ({ name: instant.name, unix_ns: this.unix(instant.at_ns), attributes: instant.attributes ?? [] })),
    };
  }
}

function startsOf(column, count) {
  const starts = new Uint32Array(count + 1);
  for (let index = 0; index < column.length; index++) starts[column[index] + 1]++;
  for (let index = 0; index < count; index++) starts[index + 1] += starts[index];
  return starts;
}
