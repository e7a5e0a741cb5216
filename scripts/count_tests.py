#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py TESTLOG.json...: one line `N passed, N failed, N skipped` from Meson's test logs.

A test program that reports its cases (cmocka, TAP, unittest) counts as its cases, any other as one.
Failed and skipped tests are listed first, the failed with the end of their output; then, last, why each of them failed
in a few lines: of a long log often only the end is seen.
"""
import json
import re
import sys

CMOCKA_CASE = re.compile(r"^\[\s*(OK|FAILED|SKIPPED)\s*\] (?!\d+ test)(\S+)", re.M)
# lint: allow todo: it is a word of the test protocol
TAP_CASE = re.compile(r"^(not )?ok \d+[^\n]*?(# *(?:SKIP|TODO)\b)?[^\n]*$", re.M | re.I)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)
# `FAIL: name` or `ERROR: name`, a traceback whose frames are indented, what was raised, and its text.
UNITTEST_CASE = re.compile(r"^={70}\n((?:FAIL|ERROR): \S+).*?\n-{70}\n(.*?)(?=^={70}$|^-{70}\nRan )", re.M | re.S)
RAISED = re.compile(r"^\w[\w.]*(?:: |$)")
TELLING = re.compile(r"FAIL|Wrong|[Aa]ssert|[Ee]rror|ERROR|^not ok |SUMMARY: |WARNING: \w+Sanitizer")
CMOCKA_SUMMARY = re.compile(r"^\[\s*FAILED\s*\] (?:\d+|\w+:) |^ *\d+ FAILED TEST")
TAIL_LINE_CNT = 40
REASON_LINE_CNT = 5
REASON_BYTES = 240
MESON_SKIPPED = "SKIP"
MESON_PASSED = ("OK", "EXPECTEDFAIL")


def cmocka(text):
    seen = {}
    for what, name in CMOCKA_CASE.findall(text):
        seen[name] = what
    values = list(seen.values())
    return [values.count(w) for w in ("OK", "FAILED", "SKIPPED")]


def tap(text):
    counts = [0, 0, 0]
    for bad, skip in TAP_CASE.findall(text):
        counts[2 if skip else 1 if bad else 0] += 1
    return counts


def unittest(text):
    ran = UNITTEST_RAN.search(text)
    end = UNITTEST_END.search(text, ran.end()) if ran else None
    if not end:
        return [0, 0, 0]
    parts = dict(p.split("=") for p in (end.group(1) or "").split(", ") if "=" in p)
    bad = int(parts.get("failures", 0)) + int(parts.get("errors", 0))
    skipped = int(parts.get("skipped", 0))
    return [int(ran.group(1)) - bad - skipped, bad, skipped]


def count(test):
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    result = test["result"]
    if result == MESON_SKIPPED:
        return [0, 0, 1]
    for reader in (cmocka, tap, unittest):
        counts = reader(text)
        if sum(counts) > 0:
            break
    if result not in MESON_PASSED and counts[1] == 0:
        counts[1] = 1  # it crashed, timed out, or failed outside of any case
    return counts if sum(counts) > 0 else [1, 0, 0]


def few(lines, at_the_end):
    """The first of them, and some of the last."""
    lines = list(dict.fromkeys(lines))
    return lines if len(lines) <= REASON_LINE_CNT else lines[: REASON_LINE_CNT - at_the_end] + lines[-at_the_end:]


def raised(case):
    """What was raised last, and the end of its text."""
    lines = [line for line in case.splitlines() if line.strip()]
    starts = [at for at, line in enumerate(lines) if at > 0 and RAISED.match(line) and lines[at - 1].startswith("    ")]
    return lines[starts[-1] if starts else 0 :]


def reason(text):
    """Why a test failed, in a few lines."""
    cases = [[name, *raised(case)] for name, case in UNITTEST_CASE.findall(text)]
    if len(cases) == 1:
        return few(cases[0], 2)
    if cases:
        return few([f"{case[0]}: {case[1]}" for case in cases], 1)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if TELLING.search(line) and not CMOCKA_SUMMARY.match(line)]
    return few(telling or lines[-REASON_LINE_CNT:], 2)


def shorten(line):
    half = REASON_BYTES // 2
    return line if len(line) <= REASON_BYTES else f"{line[:half]} ... {line[-half:]}"


def main(paths):
    total = [0, 0, 0]
    reasons = []
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                counts = count(test)
                total = [a + b for a, b in zip(total, counts)]
                if counts[1] > 0:
                    print(f"FAILED: {test['name']} ({test['result']})")
                    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
                    print("\n".join("    " + t for t in text.splitlines()[-TAIL_LINE_CNT:]))
                    reasons.append(f"{test['name']} ({test['result']}):")
                    reasons += ["    " + shorten(line) for line in reason(text)]
                if counts[2] > 0:
                    print(f"SKIPPED: {test['name']}: {counts[2]}")
    if reasons:
        print("what failed:", *reasons, sep="\n")
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] > 0 or total[0] == 0 else 0


sys.exit(main(sys.argv[1:]))
