#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_begins.py WEIR JOBS-DIR: a job whose source begins the checkpoints: a kill, a refused savepoint, a stop."""
import csv
import pathlib
import signal
import subprocess
import sys

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
ROWS = 200_000  # of some seconds
EVERY = 1000  # of a subtask


class Begins(rig.Rig):
    def setUp(self):
        super().setUp()
        # The interval would begin very many, if it began any.
        self.sets = {"parallelism": 2, "checkpoints.dir": "cp", "checkpoints.interval": "10ms"}

    def start(self, again=None):
        """again: a run before, from whose last checkpoint it goes on. The source refuses what is none of its own."""
        params = {"rows": ROWS, "every": EVERY, "output": "out.csv"}
        flags = ["--name", again.name, "--restore=latest"] if again else []
        process = self.start_job(JOBS / "begins.so", params, self.sets, flags)
        process.name = again.name if again else process.name
        return process

    def end(self, process, code=0):
        text = process.communicate(timeout=rig.TIMEOUT_S)[1].decode()
        self.assertEqual(process.returncode, code, text)

    def completed(self, process, cnt):
        self.status_when(process, lambda status: status["checkpoints"]["completed"] >= cnt)

    def end_and_compare(self, process):
        self.end(process)
        with open(self.folder / "out.csv") as file:
            values = sorted(int(row["value"]) for row in csv.DictReader(file))
        self.assertTrue(values == list(range(ROWS)), f"{len(values)} values, and {ROWS} are due")

    def test_A245_killed_it_goes_on_where_its_source_has_said(self):
        process = self.start()
        for cnt in (3, 2):
            self.completed(process, cnt)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process = self.start(process)
        self.end_and_compare(process)

    def test_A245_no_savepoint_and_a_stop_with_the_next_one(self):
        process = self.start()
        self.completed(process, 1)
        refused = subprocess.run([str(self.weir_path), "savepoint", process.name, str(self.folder / "sp")], text=True,
                                 capture_output=True, timeout=rig.TIMEOUT_S, env=self.env, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("its sources begin the checkpoints, and no other is taken", refused.stderr)
        process.send_signal(signal.SIGTERM)
        self.end(process)
        self.end_and_compare(self.start(process))


if __name__ == "__main__":
    rig.main(2)
