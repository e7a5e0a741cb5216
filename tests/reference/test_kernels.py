#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_kernels.py MAKE_INPUT BENCH_KERNELS: the hand-written kernels give the answers of the plain references."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data", "nexmark")
sys.path.insert(0, HERE)
import nexmark_ref  # noqa: E402
import row_hash  # noqa: E402
import wordcount_ref  # noqa: E402
import ysb_ref  # noqa: E402

QUERIES = ["q%d" % n for n in (*range(10), *range(15, 23))]
MAKE_INPUT, BENCH_KERNELS = "make_input", "bench_kernels"


class Kernels(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def make(self, kind, source, name, *more):
        subprocess.run([MAKE_INPUT, kind, source, self.path(name), *more], check=True)
        return self.path(name)

    def kernel(self, name, path, *more):
        done = subprocess.run([BENCH_KERNELS, name, path, *more], check=True, stdout=subprocess.PIPE)
        line = json.loads(done.stdout)
        self.assertEqual(line["name"], "kernel-" + name)
        return line["rows"], int(line["checksum"], 16)

    def check_log(self, log, lines):
        for name, query in zip(QUERIES, nexmark_ref.answers(QUERIES, lines)):
            expected = row_hash.table(query.rows())
            self.assertGreater(expected[0], 0, name)
            self.assertEqual(self.kernel(name, log), expected, name)

    def check_spec(self, spec):
        log = self.make("log", spec, "events.log")
        self.check_log(log, self.make("jsonl", log, "events.jsonl"))

    def test_generated_log_in_order(self):
        self.check_spec("gen:30000,seed=3,event_rate=700")

    def test_generated_log_out_of_order(self):
        self.check_spec("gen:30000,seed=4,event_rate=500,group=1000,base=-7777777,quirk=1")

    def test_generated_log_with_late_events(self):
        """Groups of 30 s and 75 s: far behind the watermark's 4 s, and beyond all panes that are kept."""
        self.check_spec("gen:12000,seed=5,event_rate=100,group=3000")
        self.check_spec("gen:12000,seed=6,event_rate=40,group=3000")

    def test_generated_log_with_gaps_of_many_windows(self):
        self.check_spec("gen:20000,seed=6,event_rate=1")

    def test_bids_on_bounds_and_ties(self):
        """What no other log here has: equal highest prices within a window and exactly at its end."""
        bids = [(5, 7), (9999, 7), (10000, 7), (10000, 6), (10001, 9), (20000, 8), (20000, 9), (13999, 9),
                (14000, 1), (33000, 9), (30000, 9), (29000, 9), (28999, 9), (39999, -1), (40000, -1), (55000, -9)]
        lines = self.path("bounds.jsonl")
        with open(lines, "w", encoding="ascii") as file:
            for number, (time, price) in enumerate(bids):
                bid = {"auction": number % 2 * 123, "bidder": number, "price": price, "channel": "", "url": "",
                       "dateTime": "1970-01-01 00:00:%06.3f" % (time / 1000), "extra": str(number)}
                json.dump({"event_type": 2, "bid": bid}, file)
                file.write("\n")
        log = self.make("log", lines, "bounds.log")
        for name, query in zip(("q5", "q7"), nexmark_ref.answers(("q5", "q7"), lines)):
            self.assertEqual(self.kernel(name, log), row_hash.table(query.rows()), name)

    def test_fixed_logs(self):
        for number, name in enumerate(["events.jsonl.zst", "events-ooo.jsonl.zst", "sparse/events.jsonl.zst"]):
            lines = self.path("fixed%d.jsonl" % number)
            subprocess.run(["zstd", "-dqf", os.path.join(DATA, name), "-o", lines], check=True)
            log = self.make("log", lines, "fixed%d.log" % number)
            self.check_log(log, lines)
            again = self.make("jsonl", log, "again%d.jsonl" % number)
            with open(lines, "rb") as one, open(again, "rb") as other:
                self.assertEqual(one.read(), other.read())

    def test_ad_events_in_each_format(self):
        for record in (32, 64, 78, 128):
            for random in (0, 1):
                spec = "gen:20000,seed=9,event_rate=500,record=%d,random=%d" % (record, random)
                ads_path = self.path("ads.csv")
                path = self.make("ysb", spec, "ads.bin", ads_path)
                with open(path, "rb") as file:
                    records = file.read()
                with open(ads_path, encoding="ascii") as file:
                    ads = dict(map(int, line.split(",")) for line in file)
                expected = row_hash.table(ysb_ref.count(records, ads, record))
                self.assertEqual(self.kernel("ysb", path, spec), expected, spec)

    def test_words(self):
        odd = self.path("odd.txt")
        with open(odd, "wb") as file:
            file.write(b"a  bb\tccc\r\n\n \xc3\xa9t\xc3\xa9 a-word-of-more-than-sixteen-bytes x\x0b\x0cy\n" * 500)
            file.write(b"a-word-of-more-than-sixteen-byteS and no line feed at the end")
        for path in (odd, self.make("words", "gen:3000,seed=2,words=1000", "zipf.txt"),
                     self.make("words", "gen:9000,words=1000000,zipf=0", "uniform.txt")):
            self.assertEqual(self.kernel("words", path), row_hash.table(wordcount_ref.total([path])))
            rows, _ = wordcount_ref.windowed([path], 1000, 1000)
            self.assertEqual(self.kernel("words", path, "1000"), row_hash.table(rows))


if __name__ == "__main__":
    MAKE_INPUT, BENCH_KERNELS = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
