#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_move.py WEIR JOBS: key groups that move from one subtask to another while a job runs. The job tells each row of
a key with its number among the rows of that key: a row that is lost, counted twice or out of order is seen. Killed and
started again behind moves, with as many subtasks or others, with groups that move no more, and from savepoints."""
import collections
import csv
import json
import pathlib
import random
import subprocess
import sys
import time

import rig

JOB = pathlib.Path(sys.argv[2]).resolve() / "moved.so"
GROUP_CNT = 128
SEED = int(time.time()) // 86400
ROWS = 300000
RATE = 60000
# A job that is to be there until it is killed, and its last start, which is to come to its end.
SLOW = 4000
FAST = 10 ** 7
KEYS = 100000


class Move(rig.Rig):
    def setUp(self):
        super().setUp()
        self.draw = random.Random(SEED)
        print(f"seed {SEED}")

    def sets(self, parallelism, **more):
        return {"parallelism": parallelism, "placement.vertices.out.parallelism": 1,
                "placement.vertices.numbers.parallelism": 2, "state.moves": "true",
                "checkpoints.dir": self.folder / "checkpoints", "checkpoints.interval": "100ms",
                "max_parallelism": GROUP_CNT, **{name.replace("__", "."): value for name, value in more.items()}}

    def params(self, **more):
        return {"output": "out.csv", "rows": ROWS, "rate": RATE, "keys": KEYS, **more}

    def ask(self, *words):
        return subprocess.run([str(self.weir_path), *map(str, words)], text=True, capture_output=True, check=False,
                              timeout=rig.TIMEOUT_S, env=self.env)

    def owners(self, process):
        """By key group; None: the job has come to its end, or does so."""
        result = self.ask("status", process.name, "--json")
        if result.returncode != 0:
            self.assertRegex(result.stderr, "WEIR-180[12]")
            return None
        status = json.loads(result.stdout)
        parts = next(vertex["key_groups"] for vertex in status["vertices"] if vertex["name"] == "count")
        return [owner for first, last, owner in parts for _ in range(first, last + 1)]

    def started(self, sets, flags=(), **params):
        process = self.start_job(JOB, self.params(**params), sets, flags, stdin=subprocess.DEVNULL)
        self.status_when(process, lambda found: found["state"] == "running" and found["records_in"] > 0)
        return process

    def moved(self, process, parallelism):
        """Some key groups, or 16 of them, and who has which then; None: the job has come to its end before."""
        first = self.draw.randrange(GROUP_CNT)
        last = min(first + self.draw.choice([0, 15, 40]), GROUP_CNT - 1)
        to = self.draw.randrange(parallelism)
        before = self.owners(process)
        result = self.ask("move", process.name, "count", f"{first}-{last}", to, "--json")
        if result.returncode != 0:
            self.assertRegex(result.stderr, "WEIR-180[12]|not all key groups have moved|it is not known|is being ended")
            return None
        self.assertEqual(json.loads(result.stdout)["key_groups"], [first, last])
        want = [to if first <= group <= last else owner for group, owner in enumerate(before)]
        after = self.owners(process)
        self.assertIn(after, (want, None))
        return after

    def ended(self, process):
        self.assertEqual(process.wait(rig.TIMEOUT_S), 0, process.stderr.read().decode())

    def assert_counts(self, rows=ROWS, starts=None):
        """Each row of a key once, and in order; starts: by key, those that another output has."""
        seen = collections.Counter(starts)
        with open(self.folder / "out.csv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                self.assertEqual(int(row["cnt"]), seen[row["key"]] + 1, row)
                seen[row["key"]] += 1
        self.assertEqual(sum(seen.values()), rows)
        return seen

    def test_T195_sixteen_of_128_groups_move_under_load(self):
        for parallelism, more in ((2, {}), (3, {"placement__cut": "all", "checkpoints__unaligned": "true"})):
            with self.subTest(parallelism=parallelism):
                process = self.started(self.sets(parallelism, **more))
                result = self.ask("move", process.name, "count", "0-15", 1)
                self.assertEqual(result.stdout, "key groups 0-15 of count are on subtask 1\n", result.stderr)
                self.assertEqual(self.owners(process)[:16], [1] * 16)
                self.assertIn("0-15 on subtask 1", self.ask("status", process.name).stdout)
                while self.moved(process, parallelism) is not None and process.poll() is None:
                    pass
                self.ended(process)
                self.assert_counts()

    def behind_moves(self, process, parallelism, cnt):
        """Killed in a move or behind one that a checkpoint holds, and who has which in the newest one."""
        owners = None
        for _ in range(cnt):
            owners = self.moved(process, parallelism) or owners
        self.assertIsNone(process.poll(), "it came to its end before it was killed")
        return owners

    def again(self, process, sets, rate=SLOW):
        line = self.command(JOB, self.params(rate=rate), sets, ["--restore=latest"])
        line[line.index("--name") + 1] = process.name
        back = subprocess.Popen(line, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        back.name = process.name
        self.addCleanup(back.kill)
        self.addCleanup(back.stderr.close)
        return back

    def test_T195_moves_and_kills(self):
        process = self.started(self.sets(3), rate=SLOW)
        owners = self.behind_moves(process, 3, 2)
        was = 3
        for parallelism, more in ((3, {}), (2, {}), (3, {"state__moves": "false"}), (2, {})):
            process.kill()
            process.wait()
            sets = self.sets(parallelism, **more)
            process = self.again(process, sets)
            self.status_when(process, lambda found: found["state"] == "running")
            if sets["state.moves"] == "true":
                if parallelism == was:
                    self.assertEqual(self.owners(process), owners)
                owners = self.behind_moves(process, parallelism, 1)
            was = parallelism
        process.kill()
        process.wait()
        self.ended(self.again(process, self.sets(2), FAST))
        self.assert_counts()

    def test_T195_killed_while_groups_move(self):
        process = self.started(self.sets(2, checkpoints__unaligned="true"), rate=SLOW)
        for turn in range(4):
            asks = subprocess.Popen([str(self.weir_path), "move", process.name, "count",
                                     f"{self.draw.randrange(60)}-{self.draw.randrange(60, GROUP_CNT)}",
                                     str(self.draw.randrange(2))], env=self.env, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
            time.sleep(self.draw.random() * 0.1)
            process.kill()
            process.wait()
            asks.wait(rig.TIMEOUT_S)
            process = self.again(process, self.sets(2, checkpoints__unaligned="true"), FAST if turn == 3 else SLOW)
            if turn == 3:
                break
            self.status_when(process, lambda found: found["state"] == "running" and found["records_in"] > 0)
        self.ended(process)
        self.assert_counts()

    def test_T195_savepoint_of_moved_groups(self):
        saved = self.folder / "saved"
        process = self.started(self.sets(2), rate=SLOW)
        self.assertIsNotNone(self.moved(process, 2))
        result = self.ask("savepoint", process.name, saved, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        process.kill()
        process.wait()
        self.ended(self.again(process, self.sets(2), FAST))
        self.assert_counts()
        (self.folder / "out.csv").unlink()
        path = json.loads(result.stdout)["path"]
        process = self.started({**self.sets(3), "checkpoints.dir": self.folder / "others"}, [f"--restore={path}"])
        self.assertEqual(self.owners(process), [group * 3 // GROUP_CNT for group in range(GROUP_CNT)])
        self.moved(process, 3)
        self.ended(process)
        with open(self.folder / "out.csv", encoding="utf-8", newline="") as file:
            least = {}
            for row in csv.DictReader(file):
                least.setdefault(row["key"], int(row["cnt"]))
        # What the savepoint holds, and what follows it, is all there is.
        self.assert_counts(starts={key: cnt - 1 for key, cnt in least.items()}, rows=ROWS - self.untold(least))

    def untold(self, told):
        """Rows of keys that have none behind the savepoint."""
        names = collections.Counter()
        for number in range(ROWS):
            key = ((number * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> 32) % KEYS
            names[f"{key}-which-is-too-long-to-lie-inline" if key % 3 == 0 else str(key)] += 1
        return sum(cnt for name, cnt in names.items() if name not in told)

    def test_T195_moves_that_come_early_and_at_once(self):
        """Its tasks begin still: one of two waits for them, and the other is refused meanwhile."""
        gate = self.folder / "gate"
        gate.touch()
        process = self.start_job(JOB, self.params(rows=ROWS // 5, gate=gate), self.sets(2), stdin=subprocess.DEVNULL)
        self.status_when(process, lambda _: True)
        line = [str(self.weir_path), "move", process.name, "count", "0-15", "1"]
        asks = [subprocess.Popen(line, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(2)]
        while all(ask.poll() is None for ask in asks):
            time.sleep(0.002)  # for another process
        waits, refused = asks if asks[1].poll() is not None else reversed(asks)
        self.assertIn("key groups are moving already", refused.communicate(timeout=rig.TIMEOUT_S)[1])
        self.assertIsNone(waits.poll())
        gate.unlink()
        said, error = waits.communicate(timeout=rig.TIMEOUT_S)
        self.assertEqual(said, "key groups 0-15 of count are on subtask 1\n", error)
        self.ended(process)
        self.assert_counts(ROWS // 5)

    def test_examples_of_the_help(self):
        process = self.started(self.sets(2), rows=10 ** 9)
        examples = self.ask("move", "-h").stdout.removeprefix("Examples:\n").split("\n\n")[0].splitlines()
        self.assertEqual(len(examples), 2)
        for line in examples:
            words = line.split("#")[0].replace("bids", process.name).split()
            self.assertEqual(words[0], "weir")
            result = self.ask(*words[1:])
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("0-15 on subtask 1", result.stdout)
        self.assertEqual(self.ask("cancel", process.name, "--wait").returncode, 0)

    def test_T195_what_cannot_move_is_refused(self):
        stays = self.started(self.sets(2, state__moves="false"), rows=10 ** 9)
        process = self.started(self.sets(2, checkpoints__dir=self.folder / "more"), output="more.csv", rows=10 ** 9)
        for name, words, code, why in (
                (process.name, ("none", "0-15", 1), 2, "there is no vertex none; there are numbers, name, count, out"),
                (process.name, ("name", "0-15", 1), 1, "key groups of name cannot move: it keeps no state by key"),
                (process.name, ("count", "0-128", 1), 1, "key groups 0-128 are not among those of the job, 0-127"),
                (process.name, ("count", "9-3", 1), 1, "key groups 9-3 are not among"),
                (process.name, ("count", "0-15", 2), 1, "count has subtasks 0 to 1, not 2"),
                (process.name, ("count", "0-x", 1), 2, "GROUPS is a key group or the first and the last of several"),
                (process.name, ("count", "0-15", "one"), 2, "SUBTASK is a number from 0 on, not 'one'"),
                (stays.name, ("count", "0-15", 1), 1, "start the job with state.moves=true")):
            with self.subTest(words=words):
                result = self.ask("move", name, *words)
                self.assertIn(why, result.stderr)
                self.assertEqual(result.returncode, code, result.stderr)
        self.assertNotIn("key groups of", self.ask("status", stays.name).stdout)
        alone = self.started({**self.sets(1), "checkpoints.dir": self.folder / "alone"}, output="alone.csv",
                             rows=10 ** 9)
        self.assertIn("it has one subtask", self.ask("move", alone.name, "count", 3, 0).stderr)
        for job in (stays, process, alone):
            self.assertEqual(self.ask("cancel", job.name, "--wait").returncode, 0)

    def test_T195_jobs_whose_barriers_cannot_carry_a_move(self):
        kept = "checkpoints.dir"
        for more, why in (({kept: None, "checkpoints.interval": None}, "the job takes no checkpoints, whose barriers"),
                          ({"checkpoints.mode": "at-least-once", "checkpoints.sink": "at-least-once"},
                           "with checkpoints.mode=at-least-once, or"),
                          ({"checkpoints.after_finish": "false", "checkpoints.sink": "at-least-once"},
                           "or checkpoints.after_finish=false")):
            with self.subTest(why=why):
                sets = {**self.sets(2), kept: self.folder / self.fresh_name(), **more}
                process = self.started({name: value for name, value in sets.items() if value is not None},
                                       output=f"{self.fresh_name()}.csv", rows=10 ** 9, rate=1000)
                result = self.ask("move", process.name, "count", "0-15", 1)
                self.assertIn(why, result.stderr)
                self.assertEqual(result.returncode, 1)
                self.assertEqual(self.ask("cancel", process.name, "--wait").returncode, 0)

    def test_T195_operators_that_keep_more_than_tables_are_refused(self):
        sets = {name: value for name, value in self.sets(2).items() if not name.startswith("placement.")}
        process = self.start_job("nexmark", {"query": "q5", "events": "gen:100000000000,seed=1", "output": "q5.csv"},
                                 sets, stdin=subprocess.DEVNULL)
        status = self.status_when(process, lambda found: found["state"] == "running")
        said = [self.ask("move", process.name, vertex["name"], "0-15", 1) for vertex in status["vertices"]]
        self.assertEqual({result.returncode for result in said}, {1})
        self.assertTrue(any("keeps more than what lies in tables" in result.stderr for result in said), said)
        self.assertEqual(self.ask("cancel", process.name, "--wait").returncode, 0)


if __name__ == "__main__":
    rig.main(2)
