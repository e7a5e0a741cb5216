#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_dealt.py WEIR: Nexmark q10 into directories by day and minute (file_sink_deal.c), also killed and hindered."""
import collections
import csv
import json
import re
import subprocess
import time
import urllib.parse

import rig

EVENTS = rig.DATA / "nexmark/events-ooo.jsonl.zst"
EXPECTED = rig.DATA / "nexmark/expected/q10.csv.zst"
MINUTES = 700  # more than parts that may wait for a checkpoint (file_sink.h)
WAIT_S = 60


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class Dealt(rig.Rig):
    def expected(self):
        path = self.folder / "expected.csv"
        with open(path, "wb") as file:
            subprocess.run(["zstd", "-dcq", str(EXPECTED)], check=True, stdout=file)
        return collections.Counter(map(tuple, rows_of(path)[1:]))

    def found(self, out):
        """All rows below a directory, each in the place that it names."""
        rows = collections.Counter()
        for path in out.rglob("*"):
            self.assertFalse(path.name.startswith("."), path)
            if path.is_dir():
                continue
            place = [urllib.parse.unquote(part).split("=") for part in path.relative_to(out).parts[:-1]]
            self.assertEqual([name for name, _ in place], ["dt", "hm"])
            header, *lines = rows_of(path)
            self.assertEqual(header[-2:], ["dt", "hm"])
            self.assertGreater(len(lines), 0)
            for row in lines:
                self.assertEqual(row[-2:], [value for _, value in place])
                rows[tuple(row)] += 1
        return rows

    def params(self, **more):
        return {"query": "q10", "events": EVENTS, "output": f"{self.folder}/out/", **more}

    def test_rows_are_in_the_directories_that_they_name(self):
        expected = self.expected()
        for number, sets in enumerate(({}, {"parallelism": 2, "placement.cut": "all"},
                                       {"parallelism": 2, "checkpoints.dir": self.folder / "cp",
                                        "checkpoints.interval": "10ms"})):
            with self.subTest(**sets):
                out = self.folder / f"out{number}"
                self.run_job("nexmark", self.params(output=f"{out}/"), sets)
                self.assertEqual(self.found(out), expected)
                self.assertEqual(len(list(out.glob("dt=2024-01-01/hm=00%3A0[0-3]"))), 4)

    def test_more_directories_than_parts_may_wait(self):
        bid = {"auction": 1, "bidder": 2, "price": 3, "channel": "c", "url": "u", "extra": 'a "b", c\n'}
        lines = []
        for minute in range(MINUTES):
            for second in (0, 59):
                text = f"2024-01-0{1 + minute // 1440} {minute // 60 % 24:02}:{minute % 60:02}:{second:02}.000"
                lines.append(json.dumps({"event_type": 2, "person": None, "auction": None,
                                         "bid": {**bid, "dateTime": text}}))
        events = self.write("events.jsonl", "\n".join(lines) + "\n")
        sets = {"checkpoints.dir": self.folder / "cp", "checkpoints.interval": "1h"}
        self.run_job("nexmark", self.params(events=events), sets)
        rows = self.found(self.folder / "out")
        self.assertEqual(sum(rows.values()), 2 * MINUTES)
        self.assertEqual({row[4] for row in rows}, {'a "b", c\n'})
        self.assertEqual(len(list((self.folder / "out").glob("*/*"))), MINUTES)

    def go_on(self, name, sets, code=0, **more):
        line = self.command("nexmark", self.params(**more), sets, ["--restore=latest"])
        line[line.index("--name") + 1] = name
        result = subprocess.run(line, cwd=self.folder, env=self.env, capture_output=True, text=True,
                                timeout=rig.TIMEOUT_S, check=False)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def test_a_killed_job_deals_out_each_row_once(self):
        manifests = self.folder / "cp"
        sets = {"checkpoints.dir": manifests, "checkpoints.interval": "10ms", "parallelism": 2}
        process = self.start_job("nexmark", self.params(rate=20000), sets)
        until = time.monotonic() + WAIT_S
        while len(list(manifests.glob("*/manifest/M-*"))) == 0 and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
        process.wait()
        self.assertEqual([path.name for path in (self.folder / "out").iterdir()], [".parts"])
        self.assertIn("restored checkpoint", self.go_on(process.name, {**sets, "parallelism": 1}))
        self.assertEqual(self.found(self.folder / "out"), self.expected())

    def test_what_is_in_the_way_is_said_and_then_all_is_dealt_out(self):
        blocked = self.folder / "out/dt=2024-01-01/hm=00%3A01"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("in the way")
        sets = {"checkpoints.dir": self.folder / "cp", "checkpoints.interval": "10ms"}
        name = self.fresh_name()
        text = self.go_on(name, sets, code=74)
        self.assertTrue(re.search(r"hm=00%3A01.*\n.*is left as it was|is left as it was", text), text)
        self.assertTrue((self.folder / "out/.parts").is_dir())
        blocked.unlink()
        self.go_on(name, sets)
        self.assertEqual(self.found(self.folder / "out"), self.expected())


if __name__ == "__main__":
    rig.main()
