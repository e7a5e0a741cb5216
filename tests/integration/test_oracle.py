#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_oracle.py WEIR MAKE-INPUT: every Nexmark query against Flink's answers (tests/data/nexmark).

Each query that the job knows, on the dense log in order and out of order and on the sparse one, parallelism 1 and
2, fused and cut, pinned threads and a seeded order in turn. With WEIR_FEW, for builds that are slow, each query and log
in one such form, another for the next.
"""
import collections
import decimal
import itertools
import json
import os
import random
import re
import subprocess
import sys

import rig

sys.path.insert(0, str(rig.DATA.parent / "reference"))
import ysb_ref  # noqa: E402

NEXMARK = rig.DATA / "nexmark"
LOGS = {
    "dense": (NEXMARK / "events.jsonl.zst", NEXMARK / "expected"),
    "out-of-order": (NEXMARK / "events-ooo.jsonl.zst", NEXMARK / "expected"),
    "sparse": (NEXMARK / "sparse/events.jsonl.zst", NEXMARK / "sparse/expected"),
}
# What a job takes of an empty host, and less: to clear its pages takes most of a short run.
FEW_PAGES = {"memory.budget": "512MiB", "memory.huge_pages": "off"}
MEMORY = {"dense": {}, "out-of-order": FEW_PAGES, "sparse": FEW_PAGES}
POLLERS = ("threads", "seed:7")
FORMS = tuple(itertools.product((1, 2), ("none", "all")))  # parallelism and cut
MAKE_INPUT = sys.argv[2]


def some(number, choices):
    """All of the choices, or with WEIR_FEW one of them, in turn; it moves on by one more after each round."""
    choices = tuple(choices)
    return choices[(number + number // len(choices)) % len(choices) :][:1] if "WEIR_FEW" in os.environ else choices


def expected_of(folder, query):
    for name in (f"{query}.csv", f"{query}.csv.zst"):
        if (folder / name).exists():
            return folder / name
    return None


class Oracle(rig.Rig):
    def setUp(self):
        super().setUp()
        text = subprocess.run([self.weir_path, "run", "nexmark", "-h"], capture_output=True, check=True,
                              text=True, env=self.env).stdout
        self.queries = re.search(r"^  query=(\S+)", text, re.M).group(1).split("|")

    def answered(self, answers):
        """Queries with an answer: all but q12, which goes by the host's time."""
        return [query for query in self.queries if expected_of(answers, query) is not None]

    def check(self, query, events, expected, sets=()):
        output = self.folder / "out.csv"
        self.run_job("nexmark", {"query": query, "events": events, "output": output}, sets)
        difference = self.rows_differ(expected, output)
        self.assertEqual(difference, "")
        output.unlink()

    def matrix(self, log):
        events, answers = LOGS[log]
        events = rig.unpack(events, self.folder / "events.jsonl")
        runs = 0
        for number, query in enumerate(self.queries):
            expected = expected_of(answers, query)
            if expected is None:
                continue
            for parallelism, cut in some(number + len(log), FORMS):
                # In turn: the next query has the other one, and so has the next log.
                poller = POLLERS[(number + parallelism + (cut == "all") + len(log)) % 2]
                sets = {"parallelism": parallelism, "placement.cut": cut, "poller": poller, **MEMORY[log]}
                with self.subTest(query=query, log=log, **sets):
                    self.check(query, events, expected, sets)
                    runs += 1
        return runs

    def test_dense_log_in_order(self):
        self.assertGreaterEqual(self.matrix("dense"), len(some(0, FORMS)) * 20)

    def test_dense_log_out_of_order(self):
        self.assertGreaterEqual(self.matrix("out-of-order"), len(some(0, FORMS)) * 20)

    def test_sparse_log(self):
        self.assertGreaterEqual(self.matrix("sparse"), len(some(0, FORMS)) * 13)

    def test_forms_of_the_log_give_the_same(self):
        packed, answers = LOGS["dense"]
        plain = rig.unpack(packed, self.folder / "plain.jsonl")
        mapped = self.folder / "mapped.log"
        subprocess.run([MAKE_INPUT, "log", plain, mapped], check=True)
        for number, query in enumerate(self.answered(answers)):
            for form in (packed, plain, mapped):
                for parallelism in some(number + len(form.name), (1, 2)):
                    with self.subTest(query=query, form=form.name, parallelism=parallelism):
                        self.check(query, form, expected_of(answers, query),
                                   {"parallelism": parallelism, "placement.cut": "all", **FEW_PAGES})

    def test_counts_by_the_clock_are_all_bids_of_each_bidder(self):
        for log, (packed, _) in LOGS.items():
            events = rig.unpack(packed, self.folder / "events.jsonl")
            bids = collections.Counter(json.loads(line)["bid"]["bidder"] for line in events.read_text().splitlines()
                                       if '"event_type":2' in line)
            for parallelism, cut, poller in itertools.product((1, 2), ("none", "all"), POLLERS):
                sets = {"parallelism": parallelism, "placement.cut": cut, "poller": poller}
                with self.subTest(log=log, **sets):
                    output = self.folder / "out.csv"
                    # Simulated time passes at once: 20,000 events take 100 s of it, the sparse log's 6,000 30 s.
                    rate = 0 if poller == "threads" else 200
                    self.run_job("nexmark", {"query": "q12", "events": events, "output": output, "rate": rate},
                                 {**sets, **MEMORY[log]})
                    counted, windows = collections.Counter(), set()
                    for line in output.read_text().splitlines()[1:]:
                        bidder, count, start, end = map(int, line.split(","))
                        self.assertEqual((start % 10000, end), (0, start + 10000))
                        self.assertNotIn((bidder, start), windows)
                        windows.add((bidder, start))
                        counted[bidder] += count
                    self.assertEqual(counted, bids)
                    if rate > 0:
                        self.assertGreaterEqual(len({start for _, start in windows}), 9 if log != "sparse" else 3)
                    output.unlink()

    def test_price_that_thousandths_do_not_hold_fails_q1(self):
        greatest = (2**63 - 1) // 908
        bid = ('{"event_type":2,"person":null,"auction":null,"bid":{"auction":%d,"bidder":7,"price":%d,"channel":"c",'
               '"url":"https://u","dateTime":"2024-01-01 00:00:00.040","extra":"e"}}')
        for price, cut in itertools.product((greatest, -greatest, greatest + 1, -greatest - 1, 2**63 - 1, -2**63),
                                            ("none", "all")):
            with self.subTest(price=price, cut=cut):
                prices = [n % 1000 for n in range(3000)]
                prices[1234] = price
                events = self.write("edge.jsonl", "".join(bid % (n, p) + "\n" for n, p in enumerate(prices)))
                holds = abs(price) <= greatest
                result = self.run_job("nexmark", {"query": "q1", "events": events, "output": "edge.csv"},
                                      {"placement.cut": cut}, code=0 if holds else 65)
                if not holds:
                    self.assertIn("WEIR-1401", result.text)
                    self.assertIn(f"a price of {price}:", result.text)
                    continue
                rows = [line.split(",") for line in (self.folder / "edge.csv").read_text().splitlines()[1:]]
                self.assertEqual({int(row[0]): decimal.Decimal(row[2]) for row in rows},
                                 {n: decimal.Decimal(p) * 908 / 1000 for n, p in enumerate(prices)})

    def test_side_table_of_q13_from_a_file(self):
        events, answers = LOGS["dense"]
        output = self.folder / "out.csv"
        params = {"query": "q13", "events": events, "output": output}
        half = self.write("half.csv", "".join((NEXMARK / "side_input.csv").read_text().splitlines(keepends=True)[::2]))
        for name in ("side", "side_input"):
            self.run_job("nexmark", {**params, name: NEXMARK / "side_input.csv"})
            self.assertEqual(self.rows_differ(expected_of(answers, "q13"), output), "")
            rows = output.read_text().count("\n")
            self.run_job("nexmark", {**params, name: half})
            self.assertLess(output.read_text().count("\n"), rows)
        params["side"] = self.write("few.csv", "1000,one\n1000,two\n1001,\"th,ree\"\n")
        self.run_job("nexmark", params)
        found = collections.Counter(line.split(",", 4)[4] for line in output.read_text().splitlines()[1:])
        self.assertEqual(found["one"], found["two"])
        self.assertEqual(set(found), {"one", "two", '"th,ree"'})
        for side, code in ((self.folder / "absent.csv", 66), (self.write("bad.csv", "1,2\nx,3\n"), 65), ("gen:x", 78)):
            result = self.run_job("nexmark", {**params, "side": side}, code=code)
            self.assertIn("parameter side:" if code == 78 else str(side), result.text)

    def test_smallest_batches_buffers_and_rings_give_the_same(self):
        events, answers = LOGS["out-of-order"]
        events = rig.unpack(events, self.folder / "events.jsonl")
        small = {"batch.rows": 64, "buffers.size": "4KiB", "ring.slots": 8, "buffers.per_channel": 1,
                 "buffers.floating": 0, "placement.cut": "all", "parallelism": 2, **FEW_PAGES}
        for number, query in enumerate(self.answered(answers)):
            for poller in some(number, POLLERS):
                with self.subTest(query=query, poller=poller):
                    self.check(query, events, expected_of(answers, query), {**small, "poller": poller})

    def test_ad_events_with_equal_times_at_the_ends_of_windows(self):
        for record in (32, 64, 78, 128):
            spec = f"gen:60000,seed=3,event_rate=3000,record={record}"
            path, ads_path = self.folder / "ads.bin", self.folder / "ads.csv"
            subprocess.run([MAKE_INPUT, "ysb", spec, path, ads_path], check=True)
            ads = dict(map(int, line.split(",")) for line in ads_path.read_text().splitlines())
            rows = ysb_ref.count(path.read_bytes(), ads, record)
            self.assertGreaterEqual(len({start for start, _, _ in rows}), 2)
            for records, parallelism, cut, poller in itertools.product(("", path), (1, 2), ("none", "all"), POLLERS):
                sets = {"parallelism": parallelism, "placement.cut": cut, "poller": poller}
                with self.subTest(record=record, mapped=records != "", **sets):
                    output = self.folder / "out.csv"
                    self.run_job("ysb", {"events": spec, "records": records, "output": output}, {**sets, **FEW_PAGES})
                    found = sorted(tuple(map(int, line.split(","))) for line in
                                   output.read_text().splitlines() if line[0].isdigit())
                    self.assertEqual(found, rows)
                    output.unlink()

    def test_words_of_odd_lines_in_batches_of_any_size(self):
        words = ["w" * n + "." for n in range(140)] + ["to", "be", "\u00e9t\u00e9", "x"]
        generator = random.Random(5)
        text = "".join(generator.choice(words) + generator.choice([" ", "  ", "\t", "\n", "\r\n", " " * 70])
                       for _ in range(6000)) + "the end without a line feed"
        path = self.write("odd.txt", text.encode())
        expected = collections.Counter(text.split())
        for rows, cut in itertools.product((64, 128, 256), ("none", "all")):
            with self.subTest(rows=rows, cut=cut):
                output = self.folder / "out.csv"
                self.run_job("wordcount", {"input": path, "output": output}, {"batch.rows": rows, "placement.cut": cut})
                lines = output.read_text().splitlines()[1:]
                self.assertEqual({word: int(n) for word, n in (line.rsplit(",", 1) for line in lines)}, expected)
                output.unlink()


if __name__ == "__main__":
    rig.main(2)
