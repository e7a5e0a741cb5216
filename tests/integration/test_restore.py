#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_restore.py WEIR: jobs that go on from checkpoints: what --restore says, what is refused, and the supervisor.

What kill -9 at any moment does to answers is scripts/torture's.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import rig

NEXMARK = rig.DATA / "nexmark"
EVENTS = NEXMARK / "events.jsonl.zst"
WAIT_S = 60


class Restore(rig.Rig):
    def setUp(self):
        super().setUp()
        self.name = self.fresh_name()
        self.dir = self.folder / "checkpoints"

    def sets(self, **more):
        return {"checkpoints.dir": self.dir, "checkpoints.interval": "20ms", **more}

    def line(self, flags=(), query="q5", rate=20000, output="out.csv", sets=()):
        params = {"query": query, "events": EVENTS, "rate": rate, "output": output}
        return [*self.command("nexmark", params, sets or self.sets(), flags), "--name", self.name]

    def command(self, job, params=(), sets=(), flags=()):
        line = super().command(job, params, sets, flags)
        at = line.index("--name")
        return line[:at] + line[at + 2:]

    def run_it(self, *flags, code=0, **kwargs):
        for _ in range(rig.NO_CORE_TRIES):
            result = subprocess.run(self.line(flags, **kwargs), cwd=self.folder, env=self.env, timeout=rig.TIMEOUT_S,
                                    capture_output=True, check=False, stdin=subprocess.DEVNULL)
            result.text = result.stderr.decode(errors="replace")
            if not (result.returncode == 78 and rig.NO_CORE in result.text
                    or result.returncode == 71 and rig.ALL_HELD in result.text):
                break
            time.sleep(0.25)
        self.assertEqual(result.returncode, code, result.text)
        return result.text

    def manifests(self):
        folder = self.dir / self.name / "manifest"
        return sorted(folder.glob("M-*"), key=lambda p: int(p.name.split("-")[1])) if folder.exists() else []

    def start(self, *flags, **kwargs):
        process = subprocess.Popen(self.line(flags, **kwargs), cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, process, what):
        until = time.monotonic() + WAIT_S
        while not what():
            self.assertIsNone(process.poll(), "it ended before")
            self.assertLess(time.monotonic(), until, "it never came")
            time.sleep(0.002)

    def killed(self, *flags, **kwargs):
        """A run that is killed behind its second checkpoint or a later one."""
        process = self.start(*flags, **kwargs)
        newest = [int(p.name.split("-")[1]) for p in self.manifests()]
        self.wait_for(process, lambda: [int(p.name.split("-")[1]) for p in self.manifests()][-1:] >=
                      [max(newest, default=0) + 2])
        process.kill()
        process.wait()

    def check(self, query="q5", output="out.csv"):
        self.assertEqual(self.rows_differ(NEXMARK / "expected" / f"{query}.csv", self.folder / output), "")

    # --- what --restore says ---

    def test_latest_goes_on_and_tells(self):
        self.killed("--restore=latest")  # from nothing: the directory is not even there
        self.assertFalse((self.folder / "out.csv").exists())
        text = self.run_it("--restore=latest", "--report=report.json")
        restored = int(re.search(r"restored checkpoint (\d+): \d+ bytes in", text).group(1))
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual(report["restored_checkpoint"], restored)
        self.assertLess(report["records_in"], 20000)
        self.check()

    def test_a_finished_job_is_left_as_it_is(self):
        self.run_it("--restore=latest", rate=0)
        self.check()
        before = os.stat(self.folder / "out.csv")
        self.run_it("--restore=latest", "--report=report.json", rate=0)
        after = os.stat(self.folder / "out.csv")
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        self.assertEqual(json.loads((self.folder / "report.json").read_text())["records_in"], 0)

    def test_none_refuses_a_directory_with_checkpoints(self):
        self.killed()
        for flags in ((), ("--restore=none",)):
            text = self.run_it(*flags, code=78)
            self.assertIn("WEIR-1102", text)
            self.assertIn("--restore=latest", text)
        self.run_it("--restore=latest", rate=0)
        self.check()

    def test_a_path_names_one(self):
        self.sets_kept = self.sets(**{"checkpoints.retained": 100})
        self.killed(sets=self.sets_kept)
        first = self.manifests()[0]
        other = self.sets_kept | {"checkpoints.dir": self.folder / "other"}
        text = self.run_it(f"--restore={first}", rate=0, output="a.csv", sets=other)
        self.assertIn(f"restored checkpoint {first.name.split('-')[1]}:", text)
        self.check(output="a.csv")
        missing = self.run_it("--restore=nowhere", sets=other | {"checkpoints.dir": "third"}, code=66)
        self.assertIn("--restore=nowhere", missing)

    def test_restore_wants_a_directory_of_checkpoints(self):
        text = self.run_it("--restore=latest", sets={"parallelism": 1}, code=78)
        self.assertIn("checkpoints.dir", text)

    def test_a_stop_is_gone_on_from(self):
        process = self.start("--restore=latest")
        self.wait_for(process, lambda: len(self.manifests()) > 0)
        process.send_signal(signal.SIGTERM)
        text = process.stderr.read().decode()
        self.assertEqual(process.wait(), 0, text)
        self.assertFalse((self.folder / "out.csv").exists())
        self.run_it("--restore=latest", "--report=report.json", rate=0)
        read = json.loads((self.folder / "report.json").read_text())["records_in"]
        first = int(re.search(r"(\d+) records in", text).group(1))
        self.assertEqual(first + read, 20000)  # not one was read twice
        self.check()

    # --- what is refused ---

    def test_state_without_an_operator_is_named(self):
        self.killed("--restore=latest", query="q5")
        text = self.run_it("--restore=latest", query="q3", code=78)
        self.assertRegex(text, r"checkpoint \d+ holds state of operator \S+, which job \S+ does not have")
        self.assertIn("--allow-non-restored-state", text)

    def test_T312_max_parallelism_is_taken_over_where_nobody_sets_it(self):
        self.killed("--restore=latest", sets=self.sets(max_parallelism=48))
        text = self.run_it("--restore=latest", sets=self.sets(max_parallelism=32), code=78)
        self.assertRegex(text, r"was saved with max_parallelism 48, and now it is 32: set max_parallelism=48")
        self.killed("--restore=latest", sets=self.sets(parallelism=2, **{"placement.cut": "all"}))
        self.assertIn("of 48\n", self.shown())
        self.run_it(f"--restore={self.dir / self.name}", rate=0)
        self.check()

    def test_a_damaged_file_is_named_with_block_and_byte(self):
        self.killed("--restore=latest")
        damaged = max((self.dir / self.name / "data").glob("*.snap"), key=lambda p: p.stat().st_size)
        newest = self.manifests()[-1].name.split("-")[1]
        damaged = [p for p in (self.dir / self.name / "data").glob(f"{newest}-*.snap")][0]
        data = bytearray(damaged.read_bytes())
        data[300] ^= 1
        damaged.write_bytes(data)
        text = self.run_it("--restore=latest", code=65)
        self.assertIn("WEIR-1502", text)
        self.assertIn(f"data/{damaged.name}, block 0, byte 0", text)

    def shown(self, *flags):
        return subprocess.run([str(self.weir_path), "checkpoint", "show", self.dir / self.name, *flags], text=True,
                              capture_output=True, check=True, env=self.env).stdout

    def base_of_the_newest(self):
        """The first of the files that the newest checkpoint is made of, where that is an older one's; else None."""
        shown = self.shown()
        newest = re.search(r"^checkpoint (\d+) ", shown)[1]
        first = re.search(r"(?m)^file +(\S+)", shown)[1]
        return None if first.startswith(f"{newest}-") else first

    def test_a_committed_part_that_somebody_touches_is_an_error(self):
        sets = self.sets(parallelism=2)
        self.killed("--restore=latest", query="q0", sets=sets)
        self.killed("--restore=latest", query="q0", sets=sets)
        folder = self.folder / "out.csv.parts"
        expected = NEXMARK / "expected" / "q0.csv.zst"
        # The oldest: the newest checkpoint does not list it.
        part = min(folder.glob("part-*"), key=lambda p: int(p.name.split("-")[-6]))
        data = part.read_bytes()
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        # part-JOB-C-E.A-S-N-B-X: one of this name was committed, its number is of nobody.
        words = part.name.split("-")
        added = folder / "-".join([*words[:-3], "7777", *words[-2:]])
        for what, names, harm in (
                ("gone", f"{'-'.join(words[-5:-2])}-*, which was committed, is not there", part.unlink),
                ("cut", f"{part.name} has {len(data) - 1} bytes, and {len(data)} were committed",
                 lambda: part.write_bytes(data[:-1])),
                ("changed", f"{part.name} was changed: its CRC32C is", lambda: part.write_bytes(flipped)),
                ("added", f"{added.name} was never committed; remove it", lambda: added.write_bytes(data))):
            with self.subTest(what=what):
                harm()
                text = self.run_it("--restore=latest", query="q0", rate=0, sets=sets, code=65)
                self.assertIn("WEIR-1403", text)
                self.assertIn(names, text)
                self.assertFalse((self.folder / "out.csv").exists())
                part.write_bytes(data)
                added.unlink(missing_ok=True)
        self.run_it("--restore=latest", query="q0", rate=0, sets=sets)
        self.assertEqual(self.rows_differ(expected, self.folder / "out.csv"), "")

    def test_an_increment_is_nothing_without_what_it_builds_on(self):
        self.killed("--restore=latest")
        while (base := self.base_of_the_newest()) is None:
            self.killed("--restore=latest")
        path = self.dir / self.name / "data" / base
        shown = json.loads(self.shown("--json"))
        own = list(path.parent.glob(f"{shown['checkpoint']}-*"))
        self.assertEqual(shown["written_bytes"], sum(p.stat().st_size for p in own))
        self.assertLess(shown["written_bytes"], shown["bytes"])
        self.assertTrue(0 < shown["dirty_bytes"] < shown["written_bytes"], shown)
        ratio = f"{shown['written_bytes'] / shown['dirty_bytes']:.2f}"
        self.assertIn(f" that had changed: {ratio} for each\n", self.shown())
        data = path.read_bytes()
        broken = bytearray(data)
        broken[300] ^= 1
        path.write_bytes(broken)
        for text in (self.run_it("--restore=latest", code=65), self.verify(code=65)):
            self.assertIn(f"data/{base}, block 0, byte 0", text)
        path.unlink()
        for text in (self.run_it("--restore=latest", code=65), self.verify(code=65)):
            self.assertIn(f"data/{base}", text)
        path.write_bytes(data)
        self.verify()
        self.run_it("--restore=latest", rate=0)
        self.check()

    def verify(self, code=0):
        result = subprocess.run([str(self.weir_path), "checkpoint", "verify", self.dir], capture_output=True, text=True,
                                check=False, env=self.env)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_two_engines_on_one_directory(self):
        process = self.start("--restore=latest")
        self.wait_for(process, lambda: len(self.manifests()) > 0)
        name, self.name = self.name, self.name  # the same name: refused by that, without a look at the directory
        text = self.run_it("--restore=latest", code=78)
        self.assertIn("WEIR-1604", text)
        self.assertEqual(name, self.name)
        process.kill()

    # --- the supervisor ---

    def engine_of(self, process):
        """The process number of the engine below a supervisor, once it runs; None."""
        answer = subprocess.run([str(self.weir_path), "status", self.name, "--json"], capture_output=True, check=False,
                                env=self.env)
        status = json.loads(answer.stdout) if answer.returncode == 0 else {}
        running = status.get("state") == "running" and status.get("supervisor_pid") == process.pid
        return (status["pid"], status["restarts"]) if running else None

    def test_a_supervisor_goes_on_from_the_latest(self):
        sets = self.sets(**{"restart.strategy": "fixed-delay", "restart.fixed_delay.attempts": 5,
                            "restart.fixed_delay.delay": "1ms"})
        process = self.start("--supervise", "--report=report.json", sets=sets)
        for restarts in range(3):
            newest = max((int(p.name.split("-")[1]) for p in self.manifests()), default=0)
            self.wait_for(process, lambda: max((int(p.name.split("-")[1]) for p in self.manifests()), default=0) >
                          newest)
            self.wait_for(process, lambda: (self.engine_of(process) or (0, -1))[1] == restarts)
            os.kill(self.engine_of(process)[0], signal.SIGKILL)
        text = process.stderr.read().decode()
        self.assertEqual(process.wait(), 0, text)
        self.assertEqual(text.count("was killed by signal 9"), 3, text)
        self.assertEqual(len(re.findall(r"restored checkpoint \d+", text)), 3, text)
        self.assertLess(json.loads((self.folder / "report.json").read_text())["records_in"], 20000)
        self.check()

    # --- checkpoints in memory ---

    def test_memory_lasts_as_long_as_the_supervisor(self):
        sets = {"checkpoints.storage": "memory", "checkpoints.interval": "20ms", "restart.fixed_delay.attempts": 5,
                "restart.strategy": "fixed-delay", "restart.fixed_delay.delay": "1ms"}
        process = self.start("--supervise", "--report=report.json", sets=sets)
        own = pathlib.Path(f"/dev/shm/weir-checkpoints-{os.geteuid()}-{process.pid}")
        for restarts in range(2):
            self.wait_for(process, lambda: (self.engine_of(process) or (0, -1))[1] == restarts)
            self.wait_for(process, lambda: self.newest_in(own) > restarts)
            os.kill(self.engine_of(process)[0], signal.SIGKILL)
        text = process.stderr.read().decode()
        self.assertEqual(process.wait(), 0, text)
        self.assertEqual(len(re.findall(r"restored checkpoint \d+", text)), 2, text)
        self.assertNotIn("lies in memory", text)
        self.assertFalse(own.exists())
        self.check()

    def newest_in(self, folder):
        return max((int(p.name.split("-")[1]) for p in folder.glob(f"{self.name}/manifest/M-*")), default=0)

    def test_what_a_killed_run_left_in_memory_goes_with_the_next(self):
        sets = {"checkpoints.storage": "memory", "checkpoints.interval": "20ms"}
        process = self.start(sets=sets)
        own = pathlib.Path(f"/dev/shm/weir-checkpoints-{os.geteuid()}-{process.pid}")
        self.wait_for(process, lambda: self.newest_in(own) > 0)
        process.kill()
        process.wait()
        self.assertTrue(own.exists())
        self.run_it(rate=0, output="other.csv", sets=sets)
        self.assertFalse(own.exists())
        self.check(output="other.csv")

    def test_memory_is_small_and_says_so(self):
        params = {"query": "q3", "events": "gen:6000000,seed=1", "output": "out.csv"}
        sets = {"checkpoints.storage": "memory", "checkpoints.interval": "20ms"}
        text = self.run_job("nexmark", params, sets, ["--name", self.name], code=78).text
        self.assertIn("has more state than the storage `memory` takes (5242880 bytes of each)", text)
        self.assertIn("checkpoints.storage=fs", text)
        self.assertFalse((self.folder / "out.csv").exists())
        text = self.run_it(sets=self.sets() | sets, code=78)
        self.assertIn("checkpoints.storage is memory (--set), and checkpoints.dir is", text)

    def test_restart_without_a_supervisor_is_told(self):
        sets = {"restart.strategy": "fixed-delay", "parallelism": 1}
        text = self.run_it(rate=0, sets=sets)
        self.assertIn("only a run with --supervise starts a failed job again", text)
        self.assertIn("restart.strategy is set (--set)", text)
        text = self.run_it("--strict", rate=0, sets={**sets, "poller": "seed:1"}, code=71)  # it takes no core
        self.assertIn("WEIR-1005", text)
        self.assertIn("restart.strategy", text)


if __name__ == "__main__":
    rig.main()
