#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_pairs.py WEIR JOBS CNT: unaligned checkpoints of one parallelism, gone on from with another: CNT pairs of the 64 of
up to 8 subtasks, those that the day draws. In front of a slow operator, small buffers, a checkpoint every 20 ms, killed
behind some of them, once more after the restart where it has not ended; the output has to be the same to the byte. The
long suite takes all pairs. Also drawn: the cut of both sides, and how many checkpoints a start takes before it is killed.
"""
import datetime
import itertools
import pathlib
import random
import struct
import sys

import rig

JOB = pathlib.Path(sys.argv[2]).resolve() / "slow.so"
PAIRS = [(before, after) for before in range(1, 9) for after in range(1, 9)]
SETS = {"checkpoints.interval": "20ms", "checkpoints.unaligned": "true", "buffers.size": "4KiB",
        "buffers.per_channel": 1, "max_parallelism": 128}
WORD_CNT = 6000
TRY_CNT = 10
FLIGHT, FLIGHT_HEAD_BYTES, FLIGHT_BYTES_OFF = b"WEIRFLGT", 24, 16  # docs/formats.md


class Pairs(rig.Rig):
    def setUp(self):
        super().setUp()
        words = [f"word{n % 997}-{'x' * (n % 23)}" for n in range(WORD_CNT)]
        self.write("input.txt", "".join(" ".join(words[at:at + 10]) + "\n" for at in range(0, WORD_CNT, 10)))
        self.want = sorted(f"{word},{n // 10 + 1},{len(word)}" for n, word in enumerate(words))
        self.kill_cnt = 0
        self.kill_cnt_rows = 0

    def holds_rows(self, name):
        """Whether a file of the job's checkpoint has a section of rows under way, with any in it."""
        for path in (self.folder / "checkpoints" / name).rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            at = data.find(FLIGHT)
            if at >= 0 and struct.unpack_from("<Q", data, at + FLIGHT_BYTES_OFF)[0] > FLIGHT_HEAD_BYTES:
                return True
        return False

    def start_killed(self, line, name, cnt):
        """False: it came to its end."""
        if not self.kill_behind_checkpoints(line, name, cnt):
            return False
        self.kill_cnt += 1
        self.kill_cnt_rows += self.holds_rows(name)
        return True

    def lines_of(self, pair, name, rng):
        """The command of each start."""
        for parallelism in pair:
            sets = {**SETS, "checkpoints.dir": self.folder / "checkpoints", "parallelism": parallelism,
                    "placement.cut": rng.choice(("none", "all"))}
            line = self.command(JOB, {"input": "input.txt", "output": f"{name}.csv"}, sets, ["--restore=latest"])
            line[line.index("--name") + 1] = name
            yield line

    def goes_on(self, pair, rng):
        for cnt in itertools.chain([rng.randint(1, 5)], [1] * TRY_CNT):
            name = self.fresh_name()
            before, after = self.lines_of(pair, name, rng)
            if self.start_killed(before, name, cnt):
                break
        else:
            self.fail("it always came to its end before it could be killed")
        self.start_killed(after, name, rng.randint(2, 10))
        self.ends_restored(after)
        rows = (self.folder / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(rows[0], "text,line,bytes")
        self.assertTrue(sorted(rows[1:]) == self.want, f"{len(rows) - 1} rows of {WORD_CNT}")

    def test_T315_rows_under_way_go_to_any_number_of_subtasks(self):
        seed = datetime.date.today().toordinal()
        print(f"seed {seed}")
        rng = random.Random(seed)
        for pair in rng.sample(PAIRS, int(sys.argv[3])):
            with self.subTest(pair=pair):
                self.goes_on(pair, rng)
        print(f"{sys.argv[3]} pairs, {self.kill_cnt} kills, {self.kill_cnt_rows} of them behind a checkpoint with rows")
        self.assertGreater(self.kill_cnt_rows, 0)


if __name__ == "__main__":
    rig.main(3)
