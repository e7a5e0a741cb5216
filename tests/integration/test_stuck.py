#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_stuck.py WEIR JOBS-DIR: jobs that are canceled, by themselves or from outside, while code of theirs does not come
back: it is interrupted and named by its stack, and in the end its process ends.
"""
import json
import pathlib
import subprocess
import sys
import unittest

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
GONE = "faulty: gone"


class Stuck(rig.Rig):
    def read_until(self, process, text):
        """All lines of stderr up to one that has the text."""
        lines = []
        for line in process.stderr:
            lines.append(line.decode())
            if text in lines[-1]:
                return "".join(lines)
        return self.fail(f"it ended without {text}: {''.join(lines)}")

    def start_gone(self, fault, *flags, **sets):
        """A job whose operator does not return any more."""
        process = self.start_job(JOBS / "faulty.so", {"fault": fault}, {"log.format": "human", **sets},
                                 ("--report", "r.json", *flags))
        self.read_until(process, GONE)
        return process

    def cancel(self, process):
        subprocess.run([str(self.weir_path), "cancel", process.name], check=True, capture_output=True, env=self.env,
                       timeout=rig.TIMEOUT_S)

    def end(self, process, code):
        text = process.communicate(timeout=rig.TIMEOUT_S)[1].decode()
        self.assertEqual(process.returncode, code, text)
        return text

    def assert_named(self, text, function):
        """The task, the operator and the function that does not return."""
        self.assertRegex(text, r"task .*: operator middle has not returned for [0-9.]+ s since it was canceled")
        self.assertRegex(text, rf"#[0-9]+ {function}\+0x[0-9a-f]+ in .*faulty\.so")

    def test_T163_code_that_waits_is_interrupted_until_it_returns(self):
        process = self.start_gone("nap", **{"task.cancel_interval": "100ms"})
        self.cancel(process)
        text = self.end(process, 1)
        self.assertEqual(text.count("faulty: interrupted"), 3)
        self.assert_named(text, "faulty_naps")
        self.assertIn("WEIR-1602", text)
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["state"], "canceled")

    def test_T163_A282_code_that_never_returns_ends_its_process(self):
        process = self.start_gone("spin", **{"task.cancel_interval": "100ms", "task.cancel_timeout": "400ms"})
        self.cancel(process)
        text = self.end(process, 1)
        self.assert_named(text, "faulty_spins")
        self.assertRegex(text, r"error .*the process ends \(task\.cancel_timeout\) \(WEIR-1305\)")
        self.assertFalse((self.folder / "r.json").exists())  # it did not come to its end

    def test_T163_code_that_cannot_be_asked_is_named_all_the_same(self):
        process = self.start_gone("deaf", **{"task.cancel_interval": "10ms", "task.cancel_timeout": "20ms"})
        self.cancel(process)
        text = self.end(process, 1)
        self.assertRegex(text, r"error .*operator middle has not returned for .*\(task\.cancel_timeout\)")
        self.assertIn("its thread does not answer", text)
        self.assertNotIn("#0", text)

    def test_T163_code_that_answers_late_is_named_by_its_stack(self):
        """It answers within the second that there is, long behind the time-out of the process."""
        process = self.start_gone("late", **{"task.cancel_interval": "10ms", "task.cancel_timeout": "20ms"})
        self.cancel(process)
        text = self.end(process, 1)
        self.assert_named(text, "faulty_is_late")
        self.assertNotIn("does not answer", text)

    def test_T163_nobody_is_waited_for_who_was_not_asked(self):
        process = self.start_gone("nap", **{"task.cancel_interval": "10ms", "task.cancel_timeout": "10ms"})
        status = self.status_when(process, lambda s: s["state"] == "running")
        self.assertEqual(status["state"], "running")
        process.kill()
        self.assertNotIn("has not returned", process.communicate(timeout=rig.TIMEOUT_S)[1].decode())

    def test_T160_an_operator_cancels_its_job(self):
        result = self.run_job(JOBS / "faulty.so", {"fault": "cancel"}, flags=("--report", "r.json"), code=1)
        self.assertIn("WEIR-1602", result.text)
        self.assertNotIn("failed", result.text)


if __name__ == "__main__":
    rig.main(2)
