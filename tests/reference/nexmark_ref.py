#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nexmark_ref.py QUERY EVENTS.jsonl[.zst] [--lag MS] [--hash]

The Nexmark queries, each straight from its definition, over JSON lines; all but q12, which counts by the wall
clock. Prints the table as CSV with a header, rows sorted; with --hash its number of rows and checksum instead.

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
import re
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


class Bids(Query):
    """Every bid, with what more is known of it."""

    def event(self, kind, fields, time, watermark):
        if kind == "bid":
            self.bid(fields, time)

    def bid(self, bid, time):
        raise NotImplementedError


def add_up(numbers):
    """Their sum in 64 bits, which wrap, as SQL's bigint does."""
    return (sum(numbers) + (1 << 63)) % (1 << 64) - (1 << 63)


def average(numbers):
    """Their average without its fraction, as SQL divides integers."""
    total = add_up(numbers)
    return abs(total) // len(numbers) * (1 if total >= 0 else -1)


def day_of(time):
    return (EPOCH + time * MS).isoformat()[:10]


def minute_of(time):
    return (EPOCH + time * MS).isoformat()[11:16]


def better(row, other):
    """Whether a bid is higher than another one, or earlier."""
    return (-row[3]["price"], row[4]) < (-other[3]["price"], other[4])


class Won(Query):
    """Auctions and bids, for queries over winning bids: the highest while the auction was open, both ends included,
    the earliest of equal ones."""

    def __init__(self):
        super().__init__()
        self.auctions = []
        self.bids = collections.defaultdict(list)

    def event(self, kind, fields, time, watermark):
        if kind == "auction":
            self.auctions.append((fields, time, millis(fields["expires"])))
        elif kind == "bid":
            self.bids[fields["auction"]].append((fields, time))

    def winners(self, *key):
        """(auction, its time, when it expires, bid, its time): one for each id, or each value of these fields."""
        best = {}
        for auction, opened, expires in self.auctions:
            name = tuple(auction[field] for field in key or ("id",))
            for bid, time in self.bids.get(auction["id"], ()):
                row = (auction, opened, expires, bid, time)
                if opened <= time <= expires and (name not in best or better(row, best[name])):
                    best[name] = row
        return best.values()


class Q4(Won):
    columns = ("id", "final")

    def rows(self):
        prices = collections.defaultdict(list)
        for auction, _, _, bid, _ in self.winners("id", "category"):
            prices[auction["category"]].append(bid["price"])
        return [(category, average(won)) for category, won in prices.items()]


class Q6(Won):
    columns = ("seller", "avg_price")
    EARLIER = 10

    def rows(self):
        sold = collections.defaultdict(list)
        for auction, _, _, bid, time in sorted(self.winners(), key=lambda won: (won[4], won[0]["id"])):
            prices = sold[auction["seller"]]
            prices.append(bid["price"])
            yield auction["seller"], average(prices[-self.EARLIER - 1:])


class Q9(Won):
    columns = ("id", "itemName", "description", "initialBid", "reserve", "dateTime", "expires", "seller", "category",
               "extra", "auction", "bidder", "price", "bid_dateTime", "bid_extra")

    def rows(self):
        for a, opened, expires, b, time in self.winners():
            yield (a["id"], a["itemName"], a["description"], a["initialBid"], a["reserve"], opened, expires, a["seller"],
                   a["category"], a["extra"], b["auction"], b["bidder"], b["price"], time, b["extra"])


class Q10(Bids):
    columns = Q0.columns + ("dt", "hm")

    def bid(self, bid, time):
        self.out.append((bid["auction"], bid["bidder"], bid["price"], time, bid["extra"], day_of(time),
                         minute_of(time)))


class Q11(Query):
    """Sessions, as they merge in time's own order; a bid is late where the session that it would be in is over."""

    columns = ("bidder", "bid_count", "starttime", "endtime")
    PAUSE = 10000

    def __init__(self):
        super().__init__()
        self.live = collections.defaultdict(list)  # bidder -> [start, end, bids]

    def event(self, kind, fields, time, watermark):
        if kind != "bid":
            return
        bidder = fields["bidder"]
        self.close(bidder, watermark)
        start, end, count = time, time + self.PAUSE, 1
        apart = []
        for session in self.live[bidder]:
            if session[0] <= end and start <= session[1]:
                start, end, count = min(start, session[0]), max(end, session[1]), count + session[2]
            else:
                apart.append(session)
        if not is_late(end, watermark):
            self.live[bidder] = apart + [(start, end, count)]

    def close(self, bidder, watermark):
        for start, end, count in self.live[bidder]:
            if is_late(end, watermark):
                self.out.append((bidder, count, start, end))
        self.live[bidder] = [s for s in self.live[bidder] if not is_late(s[1], watermark)]

    def rows(self):
        for bidder, sessions in self.live.items():
            self.out += [(bidder, count, start, end) for start, end, count in sessions]
        self.live.clear()
        return self.out


class Q13(Bids):
    """The side table has the keys 0 to 9999, each with itself as its value."""

    columns = ("auction", "bidder", "price", "dateTime", "value")
    KEYS = 10000

    def bid(self, bid, time):
        if bid["auction"] >= 0 or bid["auction"] % self.KEYS == 0:  # SQL's modulus has the sign of what it divides
            value = str(bid["auction"] % self.KEYS)
            self.out.append((bid["auction"], bid["bidder"], bid["price"], time, value))


class Q14(Bids):
    columns = ("auction", "bidder", "price", "bidTimeType", "dateTime", "extra", "c_counts")

    def bid(self, bid, time):
        price = bid["price"] * 908
        hour = int(minute_of(time)[:2])
        if 1000000 * 1000 < price < 50000000 * 1000:
            kind = "dayTime" if 8 <= hour <= 18 else "nightTime" if hour <= 6 or hour >= 20 else "otherTime"
            self.out.append((bid["auction"], bid["bidder"], Thousandths(price), kind, time, bid["extra"],
                             bid["extra"].count("c")))


def price_class(price):
    return 0 if price < 10000 else 1 if price < 1000000 else 2


class Counts:
    """Bids, their bidders and auctions: in all, and per class of prices."""

    columns = tuple(f"{rank}_{what}" for what in ("bids", "bidders", "auctions")
                    for rank in ("total", "rank1", "rank2", "rank3"))

    def __init__(self):
        self.bids = [0, 0, 0]
        self.bidders = (set(), set(), set())
        self.auctions = (set(), set(), set())
        self.minute = ""

    def add(self, bid, time):
        rank = price_class(bid["price"])
        self.bids[rank] += 1
        self.bidders[rank].add(bid["bidder"])
        self.auctions[rank].add(bid["auction"])
        self.minute = max(self.minute, minute_of(time))

    def cells(self):
        yield from (sum(self.bids), *self.bids)
        for sets in (self.bidders, self.auctions):
            yield from (len(set.union(*sets)), *map(len, sets))


class Q15(Bids):
    columns = ("day",) + Counts.columns

    def __init__(self):
        super().__init__()
        self.counts = collections.defaultdict(Counts)

    def bid(self, bid, time):
        self.counts[day_of(time)].add(bid, time)

    def rows(self):
        return [(day, *counts.cells()) for day, counts in self.counts.items()]


class Q16(Q15):
    columns = ("channel", "day", "minute") + Counts.columns

    def bid(self, bid, time):
        self.counts[bid["channel"], day_of(time)].add(bid, time)

    def rows(self):
        return [(*key, counts.minute, *counts.cells()) for key, counts in self.counts.items()]


class Q17(Bids):
    columns = ("auction", "day", "total_bids", "rank1_bids", "rank2_bids", "rank3_bids", "min_price", "max_price",
               "avg_price", "sum_price")

    def __init__(self):
        super().__init__()
        self.prices = collections.defaultdict(list)

    def bid(self, bid, time):
        self.prices[bid["auction"], day_of(time)].append(bid["price"])

    def rows(self):
        for key, prices in self.prices.items():
            ranks = collections.Counter(map(price_class, prices))
            yield (*key, len(prices), ranks[0], ranks[1], ranks[2], min(prices), max(prices),
                   average(prices), add_up(prices))


class Q18(Bids):
    """Of equal times, the bid that arrives later."""

    columns = ("auction", "bidder", "price", "channel", "url", "dateTime", "extra")

    def __init__(self):
        super().__init__()
        self.latest = {}

    def bid(self, bid, time):
        row = full_bid(bid, time)
        key = row[:2]
        if key not in self.latest or self.latest[key][5] <= time:
            self.latest[key] = row

    def rows(self):
        return list(self.latest.values())


def full_bid(bid, time):
    return bid["auction"], bid["bidder"], bid["price"], bid["channel"], bid["url"], time, bid["extra"]


class Q19(Bids):
    columns = Q18.columns + ("rank_number",)
    RANKS = 10

    def __init__(self):
        super().__init__()
        self.bids = collections.defaultdict(list)

    def bid(self, bid, time):
        self.bids[bid["auction"]].append(full_bid(bid, time))

    def rows(self):
        for bids in self.bids.values():
            # Equal prices as they arrived in a log that is in order: by time. The sort is stable.
            best = sorted(bids, key=lambda row: (-row[2], row[5]))[:self.RANKS]
            yield from ((*row, rank) for rank, row in enumerate(best, 1))


class Q20(Won):
    columns = ("auction", "bidder", "price", "channel", "url", "bid_dateTime", "bid_extra", "itemName", "description",
               "initialBid", "reserve", "auction_dateTime", "expires", "seller", "category", "auction_extra")

    def rows(self):
        for a, opened, expires in self.auctions:
            for bid, time in self.bids.get(a["id"], ()) if a["category"] == 10 else ():
                yield (*full_bid(bid, time), a["itemName"], a["description"], a["initialBid"], a["reserve"], opened,
                       expires, a["seller"], a["category"], a["extra"])


class Q21(Bids):
    columns = ("auction", "bidder", "price", "channel", "channel_id")
    IDS = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}

    def bid(self, bid, time):
        found = re.search("(?:&|^)channel_id=([^&]*)", bid["url"])
        number = self.IDS.get(bid["channel"].lower(), found and found.group(1))
        if number is not None:
            self.out.append((bid["auction"], bid["bidder"], bid["price"], bid["channel"], number))


class Q22(Bids):
    columns = ("auction", "bidder", "price", "channel", "dir1", "dir2", "dir3")

    def bid(self, bid, time):
        parts = (bid["url"].split("/") + [""] * 6)[3:6]
        self.out.append((bid["auction"], bid["bidder"], bid["price"], bid["channel"], *parts))


QUERIES = {query.__name__.lower(): query for query in
           (Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9, Q10, Q11, Q13, Q14, Q15, Q16, Q17, Q18, Q19, Q20, Q21, Q22)}


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
