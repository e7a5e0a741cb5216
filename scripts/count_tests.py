#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py TESTLOG.json...: one line `N passed, N failed, N skipped` from Meson's test logs.

A test program that reports its cases (cmocka, TAP, unittest) counts as its cases, any other as one.
Failed and skipped tests are listed first, the failed with the end of their output.
"""
import json
import re
import sys

CMOCKA_CASE = re.compile(r"^\[\s*(OK|FAILED|SKIPPED)\s*\] (?!\d+ test)(\S+)", re.M)
# lint: allow todo: it is a word of the test protocol
TAP_CASE = re.compile(r"^(not )?ok \d+[^\n]*?(# *(?:SKIP|TODO)\b)?[^\n]*$", re.M | re.I)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)
TAIL_LINE_CNT = 40
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


def main(paths):
    total = [0, 0, 0]
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
                if counts[2] > 0:
                    print(f"SKIPPED: {test['name']}: {counts[2]}")
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] > 0 or total[0] == 0 else 0


sys.exit(main(sys.argv[1:]))
