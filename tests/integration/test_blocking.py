#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_blocking.py WEIR JOBS-DIR: a source on a thread of its own, which waits for another process: its end, its
failure, a stop while it waits, and a kill."""
import csv
import os
import pathlib
import signal
import sys
import time

import rig

JOBS = pathlib.Path(sys.argv[2]).resolve()
CNT = 5000


class Blocking(rig.Rig):
    def setUp(self):
        super().setUp()
        os.mkfifo(self.folder / "fifo")
        self.params = {"output": "out.csv"}

    def start(self, sets=(), flags=()):
        (self.folder / "ask").unlink(missing_ok=True)
        return self.start_job(JOBS / "fifo.so", self.params, sets, flags)

    def asked(self, process):
        """The number from which on the source wants them; it listens then."""
        path = self.folder / "ask"
        while not path.exists():
            self.assertIsNone(process.poll(), "the job has ended")
            time.sleep(0.002)  # for another process
        return int(path.read_text())

    def write(self, text):
        with open(self.folder / "fifo", "w") as fifo:
            fifo.write(text)

    def end(self, process, code=0):
        text = process.communicate(timeout=rig.TIMEOUT_S)[1].decode()
        self.assertEqual(process.returncode, code, text)
        return text

    def values(self):
        with open(self.folder / "out.csv") as file:
            return [int(row["value"]) for row in csv.DictReader(file)]

    def test_T192_it_ends_when_the_other_side_says_so(self):
        process = self.start()
        self.assertEqual(self.asked(process), 0)
        self.write("".join(f"{i}\n" for i in range(CNT)) + "end\n")
        self.end(process)
        self.assertEqual(self.values(), list(range(CNT)))

    def test_T192_its_failure_fails_the_job_once(self):
        process = self.start()
        self.asked(process)
        self.write("0\nbroken\n")
        text = self.end(process, code=65)
        self.assertEqual(text.count("error WEIR-1401"), 1, text)
        self.assertIn("the other side is broken", text)

    def test_T192_it_stops_and_is_canceled_while_it_waits(self):
        for sign, code in ((signal.SIGTERM, 0), (signal.SIGINT, 0)):
            process = self.start()
            self.asked(process)
            self.write("0\n1\n2\n")
            self.status_when(process, lambda _: True)
            process.send_signal(sign)
            self.end(process, code)

    def test_T192_killed_it_goes_on_behind_its_last_row(self):
        sets = {"checkpoints.dir": "cp", "checkpoints.interval": "10ms"}
        process = self.start(sets)
        name = process.name
        self.asked(process)
        self.write("".join(f"{i}\n" for i in range(1234)))
        done = self.status_when(process, lambda _: True)["checkpoints"]["completed"]
        self.status_when(process, lambda status: status["checkpoints"]["completed"] > done + 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = self.start(sets, ["--name", name, "--restore=latest"])
        first = self.asked(process)
        self.assertIn(first, range(0, 1231, 10))
        self.write("".join(f"{i}\n" for i in range(first, CNT)) + "end\n")
        self.end(process)
        self.assertEqual(self.values(), list(range(CNT)))


if __name__ == "__main__":
    rig.main(2)
