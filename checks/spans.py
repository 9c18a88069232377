"""What more than one export says about spans, in the form in which it is compared."""

import json
import re


def expected_span(span):
    """What follows from a span of the truth."""
    start, duration, created, busy = (span[name] for name in ("start_ns", "duration_ns", "created_ns", "busy_ns"))
    return {
        "end_ns": None if duration is None else start + duration,
        "wait_ns": None if created is None else max(0, start - created),
        "idle_ns": None if duration is None or busy is None else max(0, duration - busy),
    }


# What JSON has no numbers for.
NO_NUMBERS = ("NaN", "inf", "-inf")


def value_of(said, is_exact=lambda integer: True):
    """A value of the truth as exports have it: integers that their readers would not tell exactly are text, and so is what is no number."""
    of, text = said["type"], said["value"]
    match of:
        case "bool":
            return text == "true"
        case "i64" | "u64":
            return int(text) if is_exact(int(text)) else text
        case "f64":
            return text if text in NO_NUMBERS else float(text)
    return text


def fits_signed(integer):
    return -(1 << 63) <= integer < 1 << 63


def fits_float(integer):
    """Whether every reader that has only floating-point numbers knows it from its neighbours."""
    return abs(integer) < 1 << 53


def typed(value):
    """Values that compare as equal only if their types are: 1, 1.0 and True are not the same."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part) for part in value]
    return (type(value).__name__, repr(value))


def expected_attributes(attributes, is_exact=lambda integer: True):
    """The attributes of the truth, by key, and the keys of those that are cut."""
    values = {key: typed(value_of(said, is_exact)) for key, said in attributes.items()}
    return values, sorted(key for key, said in attributes.items() if said["cut"])


def happened_in(case):
    """By span, the instants that happened in it, or in a scope that is in no async span; by 0, those in no span of the recording."""
    found = {}
    for instant in case.instants.values():
        span = instant["parent"] or instant["scope"]
        found.setdefault(span if span in case.spans else 0, []).append(instant)
    return found


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


class Part:
    """A part of a trace that goes through other processes: by which ids the spans in it are known there."""

    def __init__(self, trace_id, mask):
        # `None` for a mask that is the session's, of which the recording says nothing.
        self.trace_id, self.mask = trace_id, mask


# Version, trace, span and flags; later versions may say more.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.DOTALL)


def trace_parent(span, key):
    """The trace and the span that an attribute names as W3C's `traceparent` does; `None` if it is no such text."""
    said = span["attributes"].get(key)
    if said is None or said["type"] != "text" or said["cut"]:
        return None
    match = TRACEPARENT.fullmatch(said["value"])
    if match is None or (match[1] == "00" and match[4]):
        return None
    trace_id, span_id = match[2], int(match[3], 16)
    return (trace_id, span_id) if int(trace_id, 16) and span_id else None


def parts(case):
    """By span, the part that it is in, or `None`: the nearest of those above it, or itself, that says so."""
    found = {0: None}
    for span_id in case.spans:
        at, chain = span_id, []
        while at in case.spans and at not in found:
            chain.append(at)
            at = case.spans[at]["parent"]
        for at in reversed(chain):
            span = case.spans[at]
            found[at] = found.get(span["parent"])
            here, came = trace_parent(span, "traceparent.here"), trace_parent(span, "traceparent")
            if here is not None:
                found[at] = Part(here[0], here[1] ^ at)
            elif came is not None:
                found[at] = Part(came[0], None)
    return found


def expected_losses(case):
    told = [(loss["thread"], loss["records"], loss["cause"], loss["after_ns"], loss["before_ns"]) for loss in case.losses]
    return counted(told)


def counted(told):
    """What has no id as rows: how often each is there."""
    times = {}
    for one in told:
        key = json.dumps(one, sort_keys=True)
        times[key] = times.get(key, 0) + 1
    return {key: {"times": number} for key, number in times.items()}
