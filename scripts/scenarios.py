#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scenarios.py --markdown [semantics] | --missing: which test stands for which scenario, for docs/scenarios.md, and for
which system of Flink's task runtime, for docs/semantics.md.

The lists are tests/docs/scenarios.txt and tests/docs/semantics.txt, whose heads say how. A test is a case in tests/ whose
name carries the id: t_T034_jumps_over_checkpoints, test_T312_... Both tables fail where an entry without a word of
excuse has no test; --missing lists all scenarios that have none.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIST = ROOT / "tests/docs/scenarios.txt"
ENTRY = re.compile(r"(T-\d{3}[a-z]?) ([^|]+?)(?: \| (without|later|not yet): (.+))?$")
CASE = re.compile(r"^ *(?:def )?(t(?:est)?_\w+)\((?:void|\w*\):)", re.M)
SYSTEMS = ROOT / "tests/docs/semantics.txt"
SYSTEM = re.compile(r"([AB]-\d{3}) ([^|]+?)(?: \| ([^:;]*?)(?:(?:^|; )?(later|replaced): (.+))?)?$")
ID = re.compile(r"(?<=_)([TAB])(\d{3}[a-z]?)(?=_)")


def cases():
    """Id, and name of a case -> [(file, name of the case)]."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("*_*")):
        if path.name.split("_")[0] not in ("test", "stress", "race") or path.suffix not in (".c", ".py"):
            continue
        for name in CASE.findall(path.read_text()):
            for key in [name] + [f"{kind}-{number}" for kind, number in ID.findall(name + "_")]:
                found.setdefault(key, []).append((path.relative_to(ROOT).as_posix(), name))
    return found


def entries(path, form):
    """(section, *groups of the form) of each entry."""
    section = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        elif line and not line.startswith("#"):
            entry = form.match(line)
            if not entry:
                sys.exit(f"{path.relative_to(ROOT)}:{number}: not an entry: {line}")
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


def proof(name, found, excuses):
    """What stands for a system: a scenario or a case; None where there is no such thing."""
    if name in found:
        return f"[{name}](scenarios.md)" if name.startswith("T-") else f"`{name}`"
    return f"{name} ({excuses[name]})" if name in excuses else None


def semantics(found):
    """The table of systems; how many entries have neither a test nor a word why."""
    excuses = {name: f"{kind}: {words}" for _, name, _, kind, words in entries(LIST, ENTRY) if kind}
    missing = 0
    section_before = None
    for section, name, title, work, kind, words in entries(SYSTEMS, SYSTEM):
        shown = [proof(at, found, excuses) for at in (work or "").split()]
        shown += [f"`{case}`" for _, case in found.get(name, [])]
        if None in shown or not (shown or kind):
            print(f"{name} {title}: no such test in: {work}", file=sys.stderr)
            missing += 1
            continue
        if section != section_before:
            print(f"{'' if section_before is None else chr(10)}## {section}\n\n| id | what | test |\n|---|---|---|")
            section_before = section
        print(f"| {name} | {title} | {'; '.join([', '.join(shown)] * bool(shown) + [f'{kind}: {words}'] * bool(kind))} |")
    return missing


def main(args):
    if args not in (["--markdown"], ["--markdown", "semantics"], ["--missing"]):
        print("usage: scripts/scenarios.py --markdown [semantics] | --missing", file=sys.stderr)
        return 2
    found = cases()
    if args == ["--markdown", "semantics"]:
        return 1 if semantics(found) else 0
    missing = 0
    section_before = None
    for section, name, title, kind, words in entries(LIST, ENTRY):
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
