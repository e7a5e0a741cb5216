#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_blocking.py WEIR JOBS-DIR: a source on a thread of its own, which waits for another process: its end, its
failure, a stop while it waits, a cancel that it does not hear, and a kill."""
import csv
import os
import pathlib
import signal
import subprocess
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

    def cancel_deaf(self, deaf, sets):
        """Canceled while its thread waits in read(2), and looks at nothing else."""
        self.params["deaf"] = deaf
        process = self.start({"log.format": "human", "task.cancel_interval": "50ms", **sets})
        self.asked(process)
        self.status_when(process, lambda status: status["state"] == "running")
        subprocess.run([str(self.weir_path), "cancel", process.name], check=True, capture_output=True, env=self.env,
                       timeout=rig.TIMEOUT_S)
        text = self.end(process, code=1)
        self.assertRegex(text, r"operator readings\[0\]: its thread readings has not ended for [0-9.]+ s since")
        self.assertRegex(text, r"#[0-9]+ fifo_waits_deaf\+0x[0-9a-f]+ in .*fifo\.so")
        return text

    def test_T163_its_thread_is_interrupted_until_it_returns(self):
        text = self.cancel_deaf(3, {})
        self.assertEqual(text.count("fifo: interrupted"), 3)
        self.assertIn("WEIR-1602", text)

    def test_T163_A282_a_thread_that_never_returns_ends_its_process(self):
        text = self.cancel_deaf(10 ** 9, {"task.cancel_timeout": "200ms"})
        self.assertRegex(text, r"error .*its thread readings .*the process ends \(task\.cancel_timeout\) \(WEIR-1305\)")
        self.assertNotIn("WEIR-1602", text)

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
