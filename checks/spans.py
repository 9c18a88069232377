"""What more than one export says about spans, in the form in which it is compared."""

import json


def expected_span(span):
    """What follows from a span of the truth."""
    start, duration, created, busy = (span[name] for name in ("start_ns", "duration_ns", "created_ns", "busy_ns"))
    return {
        "end_ns": None if duration is None else start + duration,
        "wait_ns": None if created is None else max(0, start - created),
        "idle_ns": None if duration is None or busy is None else max(0, duration - busy),
    }


def roots(case):
    """The root of every span: the topmost ancestor whose id is known."""
    found = {}
    for span_id in case.spans:
        at, chain = span_id, []
        while at in case.spans and at not in found:
            chain.append(at)
            parent = case.spans[at]["parent"]
            if parent == 0:
                break
            at = parent
        root = found.get(at, at)
        found.update(dict.fromkeys(chain, root))
    return found


def traces(groups):
    """For each span the least id of a span in the same trace: traces are compared by what is in them, not by their ids."""
    least = {}
    for span_id, trace in groups.items():
        least[trace] = min(span_id, least.get(trace, span_id))
    return {span_id: least[trace] for span_id, trace in groups.items()}


def expected_losses(case):
    told = [(loss["thread"], loss["records"], loss["cause"], loss["after_ns"], loss["before_ns"]) for loss in case.losses]
    return losses(told)


def losses(told):
    """Losses as rows: how often each is there."""
    times = {}
    for loss in told:
        key = json.dumps(loss)
        times[key] = times.get(key, 0) + 1
    return {key: {"times": number} for key, number in times.items()}
