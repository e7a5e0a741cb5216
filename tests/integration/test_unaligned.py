#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_unaligned.py WEIR JOBS: barriers that overtake rows, in front of an operator that is slow.

No time is asserted: that a checkpoint is complete while rows wait is seen by the rows that it holds. What kill -9 does
to other answers is scripts/torture's.
"""
import itertools
import json
import pathlib
import shutil
import signal
import subprocess
import sys

import rig

WORD_CNT = 6000
SETS = {"checkpoints.interval": "50ms", "checkpoints.unaligned": "true", "buffers.size": "4KiB"}
TRY_CNT = 20


class Unaligned(rig.Rig):
    def setUp(self):
        super().setUp()
        self.job = pathlib.Path(sys.argv[2]).resolve() / "slow.so"
        self.write_words(WORD_CNT)
        self.name = self.fresh_name()

    def write_words(self, cnt):
        words = [f"word{n % 97}-{'x' * (n % 23)}" for n in range(cnt)]
        lines = [" ".join(words[at:at + 10]) for at in range(0, cnt, 10)]
        self.write("input.txt", "\n".join(lines) + "\n")
        rows = [f"{word},{n // 10 + 1},{len(word)}" for n, word in enumerate(words)]
        self.write("expected.csv", "\n".join(["text,line,bytes", *rows]) + "\n")

    def command(self, job, params=(), sets=(), flags=()):
        line = super().command(job, params, sets, flags)
        line[line.index("--name") + 1] = self.name
        return line

    def start(self, sets, flags=()):
        sets = {"checkpoints.dir": self.folder / "checkpoints", **SETS, **sets}
        return self.start_job(self.job, {"input": "input.txt", "output": "out.csv"}, sets, flags)

    def killed_behind_rows(self, sets, flags=()):
        """Killed behind a checkpoint that holds rows. The host may let it come to its end before that: then from the
        start once more."""
        last = {}
        for _ in range(TRY_CNT):
            process = self.start(sets, flags)
            while process.poll() is None and last.get("rows_in_flight", 0) == 0:
                last = self.last_checkpoint()
            process.kill()
            if process.wait() == -signal.SIGKILL:
                break
            last, flags = {}, ()
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
            (self.folder / "out.csv").unlink(missing_ok=True)
        self.assertGreater(last["bytes_in_flight"], 0)

    def last_checkpoint(self):
        """What the job says of it; nothing where it does not run, or has none."""
        result = subprocess.run([str(self.weir_path), "status", self.name, "--json"], text=True, capture_output=True,
                                timeout=rig.TIMEOUT_S, env=self.env, check=False)
        self.assertIn(result.returncode, (0, 69), result.stderr)
        return result.returncode == 0 and json.loads(result.stdout)["checkpoints"].get("last") or {}

    def overtakes_and_comes_back(self, sets, then):
        """Killed like that, and gone on in another shape."""
        self.killed_behind_rows(sets)
        self.goes_on(then)

    def goes_on(self, then):
        process = self.start(then, ("--restore=latest",))
        _, error = process.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, error)
        self.assertIn(b"restored checkpoint", error)
        self.assertEqual(self.rows_differ(self.folder / "expected.csv", self.folder / "out.csv"), "")

    def test_T079_rows_wait_and_the_checkpoint_does_not(self):
        self.overtakes_and_comes_back({"parallelism": 2}, {"parallelism": 2})

    def test_T315_more_subtasks_and_another_cut(self):
        self.overtakes_and_comes_back({"parallelism": 2, "max_parallelism": 128},
                                      {"parallelism": 3, "max_parallelism": 128, "placement.cut": "all"})

    def test_T315_fewer_subtasks_and_aligned_again(self):
        self.overtakes_and_comes_back({"parallelism": 3, "max_parallelism": 128, "checkpoints.alignment_timeout": "5ms"},
                                      {"parallelism": 1, "max_parallelism": 128, "checkpoints.unaligned": "false",
                                       "checkpoints.alignment_timeout": "0ms"})

    def test_T067_more_rows_than_there_is_room_for_decline_the_checkpoint(self):
        """And it counts as failed. The one behind the last row finds room."""
        process = self.start({"parallelism": 2, "checkpoints.in_flight_max": "4KiB", "log.format": "human",
                              "checkpoints.tolerable_failures": 100000})
        self.status_when(process, lambda doc: doc["checkpoints"]["failed"] > 0)
        _, error = process.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(process.returncode, 0, error)
        self.assertRegex(error.decode(), r"checkpoint \d+: declined \(too many rows under way\): .*"
                                         r"rows under way take more than the 4096 bytes for them")
        self.assertEqual(self.rows_differ(self.folder / "expected.csv", self.folder / "out.csv"), "")

    def test_what_holds_rows_is_no_savepoint(self):
        self.write_words(3 * WORD_CNT)  # the source is at its end when all the rest has found room
        sets = {"parallelism": 2, "checkpoints.interval": "10ms"}
        error = b""
        for at in itertools.count():  # at the kill there may be a later checkpoint, which holds none
            to = self.folder / f"saved-{at}"
            self.killed_behind_rows(sets, ("--restore=latest",) if at > 0 else ())
            process = self.start(sets, ("--restore=latest", "--savepoint", to))
            _, error = process.communicate(timeout=rig.TIMEOUT_S)
            if process.returncode != 0:
                break
        self.assertEqual(process.returncode, 78, error)
        self.assertRegex(error.decode(), r"checkpoint \d+ of job \S+ holds \d+ rows that were between its tasks")
        self.assertEqual(list(to.glob("**/M-*")), [])
        self.goes_on(sets)

    def test_without_it_the_job_says_what_it_cannot_do(self):
        for sets in ({"checkpoints.max_concurrent": 2}, {"checkpoints.mode": "at-least-once"},
                     {"checkpoints.unaligned": "false", "checkpoints.alignment_timeout": "1s"}):
            process = self.start(sets)
            _, error = process.communicate(timeout=rig.TIMEOUT_S)
            self.assertEqual(process.returncode, 78, error)
            self.assertIn(b"checkpoints.unaligned", error)


if __name__ == "__main__":
    rig.main(2)
