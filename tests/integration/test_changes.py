#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_changes.py WEIR: answers that are updated while they are made, as logs of changes.

The log of a query, folded line by line, is the oracle's table; so is what an upsert sink has written, by its key. A log
that was committed bit by bit, by a job that was killed on the way, is none the worse.
"""
import collections
import csv

import rig

NEXMARK = rig.DATA / "nexmark"
KEYS = {
    "q4": ("id",),
    "q6": None,  # rows of a seller, of which several may be alike
    "q9": ("id",),
    "q15": ("day",),
    "q16": ("channel", "day"),
    "q17": ("auction", "day"),
    "q18": ("auction", "bidder"),
    "q19": ("auction", "rank_number"),
}
SPREAD = {"parallelism": 2, "placement.cut": "all"}


def expected_of(query):
    path = NEXMARK / "expected" / f"{query}.csv"
    return path if path.exists() else path.with_suffix(".csv.zst")


def fold(lines):
    """The table that is left, as a count of each row; a row that goes has to be there."""
    table = collections.Counter()
    for op, *row in lines:
        row = tuple(row)
        if op in ("+I", "+U"):
            table[row] += 1
            continue
        assert op in ("-U", "-D"), op
        assert table[row] > 0, f"{row} goes, and is not there"
        table[row] -= 1
    return list(table.elements())


def fold_by_key(names, lines, key):
    """The latest row of each key."""
    places = [names.index(name) for name in key]
    table = {}
    for op, *row in lines:
        at = tuple(row[place] for place in places)
        assert op in ("+I", "+U", "-D"), op
        if op == "-D":
            del table[at]
        else:
            table[at] = row
    return list(table.values())


class Changes(rig.Rig):
    def read_log(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            (op, *names), *lines = csv.reader(file)
        self.assertEqual(op, "op")
        return names, lines

    def expect_table(self, query, names, rows):
        path = self.folder / "folded.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(names)
            writer.writerows(rows)
        self.assertEqual(self.rows_differ(expected_of(query), path), "")

    def test_logs_fold_to_the_answers(self):
        events = rig.unpack(NEXMARK / "events-ooo.jsonl.zst", self.folder / "events.jsonl")
        for query, key in KEYS.items():
            params = {"query": query, "events": events, "output": "log.csv"}
            with self.subTest(query=query):
                self.run_job("nexmark", {**params, "changes": "log"}, SPREAD)
                names, lines = self.read_log(self.folder / "log.csv")
                kinds = collections.Counter(line[0] for line in lines)
                self.assertEqual(kinds["-U"], kinds["+U"])
                self.assertGreater(kinds["+U"], 0)
                self.expect_table(query, names, fold(lines))
            with self.subTest(query=query, changes="upsert"):
                if key is not None:
                    self.run_job("nexmark", {**params, "changes": "upsert"}, SPREAD)
                    names, lines = self.read_log(self.folder / "log.csv")
                    self.expect_table(query, names, fold_by_key(names, lines, key))

    def test_logs_of_killed_jobs_fold_to_the_answers(self):
        """A log is committed bit by bit; the job goes on with another number of subtasks."""
        for query, changes in (("q4", "log"), ("q18", "upsert"), ("q19", "log"), ("q16", "fold")):
            with self.subTest(query=query, changes=changes):
                params = {"query": query, "events": NEXMARK / "events.jsonl.zst", "output": f"{query}.csv",
                          "changes": changes}
                sets = {"checkpoints.dir": self.folder / query, "checkpoints.interval": "20ms"}
                process = self.start_job("nexmark", {**params, "rate": 4000}, {**sets, **SPREAD})
                self.status_when(process, lambda status: status["checkpoints"]["completed"] > 4)
                process.kill()
                process.wait()
                self.assertFalse((self.folder / f"{query}.csv").exists())
                self.run_job("nexmark", params, sets, ["--restore=latest", "--name", process.name])
                if changes == "fold":
                    self.assertEqual(self.rows_differ(expected_of(query), self.folder / f"{query}.csv"), "")
                    continue
                names, lines = self.read_log(self.folder / f"{query}.csv")
                folded = fold(lines) if changes == "log" else fold_by_key(names, lines, KEYS[query])
                self.expect_table(query, names, folded)


if __name__ == "__main__":
    rig.main()
