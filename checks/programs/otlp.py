"""A collector of OpenTelemetry, rotel, over gRPC and over HTTP, and OpenTelemetry's own Protocol Buffers, with our OTLP export.

The collector forwards what it understood to a receiver that decodes it: what comes out is compared, not what went in.
"""

import json
import math
import socket
import subprocess
import time
from pathlib import Path

from framework import Result, Trouble
from reader import Reader
from spans import counted, expected_attributes, expected_span, fits_signed, happened_in, parts, roots, trace_parent, traces, typed, value_of

READER = Path(__file__).parent.parent / "readers" / "otlp.py"
PROTO, ROTEL = "opentelemetry-proto==1.45.2", "rotel==0.0.1a15"
ERROR = 2
# In the flags of a span: it is sampled, and it is known whether its parent is of another process; it is.
FLAGS, IS_REMOTE = 0x101, 0x200
# The traces of processes that left no recording, as checks/src/traces.rs has them.
FOREIGN = {"0af7651916cd43dd8448eb211c80319c"}


class Program:
    FORMAT = "otlp"
    # Whether it divides large requests, and passes on the later parts without their resource, as this version of rotel does.
    DIVIDES = False
    # The spans of the cases so far, by trace and id.
    exported = frozenset()

    def version(self, tools):
        name = self.PIP[-1].partition("==")[0]
        return tools.run([tools.python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]).strip()

    def check(self, case, tools):
        answer = self.spans(case, tools)
        told, points = answer["spans"], answer["points"]
        spans = {span["span_id"]: span for span in told if span["scope"] == "spanring"}
        marks = [span for span in told if span["scope"] == "spanring.recording"]
        result = Result()
        result.same("number of spans", len(case.spans), sum(span["scope"] == "spanring" for span in told))
        resources = distinct(shown_of(case, one["resource"]) for one in told + points)
        if self.DIVIDES:
            resources = [resource for resource in resources if any(value is not None for value in resource.values())]
        result.same("resources", [resource_of(case)], resources)
        ids, instants, last = Ids(case, spans), happened_in(case), last_ns(case)
        found = {span_id: ids.compared(span) for span_id, span in spans.items()}
        wanted = {}
        for span in case.spans.values():
            known_as = ids.expected(span)
            wanted[known_as["span_id"]] = known_as | expected_row(case, span, instants.get(span["id"], []), last)
        result.rows("span", wanted, found)
        self.join(result, ids, found)
        result.rows("counter", counted(expected_points(case)), counted(
            {"name": point["name"], "kind": point["kind"], "ns": point["ns"], "value": typed(point["value"])} for point in points
        ))
        check_marks(case, result, marks, instants.get(0, []), last)
        return result

    def join(self, result, ids, spans):
        """What is below a span of another process is below one that has been exported before, unless that left no recording."""
        self.exported = self.exported | {(span["trace_id"], span_id) for span_id, span in spans.items()}
        remote = {(span["trace_id"], span["parent"]) for span in spans.values() if span["flags"] & IS_REMOTE}
        result.same("traces of parents of no recording", ids.foreign, {trace_id for trace_id, _ in remote - self.exported})


class File(Program):
    NAME = "opentelemetry-proto"
    PIP = [PROTO]

    def open(self, tools):
        return decoder(tools)[0]

    def close(self, reader):
        reader.close()

    def spans(self, case, tools):
        return tools.opened.ask(file=str(case.export(self.FORMAT)))


class Rotel(Program):
    PIP = [PROTO, ROTEL]
    DIVIDES = True

    def __init__(self, protocol):
        self.NAME, self.protocol = f"rotel ({protocol})", protocol

    def open(self, tools):
        reader, sink = decoder(tools)
        agent = tools.site_packages() / "rotel" / "rotel-agent"
        agent.chmod(0o755)
        ports = {protocol: free_port() for protocol in ("grpc", "http")}
        command = [agent, "start", "--pid-file", tools.scratch / "rotel.pid", "--exporter", "otlp"]
        command += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{sink}", "--otlp-exporter-protocol", "http"]
        for protocol, port in ports.items():
            command += [f"--otlp-{protocol}-endpoint", f"127.0.0.1:{port}"]
        log = open(tools.scratch / f"rotel-{self.protocol}.log", "w")
        collector = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        wait_for(ports[self.protocol], collector)
        return reader, collector, ports[self.protocol]

    def close(self, opened):
        reader, collector, _ = opened
        collector.terminate()
        collector.wait()
        reader.close()

    def spans(self, case, tools):
        reader, _, port = tools.opened
        case.export_to(f"http://127.0.0.1:{port}", self.FORMAT, "--protocol", self.protocol)
        alone = happened_in(case).get(0, [])
        return reader.ask(take=sum(map(len, (case.spans, case.losses, alone, list(expected_points(case))))) + 1)


def decoder(tools):
    """The reader, and the port at which it listens."""
    reader = Reader(tools, READER)
    return reader, reader.answer()["port"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(200):
        if process.poll() is not None:
            raise Trouble("rotel does not start: see target/checks")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Trouble(f"rotel does not listen at port {port}")


def distinct(values):
    found = []
    for value in values:
        if value not in found:
            found.append(value)
    return found


def resource_of(case):
    process = case.process
    return {
        "service.name": Path(process["executable"]).name,
        "service.instance.id": process["session"],
        "process.pid": process["pid"],
        "process.executable.path": process["executable"],
        "host.name": process["host"],
    }


def shown_of(case, resource):
    return {key: resource.get(key) for key in resource_of(case)}


def last_ns(case):
    """The latest moment of which the recording tells."""
    spans = [expected_span(span)["end_ns"] or span["start_ns"] for span in case.spans.values()]
    told = [loss["before_ns"] or loss["after_ns"] or 0 for loss in case.losses]
    points = [point["ns"] for point in [*case.instants.values(), *case.counters]]
    return max([case.process["started_unix_ns"], *spans, *told, *points])


class Ids:
    """By which ids spans are known, and where they are in traces of several processes."""

    def __init__(self, case, spans):
        self.parts = parts(case)
        self.traces_of_parts = {part.trace_id for part in self.parts.values() if part}
        self.mask = session_mask(self.parts, spans)
        # What the case has of a process that left no recording.
        self.foreign = self.traces_of_parts & FOREIGN
        # Traces of this process alone are compared by what is in them.
        self.wanted = traces({span_id: root for span_id, root in roots(case).items() if not self.parts[span_id]})
        alone = {span["span_id"]: span["trace_id"] for span in spans.values() if span["trace_id"] not in self.traces_of_parts}
        least = traces(alone)
        self.found = {trace_id: least[span_id] for span_id, trace_id in alone.items()}

    def compared(self, span):
        """What was found, with traces as they are compared."""
        links = [(self.found.get(link["trace_id"], link["trace_id"]), link["span_id"]) for link in span["links"]]
        return compared(span) | {"trace_id": self.found.get(span["trace_id"], span["trace_id"]), "links": links}

    def known(self, span_id):
        """The trace and the id of a span, as others know it."""
        part = self.parts.get(span_id)
        if part is None:
            # A parent of which the recording has nothing is the top of its trace.
            return self.wanted.get(span_id), span_id
        return part.trace_id, span_id ^ (self.mask if part.mask is None else part.mask)

    def expected(self, span):
        trace_id, span_id = self.known(span["id"])
        came, above = trace_parent(span, "traceparent"), span["parent"]
        made_in = self.known(above) if above else None
        if self.parts[span["id"]] is None:
            return {"trace_id": trace_id, "span_id": span_id, "parent": above, "flags": FLAGS, "links": []}
        # A parent is in the same trace.
        of_same = [parent for parent in (came, made_in) if parent is not None and parent[0] == trace_id]
        parent = of_same[0] if of_same else None
        return {
            "trace_id": trace_id,
            "span_id": span_id,
            "parent": parent[1] if parent else 0,
            "flags": FLAGS | (IS_REMOTE if came is not None and parent == came else 0),
            "links": [made_in] if made_in is not None and made_in != parent else [],
        }


def session_mask(parts, spans):
    """What makes ids of the session such of a trace whose parent is all that was said: one for all, with its highest bit set. Only the export
    says it, so it is taken from there."""
    known = {span_id ^ part.mask for span_id, part in parts.items() if part and part.mask is not None}
    hidden = {span_id for span_id, part in parts.items() if part and part.mask is None}
    found = {span_id for span_id in spans if span_id >> 63} - known
    masks = {one ^ span_id for one in sorted(found)[:1] for span_id in hidden}
    return next((mask for mask in masks if mask >> 63 and {span_id ^ mask for span_id in hidden} == found), 0)


def compared(span):
    told = {key: value for key, value in span.items() if key not in ("scope", "resource", "attributes", "trace_id", "links", "events")}
    # The truth does not know the one.
    own = {key: value for key, value in span["attributes"].items() if key != "spanring.end_may_be_lost"}
    return told | known(own) | {"events": sorted(map(event_as, span["events"]))}


def known(attributes):
    """With their types, and in an order that depends on nobody."""
    cut = attributes.get("spanring.cut_attributes")
    return {key: typed(value) for key, value in attributes.items()} | ({"spanring.cut_attributes": sorted(cut)} if cut else {})


def event_as(event):
    return json.dumps(event | {"attributes": known(event["attributes"])}, sort_keys=True)


def own_key(key):
    """A key of the program's own, if it were taken for one of ours."""
    ours = ("code.file.path", "code.line.number", "thread.id", "thread.name")
    is_like_ours = key == "" or key in ours or key.startswith(("spanring.", "attribute."))
    return f"attribute.{key}" if is_like_ours else key


def expected_known(told):
    values, cut = expected_attributes(told["attributes"], fits_signed)
    row = {own_key(key): value for key, value in values.items()}
    if cut:
        row["spanring.cut_attributes"] = sorted(map(own_key, cut))
    return row


def place_of(told):
    if told["file"] is None:
        return {}
    place = {"code.file.path": told["file"], "code.line.number": told["line"]}
    return place | {"spanring.module_path": told["module"], "spanring.target": told["target"]}


def of_instant(case, instant):
    row = {"thread.id": instant["thread"], "thread.name": case.thread_name(instant["thread"])} | place_of(instant)
    if instant["name_state"] != "whole":
        row["spanring.name_state"] = instant["name_state"]
    return typed(row) | expected_known(instant)


def expected_event(case, instant):
    event = {"ns": instant["ns"], "name": instant["name"], "dropped_attributes": instant["lost_attributes"]}
    return json.dumps(event | {"attributes": of_instant(case, instant)}, sort_keys=True)


def expected_points(case):
    for counter in case.counters:
        value = value_of(counter["value"], fits_signed)
        # Integers that are too large are the nearest other number; what is no finite number is left out.
        value = float(counter["value"]["value"]) if isinstance(value, str) else value
        if math.isfinite(value):
            yield {"name": counter["name"], "kind": "gauge", "ns": counter["ns"], "value": typed(value)}


def expected_row(case, span, instants, last):
    told = expected_span(span)
    end = told["end_ns"]
    row = {
        "name": span["name"],
        "start_ns": span["start_ns"],
        "end_ns": max(last, span["start_ns"]) if end is None else end,
        "status": ERROR if span["outcome"] in ("failed", "panicked") else 0,
        "dropped_attributes": span["lost_attributes"],
        "dropped_events": 0,
        "events": sorted(expected_event(case, instant) for instant in instants),
    }
    own = {"spanring.kind": span["kind"], "spanring.outcome": span["outcome"], "spanring.depth": span["depth"]} | place_of(span)
    if span["polls"] > 0:
        own["spanring.polls"] = span["polls"]
    begin_thread, end_thread = span["begin_thread"], span["end_thread"]
    if begin_thread is not None:
        own |= {"thread.id": begin_thread, "thread.name": case.thread_name(begin_thread)}
    if end_thread not in (None, begin_thread):
        own |= {"spanring.end_thread.id": end_thread, "spanring.end_thread.name": case.thread_name(end_thread)}
    if span["name_state"] != "whole":
        own["spanring.name_state"] = span["name_state"]
    measured = {"spanring.wait_ns": told["wait_ns"], "spanring.busy_ns": span["busy_ns"], "spanring.idle_ns": told["idle_ns"]}
    own |= {key: value for key, value in measured.items() if value is not None}
    if span["begin_lost"]:
        own["spanring.begin_lost"] = True
    return row | typed(own) | expected_known(span)


def check_marks(case, result, marks, alone, last):
    marked = [mark for mark in marks if "spanring.mark" in mark["attributes"]]
    found = [
        {
            "ns": (mark["start_ns"], mark["end_ns"]),
            "name": mark["name"],
            "dropped_attributes": mark["dropped_attributes"],
            "attributes": known(mark["attributes"]),
        }
        for mark in marked if mark["attributes"]["spanring.mark"] == "instant"
    ]
    result.rows("instant", counted(expected_mark(case, instant) for instant in alone), counted(found))
    lost = [mark for mark in marked if mark["attributes"]["spanring.mark"] == "loss"]
    told = [
        (mark["attributes"]["thread.id"], mark["attributes"]["spanring.lost_records"], mark["attributes"]["spanring.loss.cause"],
         mark["start_ns"], mark["end_ns"])
        for mark in lost
    ]
    # A span has to have both times.
    started = case.process["started_unix_ns"]
    wanted = []
    for loss in case.losses:
        after = loss["after_ns"] or loss["before_ns"] or started
        before = loss["before_ns"] or loss["after_ns"] or started
        wanted.append((loss["thread"], loss["records"], loss["cause"], after, max(after, before)))
    result.rows("loss", counted(wanted), counted(told))
    [recording] = [mark for mark in marks if "spanring.mark" not in mark["attributes"]] or [None]
    result.same("summary", True, recording is not None)
    if recording is None:
        return
    result.same("time of the summary", (started, last), (recording["start_ns"], recording["end_ns"]))
    open_spans = sum(span["duration_ns"] is None for span in case.spans.values())
    wanted = {"spanring.spans": len(case.spans), "spanring.open_spans": open_spans} | case.details
    for cause in ("dropped", "overwritten", "retired"):
        wanted[f"spanring.{cause}_records"] = sum(loss["records"] for loss in case.losses if loss["cause"] == cause)
    result.same("sums", wanted, {key: recording["attributes"].get(key) for key in wanted})
    result.same("parents of marks", {recording["span_id"]} if marked else set(), {mark["parent"] for mark in marked})


def expected_mark(case, instant):
    mark = {"spanring.mark": "instant"} | ({"spanring.lost_parent_id": instant["parent"]} if instant["parent"] else {})
    return {
        "ns": (instant["ns"], instant["ns"]),
        "name": instant["name"],
        "dropped_attributes": instant["lost_attributes"],
        "attributes": typed(mark) | of_instant(case, instant),
    }


PROGRAMS = [File(), Rotel("grpc"), Rotel("http")]
