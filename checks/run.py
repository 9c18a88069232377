"""Has independent programs read our exports, and compares what they found with the truth. See scripts/check-exports.

A program is a file in checks/programs that defines

    FORMAT    the format it reads, as `spanring export --format` knows it
    NAME      what the table calls it
    PIP, NPM  what has to be installed, in pinned versions (either may be left out)
    check(case: Case, tools: Tools) -> Result

and, if starting it takes long, `open(tools)`, whose result is passed to `check` as `tools.opened`, and `close(opened)`. Such a file
may define `PROGRAMS`, a list of objects with these names, instead.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "programs")]
from framework import Case, Result, Tools, Trouble  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="scripts/check-exports")
    parser.add_argument("--quick", action="store_true", help="leave out what is slow, but no program")
    parser.add_argument("--target", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--built", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="use the recordings of the last run again")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="only these, by the names of their files")
    arguments = parser.parse_args()

    tools = Tools(arguments.target.resolve(), arguments.built.resolve(), arguments.quick)
    programs = find_programs(set(arguments.programs))
    cases = record(tools, arguments.keep)
    rows, failed = [], False
    for program in programs:
        began = time.monotonic()
        version, compared, differences = "-", 0, []
        try:
            tools.install(getattr(program, "PIP", []), getattr(program, "NPM", []))
            version = getattr(program, "VERSION", None) or program.version(tools)
            tools.opened = program.open(tools) if hasattr(program, "open") else None
            try:
                for case in cases:
                    result = program.check(case, tools)
                    compared += result.compared
                    differences += [f"{case.name}: {difference}" for difference in result.differences]
            finally:
                if hasattr(program, "close"):
                    program.close(tools.opened)
            if compared == 0:
                differences.append("nothing was compared")
        except Exception as error:  # A program that cannot be asked fails; the others are still asked.
            differences.append(str(error) if isinstance(error, Trouble) else traceback.format_exc())
        failed |= bool(differences)
        for difference in differences[:20]:
            print(f"{program.NAME}: {difference}", file=sys.stderr)
        rows.append((program.NAME, version, program.FORMAT, compared, len(differences), time.monotonic() - began))
    print_table(rows)
    return 1 if failed else 0


def find_programs(wanted):
    """The programs in checks/programs, all or those of the files with these names."""
    found, names = [], set()
    for path in sorted((Path(__file__).parent / "programs").glob("*.py")):
        names.add(path.stem)
        if wanted and path.stem not in wanted:
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += getattr(module, "PROGRAMS", [module])
    if wanted - names:
        sys.exit(f"there is no {', '.join(sorted(wanted - names))}; there are: {', '.join(sorted(names))}")
    return found


def record(tools, keep):
    """Makes the recordings of all cases, with the real recorder."""
    directory = tools.scratch / "cases"
    if not (keep and directory.exists()):
        subprocess.run(["rm", "-rf", directory], check=True)
        subprocess.run([tools.built / "cases", "record", directory], check=True)
    return [Case(path, tools) for path in sorted(directory.iterdir())]


def print_table(rows):
    print("| program | version | export | rows compared | differences | seconds |")
    print("|---|---|---|---:|---:|---:|")
    for name, version, export, compared, differences, seconds in rows:
        print(f"| {name} | {version} | {export} | {compared:,} | {differences} | {seconds:.0f} |")


if __name__ == "__main__":
    sys.exit(main())
