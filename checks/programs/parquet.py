"""Libraries that read Parquet, with our Parquet export."""

from pathlib import Path

from framework import Result
from reader import Reader
from spans import expected_losses, expected_span, losses, roots, traces

READER = Path(__file__).parent.parent / "readers" / "parquet.py"
# What the truth does not say.
NOT_COMPARED = {"end_may_be_lost", "busy_partial"}


class Library:
    FORMAT = "parquet"

    def __init__(self, name, packages):
        self.NAME, self.PIP = name, packages

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
        by_root = traces(roots(case))
        wanted = {span_id: {**expected_row(case, span), "trace_id": by_root[span_id]} for span_id, span in case.spans.items()}
        result.rows("span", wanted, found)
        missing = [row for row in rows if row["kind"] not in ("async", "thread")]
        result.same("number of rows", len(case.spans) + len(case.losses), len(rows))
        result.rows("loss", expected_losses(case), losses(
            (row["thread.id"], row["lost_records"], row["loss_cause"], row["start_time_unix_nano"], row["end_time_unix_nano"])
            for row in missing
        ))
        wanted = {span_id for span_id, span in case.spans.items() if begin <= span["start_ns"] < end}
        result.same("spans by a filter of time", wanted, set(told["some"]))
        if told["metadata"] is not None:
            check_metadata(case, result, told["metadata"])
        return result


def compared(row):
    return {column: value for column, value in row.items() if column not in NOT_COMPARED}


def expected_row(case, span):
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
    }


def check_metadata(case, result, metadata):
    wanted = {
        "spanring.spans": len(case.spans),
        "spanring.open_spans": sum(span["duration_ns"] is None for span in case.spans.values()),
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
