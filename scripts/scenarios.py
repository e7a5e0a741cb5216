#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scenarios.py --markdown | --missing: which test stands for which semantic scenario, for docs/scenarios.md.

The scenarios stand in tests/docs/scenarios.txt, whose head says how. A test is a case in tests/ whose
name carries the id: t_T034_jumps_over_checkpoints, test_T312_... --markdown fails where a scenario without a word of
excuse has none; --missing lists all that have none.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIST = ROOT / "tests/docs/scenarios.txt"
ENTRY = re.compile(r"(T-\d{3}[a-z]?) ([^|]+?)(?: \| (without|later|not yet): (.+))?$")
CASE = re.compile(r"^ *(?:def )?(t(?:est)?_\w+)\((?:void|\w*\):)", re.M)
ID = re.compile(r"(?<=_)T(\d{3}[a-z]?)(?=_)")


def cases():
    """Id -> [(file, name of the case)]."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*")):
        if path.suffix not in (".c", ".py"):
            continue
        for name in CASE.findall(path.read_text()):
            for number in ID.findall(name + "_"):
                found.setdefault(f"T-{number}", []).append((path.relative_to(ROOT).as_posix(), name))
    return found


def entries():
    """(section, id, title, kind of excuse or None, its words or None)."""
    section = None
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        elif line and not line.startswith("#"):
            entry = ENTRY.match(line)
            if not entry:
                sys.exit(f"{LIST.relative_to(ROOT)}:{number}: not an entry: {line}")
            yield section, *entry.groups()


def answer(tests, kind, words):
    by_file = {}
    for path, name in tests:
        by_file.setdefault(path, []).append(f"`{name}`")
    shown = "; ".join(f"[{pathlib.Path(path).name}](../{path}) {', '.join(names)}"
                      for path, names in by_file.items())
    if not tests:
        return f"{kind}: {words}"
    return f"{shown}; without {words}" if kind == "without" else shown


def main(args):
    if args not in (["--markdown"], ["--missing"]):
        print("usage: scripts/scenarios.py --markdown | --missing", file=sys.stderr)
        return 2
    found = cases()
    missing = 0
    section_before = None
    for section, name, title, kind, words in entries():
        tests = found.get(name, [])
        if not tests and kind in (None, "without"):
            print(f"{name} {title}: no test carries the id", file=sys.stderr)
            missing += 1
        if args == ["--missing"]:
            if not tests:
                print(name, title, f"({kind}: {words})" if kind else "")
            continue
        if section != section_before:
            print(f"{'' if section_before is None else chr(10)}## {section}\n\n| id | what | test |\n|---|---|---|")
            section_before = section
        print(f"| {name} | {title} | {answer(tests, kind, words)} |")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
