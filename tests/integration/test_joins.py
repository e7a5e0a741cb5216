#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_joins.py WEIR JOBS: joins and functions of two inputs (tests/jobs/joined.c) against plain loops; also killed."""
import collections
import csv
import itertools
import pathlib
import random
import subprocess
import sys
import time

import rig

import joining_ref  # rig has the way to it

JOBS = pathlib.Path(sys.argv[2]).resolve()
NONE = joining_ref.NONE
ROWS = 4000
WAIT_S = 60


def make_rows(seed):
    """(side, key, value, ms), out of order by less than the watermark's second."""
    rng = random.Random(seed)
    return [(rng.randrange(2), rng.randrange(40), rng.randrange(-20, 100), 3 * n + rng.randrange(900))
            for n in range(ROWS)]


def by_key(rows):
    keys = collections.defaultdict(lambda: ([], []))
    for side, key, value, at in rows:
        keys[key][side].append((value, at))
    return keys


def near(rows, lower, upper):
    for key, (left, right) in by_key(rows).items():
        for (a, at), (b, other) in itertools.product(left, right):
            if at + lower <= other <= at + upper:
                yield key, a, b


def windows(rows, size, slide):
    """The sides of each key and window."""
    cells = collections.defaultdict(lambda: ([], []))
    for side, key, value, at in rows:
        start = at - at % slide
        while start > at - size:
            cells[key, start][side].append(value)
            start -= slide
    return cells


def window_pairs(rows, outer):
    for (key, _), (left, right) in windows(rows, 4000, 2000).items():
        if outer:
            left, right = left or [NONE], right or [NONE]
        yield from ((key, a, b) for a, b in itertools.product(left, right))


def balance(rows):
    for key, (left, right) in by_key(rows).items():
        yield key, sum(v for v, _ in left) - sum(v for v, _ in right), len(left) + len(right)


def judged(rows):
    rules = {}
    for side, key, value, at in rows:
        if side == 1:
            rules[key % 5] = max(rules.get(key % 5, (0, NONE)), (at, value))
    for key, (left, _) in by_key(rows).items():
        if left:
            yield key, sum(v for v, _ in left) * rules[key % 5][1], len(left)


def latest(rows):
    """The last value of each slot of a key: by key."""
    last = {}
    for key, value, at in rows:
        last[key, value % 8] = max(last.get((key, value % 8), (-1, 0)), (at, value))
    table = collections.defaultdict(list)
    for (key, _), (_, value) in last.items():
        table[key].append(value)
    return table


def sides_of(rows):
    """Keys on either side are of some rows only."""
    return [[row[1:] for row in rows if row[0] == side and row[1] % 7 != side] for side in (0, 1)]


def tables(rows, kind):
    """Two tables joined, or one and the rows of the other side."""
    sides = sides_of(rows)
    left, right = latest(sides[0]), latest(sides[1])
    if kind == "live":
        right = collections.defaultdict(list)
        for key, value, _ in sides[1]:
            right[key].append(value)
    for key in set(left) | set(right):
        if kind in ("semi", "anti"):
            yield from ((key, a, NONE) for a in left[key] if (kind == "semi") == bool(right[key]))
            continue
        padded = [NONE] if kind in ("left", "full") and left[key] else []
        ours = left[key] or ([NONE] if kind in ("right", "full") else [])
        theirs = right[key] or padded
        yield from ((key, a, b) for a, b in itertools.product(ours, theirs))


def folded(lines):
    """The table that a log leaves; a row that goes has to be there."""
    table = collections.Counter()
    for op, *row in lines:
        row = tuple(map(int, row))
        assert op in ("+I", "-U", "+U", "-D") and (op[0] == "+" or table[row] > 0), (op, row)
        table[row] += 1 if op[0] == "+" else -1
    return +table


TABLES = ("table", "left", "right", "full", "semi", "anti", "live")
KINDS = {
    **{kind: lambda rows, kind=kind: tables(rows, kind) for kind in TABLES},
    "interval": lambda rows: near(rows, -500, 1000),
    "ttl": lambda rows: near(rows, -1 << 40, 1 << 40),
    "inner": lambda rows: window_pairs(rows, False),
    "outer": lambda rows: window_pairs(rows, True),
    "cogroup": lambda rows: ((key, sum(left), sum(right)) for (key, _), (left, right) in windows(rows, 3000, 3000).items()),
    "connect": balance,
    "rules": judged,
}


class Joins(rig.Rig):
    def setUp(self):
        super().setUp()
        self.rows = make_rows(11)
        self.input = self.write("rows.csv", "".join("%d,%d,%d,%d\n" % row for row in self.rows))

    def params(self, kind, **more):
        return {"input": self.input, "kind": kind, "output": self.folder / f"{kind}.csv", **more}

    def check(self, kind):
        lines = [line.split(",") for line in (self.folder / f"{kind}.csv").read_text().splitlines()[1:]]
        if kind in TABLES:
            self.assertTrue(any(line[0] == "-D" or line[0] == "-U" for line in lines))
            found = folded(lines)
        else:
            found = collections.Counter(tuple(map(int, line)) for line in lines)
        want = collections.Counter(KINDS[kind](self.rows))
        self.assertGreater(len(want), 20)
        self.assertEqual((list((want - found).items())[:3], list((found - want).items())[:3]), ([], []))

    def check_log(self, kind):
        """Each key's log is what some order of its rows tells, row by row; within a side they come as in the file."""
        logs = collections.defaultdict(list)
        for op, key, *row in csv.reader((self.folder / f"{kind}.csv").read_text().splitlines()):
            if op != "op":
                logs[int(key)].append((op, tuple(map(int, row))))
        entries = [collections.defaultdict(list), collections.defaultdict(list)]
        for side, rows in enumerate(sides_of(self.rows)):
            for key, *entry in rows:
                entries[side][key].append(entry)
        for key in range(40):
            sides = [list(joining_ref.latest(entries[side][key])) for side in (0, 1)]
            if kind == "live":
                sides[1] = [("+I", value) for value, _ in entries[1][key]]
            with self.subTest(kind=kind, key=key):
                self.assertEqual(joining_ref.told_so_far(kind, sides, logs[key]), len(logs[key]))

    def test_logs_are_told_row_by_row(self):
        for kind in TABLES:
            self.run_job(JOBS / "joined.so", self.params(kind), {"parallelism": 1, "placement.cut": "all"})
            self.check_log(kind)

    def test_each_kind_on_every_shape(self):
        for kind in KINDS:
            for parallelism, cut, poller in ((2, "all", "threads"), (1, "none", "seed:3")):
                sets = {"parallelism": parallelism, "placement.cut": cut, "poller": poller}
                with self.subTest(kind=kind, **sets):
                    self.run_job(JOBS / "joined.so", self.params(kind), sets)
                    self.check(kind)

    def test_killed_jobs_go_on_with_another_parallelism(self):
        for number, kind in enumerate(KINDS):
            with self.subTest(kind=kind):
                folder = self.folder / f"checkpoints-{kind}"
                sets = {"checkpoints.dir": folder, "checkpoints.interval": "20ms", "parallelism": 1 + number % 2}
                flags = ["--restore=latest"]
                process = self.start_job(JOBS / "joined.so", self.params(kind, rate=ROWS), sets, flags)
                until = time.monotonic() + WAIT_S
                while len(list(folder.glob("*/manifest/M-*"))) == 0 and time.monotonic() < until:
                    time.sleep(0.002)
                process.kill()
                process.wait()
                self.assertFalse((self.folder / f"{kind}.csv").exists())
                sets["parallelism"] = 3 - sets["parallelism"]
                line = self.command(JOBS / "joined.so", self.params(kind), sets, flags)
                line[line.index("--name") + 1] = process.name
                result = subprocess.run(line, cwd=self.folder, env=self.env, capture_output=True, text=True,
                                        timeout=rig.TIMEOUT_S, check=False)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertIn("restored checkpoint", result.stderr)
                self.check(kind)


if __name__ == "__main__":
    rig.main(2)
