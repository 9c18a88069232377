"""The truth about folded stacks, for the programs that read them; no program by itself."""

import re

PROGRAMS = []


def frame(name):
    """A name as the format can have it."""
    name = "".join(" " if is_break(c) else c for c in name.replace(";", ":")).strip()
    if not name:
        return "(no name)"
    return re.sub(r" ([0-9.]*)$", "\u00a0\\1", name)


def is_break(c):
    return c in "\u2028\u2029" or ord(c) < 32 or 127 <= ord(c) < 160


def weights(case, weight):
    """Nanoseconds by stack."""
    spans = case.spans
    latest = max((span["start_ns"] + (span["duration_ns"] or 0) for span in spans.values()), default=0)
    ends = {
        id: max(latest, span["start_ns"]) if span["duration_ns"] is None else span["start_ns"] + span["duration_ns"]
        for id, span in spans.items()
    }
    children = {}
    for span in spans.values():
        children.setdefault(span["parent"], []).append(span)
    totals = {}

    def add(stack, ns):
        totals[stack] = totals.get(stack, 0) + ns

    for id, span in spans.items():
        stack, above = [frame(span["name"])], span
        while above["parent"]:
            above = spans.get(above["parent"])
            if above is None:
                stack.append("(parent lost)")
                break
            stack.append(frame(above["name"]))
        stack.reverse()
        if span["duration_ns"] is None:
            stack.append("(open)")
        own = ends[id] - span["start_ns"]
        if weight == "self":
            own -= union(
                [(max(child["start_ns"], span["start_ns"]), min(ends[child["id"]], ends[id])) for child in children.get(id, [])]
            )
        add(tuple(stack), own)
    for loss in case.losses:
        begin = case.process["started_unix_ns"] if loss["after_ns"] is None else loss["after_ns"]
        end = latest if loss["before_ns"] is None else loss["before_ns"]
        add(("(events lost)", frame(case.thread_name(loss["thread"])), loss["cause"]), max(end - begin, 0))
    return totals


def union(stretches):
    """How much time is in any of these."""
    covered, until = 0, 0
    for begin, end in sorted(stretches):
        covered += max(end - max(begin, until), 0)
        until = max(until, end)
    return covered
