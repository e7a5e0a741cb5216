#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_sim.py WEIR: random jobs in worlds in which all goes wrong, against a reference; see `weir sim -h`.

WEIR_SIM_RUNS seeds (SEED_CNT), from WEIR_SIM_FIRST (1), on all CPUs: a third of the 3000 that a release has to pass
(`weir sim --runs 3000`). That bugs would be found is what test_mutants.py shows.
"""
import os
import pathlib
import subprocess
import sys
import unittest

WEIR = pathlib.Path(sys.argv[1]).resolve()
SEED_CNT = int(os.environ.get("WEIR_SIM_RUNS", "1000"))
SEED_FIRST = int(os.environ.get("WEIR_SIM_FIRST", "1"))
TIMEOUT_S = 2600


def sim(*args):
    # Without what meson asks of malloc: to fill the rooms of a hundred worlds takes longer than their runs.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "MALLOC_PERTURB_"))}
    return subprocess.run([WEIR, "sim", *map(str, args)], capture_output=True, text=True, env=env, timeout=TIMEOUT_S)


def failures(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("ts=")]


class Sim(unittest.TestCase):
    def test_answers_are_the_reference_whatever_goes_wrong(self):
        result = sim("--seed", SEED_FIRST, "--runs", SEED_CNT)
        print(result.stdout)
        self.assertEqual(result.returncode, 0, "\n".join(failures(result)))
        self.assertIn(f"\n{SEED_CNT} runs, 0 failed\n", result.stdout)

    def test_same_seeds_go_the_same_way_however_many_at_a_time(self):
        said = {sim("--seed", 98, "--runs", 5, "--jobs", jobs).stdout for jobs in (1, 1, 2, 3)}
        self.assertEqual(len(said), 1, said)
        self.assertIn(", 1 seeds run twice\n", said.pop())

    def test_usage(self):
        result = sim("--runs", "many")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--runs is 'many', and must be a whole number, 0 to ", result.stderr)


if __name__ == "__main__":
    os.nice(10)  # goes by no clock: the tests beside it that do have the processors first
    print(f"seeds {SEED_FIRST} to {SEED_FIRST + SEED_CNT - 1}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
