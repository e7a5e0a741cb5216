#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_state.py WEIR JOBS: declared states of a process function, in memory and on disk, by threads and by the seeded
poller, with checkpoints and without, killed and started again: the same rows, those of a plain loop."""
import pathlib
import re
import subprocess
import sys

import rig
import declared_ref  # rig knows the way to it

JOB = pathlib.Path(sys.argv[2]).resolve() / "declared.so"
SEED = 7


def text_of(words, lines):
    print(f"seed {SEED}")
    return declared_ref.text_of(words, lines, SEED)


class State(rig.Rig):
    def setUp(self):
        super().setUp()
        self.disk = {"state.backend": "rocksdb", "state.dir": self.folder / "state"}

    def params(self, lines):
        return {"input": self.write("text", "\n".join(lines) + "\n"), "output": "out.csv"}

    def rows(self):
        output = self.folder / "out.csv"
        rows = output.read_text(encoding="utf-8").splitlines()
        output.unlink()
        return sorted(rows[1:])

    def test_all_ways_give_the_same_rows(self):
        lines = text_of(3000, 4000)
        want = sorted(declared_ref.expected(lines))
        checkpoints = {"checkpoints.dir": self.folder / "checkpoints", "checkpoints.interval": "5ms"}
        for sets in ({}, self.disk, {**self.disk, "placement.vertices.declared.parallelism": 3},
                     {**self.disk, "poller": "seed:3"}, {**self.disk, **checkpoints},
                     {**checkpoints, "state.backend": "rocksdb", "poller": "seed:3"}):
            with self.subTest(**sets):
                self.run_job(JOB, self.params(lines), sets)
                self.assertEqual(self.rows(), want)

    def test_what_does_not_fit_goes_to_disk(self):
        """The same job in the same memory: without a disk it does not end well."""
        lines = text_of(40000, 40000)
        small = {"memory.budget": "40MiB", "buffers.size": "4KiB"}
        result = self.run_job(JOB, self.params(lines), small, code=1)
        self.assertIn("WEIR-1204", result.text)
        self.run_job(JOB, self.params(lines), {**small, **self.disk})
        self.assertEqual(self.rows(), sorted(declared_ref.expected(lines)))

    def test_a_killed_job_goes_on_from_both(self):
        lines = text_of(20000, 60000)
        want = sorted(declared_ref.expected(lines))
        name = self.fresh_name()
        params = self.params(lines)
        sets = {**self.disk, "checkpoints.dir": self.folder / "checkpoints", "checkpoints.interval": "20ms",
                "memory.budget": "64MiB", "buffers.size": "4KiB"}
        for parallelism in (1, 2, 1, 3):
            sets["placement.vertices.declared.parallelism"] = parallelism
            line = self.command(JOB, params, sets, ["--restore=latest"])
            line[line.index("--name") + 1] = name
            self.kill_behind_checkpoints(line, name, 2)
        self.assertTrue(list((self.folder / "state").rglob("*.sst")))
        self.ends_restored(line)
        self.assertEqual(list((self.folder / "state").rglob("*.run")), [])
        self.assertEqual(self.rows(), want)

    def test_nothing_is_left_behind(self):
        self.run_job(JOB, self.params(text_of(100, 100)), self.disk)
        left = [path for path in (self.folder / "state").rglob("*") if not path.name.endswith(".state")]
        self.assertEqual(left, [])

    def test_a_directory_is_needed(self):
        result = self.run_job(JOB, self.params(["a"]), {"state.backend": "rocksdb"}, code=78)
        self.assertIn("neither state.dir nor checkpoints.dir is set", result.text)

    def test_state_that_stays_in_memory_is_named(self):
        result = self.run_job("nexmark", {"query": "q5", "events": "gen:1000", "output": "-"}, self.disk)
        self.assertRegex(re.sub(r"\s+", " ", result.text), "state of operator .* in memory got")


if __name__ == "__main__":
    rig.main(2)
