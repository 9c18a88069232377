"""inferno-flamegraph, with the folded export: what it draws at each height, and with how much time."""

import re
import subprocess
import xml.etree.ElementTree

from framework import Result, Trouble
from folded_stacks import weights

SVG = "{http://www.w3.org/2000/svg}"
NAME, FORMAT, VERSION = "inferno-flamegraph", "folded", "0.12.8"


def open(tools):
    return tools.cargo("inferno", VERSION, "inferno-flamegraph")


def check(case, tools):
    result = Result()
    for weight in ("self", "total"):
        file = case.export(FORMAT, "--weight", weight)
        truth = weights(case, weight)
        if sum(truth.values()) == 0:
            # It refuses to draw nothing.
            lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.endswith(" 0")]
            result.same(f"lines of {weight}", [], lines)
            result.compared += len(truth)
            continue
        options = ["--countname", "ns", "--minwidth", "0", "--nametype", "Span:"]
        with file.open("rb") as lines:
            done = subprocess.run([tools.opened, *options], stdin=lines, capture_output=True)
        if done.returncode != 0:
            raise Trouble(f"{case.name}: inferno-flamegraph failed: {done.stderr.decode()[-500:]}")
        result.same(f"complaints about {weight}", "", done.stderr.decode())
        result.rows(f"frame of {weight}", frames_of(truth), frames_in(done.stdout))
    return result


def frames_of(truth):
    """Time by depth and name. It sorts lines as they are, which puts `b 1` between `b` and `b;c` and draws `b` twice: sums tell."""
    frames = {}
    for stack, ns in truth.items():
        for depth in range(len(stack) + 1):
            add(frames, (depth, stack[depth - 1] if depth else "all"), ns)
    return with_time(frames)


def frames_in(svg):
    drawn = []
    for group in xml.etree.ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None:
            name, ns = re.fullmatch(r"(.*) \(([0-9,]+) ns, [0-9.]+%\)", title.text, re.DOTALL).groups()
            drawn.append((float(box.get("y")), name, int(ns.replace(",", ""))))
    heights = sorted({y for y, _, _ in drawn}, reverse=True)
    frames = {}
    for y, name, ns in drawn:
        add(frames, (heights.index(y), name), ns)
    return with_time(frames)


def add(frames, key, ns):
    frames[key] = {"ns": frames.get(key, {"ns": 0})["ns"] + ns}


def with_time(frames):
    """Without frames that have no time: those are drawn or not, as it comes."""
    return {key: frame for key, frame in frames.items() if frame["ns"] > 0}
