// Runs SQL in trace_processor's WebAssembly build, as the Perfetto UI does in a worker of its own.
//
//     node trace_processor.mjs ENGINE_DIRECTORY ENGINE_JS RPC_MODULE <JOBS >ANSWERS
//
// Each line of the input is {"trace": FILE, "queries": {NAME: SQL}}; each line of the output is {"rows": {NAME: [[..]]}} or
// {"error": TEXT}. Every column is text, a floating-point number or NULL: integers of 64 bits would not survive JavaScript otherwise. Those
// numbers come as text too, with as many digits as tell each from its neighbours, and with the sign of zero.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInThisContext } from 'node:vm';

const [directory, bundle, rpcModule] = process.argv.slice(2);

// What the bundle expects of a worker's scope.
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function WorkerGlobalScope() {};
Object.defineProperty(globalThis, 'location', { value: { href: pathToFileURL(directory).href + '/' } });
globalThis.XMLHttpRequest = class {
  open(method, url) {
    this.name = url.split('/').pop();
  }
  send() {
    this.response = readFileSync(join(directory, this.name));
  }
};
// Emscripten's word for a process that is a browser.
process.type = 'renderer';
console.log = console.warn = (...words) => console.error(...words);

// Not every package has the build for 64-bit memories: a probe for those fails, as it does in older engines.
const { Module } = WebAssembly;
WebAssembly.Module = function (bytes) {
  if (bytes.length < 64) throw new Error('no memory64');
  return new Module(bytes);
};
runInThisContext(readFileSync(join(directory, bundle), 'utf8'), { filename: bundle });
WebAssembly.Module = Module;

const { EngineBase } = await import(pathToFileURL(rpcModule).href);
class Engine extends EngineBase {
  mode = 'WASM';
  id = 'check';
  constructor(port) {
    super();
    this.port = port;
    port.onmessage = ({ data }) => this.onRpcResponseBytes(data);
  }
  rpcSendRequestBytes(bytes) {
    this.port.postMessage(bytes);
  }
}
const channel = new MessageChannel();
globalThis.onmessage({ data: channel.port1 });
const engine = new Engine(channel.port2);

// As the UI asks for, but nothing is cropped.
const settings = { cropTrackEvents: false, ingestFtraceInRawTable: false, analyzeTraceProtoContent: false, ftraceDropUntilAllCpusValid: false };

const shown = (value) => (typeof value === 'number' ? (Object.is(value, -0) ? '-0' : String(value)) : value);

async function answer({ trace, queries }) {
  await engine.resetTraceProcessor(settings);
  const file = readFileSync(trace);
  for (let at = 0; at < file.length; at += 1 << 24) await engine.parse(file.subarray(at, at + (1 << 24)));
  await engine.notifyEof();
  const rows = {};
  for (const [name, sql] of Object.entries(queries)) {
    const result = await engine.query(sql);
    const columns = result.columns();
    rows[name] = [];
    for (const row = result.iter(Object.fromEntries(columns.map((column) => [column, null]))); row.valid(); row.next())
      rows[name].push(columns.map((column) => shown(row.get(column))));
  }
  return { rows };
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = await answer(JSON.parse(line));
  } catch (error) {
    reply = { error: String(error.stack ?? error) };
  }
  process.stdout.write(JSON.stringify(reply) + '\n');
}
process.exit(0);
