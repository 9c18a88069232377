"""Libraries that read Parquet, with our Parquet export."""

import json
from pathlib import Path

from framework import Result
from reader import Reader
from spans import counted, expected_attributes, expected_losses, expected_span, happened_in, roots, traces, typed, value_of

READER = Path(__file__).parent.parent / "readers" / "parquet.py"
# What the truth does not say.
NOT_COMPARED = {"end_may_be_lost", "busy_partial"}


class Library:
    FORMAT = "parquet"

    def __init__(self, name, packages):
        self.NAME, self.PIP = name, packages
        # What is no number is what is not there, in pandas.
        self.HAS_NAN = name != "pandas"

    def version(self, tools):
        return tools.run([tools.python, "-c", f"import importlib.metadata as m; print(m.version('{self.NAME}'))"]).strip()

    def open(self, tools):
        return Reader(tools, READER, self.NAME)

    def close(self, reader):
        reader.close()

    def check(self, case, tools):
        starts = sorted(span["start_ns"] for span in case.spans.values())
        begin, end = (starts[len(starts) // 4], starts[len(starts) // 2]) if starts else (0, 0)
        asked = {"file": str(case.export(self.FORMAT)), "from": begin, "until": end}
        told = tools.opened.ask(**asked)
        rows = told["rows"]
        spans = {row["span_id"]: row for row in rows if row["kind"] in ("async", "thread")}
        result = Result()
        result.same("columns", set(), {column for row in rows for column in NOT_COMPARED - row.keys()})
        by_root = traces({span_id: row["trace_id"] for span_id, row in spans.items()})
        found = {span_id: {**compared(row), "trace_id": by_root[span_id]} for span_id, row in spans.items()}
        by_root, instants = traces(roots(case)), happened_in(case)
        wanted = {
            span_id: {**expected_row(case, span, instants.get(span_id, [])), "trace_id": by_root[span_id]}
            for span_id, span in case.spans.items()
        }
        result.rows("span", wanted, found)
        alone = instants.get(0, [])
        result.same("number of rows", sum(map(len, (case.spans, alone, case.counters, case.losses))), len(rows))
        for kind, points in (
            ("instant", [lone_instant(case, instant) for instant in alone]),
            ("counter", [counter_row(case, counter, self.HAS_NAN) for counter in case.counters]),
        ):
            found = columns_of(points, [row for row in rows if row["kind"] == kind])
            result.rows(kind, counted(points), counted(found))
        missing = [row for row in rows if row["kind"] == "loss"]
        result.rows("loss", expected_losses(case), counted(
            (row["thread.id"], row["lost_records"], row["loss_cause"], row["start_time_unix_nano"], row["end_time_unix_nano"])
            for row in missing
        ))
        wanted = {span_id for span_id, span in case.spans.items() if begin <= span["start_ns"] < end}
        result.same("spans by a filter of time", wanted, set(told["some"]))
        if told["metadata"] is not None:
            check_metadata(case, result, told["metadata"])
        return result


def compared(row):
    told = {column: value for column, value in row.items() if column not in NOT_COMPARED}
    told["attributes"] = typed(json.loads(row["attributes"] or "{}"))
    told["cut_attributes"] = sorted(json.loads(row["cut_attributes"] or "[]"))
    told["events"] = sorted(map(event_as, json.loads(row["events"] or "[]")))
    if told["counter_value"] is not None:
        told["counter_value"] = typed(told["counter_value"])
    return told


def event_as(event):
    """An event as text, in which nothing depends on an order."""
    event["cut_attributes"] = sorted(event.get("cut_attributes", []))
    event.setdefault("attributes", {})
    event.setdefault("dropped_attributes_count", 0)
    return json.dumps(typed(event), sort_keys=True)


def expected_event(case, instant):
    attributes, cut = expected_attributes(instant["attributes"])
    event = {
        "name": instant["name"],
        "time_unix_nano": instant["ns"],
        "thread.id": instant["thread"],
        "thread.name": case.thread_name(instant["thread"]),
        "code.file.path": instant["file"],
        "code.line.number": instant["line"],
        "cut_attributes": cut,
        "dropped_attributes_count": instant["lost_attributes"],
    }
    if instant["name_state"] != "whole":
        event["name_state"] = instant["name_state"]
    event = {key: value for key, value in event.items() if value is not None}
    return json.dumps(typed(event) | {"attributes": attributes}, sort_keys=True)


def lone_instant(case, instant):
    """The columns of an instant in no span of the recording."""
    attributes, cut = expected_attributes(instant["attributes"])
    return point(case, instant) | {
        "name_state": instant["name_state"],
        "code.file.path": instant["file"],
        "code.line.number": instant["line"],
        "module_path": instant["module"],
        "target": instant["target"],
        "attributes": attributes,
        "cut_attributes": cut,
        "dropped_attributes_count": instant["lost_attributes"],
        "counter_value": None,
    }


def counter_row(case, counter, has_nan):
    exact = counter["value"]
    value = float(exact["value"])
    return point(case, counter) | {
        "attributes": {"value": typed(value_of(exact))},
        "counter_value": typed(value) if has_nan or value == value else None,
    }


def point(case, told):
    """The columns of what happened at a time."""
    return {
        "parent_span_id": told["parent"] or None,
        "name": told["name"],
        "start_time_unix_nano": told["ns"],
        "end_time_unix_nano": told["ns"],
        "start_time": told["ns"] // 1000,
        "thread.id": told["thread"],
        "thread.name": case.thread_name(told["thread"]),
    }


def columns_of(wanted, rows):
    """As rows are found: those columns of them that the wanted ones have."""
    columns = next(iter(wanted), {}).keys()
    return [{column: row[column] for column in columns} for row in map(compared, rows)]


def expected_row(case, span, instants):
    told = expected_span(span)
    end = told["end_ns"]
    return {
        "kind": span["kind"],
        "span_id": span["id"],
        "parent_span_id": span["parent"] or None,
        "name": span["name"],
        "name_state": span["name_state"],
        "start_time_unix_nano": span["start_ns"],
        "end_time_unix_nano": end,
        "start_time": span["start_ns"] // 1000,
        "end_time": None if end is None else end // 1000,
        "duration_nano": span["duration_ns"],
        "created_time_unix_nano": span["created_ns"],
        "wait_nano": told["wait_ns"],
        "busy_nano": span["busy_ns"],
        "idle_nano": told["idle_ns"],
        "outcome": span["outcome"],
        "status_code": "ERROR" if span["outcome"] in ("failed", "panicked") else "UNSET",
        "depth": span["depth"],
        "polls": None if end is None else span["polls"],
        "code.file.path": span["file"],
        "code.line.number": span["line"],
        "module_path": span["module"],
        "target": span["target"],
        "thread.id": span["begin_thread"],
        "thread.name": case.thread_name(span["begin_thread"]),
        "end_thread.id": span["end_thread"],
        "end_thread.name": case.thread_name(span["end_thread"]),
        "begin_lost": span["begin_lost"],
        "lost_records": None,
        "loss_cause": None,
        "counter_value": None,
        "attributes": expected_attributes(span["attributes"])[0],
        "cut_attributes": expected_attributes(span["attributes"])[1],
        "dropped_attributes_count": span["lost_attributes"],
        "dropped_events_count": 0,
        "events": sorted(expected_event(case, instant) for instant in instants),
    }


def check_metadata(case, result, metadata):
    wanted = {
        "spanring.spans": len(case.spans),
        "spanring.open_spans": sum(span["duration_ns"] is None for span in case.spans.values()),
        **case.details,
        "spanring.session": case.process["session"],
        "process.pid": case.process["pid"],
    }
    for cause in ("dropped", "overwritten", "retired"):
        wanted[f"spanring.{cause}_records"] = sum(loss["records"] for loss in case.losses if loss["cause"] == cause)
    result.same("metadata", {key: str(value) for key, value in wanted.items()}, {key: metadata.get(key) for key in wanted})


PROGRAMS = [
    Library("duckdb", ["duckdb==2.0.1"]),
    Library("pyarrow", ["pyarrow==26.0.1"]),
    Library("pandas", ["pandas==3.1.1", "pyarrow==26.0.1"]),
    Library("polars", ["polars==2.1.0"]),
    Library("datafusion", ["datafusion==55.0.0", "pyarrow==26.0.1"]),
]
