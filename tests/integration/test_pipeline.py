#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_pipeline.py WEIR: jobs in YAML alone, against the same in plain Python.

Random rows of every type, nulls among them, as CSV and as JSON lines; filter, projection and windows; both
pollers, one and two subtasks, fused and cut. The seed is printed; WEIR_TEST_SEED sets it.
"""
import collections
import csv
import decimal
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

WEIR = pathlib.Path(sys.argv[1]).resolve()
SEED = int(os.environ.get("WEIR_TEST_SEED", "20241"))
ROWS = 3000
START_MS = 1704067200000
TIMEOUT_S = 60
SCHEMA = {"auction": "i64", "part": "i32", "price": "decimal(2)", "share": "f64?", "ok": "bool?",
          "at": "timestamp", "note": "string?"}
VARIANTS = (["--set", "poller=seed:1"], ["--set", "poller=seed:77", "--set", "placement.cut=all"],
            [], ["--set", "placement.cut=all"], ["--set", "parallelism=2"],
            ["--set", "parallelism=2", "--set", "placement.cut=all"])


def random_rows(rng):
    rows = []
    for i in range(ROWS):
        null = rng.random() < 0.2
        rows.append({
            "auction": rng.randint(-5, 20), "part": rng.randint(-(1 << 31), (1 << 31) - 1),
            "price": decimal.Decimal(rng.randint(-10000, 100000)) / 100,
            "share": None if null else rng.choice([0.5, -1e300, 1e-7, 3.25]),
            "ok": rng.choice([None, True, False]), "at": START_MS + i * 7 + rng.randint(0, 900),
            "note": rng.choice([None, "", "x", "twelve bytes", "thirteen bytes", "a, \"b\"", "\u00fc" * 40])})
    return rows


def cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def quoted(value, text):
    """Weir's rule: an empty text that could be a null is ""."""
    if value == "" or any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(",".join(SCHEMA) + "\n")
        for row in rows:
            file.write(",".join(quoted(row[n], cell(row[n])) for n in SCHEMA) + "\n")


def write_json(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, default=float) + "\n")


class Pipeline(unittest.TestCase):
    def setUp(self):
        self.owner = tempfile.TemporaryDirectory(prefix="weir-pipeline-")
        self.addCleanup(self.owner.cleanup)
        self.folder = pathlib.Path(self.owner.name)
        self.rows = random_rows(random.Random(SEED))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}

    def run_job(self, form, ops, flags, code=0, on_error="fail", sink="{path: out.csv}"):
        schema = "".join(f"      {k}: {v}\n" for k, v in SCHEMA.items())
        (self.folder / "p.yaml").write_text(
            f"version: 1\npipeline:\n  source:\n    path: in.{form}\n    format: {form}\n    time: at\n"
            f"    lag: 1s\n    on_error: {on_error}\n    schema:\n{schema}  ops:\n{ops}"
            f"  sink: {sink}\n")
        (self.folder / "out.csv").unlink(missing_ok=True)
        result = subprocess.run([WEIR, "run", "p.yaml", "--name", f"pipeline-{os.getpid()}",
                                 "--report", "r.json", *flags], cwd=self.folder, env=self.env, text=True,
                                capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def table(self):
        with open(self.folder / "out.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        return rows[0], sorted(rows[1:])

    def everywhere(self, ops, header, expected):
        write_csv(self.folder / "in.csv", self.rows)
        write_json(self.folder / "in.json", self.rows)
        expected = sorted([cell(v) for v in row] for row in expected)
        for form in ("csv", "json"):
            for flags in VARIANTS:
                with self.subTest(form=form, flags=flags, seed=SEED):
                    self.run_job(form, ops, flags)
                    self.assertEqual(self.table(), (header, expected))

    def test_filter_and_projection_equal_the_reference(self):
        kept = [r for r in self.rows if r["price"] >= decimal.Decimal("100.5") and r["note"] not in (None, "x")]
        self.everywhere(
            "    - where: price >= 100.5 and note != \"x\"\n"
            "    - select: {note: note, id: auction, price: price, ok: ok, at: at, part: part}\n",
            ["note", "id", "price", "ok", "at", "part"],
            [(r["note"], r["auction"], f"{r['price']:.2f}", r["ok"], r["at"], r["part"]) for r in kept])

    def test_nulls_and_reals_are_tested_as_in_sql(self):
        kept = [r for r in self.rows if r["ok"] is not None and r["share"] is not None and r["share"] < 1]
        self.everywhere("    - where: ok is not null and share < 1\n    - select: [at, share]\n", ["at", "share"],
                        [(r["at"], r["share"]) for r in kept])

    def test_windows_equal_the_reference(self):
        sums = collections.defaultdict(decimal.Decimal)
        for row in self.rows:
            start = row["at"] // 1000 * 1000
            while start > row["at"] - 4000:
                sums[(start, start + 4000, row["auction"])] += row["price"]
                start -= 1000
        self.everywhere("    - window: {key: [auction], size: 4s, slide: 1s, sum: {total: price}}\n",
                        ["window_start", "window_end", "auction", "total"],
                        [(*key, f"{total:.2f}") for key, total in sums.items()])

    def test_null_in_a_key_fails_and_the_other_rows_are_grouped(self):
        counts = collections.Counter((r["at"] // 5000 * 5000, r["note"]) for r in self.rows if r["note"] is not None)
        window = "    - window: {key: [note], size: 5s, count: n}\n"
        self.everywhere("    - where: note is not null\n" + window, ["window_start", "window_end", "note", "n"],
                        [(start, start + 5000, note, n) for (start, note), n in counts.items()])
        for key in ("note", "share_id", "ok, note"):
            schema = {"share_id": "i64?"} if key == "share_id" else {}
            rows = [dict(r, share_id=None if i == 700 else i) for i, r in enumerate(self.rows)]
            with self.subTest(key=key), mock.patch.dict(SCHEMA, schema):
                write_csv(self.folder / "in.csv", rows)
                text = self.run_job("csv", f"    - window: {{key: [{key}], size: 5s, count: n}}\n", [], code=65)
                self.assertRegex(text, f"the key field ({key.replace(', ', '|')}) of a row of input is null")

    def test_windows_without_a_key_count_all(self):
        counts = collections.Counter(row["at"] // 5000 * 5000 for row in self.rows)
        self.everywhere("    - window: {size: 5s, count: n}\n", ["window_start", "window_end", "n"],
                        [(start, start + 5000, n) for start, n in counts.items()])

    def test_sessions_equal_the_reference(self):
        times = collections.defaultdict(list)
        for row in self.rows:
            times[row["auction"]].append(row["at"])
        expected = []
        for auction, at in times.items():
            at.sort()
            first = 0
            for i in range(len(at)):
                if i + 1 == len(at) or at[i + 1] - at[i] > 700:
                    expected.append((at[first], at[i] + 700, auction, i + 1 - first))
                    first = i + 1
        self.assertGreater(len(expected), len(times))
        self.everywhere("    - window: {key: [auction], session: 700ms, count: n}\n",
                        ["window_start", "window_end", "auction", "n"], expected)

    def test_windows_that_grow_equal_the_reference(self):
        counts = collections.Counter()
        for row in self.rows:
            start = row["at"] // 6000 * 6000
            end = row["at"] // 2000 * 2000 + 2000
            while end <= start + 6000:
                counts[(start, end, row["auction"])] += 1
                end += 2000
        self.everywhere("    - window: {key: [auction], size: 6s, step: 2s, count: n}\n",
                        ["window_start", "window_end", "auction", "n"], [(*key, n) for key, n in counts.items()])

    def group_rows(self):
        """By auction and part of the day, kept ones only: the columns of a group in the tests below."""
        kept = collections.defaultdict(list)
        for row in self.rows:
            if row["price"] >= 0:
                kept[row["auction"]].append(row)
        return [(auction, len(rows), len({r["part"] % 2**32 for r in rows}), f"{sum(r['price'] for r in rows):.2f}",
                 min(r["part"] for r in rows), f"{max(r['price'] for r in rows):.2f}", max(r["at"] for r in rows))
                for auction, rows in kept.items()]

    GROUP = ("    - where: price >= 0\n    - group: {key: [auction], count: n, distinct: {parts: part}, sum: {total: price}, "
             "min: {least: part}, max: {most: price, last: at}}\n")
    GROUP_HEADER = ["auction", "n", "parts", "total", "least", "most", "last"]

    def test_groups_equal_the_reference(self):
        self.everywhere(self.GROUP, self.GROUP_HEADER, self.group_rows())

    def ranked(self):
        best = collections.defaultdict(list)
        for row in self.rows:
            best[row["auction"]].append(row)
        for rows in best.values():
            rows.sort(key=lambda r: (-r["price"], r["at"], r["part"]))
        return [(row, place + 1) for rows in best.values() for place, row in enumerate(rows[:3])]

    def test_ranks_equal_the_reference(self):
        rank = "    - rank: {key: [auction], by: {price: desc, at: asc, part: asc}, first: 3, as: place}\n"
        self.everywhere(rank + "    - select: {auction: auction, place: place, price: price, note: note}\n",
                        ["auction", "place", "price", "note"],
                        [(row["auction"], place, f"{row['price']:.2f}", row["note"]) for row, place in self.ranked()])

    def test_a_rank_may_be_grouped_and_a_group_ranked(self):
        rank = "    - rank: {key: [auction], by: {price: desc, at: asc, part: asc}, first: 3}\n"
        sums = collections.defaultdict(decimal.Decimal)
        for row, _ in self.ranked():
            sums[row["auction"]] += row["price"]
        self.everywhere(rank + "    - group: {key: [auction], sum: {total: price}}\n", ["auction", "total"],
                        [(auction, f"{total:.2f}") for auction, total in sums.items()])
        of_count = collections.defaultdict(list)
        counts = sorted(row[1] for row in self.group_rows())
        some = counts[len(counts) // 2]
        for row in self.group_rows():
            if row[1] >= some:
                of_count[row[1]].append(row)
        self.everywhere(self.GROUP + f"    - where: n >= {some}\n" + "    - rank: {key: [n], by: {auction: asc}}\n", self.GROUP_HEADER,
                        [min(rows) for rows in of_count.values()])

    def test_changes_are_written_as_a_log_or_by_key(self):
        write_csv(self.folder / "in.csv", self.rows)
        expected = sorted([cell(v) for v in row] for row in self.group_rows())
        for changes, kinds in (("log", {"+I", "-U", "+U"}), ("upsert", {"+I", "+U"})):
            for flags in VARIANTS:
                with self.subTest(changes=changes, flags=flags):
                    self.run_job("csv", self.GROUP, flags, sink=f"{{path: out.csv, changes: {changes}}}")
                    with open(self.folder / "out.csv", encoding="utf-8", newline="") as file:
                        header, *lines = csv.reader(file)
                    self.assertEqual(header, ["op", *self.GROUP_HEADER])
                    self.assertEqual({line[0] for line in lines}, kinds)
                    table = {line[1]: line[1:] for line in lines if line[0] != "-U"}
                    self.assertEqual(sorted(table.values()), expected)

    def test_bad_line_fails_with_its_place_or_is_skipped(self):
        write_csv(self.folder / "in.csv", self.rows[:10])
        lines = (self.folder / "in.csv").read_text().splitlines()
        lines[5] = "1,2,x,,,2024-01-01 00:00:00,"
        (self.folder / "in.csv").write_text("\n".join(lines) + "\n")
        text = self.run_job("csv", "    - select: [auction]\n", [], code=65)
        self.assertIn("in.csv", text)
        self.assertRegex(text, r"line 6|:6:")
        self.run_job("csv", "    - select: [auction]\n", [], on_error="skip")
        self.assertEqual(len(self.table()[1]), 9)
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["records_bad"], 1)

    def test_input_that_is_missing_ends_in_66(self):
        self.run_job("csv", "    - select: [auction]\n", [], code=66)


if __name__ == "__main__":
    print(f"seed {SEED}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
