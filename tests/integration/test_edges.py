#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_edges.py WEIR: every Nexmark query on small logs that are all edges, against its definition (nexmark_ref).

What the oracle's logs cannot tell (tests/data/nexmark): bids exactly when an auction opens and expires, equal highest
bids, bids exactly at the ends of windows, rows that are late, prices at the bounds of their classes, channels of any
letter case, urls with and without an id, minutes and hours at their ends; persons, auctions and bids that come twice,
numbers and times at their ends, texts of any bytes, logs that are empty, all of one price, or not as the suite writes
them.
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


BIG = (1 << 63) - 1
NUMBERS = (-BIG - 1, -BIG, -123, -1, 0, 1, 123, 10000 * (1 << 40), BIG - 1, BIG)
WIDE_PRICES = (-BIG - 1, -7, 0, 9999, 10000, 999999, 1000000, 55066079, 1 << 61, BIG)
TEXTS = ("", "\x00", "a\x00c", "c,c", "\"c\"", "\"", "\n", "a\r\nb", "\\", "\U0001f4a7c", "\u65e5\u672c/c", "'", "\x7f", "c" * 600)
# Each a stretch of time behind the one before, the last window of time among them.
STRETCHES = ("0001-01-01 00:00:00.000", "1969-12-31 23:59:50.000", "2000-02-29 23:59:58.000", "9999-12-31 23:59:26.000")


def make_strange_log(seed):
    """Events of which some come twice, and which say what no generator does. In order; two bids of one auction may have
    one time and one price: then the first of them wins."""
    rng = random.Random(seed)
    lines = []
    for start in STRETCHES:
        base, open_until = nexmark_ref.millis(start), {}
        for n in range(150):
            time = base + n // 2 * 400
            kind = rng.random()
            if kind < 0.2:
                line = event("person", {
                    "id": rng.choice(NUMBERS), "name": rng.choice(TEXTS[:6]), "emailAddress": rng.choice(TEXTS),
                    "creditCard": rng.choice(TEXTS), "city": rng.choice(TEXTS), "state": rng.choice(("OR", "ID\x00", "CA")),
                    "dateTime": text_of(time), "extra": rng.choice(TEXTS)})
            elif kind < 0.4:
                number = rng.choice(NUMBERS)
                if open_until.get(number, -BIG) >= time:
                    continue  # a bid is of one auction of a name, or of none
                open_until[number] = expires = time + rng.randrange(0, 8) * 400
                line = event("auction", {
                    "id": number, "itemName": rng.choice(TEXTS), "description": rng.choice(TEXTS),
                    "initialBid": rng.choice(NUMBERS), "reserve": rng.choice(NUMBERS), "dateTime": text_of(time),
                    "expires": text_of(expires), "seller": rng.choice(NUMBERS), "category": rng.choice((10, 10, -BIG - 1, BIG)),
                    "extra": rng.choice(TEXTS)})
            else:
                line = event("bid", {
                    "auction": rng.choice(NUMBERS), "bidder": rng.choice(NUMBERS), "price": rng.choice(WIDE_PRICES),
                    "channel": rng.choice(TEXTS + ("Apple",)), "url": rng.choice(TEXTS + URLS), "dateTime": text_of(time),
                    "extra": rng.choice(TEXTS)})
            lines += [line] * (1 if "auction\": {" in line else rng.choice((1, 1, 1, 2)))
    return "".join(lines)


def make_even_log(seed, count=4000, extra=90):
    """Bids of one price, close together: every one is the highest of its window, a thousand in each."""
    rng = random.Random(seed)
    fields = {"auction": 1, "bidder": 2, "price": 3, "channel": "", "url": "", "extra": "e" * extra}
    return "".join(event("bid", {**fields, "bidder": rng.randrange(100), "dateTime": text_of(START + n * 10)})
                   for n in range(count))


def make_odd_lines(text):
    """The same events, as no generator writes them: members in another order, with white space, others among them,
    escapes, empty lines, and no end of the last line."""
    odd = []
    for line in text.splitlines():
        members = json.loads(line)
        kind = nexmark_ref.KINDS[members["event_type"]]
        fields = dict(reversed(members[kind].items()), more=[1, {"a": None}])
        odd.append(json.dumps({"x": {}, kind: fields, "event_type": members["event_type"]}, separators=(" ,\t", " : ")))
        odd[-1] = odd[-1].replace('"dateTime"', '"\\u0064ateTime"')
    return "\n\n".join(odd)


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

    def check(self, events, sets, names=None, same=None):
        """The answers to these events are those that are due to the lines of `same`, by default their own."""
        names = names or [name for name in self.queries if name in nexmark_ref.QUERIES]
        for name, query in zip(names, nexmark_ref.answers(names, str(same or events))):
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
        log = self.folder / "late.log"
        self.run_job("nexmark-log", {"events": events, "output": log})
        for form in (events, log):
            self.check(form, {"parallelism": 1, "placement.cut": "all", "batch.rows": 64}, ("q5", "q7", "q8", "q11"), events)

    def test_twice_at_the_ends_of_numbers_and_times_and_any_texts(self):
        names = [name for name in self.queries if name not in ("q1", "q12")]
        for seed in (4, 5):
            events = self.write("strange.jsonl", make_strange_log(seed))
            log = self.folder / "strange.log"
            self.run_job("nexmark-log", {"events": events, "output": log})
            self.check(events, {"parallelism": 1}, names)
            self.check(log, {"parallelism": 2, "placement.cut": "all"}, names, events)

    def test_every_bid_at_the_highest_price(self):
        events = self.write("even.jsonl", make_even_log(6))
        for parallelism in (1, 2):
            self.check(events, {"parallelism": parallelism}, ["q5", "q7", "q18", "q19"])

    def test_latest_bids_of_two_readers_differ_in_bids_of_one_time_alone(self):
        """Of these q18 has the one that comes last, and rows of two readers come as they come."""
        keys = []
        for parallelism in (1, 2):
            output = self.folder / "out.csv"
            self.run_job("nexmark", {"query": "q18", "events": "gen:200000,seed=1", "output": output},
                         {"parallelism": parallelism})
            with open(output, encoding="utf-8", newline="") as file:
                keys.append(sorted((row["auction"], row["bidder"], row["dateTime"]) for row in csv.DictReader(file)))
            output.unlink()
        self.assertEqual(keys[0], keys[1])
        self.assertGreater(len(keys[0]), 50000)

    def test_more_equal_bids_than_q7_keeps_fail_it(self):
        events = self.write("wide.jsonl", make_even_log(6, 20, 250000))
        result = self.run_job("nexmark", {"query": "q7", "events": events, "output": "out.csv"}, code=1)
        self.assertIn("q7: more than 4194304 bytes of equal bids in one window", result.text)

    def test_no_events(self):
        for parallelism in (1, 2):
            self.check(self.write("none.jsonl", ""), {"parallelism": parallelism})

    def test_lines_that_no_generator_writes(self):
        text = make_log(7, 1000, 3000)
        events = self.write("plain.jsonl", text)
        self.check(self.write("odd.jsonl", make_odd_lines(text)), {"parallelism": 1}, ("q0", "q8", "q9", "q20"), events)


if __name__ == "__main__":
    rig.main()
