#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_hang.py WEIR HANG_FS: the storage of checkpoints, or that of the output, hangs while a job runs.

By events, not by time: it hangs until so many more records were read. What 30 s do to rate and latency: scripts/hang.
"""
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import rig  # noqa: E402
import storage  # noqa: E402

HANG_FS = pathlib.Path(sys.argv[2]).resolve()
ENDLESS = 100000000000
RATE = 100000
MORE = 30000  # records that are read while storage hangs
LOOK_S = 0.005
# Some 20 MB of state: more lines than an undo budget has in this memory, which are a 16th of all.
WORDS = 500000
MEMORY = "192MiB"
WORDS_OF_A_LINE = 20
CHUNK_LINES = WORDS // WORDS_OF_A_LINE
TRIES = 50
ENGINES = ("auto", "posix")
EXPIRED = "it took longer than checkpoints.timeout"
GIVEN_UP = "its asynchronous part failed"


class Hang(rig.Rig):
    def setUp(self):
        super().setUp()
        lacks = storage.why_not()
        if lacks:
            self.skipTest(f"no {lacks} here")
        self.storage = storage.Storage(HANG_FS, self.folder)
        self.addCleanup(self.storage.close)

    # ---- a job that is looked at ----

    def start(self, job, params, sets, flags=(), **kwargs):
        self.log = (self.folder / "log").open("wb+")
        self.addCleanup(self.log.close)
        line = self.command(job, params, {"checkpoints.interval": "20ms", **sets}, flags)
        self.name = line[line.index("--name") + 1]
        self.job = subprocess.Popen(line, cwd=self.folder, env=self.env, stderr=self.log, **kwargs)
        self.addCleanup(self.job.wait)
        self.addCleanup(self.job.kill)
        self.addCleanup(self.storage.go_on)

    def text(self):
        return (self.folder / "log").read_text(errors="replace")

    def until(self, what, has_come):
        """Looks at the job until that has come; returns what it says then."""
        until = time.monotonic() + rig.TIMEOUT_S
        while time.monotonic() < until:
            done = subprocess.run([str(self.weir_path), "status", self.name, "--json"], env=self.env, check=False,
                                  capture_output=True, timeout=rig.TIMEOUT_S)
            if done.returncode == 0:
                status = json.loads(done.stdout)
                if status["checkpoints"] is not None and has_come(status):
                    return status
            self.assertIsNone(self.job.poll(), f"it ended before {what}: {self.text()}")
            time.sleep(LOOK_S)
        return self.fail(f"it has not come to {what}: {self.text()}")

    def until_completed(self, cnt):
        return self.until(f"{cnt} checkpoints", lambda status: status["checkpoints"]["completed"] >= cnt)

    def until_read(self, cnt):
        return self.until(f"{cnt} records", lambda status: status["records_in"] >= cnt)

    def hang_until_failed(self, enough):
        """Hangs until a checkpoint has failed. One whose manifest is being written cannot fail: that write, too, may
        become durable. Where the hang met one, storage goes on after enough records, and hangs once more."""
        for _ in range(TRIES):
            completed = self.until_completed(1)["checkpoints"]["completed"]
            before = self.until_completed(completed + 1)
            self.storage.hang()
            many = before["records_in"] + enough
            status = self.until("a failure or many rows", lambda status, many=many:
                                status["checkpoints"]["failed"] > 0 or status["records_in"] > many)
            if status["checkpoints"]["failed"] > 0:
                return status
            self.storage.go_on()
        return self.fail("no checkpoint failed while storage hung")

    # ---- checkpoints ----

    def nexmark(self, sets, at=""):
        """q5 without an end."""
        place = self.folder / at if at else self.folder
        self.output = place / f"out-{sets['io.engine']}.csv"
        self.start("nexmark", {**self.params(ENDLESS), "rate": RATE, "output": self.output}, sets,
                   ["--report", self.folder / "report.json"])

    @staticmethod
    def params(cnt):
        return {"query": "q5", "events": f"gen:{cnt},seed=3,event_rate=5000"}

    def check_end(self):
        """It is drained: its output is that of an undisturbed run over as many records as it has read."""
        subprocess.run([str(self.weir_path), "stop", self.name, "--drain", "--wait"], env=self.env, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=rig.TIMEOUT_S)
        self.assertEqual(self.job.wait(timeout=rig.TIMEOUT_S), 0, self.text())
        read = json.loads((self.folder / "report.json").read_text())["records_in"]
        expected = self.folder / "expected.csv"
        self.run_job("nexmark", {**self.params(read), "output": expected})
        self.assertEqual(self.rows_differ(expected, self.output), "")

    def test_a_checkpoint_waits_for_storage_and_rows_do_not(self):
        for engine in ENGINES:
            with self.subTest(engine):
                self.nexmark({"checkpoints.dir": self.storage.path / engine, "io.engine": engine})
                self.until_completed(2)
                self.storage.hang()
                before = self.until_completed(2)
                after = self.until_read(before["records_in"] + MORE)["checkpoints"]
                # One may have been complete before, and not been told yet.
                self.assertLessEqual(after["completed"], before["checkpoints"]["completed"] + 1)
                self.assertEqual(after["failed"], 0)
                self.storage.go_on()
                self.assertEqual(self.until_completed(after["completed"] + 2)["checkpoints"]["failed"], 0)
                self.check_end()

    def test_a_checkpoint_expires_and_the_next_one_is_complete(self):
        for engine in ENGINES:
            with self.subTest(engine):
                self.nexmark({"checkpoints.dir": self.storage.path / engine, "checkpoints.timeout": "100ms",
                              "io.engine": engine})
                hung = self.hang_until_failed(10 * MORE)
                self.until_read(hung["records_in"] + MORE)
                self.storage.go_on()
                self.until_completed(hung["checkpoints"]["completed"] + 2)
                self.check_end()
                self.assertIn(EXPIRED, self.text())

    def test_a_sink_that_hangs_lets_checkpoints_expire_and_loses_nothing(self):
        for engine in ENGINES:
            with self.subTest(engine):
                self.nexmark({"checkpoints.dir": self.folder / engine, "checkpoints.timeout": "100ms",
                              "io.engine": engine}, at="mounted")
                hung = self.hang_until_failed(10 * MORE)
                self.storage.go_on()
                self.until_completed(hung["checkpoints"]["completed"] + 2)
                self.check_end()
                self.assertIn(EXPIRED, self.text())

    # ---- the undo budget ----

    def feed(self):
        """Every word once, over and over, until it is told to stop."""
        words = [f"w{i}" for i in range(WORDS)]
        random.Random(1).shuffle(words)
        lines = [" ".join(words[i : i + WORDS_OF_A_LINE]) for i in range(0, WORDS, WORDS_OF_A_LINE)]
        self.assertEqual(len(lines), CHUNK_LINES)
        chunk = ("\n".join(lines) + "\n").encode()
        self.fed_cnt = 0
        while not self.is_fed:
            self.job.stdin.write(chunk)
            self.fed_cnt += 1
        self.job.stdin.close()

    def hang_at_a_snapshot(self):
        """Behind one that is complete, so that the next one cannot be written."""
        self.until("all words in a checkpoint", lambda status: status["checkpoints"]["completed"] > 0
                   and status["checkpoints"]["last"]["bytes"] > 16 * WORDS)
        return self.hang_until_failed(20 * CHUNK_LINES)

    def test_a_snapshot_is_given_up_when_its_undo_budget_is_used_up(self):
        """Rows are held back for checkpoints.throttle_max, and go on then."""
        self.start("wordcount", {"input": "-", "output": self.folder / "out.csv"},
                   {"checkpoints.dir": self.storage.path / "checkpoints", "checkpoints.throttle_max": "20ms",
                    "checkpoints.interval": "250ms", "memory.budget": MEMORY, "parallelism": 1},
                   stdin=subprocess.PIPE)
        self.is_fed = False
        feeder = threading.Thread(target=self.feed)
        feeder.start()
        try:
            hung = self.hang_at_a_snapshot()
            gone_on = self.until_read(hung["records_in"] + 3 * CHUNK_LINES)
            self.assertGreater(sum(core["snapshot"] for core in gone_on["cores"]), 0)
            self.storage.go_on()
            self.until_completed(gone_on["checkpoints"]["completed"] + 2)
        finally:
            self.storage.go_on()
            self.is_fed = True
            feeder.join()
        self.assertEqual(self.job.wait(timeout=rig.TIMEOUT_S), 0, self.text())
        self.assertIn(GIVEN_UP, self.text())
        rows = (self.folder / "out.csv").read_text().splitlines()[1:]
        self.assertEqual(len(rows), WORDS)
        self.assertEqual({row.rsplit(",", 1)[1] for row in rows}, {str(self.fed_cnt)})


if __name__ == "__main__":
    rig.main(2)
