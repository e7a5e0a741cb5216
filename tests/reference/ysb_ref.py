#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ysb_ref.py RECORDS ADS.csv --record 32|64|78|128 [--window MS] [--hash]

The Yahoo Streaming Benchmark from its definition: of ad events keep the views, look up the ad's campaign, count
per campaign and tumbling window of event time. RECORDS are binary as apps/ysb/ysb.h draws them; ADS.csv has
lines `ad,campaign` with the ad's id as the decimal number its bytes are. Prints window_start,campaign,count.
"""
import argparse
import collections
import csv
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import row_hash  # noqa: E402

VIEW = 0


def number(data, at, size):
    return int.from_bytes(data[at : at + size], "little")


def record_32(r):
    return struct.unpack_from("<q", r, 0)[0], number(r, 8, 8), number(r, 24, 4) == VIEW


def record_64(r):
    return struct.unpack_from("<q", r, 0)[0], number(r, 40, 16), number(r, 60, 4) == VIEW


def record_78(r):
    return struct.unpack_from("<q", r, 66)[0], number(r, 32, 16), r[57:66].rstrip(b"\0") == b"view"


def record_128(r):
    return struct.unpack_from("<q", r, 0)[0], number(r, 40, 16), number(r, 64, 8) == VIEW


READERS = {32: record_32, 64: record_64, 78: record_78, 128: record_128}


def count(records, ads, record_bytes, window=10000):
    """(window_start, campaign, count) rows, sorted."""
    read = READERS[record_bytes]
    counts = collections.Counter()
    for at in range(0, len(records), record_bytes):
        time, ad, is_view = read(records[at : at + record_bytes])
        if is_view and ad in ads:
            counts[time - time % window, ads[ad]] += 1
    return sorted((start, campaign, n) for (start, campaign), n in counts.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records")
    parser.add_argument("ads")
    parser.add_argument("--record", type=int, choices=sorted(READERS), required=True)
    parser.add_argument("--window", type=int, default=10000)
    parser.add_argument("--hash", action="store_true")
    args = parser.parse_args()
    with open(args.records, "rb") as file:
        records = file.read()
    with open(args.ads, encoding="ascii") as file:
        ads = {int(ad): int(campaign) for ad, campaign in csv.reader(file)}
    rows = count(records, ads, args.record, args.window)
    if args.hash:
        print("%d %016x" % row_hash.table(rows))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("window_start", "campaign", "count"))
    writer.writerows(rows)


if __name__ == "__main__":
    main()
