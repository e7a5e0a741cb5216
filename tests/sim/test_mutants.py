#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_mutants.py WEIR...: some of the planted bugs are found, others every day; see scripts/mutants -h.

The files named are those of a build without them, in which nothing of them may be. WEIR_MUTANT_DAY is the day (today),
WEIR_MUTANT_CNT how many are tried (5).
"""
import datetime
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAIN = sys.argv[1:]
DAY = int(os.environ.get("WEIR_MUTANT_DAY", datetime.date.today().toordinal()))
CNT = int(os.environ.get("WEIR_MUTANT_CNT", "5"))
TIMEOUT_S = 2600


def build():
    result = subprocess.run([ROOT / "scripts/build", "mutants"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(result.stdout.splitlines()[-1])


def traces(path):
    """What of the mutants is in a file: their switch, and their names as texts of their own."""
    names = re.findall(r"X\((\w+), (?:SIM|RACE|CRASH),", (ROOT / "base/mutant.h").read_text())
    data = pathlib.Path(path).read_bytes()
    return [text for text in ["weir_mutant_on", *names] if text.encode() in data]


class Mutants(unittest.TestCase):
    def test_some_mutants_are_killed(self):
        result = subprocess.run([ROOT / "scripts/mutants", "--rotation", str(CNT), "--day", str(DAY)],
                                capture_output=True, text=True, timeout=TIMEOUT_S)
        print(result.stdout)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr[-2000:])
        self.assertIn(f"mutants: {CNT} killed, 0 survived", result.stdout)

    def test_a_process_that_dies_is_a_seed_that_failed(self):
        weir = build()
        env = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "MALLOC_PERTURB_", "LD_LIBRARY_PATH"))}
        result = subprocess.run([weir, "sim", "--runs", "4", "--jobs", "2", "--mutant", "SOURCE_DIES"],
                                capture_output=True, text=True, env=env, timeout=TIMEOUT_S)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("4 runs, 4 failed", result.stdout)
        for seed in range(1, 5):
            self.assertIn(f"seed {seed}: the process has ended: Aborted", result.stderr)

    def test_a_crash_is_no_find(self):
        result = subprocess.run([ROOT / "scripts/mutants", "--seeds", "2", "SOURCE_DIES"],
                                capture_output=True, text=True, timeout=TIMEOUT_S)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr[-2000:])
        self.assertIn("SURVIVED, 2 times crash", result.stdout)
        self.assertIn("mutants: 0 killed, 1 survived", result.stdout)

    def test_nothing_of_them_is_in_other_builds(self):
        weir = build()
        library = weir.parents[2] / "sched/libweir.so"
        self.assertIn("weir_mutant_on", traces(weir))
        self.assertGreater(len(traces(library)), 30)
        for path in PLAIN:
            self.assertEqual(traces(path), [], path)


if __name__ == "__main__":
    os.nice(10)  # goes by no clock: the tests beside it that do have the processors first
    print(f"day {DAY}: WEIR_MUTANT_DAY={DAY} tries the same again")
    unittest.main(argv=sys.argv[:1], verbosity=2)
