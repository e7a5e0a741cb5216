#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_checkpoint_run.py WEIR: jobs that take checkpoints while they run, to their end."""
import itertools
import json
import subprocess

import rig

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

    def assert_clean(self, query, report, least):
        """The answer is that of the oracle, checkpoints were taken, and what is left of them is whole."""
        self.assertEqual(self.rows_differ(expected_of(query), self.folder / "out.csv"), "")
        self.assertFalse((self.folder / "out.csv.parts").exists())
        taken = report["checkpoints"]
        self.assertGreaterEqual(len(taken), least)
        ids = [row["id"] for row in taken]
        self.assertEqual(ids, sorted(set(ids)))
        kept, = self.checkpoint("verify")
        self.assertTrue(kept["good"])
        self.assertEqual(kept["checkpoint"], ids[-1])
        named = {row["name"] for row in json.loads(subprocess.run(
            [self.weir_path, "checkpoint", "show", self.dir, "--json"], check=True, capture_output=True,
            text=True).stdout)["file"]}
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


if __name__ == "__main__":
    rig.main(1)
