"""speedscope, in Chromium, with the folded export: every stack as it imported it, with its time."""

import json
import subprocess
from pathlib import Path

from framework import Result, Trouble
from folded_stacks import weights

NAME, FORMAT, VERSION = "speedscope", "folded", "1.25.0"
NPM = [f"speedscope@{VERSION}", "playwright-core@1.65.1"]


def open(tools):
    command = ["node", Path(__file__).with_suffix(".mjs"), tools.chromium(), tools.node_modules]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def close(process):
    process.stdin.close()
    process.wait()


def check(case, tools):
    result = Result()
    for weight in ("self",) if tools.quick else ("self", "total"):
        truth = {stack: {"ns": ns} for stack, ns in weights(case, weight).items() if ns > 0}
        if not truth:
            # It refuses to show nothing; inferno's check looks at these lines.
            continue
        tools.opened.stdin.write(f"{case.export(FORMAT, '--weight', weight)}\n")
        tools.opened.stdin.flush()
        profile = json.loads(tools.opened.stdout.readline() or '{"error": "it ended"}')
        if "error" in profile:
            raise Trouble(f"{case.name}: speedscope: {profile['error']}")
        result.rows(f"stack of {weight}", truth, stacks_in(profile))
    return result


def stacks_in(saved):
    """The time between two events belongs to the stack between them."""
    frames = [frame["name"] for frame in saved["shared"]["frames"]]
    [profile] = saved["profiles"]
    stacks, stack, since = {}, [], 0
    for event in profile["events"]:
        ns, since = event["at"] - since, event["at"]
        if ns > 0:
            key = tuple(stack)
            stacks[key] = {"ns": stacks.get(key, {"ns": 0})["ns"] + ns}
        if event["type"] == "O":
            stack.append(frames[event["frame"]])
        else:
            stack.pop()
    return stacks
