#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_vectorised.py LOOPS SCALAR-LOOPS NEXMARK: the inner loops over columns compute on packed vectors.

LOOPS and SCALAR-LOOPS are the same source, built as a release and with the vectoriser off: there the check must fail.
"""
import pathlib
import subprocess
import sys
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "scripts/check_vectorised.py"
NAMES = ("is_large_columns", "is_between_columns", "weigh_columns")


def check(path, *names):
    result = subprocess.run([CHECK, path, *names], capture_output=True, text=True, check=False)
    return result.returncode, result.stdout


class Vectorised(unittest.TestCase):
    def test_filters_and_maps_of_int64_columns(self):
        self.assertEqual(check(LOOPS, *NAMES), (0, ""))

    def test_map_of_q1(self):
        self.assertEqual(check(NEXMARK, "in_euro_columns"), (0, ""))

    def test_check_fails_without_the_vectoriser(self):
        code, text = check(SCALAR, *NAMES)
        self.assertEqual(code, 1)
        for name in NAMES:
            self.assertIn(f"{name} computes on no packed vectors", text)

    def test_check_fails_where_a_function_is_gone(self):
        self.assertEqual(check(LOOPS, "no_such_columns")[0], 1)


if __name__ == "__main__":
    LOOPS, SCALAR, NEXMARK = sys.argv[1:4]
    del sys.argv[1:4]
    unittest.main(verbosity=2)
