#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The plain references against the answers of another engine, and against counting by other means."""
import collections
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data", "nexmark")
sys.path.insert(0, HERE)
import compare  # noqa: E402
import nexmark_ref  # noqa: E402
import row_hash  # noqa: E402
import wordcount_ref  # noqa: E402
import ysb_ref  # noqa: E402


def expected_path(folder, query):
    path = os.path.join(DATA, folder, "expected", query + ".csv")
    return path if os.path.exists(path) else path + ".zst"


class Nexmark(unittest.TestCase):
    def check(self, folder, events):
        names = [name for name in nexmark_ref.QUERIES if os.path.exists(expected_path(folder, name))]
        self.assertGreaterEqual(len(names), 14)
        for name, query in zip(names, nexmark_ref.answers(names, os.path.join(DATA, folder, events))):
            table = compare.read(expected_path(folder, name))
            rows = [tuple(str(cell) for cell in row) for row in query.rows()]
            # q7's header in the expected files names two columns the other way round: by position.
            missing, extra = compare.differences(table[0], [tuple(r) for r in table[1:]], rows)
            self.assertEqual((missing[:3], extra[:3]), ([], []), name)

    def test_dense_log_in_order(self):
        self.check("", "events.jsonl.zst")

    def test_dense_log_out_of_order(self):
        self.check("", "events-ooo.jsonl.zst")

    def test_sparse_log(self):
        self.check("sparse", "events.jsonl.zst")

    def bid(self, query, time, price, watermark=nexmark_ref.NO_TIME):
        fields = {"auction": 1, "bidder": 2, "price": price, "extra": ""}
        query.event("bid", fields, time, watermark)

    def test_q7_takes_a_bid_at_the_end_of_a_window(self):
        query = nexmark_ref.Q7()
        for time, price in ((5, 7), (10000, 7), (10001, 9), (20000, 8)):
            self.bid(query, time, price)
        self.assertEqual(sorted((r[3], r[1]) for r in query.rows()), [(5, 7), (10000, 7), (10001, 9), (20000, 8)])

    def test_an_auction_is_open_at_both_its_ends_and_the_earliest_of_equal_bids_wins(self):
        for query in (nexmark_ref.Q9(), nexmark_ref.Q4()):
            auction = {"id": 1, "itemName": "", "description": "", "initialBid": 1, "reserve": 1, "seller": 3,
                       "category": 10, "extra": "", "expires": "1970-01-01 00:00:02.000"}
            for number, (time, price) in enumerate(((999, 9), (1000, 5), (2000, 6), (1500, 6), (2001, 9))):
                query.event("bid", {"auction": 1, "bidder": number, "price": price, "extra": ""}, time, 0)
            query.event("auction", auction, 1000, 0)
            self.assertEqual([row[-4:] if len(row) > 2 else row for row in query.rows()],
                             [(3, 6, 1500, "")] if isinstance(query, nexmark_ref.Q9) else [(10, 6)])

    def test_a_session_ends_with_a_pause_of_more_than_ten_seconds(self):
        query = nexmark_ref.Q11()
        for time, watermark in ((0, -9), (10000, -9), (20001, -9), (100, -9), (45000, 41000), (10000, 41000)):
            query.event("bid", {"bidder": 7}, time, watermark)
        self.assertEqual(sorted(query.rows()), [(7, 1, 20001, 30001), (7, 1, 45000, 55000), (7, 3, 0, 20000)])

    def test_late_bids_count_only_in_windows_still_open(self):
        query = nexmark_ref.Q5()
        self.bid(query, 9999, 1, watermark=9999)
        self.assertEqual(sorted(query.counts), [2000, 4000, 6000, 8000])

    def test_prices_of_any_size_are_exact(self):
        self.assertEqual(str(nexmark_ref.Thousandths(-(1 << 63) * 908)), "-8374821809464136433.664")
        self.assertEqual(str(nexmark_ref.Thousandths(-1)), "-0.001")


class Words(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(suffix=".txt")
        lines = ["a b  a\tc", "", " b\x0bb ", "a"] * 700
        self.file.write("\n".join(lines).encode())
        self.file.flush()

    def tearDown(self):
        self.file.close()

    def test_total_is_that_of_sort_and_uniq(self):
        shell = "tr -s ' \\t\\v\\f\\r' '\\n' <%s | grep . | LC_ALL=C sort | uniq -c" % self.file.name
        lines = subprocess.run(shell, shell=True, check=True, stdout=subprocess.PIPE).stdout.split(b"\n")
        counted = [(line.split()[1], int(line.split()[0])) for line in lines if line]
        self.assertEqual(wordcount_ref.total([self.file.name]), counted)

    def test_tumbling_windows_partition_the_total(self):
        rows, late = wordcount_ref.windowed([self.file.name], 1000, 1000)
        counts = collections.Counter()
        for start, end, word, count in rows:
            self.assertEqual((start % 1000, end - start), (0, 1000))
            counts[word] += count
        self.assertEqual(sorted(counts.items()), wordcount_ref.total([self.file.name]))
        self.assertEqual(late, 0)
        self.assertEqual({r[0] for r in rows}, {0, 1000, 2000})

    def test_sliding_windows_hold_each_word_size_by_slide_times(self):
        rows, _ = wordcount_ref.windowed([self.file.name], 1000, 100)
        total = sum(count for _, count in wordcount_ref.total([self.file.name]))
        self.assertEqual(sum(r[3] for r in rows), 10 * total)

    def test_late_lines_are_left_out_window_by_window(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"100 a\n2500 b\n1500 c\n900 d\n2400 e\n")
            file.flush()
            rows, late = wordcount_ref.windowed([file.name], 1000, 1000, "field", 500)
        # Before line 3 the watermark is 2000: [1000, 2000) is over, [2000, 3000) is not.
        self.assertEqual([(r[0], r[2]) for r in rows], [(0, b"a"), (2000, b"b"), (2000, b"e")])
        self.assertEqual(late, 2)


class RowHash(unittest.TestCase):
    def test_values_are_those_of_the_header(self):
        """Fixed points, also checked by tests/unit/test_row_hash.c."""
        rows = [(1, -1, "", "a", "abcd"), (0, 1 << 62, "abcdefgh", "0123456789abcdef", "0123456789abcdefg"), (None,)]
        self.assertEqual("%016x" % row_hash.table(rows)[1], "401faed7b881ee87")

    def test_order_of_rows_does_not_matter_and_order_of_fields_does(self):
        self.assertEqual(row_hash.table([(1, 2), (3, 4)]), row_hash.table([(3, 4), (1, 2)]))
        self.assertNotEqual(row_hash.table([(1, 2)]), row_hash.table([(2, 1)]))


class Ysb(unittest.TestCase):
    def test_a_handful_of_records_is_counted_by_hand(self):
        def record(time, ad, event_type):
            return time.to_bytes(8, "little") + ad.to_bytes(8, "little") + bytes(8) + event_type.to_bytes(8, "little")

        records = record(0, 5, 0) + record(9999, 6, 0) + record(10000, 5, 0) + record(1, 5, 1) + record(2, 7, 0)
        rows = ysb_ref.count(records, {5: 1, 6: 1}, 32)
        self.assertEqual(rows, [(0, 1, 2), (10000, 1, 1)])


if __name__ == "__main__":
    unittest.main()
