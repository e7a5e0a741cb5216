#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_sim.py WEIR: random jobs in worlds in which all goes wrong, against a reference; see `weir sim -h`.

WEIR_SIM_RUNS seeds (SEED_CNT), from WEIR_SIM_FIRST (1), on all cores. That a planted defect is found shows
that the comparison would find others.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import unittest

WEIR = pathlib.Path(sys.argv[1]).resolve()
SEED_CNT = int(os.environ.get("WEIR_SIM_RUNS", "200"))
SEED_FIRST = int(os.environ.get("WEIR_SIM_FIRST", "1"))
# Seeds of one call: the processes end at about the same time.
CALL_CNT = 10
DEFECT_SEED_CNT = 20
TIMEOUT_S = 800


def sim(*args):
    # Without what meson asks of malloc: to fill the rooms of a hundred worlds takes longer than their runs.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "MALLOC_PERTURB_"))}
    return subprocess.run([WEIR, "sim", *map(str, args)], capture_output=True, text=True, env=env, timeout=TIMEOUT_S)


def failures(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("ts=")]


class Sim(unittest.TestCase):
    def test_answers_are_the_reference_whatever_goes_wrong(self):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            firsts = range(SEED_FIRST, SEED_FIRST + SEED_CNT, CALL_CNT)
            calls = [pool.submit(sim, "--seed", first, "--runs", min(CALL_CNT, SEED_FIRST + SEED_CNT - first))
                     for first in firsts]
            results = [call.result() for call in calls]
        wrong = [line for result in results if result.returncode != 0 for line in failures(result)]
        self.assertFalse(any(result.returncode != 0 for result in results), "\n".join(wrong))

    def test_same_seed_goes_the_same_way(self):
        traces = {line for _ in range(2) for line in sim("--seed", 7, "--runs", 1).stdout.splitlines()
                  if line.startswith("trace ")}
        self.assertEqual(len(traces), 1, traces)

    def test_a_source_that_forgets_its_position_is_found(self):
        result = sim("--seed", SEED_FIRST, "--runs", DEFECT_SEED_CNT, "--defect", 1)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("wrong output", result.stderr)
        self.assertIn("weir sim --replay", result.stderr)

    def test_usage(self):
        result = sim("--runs", "many")
        self.assertEqual(result.returncode, 2)
        self.assertIn("whole numbers", result.stderr)


if __name__ == "__main__":
    print(f"seeds {SEED_FIRST} to {SEED_FIRST + SEED_CNT - 1}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
