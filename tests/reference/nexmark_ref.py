#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nexmark_ref.py QUERY EVENTS.jsonl[.zst] [--lag MS] [--hash]

The Nexmark queries q0 q1 q2 q3 q5 q7 q8, each straight from its definition, over JSON lines. Prints the
table as CSV with a header, rows sorted; with --hash its number of rows and checksum instead.

A record is late for a window that ended at or before the watermark before the record: the greatest time of
the records before it, less --lag (default 4000 ms). Late records do not count in that window.
"""
import argparse
import collections
import csv
import datetime
import io
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import row_hash  # noqa: E402

EPOCH = datetime.datetime(1970, 1, 1)
MS = datetime.timedelta(milliseconds=1)
KINDS = ("person", "auction", "bid")
NO_TIME = -(1 << 63)


def millis(text):
    return (datetime.datetime.fromisoformat(text.rstrip("Z")) - EPOCH) // MS


def open_lines(path):
    if path.endswith(".zst"):
        done = subprocess.run(["zstd", "-dc", path], check=True, stdout=subprocess.PIPE)
        return io.BytesIO(done.stdout)
    return open(path, "rb")


def read_events(path):
    """(kind, object, time) of each line."""
    with open_lines(path) as lines:
        for line in lines:
            event = json.loads(line)
            kind = KINDS[event["event_type"]]
            fields = event[kind]
            yield kind, fields, millis(fields["dateTime"])


class Query:
    """Sees every event once, with the watermark before it; then gives its rows."""

    columns = ()

    def __init__(self):
        self.out = []

    def event(self, kind, fields, time, watermark):
        raise NotImplementedError

    def rows(self):
        return self.out


def windows(time, size, slide):
    """Starts of the windows that hold the time."""
    start = time - time % slide
    while start > time - size:
        yield start
        start -= slide


def is_late(end, watermark):
    return end - 1 <= watermark


class Q0(Query):
    columns = ("auction", "bidder", "price", "dateTime", "extra")

    def event(self, kind, fields, time, watermark):
        if kind == "bid":
            self.out.append((fields["auction"], fields["bidder"], fields["price"], time, fields["extra"]))


class Thousandths(int):
    """A decimal with three places, held as its thousandths."""

    def __str__(self):
        whole, rest = divmod(abs(self), 1000)
        return "%s%d.%03d" % ("-" if self < 0 else "", whole, rest)


class Q1(Query):
    columns = Q0.columns

    def event(self, kind, fields, time, watermark):
        if kind == "bid":
            price = Thousandths(fields["price"] * 908)
            self.out.append((fields["auction"], fields["bidder"], price, time, fields["extra"]))


class Q2(Query):
    columns = ("auction", "price")

    def event(self, kind, fields, time, watermark):
        if kind == "bid" and fields["auction"] % 123 == 0:
            self.out.append((fields["auction"], fields["price"]))


class Q3(Query):
    columns = ("name", "city", "state", "id")

    def __init__(self):
        super().__init__()
        self.people = collections.defaultdict(list)
        self.auctions = collections.defaultdict(list)

    def event(self, kind, fields, time, watermark):
        if kind == "person" and fields["state"] in ("OR", "ID", "CA"):
            self.people[fields["id"]].append((fields["name"], fields["city"], fields["state"]))
        elif kind == "auction" and fields["category"] == 10:
            self.auctions[fields["seller"]].append(fields["id"])

    def rows(self):
        for seller, auctions in self.auctions.items():
            for auction in auctions:
                for person in self.people.get(seller, ()):
                    yield person + (auction,)


class Q5(Query):
    columns = ("auction", "num")
    SIZE, SLIDE = 10000, 2000

    def __init__(self):
        super().__init__()
        self.counts = collections.defaultdict(collections.Counter)

    def event(self, kind, fields, time, watermark):
        if kind == "bid":
            for start in windows(time, self.SIZE, self.SLIDE):
                if not is_late(start + self.SIZE, watermark):
                    self.counts[start][fields["auction"]] += 1

    def rows(self):
        for counts in self.counts.values():
            most = max(counts.values())
            for auction, num in counts.items():
                if num == most:
                    yield auction, num


class Q7(Query):
    columns = ("auction", "price", "bidder", "dateTime", "extra")
    SIZE = 10000

    def __init__(self):
        super().__init__()
        self.bids = collections.defaultdict(list)

    def event(self, kind, fields, time, watermark):
        if kind == "bid":
            bid = (fields["auction"], fields["price"], fields["bidder"], time, fields["extra"])
            starts = [time - time % self.SIZE]
            if time % self.SIZE == 0:
                starts.append(time - self.SIZE)  # exactly at the end of the window before
            for start in starts:
                if not is_late(start + self.SIZE, watermark):
                    self.keep(start, bid)

    def keep(self, start, bid):
        """Only what may still be highest is kept: a window's list begins with its highest price so far."""
        bids = self.bids[start]
        is_inside = bid[3] < start + self.SIZE
        if is_inside:
            highest = max((b[1] for b in bids if b[3] < start + self.SIZE), default=None)
            if highest is None or bid[1] > highest:
                bids[:] = [b for b in bids if b[1] >= bid[1]]
            elif bid[1] < highest:
                return
        bids.append(bid)

    def rows(self):
        for start, bids in self.bids.items():
            inside = [b[1] for b in bids if b[3] < start + self.SIZE]
            if inside:  # a window without bids of its own has no highest price
                yield from (b for b in bids if b[1] == max(inside))


class Q8(Query):
    columns = ("id", "name", "stime")
    SIZE = 10000

    def __init__(self):
        super().__init__()
        self.people = set()
        self.sellers = set()

    def event(self, kind, fields, time, watermark):
        start = time - time % self.SIZE
        if is_late(start + self.SIZE, watermark):
            return
        if kind == "person":
            self.people.add((fields["id"], fields["name"], start))
        elif kind == "auction":
            self.sellers.add((fields["seller"], start))

    def rows(self):
        return [p for p in self.people if (p[0], p[2]) in self.sellers]


QUERIES = {"q0": Q0, "q1": Q1, "q2": Q2, "q3": Q3, "q5": Q5, "q7": Q7, "q8": Q8}


def answers(names, path, lag=4000):
    """The queries of these names after one pass over the events."""
    queries = [QUERIES[name]() for name in names]
    latest = None
    for kind, fields, time in read_events(path):
        watermark = NO_TIME if latest is None else latest - lag
        for query in queries:
            query.event(kind, fields, time, watermark)
        latest = time if latest is None else max(latest, time)
    return queries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("query", choices=sorted(QUERIES))
    parser.add_argument("events")
    parser.add_argument("--lag", type=int, default=4000)
    parser.add_argument("--hash", action="store_true")
    args = parser.parse_args()
    query = answers([args.query], args.events, args.lag)[0]
    if args.hash:
        print("%d %016x" % row_hash.table(query.rows()))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(query.columns)
    writer.writerows(sorted([str(cell) for cell in row] for row in query.rows()))


if __name__ == "__main__":
    main()
