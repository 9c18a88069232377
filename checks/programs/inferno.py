"""inferno-flamegraph, with the folded export: every frame of its picture, with its time."""

import re
import subprocess
import xml.etree.ElementTree

from framework import Result, Trouble
from folded_stacks import weights

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
    """By name and time with what is inside, how many frames there are."""
    inside = {}
    for stack, ns in truth.items():
        for depth in range(len(stack) + 1):
            inside[stack[:depth]] = inside.get(stack[:depth], 0) + ns
    frames = {}
    for stack, ns in inside.items():
        # A frame without time is not drawn.
        if ns > 0:
            key = (stack[-1] if stack else "all", ns)
            frames[key] = {"frames": frames.get(key, {"frames": 0})["frames"] + 1}
    return frames


def frames_in(svg):
    frames = {}
    for title in xml.etree.ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title"):
        name, ns = re.fullmatch(r"(.*) \(([0-9,]+) ns, [0-9.]+%\)", title.text, re.DOTALL).groups()
        key = (name, int(ns.replace(",", "")))
        frames[key] = {"frames": frames.get(key, {"frames": 0})["frames"] + 1}
    return frames
