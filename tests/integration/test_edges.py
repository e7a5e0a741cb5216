#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_edges.py WEIR: every Nexmark query on small logs that are all edges, against its definition (nexmark_ref).

What the oracle's logs cannot tell (tests/data/nexmark): bids exactly when an auction opens and expires, equal highest
bids, bids exactly at the ends of windows, rows that are late, prices at the bounds of their classes, channels of any
letter case, urls with and without an id, minutes and hours at their ends.
"""
import csv
import json
import random
import re
import subprocess
import sys

import rig

sys.path.insert(0, str(rig.DATA.parent / "reference"))
import nexmark_ref  # noqa: E402

START = 1704067200000  # 2024-01-01
PRICES = (1, 7, 7, 9999, 10000, 999999, 1000000, 1101321, 1101322, 55066079, 55066080)
CHANNELS = ("Apple", "APPLE", "google", "Facebook", "baidu", "Baidu2", "", "applE", "channel-1")
URLS = ("https://n.com/a/b/c/item.htm?q=1&channel_id=77", "channel_id=5&x", "https://n.com/a/b?channel_id=6",
        "https://n.com/a/b/c/d&channel_id=&channel_id=8", "https://n.com//", "/", "", "&channel_i=1&channel_id=9&b=1",
        "https://n.com/a/long-part-of-a-path-0123456789/c/d&Channel_id=2")
EXTRAS = ("", "c", "ccc-abc-cab", "a longer text, c by c", "x" * 40, "\u00e7\u010dc", "\xe3c\"q\"")


def text_of(time):
    return (nexmark_ref.EPOCH + time * nexmark_ref.MS).isoformat(" ", "milliseconds")


def event(kind, fields):
    line = {"event_type": nexmark_ref.KINDS.index(kind), "person": None, "auction": None, "bid": None}
    line[kind] = fields
    return json.dumps(line) + "\n"


def person(rng, number, time):
    return event("person", {
        "id": number, "name": f"person {number % 7}", "emailAddress": "@", "creditCard": "0", "city": "a city of a name",
        "state": rng.choice(("OR", "ID", "CA", "WA", "ca")), "dateTime": text_of(time), "extra": rng.choice(EXTRAS)})


def auction(rng, number, time, seller):
    return event("auction", {
        "id": number, "itemName": rng.choice(EXTRAS), "description": rng.choice(EXTRAS), "initialBid": rng.choice(PRICES),
        "reserve": rng.choice(PRICES), "dateTime": text_of(time), "expires": text_of(time + rng.randrange(0, 40) * 1000),
        "seller": seller, "category": rng.randrange(10, 12), "extra": rng.choice(EXTRAS)})


def bid(rng, auctions, time):
    return event("bid", {
        "auction": rng.choice(auctions), "bidder": rng.randrange(1, 6), "price": rng.choice(PRICES),
        "channel": rng.choice(CHANNELS), "url": rng.choice(URLS), "dateTime": text_of(time), "extra": rng.choice(EXTRAS)})


def make_log(seed, step_ms, behind_ms):
    """A few hundred events at multiples of step_ms, no two of them at one time; some up to behind_ms late."""
    rng = random.Random(seed)
    base = START + rng.choice((0, 6, 7, 8, 17, 18, 19, 20, 23)) * 3600000 + rng.choice((0, 3540000))
    times = [base + n * step_ms for n in range(600)]
    order = sorted(times, key=lambda time: time + rng.choice((0, 0, rng.randrange(behind_ms + 1))))
    auctions = [*range(1, 12), 123, 1230, 10005, 20005]
    to_open, number = auctions + list(range(300, 500)), 0
    lines = []
    for time in order:
        kind = rng.random()
        if kind < 0.1:
            number += 1
            lines.append(person(rng, number, time))
        elif kind < 0.25:
            seller = max(1, number - rng.randrange(2))
            lines.append(auction(rng, to_open.pop(rng.randrange(len(auctions))), time, seller))
        else:
            lines.append(bid(rng, auctions, time))
    return "".join(lines)


class Edges(rig.Rig):
    def setUp(self):
        super().setUp()
        text = subprocess.run([self.weir_path, "run", "nexmark", "-h"], capture_output=True, check=True,
                              text=True, env=self.env).stdout
        self.queries = re.search(r"^  query=(\S+)", text, re.M).group(1).split("|")

    def write_answer(self, query):
        path = self.folder / "expected.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(query.columns)
            writer.writerows(query.rows())
        return path

    def check(self, events, sets):
        names = [name for name in self.queries if name in nexmark_ref.QUERIES]
        self.assertGreaterEqual(len(names), 12)
        for name, query in zip(names, nexmark_ref.answers(names, str(events))):
            with self.subTest(query=name, **sets):
                expected = self.write_answer(query)
                output = self.folder / "out.csv"
                self.run_job("nexmark", {"query": name, "events": events, "output": output}, sets)
                self.assertEqual(self.rows_differ(expected, output), "")
                output.unlink()

    def test_ends_of_intervals_and_ties(self):
        for seed, step_ms in ((1, 1000), (2, 2500)):
            events = self.write("edges.jsonl", make_log(seed, step_ms, 3000))
            for sets in ({"parallelism": 1}, {"parallelism": 2, "placement.cut": "all"}):
                self.check(events, sets)

    def test_rows_that_are_late(self):
        events = self.write("late.jsonl", make_log(3, 1000, 30000))
        for name in ("q5", "q7", "q8", "q11"):
            late, never = (list(nexmark_ref.answers([name], str(events), lag)[0].rows()) for lag in (4000, 1 << 40))
            self.assertNotEqual(sorted(late), sorted(never), name)
        self.check(events, {"parallelism": 1})


if __name__ == "__main__":
    rig.main()
