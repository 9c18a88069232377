"""Decodes OTLP with OpenTelemetry's own Protocol Buffers.

Listens on the loopback interface, at a port that it prints, for a collector that forwards what it gets over HTTP. Answers commands,
a line of JSON each, on its standard output:

    {"take": N}      waits until N spans have come, or nothing for a while, and prints them
    {"file": PATH}   prints the spans in a file of JSON lines
"""

import base64
import gzip
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

PATIENCE = 30
IDS = ("traceId", "spanId", "parentSpanId")


class Inbox:
    def __init__(self):
        self.spans, self.lock = [], threading.Condition()

    def put(self, spans):
        with self.lock:
            self.spans += spans
            self.lock.notify_all()

    def take(self, number):
        with self.lock:
            waited = time.monotonic()
            before = 0
            while len(self.spans) < number and time.monotonic() - waited < PATIENCE:
                self.lock.wait(1)
                if len(self.spans) > before:
                    before, waited = len(self.spans), time.monotonic()
        # What is too much comes too.
        time.sleep(0.3)
        with self.lock:
            taken, self.spans = self.spans, []
        return taken


def value_of(value):
    return getattr(value, value.WhichOneof("value"))


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
            "name": span.name,
            "start_ns": span.start_time_unix_nano,
            "end_ns": span.end_time_unix_nano,
            "status": span.status.code,
            "attributes": attributes(span.attributes),
        }
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def with_bytes(value):
    """OTLP's JSON has ids in hexadecimal digits, where that of Protocol Buffers has base64."""
    if isinstance(value, list):
        return [with_bytes(part) for part in value]
    if isinstance(value, dict):
        ids = {key: base64.b64encode(bytes.fromhex(text)).decode() for key, text in value.items() if key in IDS}
        return {key: with_bytes(part) for key, part in value.items()} | ids
    return value


def spans_in(path):
    with open(path, encoding="utf-8") as lines:
        # JSON escapes line ends, so a line is a request whatever names hold.
        requests = [ParseDict(with_bytes(json.loads(line)), ExportTraceServiceRequest()) for line in lines]
    return [span for request in requests for span in spans_of(request)]


def serve(port, inbox):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
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
        spans = inbox.take(command["take"]) if "take" in command else spans_in(command["file"])
        print(json.dumps(spans), flush=True)


main()
