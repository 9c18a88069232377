"""What the programs in checks/programs have in common."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


class Trouble(Exception):
    """A program cannot be asked: why."""


class Case:
    """A recording and the truth about it.

    `process`, `threads`, `spans` and `instants` (by id), `counters` and `losses` hold the lines of truth.jsonl, as checks/src/truth.rs writes
    them; `details` what exports say of how much there is beside spans.
    """

    def __init__(self, directory, tools):
        self.name, self.directory, self.tools = directory.name, directory, tools
        self.threads, self.spans, self.instants, self.counters, self.losses = {}, {}, {}, [], []
        with open(directory / "truth.jsonl", encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                match line.pop("is"):
                    case "process":
                        self.process = line
                    case "thread":
                        self.threads[line["id"]] = line
                    case "span":
                        self.spans[line["id"]] = line
                    case "instant":
                        self.instants[line["id"]] = line
                    case "counter":
                        self.counters.append(line)
                    case "attributes":
                        attributes = line
                    case "loss":
                        self.losses.append(line)

        gone = [one for one in self.instants.values() if one["parent"] and one["parent"] not in self.spans]
        self.details = {
            "spanring.attributes": attributes["records"],
            "spanring.late_attributes": attributes["unowned"],
            "spanring.instants": len(self.instants),
            "spanring.late_instants": len(gone),
            "spanring.counter_values": len(self.counters),
            "spanring.dropped_attributes": 0,
            "spanring.dropped_instants": 0,
        }

    @property
    def recording(self):
        return self.directory / "recording"

    def export(self, format, *options, suffix=""):
        """The recording in that format: a file, made once for each choice of options."""
        name = "".join(["export", *options]).replace("/", "_")
        out = self.directory / f"{name}.{format}{suffix}"
        self.export_to(out, format, *options)
        return out

    def export_to(self, out, format, *options):
        """Exports to a file or an address; returns what the program said."""
        command = [self.tools.spanring, "export", self.recording, "--format", format, "--out", out, *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Trouble(f"{self.name}: spanring export --format {format} failed: {done.stderr.strip()}")
        return done.stdout

    def thread_name(self, id):
        """What a thread is called in exports."""
        if id is None:
            return None
        name = self.threads[id]["name"] if id in self.threads else ""
        return name or f"thread {id}"


class Result:
    """How many rows were compared, and what differed."""

    def __init__(self):
        self.compared, self.differences = 0, []

    def same(self, what, expected, found):
        """Compares values that are no rows of their own."""
        if expected != found:
            self.differences.append(f"{what}: {shown(found)}, and not {shown(expected)}")

    def rows(self, what, expected, found):
        """Compares rows by their keys: two dictionaries of dictionaries. Every row that one of them has is compared."""
        for key in expected.keys() | found.keys():
            self.compared += 1
            if key not in found:
                self.differences.append(f"{what} {shown(key)} is not there: {shown(expected[key])}")
            elif key not in expected:
                self.differences.append(f"{what} {shown(key)} is too much: {shown(found[key])}")
            elif expected[key] != found[key]:
                wrong = {
                    name: (found[key].get(name), expected[key].get(name))
                    for name in expected[key].keys() | found[key].keys()
                    if expected[key].get(name) != found[key].get(name)
                }
                told = ", ".join(f"{name} {shown(is_)}, and not {shown(should)}" for name, (is_, should) in wrong.items())
                self.differences.append(f"{what} {shown(key)}: {told}")


def shown(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}.. ({len(text)} characters)"


class Tools:
    """Where programs are, and how they get there."""

    def __init__(self, target, built, quick):
        self.built, self.quick = built, quick
        self.scratch = target / "checks"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.spanring = built / "spanring"
        self.opened = None
        self.venv, self.node = self.scratch / "venv", self.scratch / "node"

    @property
    def python(self):
        return self.venv / "bin" / "python"

    @property
    def node_modules(self):
        return self.node / "node_modules"

    def site_packages(self):
        return next((self.venv / "lib").glob("python*/site-packages"))

    def install(self, pip, npm):
        """Installs packages (`name==version`, `name@version`) unless they are there."""
        self._install_once(pip, self.venv / "installed", self._pip)
        self._install_once(npm, self.node / "installed", self._npm)

    def _install_once(self, packages, record, install):
        there = record.read_text().split() if record.exists() else []
        missing = [package for package in packages if package not in there]
        if missing:
            install(missing)
            record.write_text("\n".join(there + missing))

    def _pip(self, packages):
        if not self.python.exists():
            self.run([sys.executable, "-m", "venv", self.venv])
        self.run([self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])

    def _npm(self, packages):
        """Only the packages themselves: what is used of them needs none of their dependencies."""
        self.node_modules.mkdir(parents=True, exist_ok=True)
        for package in packages:
            packed = self.run(["npm", "pack", "--silent", package], cwd=self.node).split()[-1]
            place = self.node_modules / package.rpartition("@")[0]
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            self.run(["tar", "xzf", self.node / packed, "-C", place, "--strip-components=1"])
            (self.node / packed).unlink()

    def cargo(self, package, version, program):
        """Builds a program of a crate unless it is there; returns its path."""
        place = self.scratch / "cargo" / f"{package}-{version}"
        path = place / "bin" / program
        if not path.exists():
            command = ["cargo", "install", "--quiet", package, "--version", version, "--bin", program, "--locked"]
            self.run([*command, "--root", place, "--target-dir", self.scratch / "cargo" / "target"])
        return path

    def chromium(self):
        """A Chromium; where there is none, and we may, Debian's is installed."""
        for name in ["chromium", "chromium-browser", "google-chrome"]:
            if shutil.which(name):
                return shutil.which(name)
        if os.geteuid() == 0 and shutil.which("apt-get"):
            self.run(["apt-get", "update", "-qq"])
            self.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"])
            return shutil.which("chromium")
        raise Trouble("there is no Chromium: install Debian's package `chromium`")

    def run(self, command, **options):
        """Runs a command that has to succeed; returns what it printed."""
        command = [str(word) for word in command]
        try:
            done = subprocess.run(command, capture_output=True, text=True, **options)
        except OSError as error:
            raise Trouble(f"{command[0]} does not start: {error}") from error
        if done.returncode != 0:
            raise Trouble(f"{' '.join(command[:6])} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
        return done.stdout
