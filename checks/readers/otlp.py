"""Decodes OTLP with OpenTelemetry's own Protocol Buffers.

Listens on the loopback interface, at a port that it prints, for a collector that forwards what it gets over HTTP. Answers commands,
a line of JSON each, on its standard output:

    {"take": N}      waits until N spans and values of metrics have come, or nothing for a while, and prints them
    {"file": PATH}   prints those in a file of JSON lines

They are printed as {"spans": [..], "points": [..]}.
"""

import base64
import gzip
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

PATIENCE = 30
IDS = ("traceId", "spanId", "parentSpanId")


class Inbox:
    def __init__(self):
        self.told, self.lock = [], threading.Condition()

    def put(self, told):
        with self.lock:
            self.told += told
            self.lock.notify_all()

    def take(self, number):
        with self.lock:
            waited = time.monotonic()
            before = 0
            while len(self.told) < number and time.monotonic() - waited < PATIENCE:
                self.lock.wait(1)
                if len(self.told) > before:
                    before, waited = len(self.told), time.monotonic()
        # What is too much comes too.
        time.sleep(0.3)
        with self.lock:
            taken, self.told = self.told, []
        return taken


def value_of(value):
    of = value.WhichOneof("value")
    return [value_of(part) for part in value.array_value.values] if of == "array_value" else getattr(value, of)


def attributes(pairs):
    found = {pair.key: value_of(pair.value) for pair in pairs}
    if len(found) != len(pairs):
        raise ValueError("an attribute is there twice")
    return found


def spans_of(request):
    return [
        {
            "scope": scope.scope.name,
            "resource": attributes(resource.resource.attributes),
            "trace_id": span.trace_id.hex(),
            "span_id": int.from_bytes(span.span_id, "big"),
            "parent": int.from_bytes(span.parent_span_id, "big"),
            "flags": span.flags,
            "links": [{"trace_id": link.trace_id.hex(), "span_id": int.from_bytes(link.span_id, "big")} for link in span.links],
            "name": span.name,
            "start_ns": span.start_time_unix_nano,
            "end_ns": span.end_time_unix_nano,
            "status": span.status.code,
            "attributes": attributes(span.attributes),
            "dropped_attributes": span.dropped_attributes_count,
            "dropped_events": span.dropped_events_count,
            "events": [
                {
                    "ns": event.time_unix_nano,
                    "name": event.name,
                    "attributes": attributes(event.attributes),
                    "dropped_attributes": event.dropped_attributes_count,
                }
                for event in span.events
            ],
        }
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def points_of(request):
    return [
        {
            "resource": attributes(resource.resource.attributes),
            "name": metric.name,
            "kind": metric.WhichOneof("data"),
            "ns": point.time_unix_nano,
            "value": getattr(point, point.WhichOneof("value")),
        }
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    ]


def with_bytes(value):
    """OTLP's JSON has ids in hexadecimal digits, where that of Protocol Buffers has base64."""
    if isinstance(value, list):
        return [with_bytes(part) for part in value]
    if isinstance(value, dict):
        ids = {key: base64.b64encode(bytes.fromhex(text)).decode() for key, text in value.items() if key in IDS}
        return {key: with_bytes(part) for key, part in value.items()} | ids
    return value


def told_in(path):
    with open(path, encoding="utf-8") as lines:
        # JSON escapes line ends, so a line is a request whatever names hold.
        requests = [with_bytes(json.loads(line)) for line in lines]
    told = []
    for request in requests:
        if "resourceMetrics" in request:
            told += points_of(ParseDict(request, ExportMetricsServiceRequest()))
        else:
            told += spans_of(ParseDict(request, ExportTraceServiceRequest()))
    return told


def serve(port, inbox):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/metrics":
                inbox.put(points_of(ExportMetricsServiceRequest.FromString(body)))
                answer = ExportMetricsServiceResponse().SerializeToString()
            else:
                inbox.put(spans_of(ExportTraceServiceRequest.FromString(body)))
                answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    inbox = Inbox()
    print(json.dumps({"port": serve(0, inbox)}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        told = inbox.take(command["take"]) if "take" in command else told_in(command["file"])
        points = [one for one in told if "kind" in one]
        print(json.dumps({"spans": [one for one in told if "kind" not in one], "points": points}), flush=True)


main()
