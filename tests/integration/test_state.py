#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_state WEIR JOBS: declared states of a process function, in memory and on disk, by threads and
by the seeded poller, with checkpoints and without: the same rows, those of a plain loop."""
import collections
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest

WEIR = sys.argv[1]
JOB = pathlib.Path(sys.argv[2]) / "declared.so"
SEED = 7


def text_of(words, lines):
    """Words that come again after many others: on disk they have gone out meanwhile."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    return [" ".join(f"word-number-{rng.randrange(words)}" for _ in range(5)) for _ in range(lines)]


def expected(lines):
    cnt = collections.Counter()
    on = collections.defaultdict(list)
    rows = []
    for number, line in enumerate(lines, 1):
        for word in line.split():
            cnt[word] += 1
            on[word].append(number)
            last = "+".join(map(str, on[word][-3:]))
            rows.append(f"{word},{cnt[word]},{len(set(on[word]))},{last}")
    return sorted(rows)


class State(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def run_job(self, lines, *settings):
        source = self.dir / "text"
        output = self.dir / "out.csv"
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [WEIR, "run", str(JOB), "-p", f"input={source}", "-p", f"output={output}"]
        for setting in settings:
            command += ["--set", setting]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = output.read_text(encoding="utf-8").splitlines()
        output.unlink()
        return sorted(rows[1:]), done.stderr

    def test_all_ways_give_the_same_rows(self):
        lines = text_of(3000, 4000)
        want = expected(lines)
        disk = ["state.backend=rocksdb", f"state.dir={self.dir}/state"]
        ways = [[], disk, disk + ["placement.vertices.declared.parallelism=3"], disk + ["poller=seed:3"],
                disk + [f"checkpoints.dir={self.dir}/chk", "checkpoints.interval=5ms"]]
        for way in ways:
            rows, _ = self.run_job(lines, *way)
            self.assertEqual(rows, want, way)

    def test_what_does_not_fit_goes_to_disk(self):
        """The same job in the same memory: without a disk it does not end well."""
        lines = text_of(40000, 40000)
        small = ["memory.budget=40MiB", "buffers.size=4KiB"]
        with self.assertRaisesRegex(AssertionError, "WEIR-1204"):
            self.run_job(lines, *small)
        rows, _ = self.run_job(lines, *small, "state.backend=rocksdb",
                               f"state.dir={self.dir}/state")
        self.assertEqual(rows, expected(lines))

    def test_nothing_is_left_behind(self):
        self.run_job(text_of(100, 100), "state.backend=rocksdb", f"state.dir={self.dir}/state")
        self.assertEqual(list((self.dir / "state" / "declared.state").iterdir()), [])

    def test_a_directory_is_needed(self):
        done = subprocess.run([WEIR, "run", str(JOB), "--set", "state.backend=rocksdb"],
                              check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 78)
        self.assertIn("neither state.dir nor checkpoints.dir is set", done.stderr)

    def test_state_that_stays_in_memory_is_named(self):
        done = subprocess.run(
            [WEIR, "run", "nexmark", "-p", "query=q5", "-p", "events=gen:1000", "-p", "output=-",
             "--set", "state.backend=rocksdb", "--set", f"state.dir={self.dir}/state"],
            check=False, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(re.sub(r"\s+", " ", done.stderr), "state of operator .* in memory got")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
