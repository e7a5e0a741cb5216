#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py counts cases, and says last why a test failed: what is above it may be cut off."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
REASON_LINE_CNT = 6  # with the name of the test
NOISE = "".join(f"line {n} of a long log\n" for n in range(60))
CMOCKA = """\
[==========] tests: Running 3 test(s).
[ RUN      ] t_adds
[  ERROR   ] --- 0x1 != 0x2
[   LINE   ] --- ../tests/unit/test_adds.c:30: error: Failure!
[  FAILED  ] t_adds
[ RUN      ] t_takes
[       OK ] t_takes
[ RUN      ] t_waits
[  SKIPPED ] t_waits
[==========] tests: 3 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] tests: 1 test(s), listed below:
[  FAILED  ] t_adds

 1 FAILED TEST(S)
"""
ASAN = """\
==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010
    #0 0x4f in weir_ring_peek ring.c:30
SUMMARY: AddressSanitizer: heap-use-after-free ring.c:30 in weir_ring_peek
"""
# What unittest itself writes for these.
CASES = '''
import unittest
class Jobs(unittest.TestCase):
    def test_a_counts(self):
        pass
    @unittest.skip("no host")
    def test_b_skips(self):
        pass
    def test_c_fails(self):
        self.assertEqual(1, 2, "run it\\nError: the engine\\nsays more\\nWEIR-1305 at last")
    def test_d_raises(self):
        raise KeyError("k" * 1000)
'''


class Count(unittest.TestCase):
    def tell(self, *tests):
        """What it prints of tests (name, result, stdout, stderr)."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
            for name, result, stdout, stderr in tests:
                log.write(json.dumps({"name": name, "result": result, "stdout": stdout, "stderr": stderr}) + "\n")
            log.flush()
            ran = subprocess.run([sys.executable, ROOT / "scripts/count_tests.py", log.name], capture_output=True,
                                 text=True, check=False)
        self.assertEqual(ran.stderr, "")
        lines = ran.stdout.splitlines()
        self.assertEqual(ran.returncode, 1 if "what failed:" in lines else 0, ran.stdout)
        return lines

    def reasons(self, *tests):
        lines = self.tell(*tests)
        told = lines[lines.index("what failed:") + 1 : -1]
        self.assertLessEqual(len(told), REASON_LINE_CNT * len(tests), told)
        self.assertLess(max(map(len, told)), 300)
        return told

    @staticmethod
    def run_cases(*names):
        return subprocess.run([sys.executable, "-m", "unittest", "-v", *(f"cases.Jobs.{name}" for name in names)],
                              cwd=Count.place, capture_output=True, text=True, check=False).stderr

    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="weir-count-")
        cls.addClassCleanup(place.cleanup)
        cls.place = place.name
        (pathlib.Path(place.name) / "cases.py").write_text(CASES)

    def test_cases_are_counted(self):
        self.assertEqual(self.tell(("a", "OK", "[       OK ] t_adds\n[       OK ] t_takes\n", ""), ("b", "OK", "", ""),
                                   ("c", "OK", "", self.run_cases("test_a_counts", "test_b_skips")),
                                   ("d", "SKIP", "", "")),
                         ["SKIPPED: c: 1", "SKIPPED: d: 1", "4 passed, 0 failed, 2 skipped"])

    def test_the_end_of_a_failed_test_comes_first_and_the_verdict_last(self):
        lines = self.tell(("long", "FAIL", NOISE, "told on stderr\n"), ("fine", "OK", "", ""))
        self.assertEqual(lines[:2], ["FAILED: long (FAIL)", "    line 22 of a long log"])
        self.assertEqual(lines[-7:], ["long (FAIL):", *(f"    line {n} of a long log" for n in range(56, 60)),
                                      "    told on stderr", "1 passed, 1 failed, 0 skipped"])

    def test_why_a_case_of_cmocka_failed(self):
        self.assertEqual(self.reasons(("test_adds", "FAIL", NOISE + CMOCKA + NOISE, "")),
                         ["test_adds (FAIL):", "    [  ERROR   ] --- 0x1 != 0x2",
                          "    [   LINE   ] --- ../tests/unit/test_adds.c:30: error: Failure!",
                          "    [  FAILED  ] t_adds"])

    def test_why_a_case_of_unittest_failed(self):
        self.assertEqual(self.reasons(("jobs", "FAIL", "", NOISE + self.run_cases("test_a_counts", "test_c_fails"))),
                         ["jobs (FAIL):", "    FAIL: test_c_fails", "    AssertionError: 1 != 2 : run it",
                          "    Error: the engine", "    says more", "    WEIR-1305 at last"])

    def test_why_two_cases_of_unittest_failed(self):
        told = self.reasons(("jobs", "FAIL", "", self.run_cases("test_c_fails", "test_d_raises")))
        self.assertRegex(told[1], r"^    ERROR: test_d_raises: KeyError: 'k+ \.\.\. k+'$")
        self.assertEqual(told[2], "    FAIL: test_c_fails: AssertionError: 1 != 2 : run it")

    def test_why_any_other_program_failed(self):
        table = "".join(f"  point-{n} 3\n" for n in range(80))
        self.assertEqual(self.reasons(("torture", "FAIL", table + "torture: FAILED with seed 3: wrong\n", "")),
                         ["torture (FAIL):", "    torture: FAILED with seed 3: wrong"])
        self.assertEqual(self.reasons(("tap", "FAIL", "1..2\nok 1 - adds\nnot ok 2 - takes\n" + NOISE, "")),
                         ["tap (FAIL):", "    not ok 2 - takes"])
        self.assertEqual(self.reasons(("asan", "FAIL", NOISE, ASAN + NOISE)),
                         ["asan (FAIL):"] + ["    " + line for line in ASAN.splitlines()[::2]])
        self.assertEqual(self.reasons(("slow", "TIMEOUT", "", "waits\n")), ["slow (TIMEOUT):", "    waits"])
        self.assertEqual(self.reasons(("mute", "FAIL", "", "")), ["mute (FAIL):"])

    def test_many_failures_keep_the_first_and_the_last(self):
        told = self.reasons(("noisy", "FAIL", "".join(f"error {n}\n" for n in range(50)), ""))
        self.assertEqual(told, ["noisy (FAIL):"] + [f"    error {n}" for n in (0, 1, 2, 48, 49)])


if __name__ == "__main__":
    unittest.main()
