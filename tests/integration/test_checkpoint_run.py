#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_checkpoint_run.py WEIR: jobs that take checkpoints while they run, to their end."""
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import rig

# A namespace of its own, where this user may mount; as root no other identity is needed.
OWN_MOUNTS = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
SMALL_DISK = OWN_MOUNTS + ["sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"']

NEXMARK = rig.DATA / "nexmark"
# Events of the log, and how long they take at RATE: enough for some checkpoints of INTERVAL.
RATE = 20000
INTERVAL = "20ms"
QUERIES = ("q0", "q3", "q5", "q7", "q8")
WIDE = {"parallelism": 2, "placement.cut": "all"}


def expected_of(query):
    name = NEXMARK / "expected" / f"{query}.csv"
    return name if name.exists() else name.with_name(f"{query}.csv.zst")


class CheckpointRun(rig.Rig):
    def setUp(self):
        super().setUp()
        self.events = rig.unpack(NEXMARK / "events.jsonl.zst", self.folder / "events.jsonl")
        self.dir = self.folder / "checkpoints"

    def run_query(self, query, sets=(), params=(), **kwargs):
        sets = {"checkpoints.dir": self.dir, "checkpoints.interval": INTERVAL, **dict(sets)}
        params = {"query": query, "events": self.events, "rate": RATE, "output": "out.csv", **dict(params)}
        report = self.folder / "report.json"
        result = self.run_job("nexmark", params, sets, ("--report", report), **kwargs)
        return result, json.loads(report.read_text()) if report.exists() else None

    def checkpoint(self, verb):
        done = subprocess.run([self.weir_path, "checkpoint", verb, self.dir, "--json"], check=False,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["checkpoints"]

    def assert_clean(self, query, report, least, retained=1):
        """The answer is that of the oracle, checkpoints were taken, and what is left of them is whole."""
        self.assertEqual(self.rows_differ(expected_of(query), self.folder / "out.csv"), "")
        self.assertFalse((self.folder / "out.csv.parts").exists())
        taken = report["checkpoints"]
        self.assertGreaterEqual(len(taken), least)
        ids = [row["id"] for row in taken]
        self.assertEqual(ids, sorted(set(ids)))
        kept = [row["checkpoint"] for row in self.checkpoint("verify")]
        self.assertEqual(kept, ids[-retained:])
        named = {row["name"] for checkpoint in kept
                 for row in json.loads(self.weir("checkpoint", "show", self.dir, checkpoint, "--json").stdout)["file"]}
        left = {path.name for path in self.dir.glob("*/data/*")}
        self.assertEqual(named, left)

    def test_answers_are_those_without_checkpoints(self):
        # Time of the seeded poller stands still while a file is written; that of threads does not.
        for query, sets in itertools.product(QUERIES, ({}, WIDE)):
            for poller, least in (("threads", 2), ("seed:7", 10)):
                with self.subTest(query=query, poller=poller, **sets):
                    self.dir = self.folder / f"checkpoints-{self.fresh_name()}"
                    _, report = self.run_query(query, {"poller": poller, **sets})
                    self.assert_clean(query, report, 2 if sets else least)

    def test_answers_are_the_same_with_other_settings(self):
        for query, sets, least, retained in (
                ("q0", {"checkpoints.mode": "at-least-once", **WIDE}, 2, 1),
                ("q7", {"checkpoints.mode": "at-least-once", **WIDE}, 2, 1),
                ("q0", {"checkpoints.max_concurrent": 4, "checkpoints.interval": "5ms", **WIDE}, 4, 1),
                ("q5", {"checkpoints.max_concurrent": 4, "checkpoints.interval": "5ms"}, 4, 1),
                ("q3", {"io.engine": "posix", **WIDE}, 2, 1),
                ("q3", {"checkpoints.retained": 3}, 3, 3),
                ("q8", {"checkpoints.interval": "none"}, 1, 1)):
            with self.subTest(query=query, **sets):
                self.dir = self.folder / f"checkpoints-{self.fresh_name()}"
                _, report = self.run_query(query, sets)
                self.assert_clean(query, report, least, retained)
                if least == 1:
                    self.assertEqual(len(report["checkpoints"]), 1)  # the final one

    def test_a_stream_is_written_where_rows_may_come_twice(self):
        result, report = self.run_query("q0", {"checkpoints.sink": "at-least-once"}, {"output": "-"})
        (self.folder / "out.csv").write_bytes(result.stdout)
        self.assert_clean("q0", report, 2)

    # --- while it runs ---

    def start_endless(self, sets=(), params=(), before=()):
        """A job that goes on until it is told to stop, under a name of its own."""
        name = self.fresh_name()
        sets = {"checkpoints.dir": self.dir, "checkpoints.interval": INTERVAL, **dict(sets)}
        params = {"query": "q5", "events": "gen:100000000000,seed=1", "rate": RATE, "output": "out.csv", **dict(params)}
        line = [str(self.weir_path), "run", "nexmark", "--name", name, "--report", "report.json"]
        for flag, pairs in (("-p", params), ("--set", sets)):
            for key, value in pairs.items():
                line += [flag, f"{key}={value}"]
        log = open(self.folder / "log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen([*map(str, before), *line], cwd=self.folder, env=self.env, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.name = name
        return process

    def weir(self, *args):
        return subprocess.run([self.weir_path, *map(str, args)], check=False, capture_output=True, text=True,
                              env=self.env)

    def log(self):
        return (self.folder / "log").read_text()

    def status_when(self, process, holds):
        for _ in range(rig.TIMEOUT_S * 20):
            done = self.weir("status", process.name, "--json")
            if done.returncode == 0:
                status = json.loads(done.stdout)
                if status["state"] == "running" and holds(status):
                    return status
            self.assertIsNone(process.poll(), self.log())
            time.sleep(0.05)
        return self.fail(f"it has not come to that: {done.stdout} {self.log()}")

    def end(self, process, code=0):
        self.assertEqual(process.wait(rig.TIMEOUT_S), code, self.log())
        return json.loads((self.folder / "report.json").read_text())

    def test_a_stop_ends_at_a_checkpoint_that_holds_what_was_shown(self):
        for poller in ("threads", "seed:5"):
            with self.subTest(poller=poller):
                self.dir = self.folder / f"checkpoints-{poller}"
                output = f"out-{poller}.csv"
                process = self.start_endless({"poller": poller}, {"query": "q0", "output": output})
                self.status_when(process, lambda s: s["checkpoints"]["completed"] > 2)
                self.assertEqual(self.weir("stop", process.name).returncode, 0)
                report = self.end(process)
                self.assertEqual(report["state"], "stopped")
                kept, = self.checkpoint("verify")
                self.assertEqual(kept["checkpoint"], report["checkpoints"][-1]["id"])
                # It goes on from there: F is not there yet, its committed parts are.
                self.assertFalse((self.folder / output).exists())
                self.assertTrue(list((self.folder / f"{output}.parts").glob("part-*")))

    def test_a_drain_ends_with_the_output_whole(self):
        process = self.start_endless({"parallelism": 2, "placement.cut": "all"})
        self.status_when(process, lambda s: s["checkpoints"]["completed"] > 2)
        self.assertEqual(self.weir("stop", process.name, "--drain").returncode, 0)
        report = self.end(process)
        self.assertEqual(report["state"], "drained")
        rows = (self.folder / "out.csv").read_text().splitlines()
        self.assertEqual(len(rows), 1 + report["records_out"])
        self.assertFalse((self.folder / "out.csv.parts").exists())

    def test_status_says_how_checkpoints_go(self):
        process = self.start_endless()
        status = self.status_when(process, lambda s: s["checkpoints"]["completed"] > 2)["checkpoints"]
        self.assertEqual((status["epoch"], status["failed"], status["last_failed"]), (1, 0, None))
        last = status["last"]
        self.assertGreater(last["written_bytes"], 0)
        self.assertLessEqual(last["written_bytes"], last["bytes"])
        self.assertGreater(last["duration_ns"], last["stall_ns"])
        path = pathlib.Path(status["last_path"])
        self.assertEqual(path, self.dir / process.name / "manifest" / f"M-{last['id']}-1")
        text = self.weir("status", process.name).stdout
        self.assertRegex(text, r"(?m)^  checkpoints: \d+ complete, 0 failed, epoch 1$")
        self.assertRegex(text, r"(?m)^    last: \d+ at 2\S+Z, \d+ bytes of \d+ written in [0-9.]+ ms, stall [0-9.]+ ms")
        documented = (rig.ROOT / "docs/control.md").read_text()
        documented = set(re.findall(r"^\| `checkpoints\.([^`]+)` \|", documented, re.M))
        self.assertEqual(documented, {k for k in status if k != "last_failed"} | {"last_failed.id", "last_failed.why"})
        self.assertEqual(set(last), set(re.findall(r"^\| `checkpoints\[\]\.([^`]+)` \|",
                                                   (rig.ROOT / "docs/report.md").read_text(), re.M)))
        self.weir("cancel", process.name)
        self.end(process, 1)

    def test_B115_what_status_names_can_be_gone_on_from(self):
        process = self.start_endless({"checkpoints.retained": 100}, {"query": "q0"})
        path = self.status_when(process, lambda s: s["checkpoints"]["last"])["checkpoints"]["last_path"]
        self.weir("cancel", process.name)
        self.end(process, 1)
        line = [*process.args, f"--restore={path}", f"--savepoint={self.folder / 'saved'}"]
        done = subprocess.run(line, check=False, cwd=self.folder, env=self.env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.folder / "saved").is_dir())

    # --- faults ---

    def start_on_small_disk(self, sets=()):
        self.dir.mkdir()
        process = self.start_endless({**WIDE, **dict(sets)}, {"query": "q0"}, (*SMALL_DISK, self.dir))
        self.status_when(process, lambda s: s["checkpoints"]["completed"] > 1)
        self.assertIn("checkpoints there end with the host's power", self.log())
        return process, pathlib.Path(f"/proc/{process.pid}/root{self.dir}")

    def fill(self, inside):
        """Takes all room until the event that comes back is set: that of a checkpoint that goes is free again."""
        done = threading.Event()

        def write():
            with open(inside / "filler", "ab", buffering=0) as filler:
                while not done.is_set():
                    try:
                        filler.write(bytes(4096))
                    except OSError:
                        done.wait(0.001)
        thread = threading.Thread(target=write)

        def stop():
            done.set()
            thread.join()
        thread.start()
        self.addCleanup(stop)
        return stop

    def test_a_full_disk_declines_checkpoints_and_the_job_goes_on(self):
        process, inside = self.start_on_small_disk()
        # Each that begins costs every sink a part, of which there may be so many: after some none begins.
        stop = self.fill(inside)
        before = self.status_when(
            process, lambda s: s["checkpoints"]["failed"] >= 4 and "in a row have failed" in self.log())
        self.assertRegex(self.log(), r"checkpoint \d+: .*No space left on device")
        after = self.status_when(process, lambda s: s["records_in"] > before["records_in"] + RATE // 10)
        self.assertEqual(after["checkpoints"]["last"], before["checkpoints"]["last"])
        # One had begun already.
        self.assertLessEqual(after["checkpoints"]["failed"], before["checkpoints"]["failed"] + 1)
        self.assertIn(after["checkpoints"]["last_failed"]["why"],
                      ("its files could not be written", "its manifest could not be stored"))
        stop()
        (inside / "filler").unlink()
        done = after["checkpoints"]["completed"]
        self.status_when(process, lambda s: s["checkpoints"]["completed"] > done + 2)

        def oldest():
            return min(int(path.name.split("-")[0]) for path in inside.glob("*/data/*"))
        # Nothing is left of those that some tasks had written and others had not.
        self.status_when(process, lambda s: oldest() >= s["checkpoints"]["last"]["id"])
        self.assertEqual(self.weir("stop", process.name).returncode, 0)
        report = self.end(process)
        self.assertEqual(report["state"], "stopped")

    def test_a_directory_that_is_removed_lets_the_job_go_on_and_its_end_say_so(self):
        before = None
        while before is None:  # a manifest that was being put there is one that nobody knows of: that ends a job
            output = self.folder / f"{self.fresh_name()}.csv"  # the last one's is not another job's to take
            process = self.start_endless({}, {"query": "q0", "output": output})
            self.status_when(process, lambda s: s["checkpoints"]["completed"] > 0)
            while self.dir.exists():
                shutil.rmtree(self.dir, ignore_errors=True)
            while before is None and process.poll() is None:
                status = json.loads(self.weir("status", process.name, "--json").stdout or "{}")
                before = status if status and "in a row have failed" in self.log() else None
            if before is None:
                self.assertIn("WEIR-1606", self.log())
        self.status_when(process, lambda s: s["records_in"] > before["records_in"])
        self.assertEqual(self.weir("stop", process.name).returncode, 0)
        report = self.end(process, 74)
        self.assertIn(f"{self.dir}/{process.name}, was removed while the job ran", report["error"])
        self.assertFalse(output.exists())

    def test_failures_that_are_not_borne_fail_the_job(self):
        process, inside = self.start_on_small_disk({"checkpoints.tolerable_failures": 1})
        self.fill(inside)
        report = self.end(process, 74)
        self.assertEqual(report["state"], "failed")
        self.assertIn("more than 1 in a row are not borne", report["error"])
        self.assertFalse((self.folder / "out.csv").exists())

    def test_what_cannot_be_is_said_at_the_start(self):
        self.write("file", "")
        rows = [
            ({"checkpoints.dir": "file"}, {}, 74, "Not a directory"),
            ({"checkpoints.dir": "/proc/no"}, {}, 74, "make directory /proc/no"),
            ({}, {"output": "-"}, 78, "not with checkpoints"),
            ({"checkpoints.after_finish": "false", **WIDE}, {}, 78, "checkpoints.after_finish is false"),
        ]
        for sets, params, code, text in rows:
            with self.subTest(sets=sets, params=params):
                result, _ = self.run_query("q0", sets, params, code=code)
                self.assertIn(text, result.text)
                self.assertFalse((self.folder / "out.csv").exists())

    def test_a_directory_that_holds_a_checkpoint_is_left_alone(self):
        name = self.fresh_name()
        self.fresh_name = lambda: name
        self.run_query("q0")
        (self.folder / "out.csv").unlink()
        kept = self.checkpoint("verify")
        result, _ = self.run_query("q0", code=78)
        self.assertIn(f"holds checkpoints of job {name}", result.text)
        self.assertEqual(self.checkpoint("verify"), kept)
        self.assertFalse((self.folder / "out.csv").exists())

    def test_a_source_that_cannot_be_read_again_is_named(self):
        lines = "".join(f"{n} word\n" for n in range(100)).encode()
        params = {"input": "-", "output": "out.csv", "time": "field", "window": "10s"}
        sets = {"checkpoints.dir": self.dir}
        result = self.run_job("wordcount", params, sets, input=lines)
        self.assertIn("cannot be read again", result.text)
        self.assertNotIn("cannot be read again", self.run_job("wordcount", params, input=lines).text)
        # The seeded poller needs no core, which another test may hold.
        sets.update({"memory.huge_pages": "off", "poller": "seed:1"})
        result = self.run_job("wordcount", params, sets, ("--strict",), code=71, input=lines)
        self.assertIn("cannot be read again", result.text)


if __name__ == "__main__":
    rig.main(1)
