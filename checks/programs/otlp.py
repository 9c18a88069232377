"""A collector of OpenTelemetry, rotel, over gRPC and over HTTP, and OpenTelemetry's own Protocol Buffers, with our OTLP export.

The collector forwards what it understood to a receiver that decodes it: what comes out is compared, not what went in.
"""

import socket
import subprocess
import time
from pathlib import Path

from framework import Result, Trouble
from reader import Reader
from spans import expected_span, losses, roots, traces

READER = Path(__file__).parent.parent / "readers" / "otlp.py"
PROTO, ROTEL = "opentelemetry-proto==1.45.2", "rotel==0.0.1a15"
ERROR = 2


class Program:
    FORMAT = "otlp"
    # Whether it divides large requests, and passes on the later parts without their resource, as this version of rotel does.
    DIVIDES = False

    def version(self, tools):
        name = self.PIP[-1].partition("==")[0]
        return tools.run([tools.python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]).strip()

    def check(self, case, tools):
        told = self.spans(case, tools)
        spans = {span["span_id"]: span for span in told if span["scope"] == "spanring"}
        marks = [span for span in told if span["scope"] == "spanring.recording"]
        result = Result()
        result.same("number of spans", len(case.spans), sum(span["scope"] == "spanring" for span in told))
        resources = distinct(shown_of(case, span["resource"]) for span in told)
        if self.DIVIDES:
            resources = [resource for resource in resources if any(value is not None for value in resource.values())]
        result.same("resources", [resource_of(case)], resources)
        by_root = traces({span_id: span["trace_id"] for span_id, span in spans.items()})
        found = {span_id: {**compared(span), "trace_id": by_root[span_id]} for span_id, span in spans.items()}
        by_root = traces(roots(case))
        last = last_ns(case)
        wanted = {
            span_id: {**expected_row(case, span, last), "trace_id": by_root[span_id]} for span_id, span in case.spans.items()
        }
        result.rows("span", wanted, found)
        check_marks(case, result, marks, last)
        return result


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
        return reader.ask(take=len(case.spans) + len(case.losses) + 1)


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
    return max([case.process["started_unix_ns"], *spans, *told])


def compared(span):
    told = {key: value for key, value in span.items() if key not in ("scope", "resource", "attributes", "trace_id")}
    # The truth does not know it.
    return told | {key: value for key, value in span["attributes"].items() if key != "spanring.end_may_be_lost"}


def expected_row(case, span, last):
    told = expected_span(span)
    end = told["end_ns"]
    row = {
        "span_id": span["id"],
        "parent": span["parent"],
        "name": span["name"],
        "start_ns": span["start_ns"],
        "end_ns": max(last, span["start_ns"]) if end is None else end,
        "status": ERROR if span["outcome"] in ("failed", "panicked") else 0,
        "spanring.kind": span["kind"],
        "spanring.outcome": span["outcome"],
        "spanring.depth": span["depth"],
    }
    if span["polls"] > 0:
        row["spanring.polls"] = span["polls"]
    if span["file"] is not None:
        row |= {"code.file.path": span["file"], "code.line.number": span["line"]}
        row |= {"spanring.module_path": span["module"], "spanring.target": span["target"]}
    begin_thread, end_thread = span["begin_thread"], span["end_thread"]
    if begin_thread is not None:
        row |= {"thread.id": begin_thread, "thread.name": case.thread_name(begin_thread)}
    if end_thread not in (None, begin_thread):
        row |= {"spanring.end_thread.id": end_thread, "spanring.end_thread.name": case.thread_name(end_thread)}
    if span["name_state"] != "whole":
        row["spanring.name_state"] = span["name_state"]
    measured = {"spanring.wait_ns": told["wait_ns"], "spanring.busy_ns": span["busy_ns"], "spanring.idle_ns": told["idle_ns"]}
    row |= {key: value for key, value in measured.items() if value is not None}
    if span["begin_lost"]:
        row["spanring.begin_lost"] = True
    return row


def check_marks(case, result, marks, last):
    lost = [mark for mark in marks if "spanring.mark" in mark["attributes"]]
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
    result.rows("loss", losses(wanted), losses(told))
    [recording] = [mark for mark in marks if "spanring.mark" not in mark["attributes"]] or [None]
    result.same("summary", True, recording is not None)
    if recording is None:
        return
    result.same("time of the summary", (started, last), (recording["start_ns"], recording["end_ns"]))
    open_spans = sum(span["duration_ns"] is None for span in case.spans.values())
    wanted = {"spanring.spans": len(case.spans), "spanring.open_spans": open_spans}
    for cause in ("dropped", "overwritten", "retired"):
        wanted[f"spanring.{cause}_records"] = sum(loss["records"] for loss in case.losses if loss["cause"] == cause)
    result.same("sums", wanted, {key: recording["attributes"].get(key) for key in wanted})
    result.same("parents of losses", {recording["span_id"]} if lost else set(), {mark["parent"] for mark in lost})


PROGRAMS = [File(), Rotel("grpc"), Rotel("http")]
