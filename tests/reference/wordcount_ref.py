#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wordcount_ref.py FILE... [--window MS [--slide MS] --time line|field [--lag MS]]

Counts words, which are what stands between white space (blank, tab, line feed, carriage return, vertical
tab, form feed). Without a window: word,count. With one: window_start,window_end,word,count.

--time line: line n of the input, counted from 1, is at n ms. --time field: each line begins with its time in
epoch milliseconds, which is not counted as a word. A line is late for a window whose last millisecond is at or
before the watermark before the line: the greatest time of the lines before it, less --lag.
"""
import argparse
import collections
import csv
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nexmark_ref  # noqa: E402
import row_hash  # noqa: E402


def lines(paths):
    for path in paths:
        with nexmark_ref.open_lines(path) as file:
            yield from file


def total(paths):
    counts = collections.Counter()
    for line in lines(paths):
        counts.update(line.split())
    return sorted(counts.items())


def windowed(paths, size, slide, time_from="line", lag=0):
    """(window_start, window_end, word, count) rows, sorted, and the number of late (line, window) pairs."""
    counts = collections.defaultdict(collections.Counter)
    latest = None
    late = 0
    for number, line in enumerate(lines(paths), 1):
        words = line.split()
        time = number
        if time_from == "field":
            if not words:
                continue
            time = int(words[0])
            words = words[1:]
        watermark = nexmark_ref.NO_TIME if latest is None else latest - lag
        for start in nexmark_ref.windows(time, size, slide):
            if nexmark_ref.is_late(start + size, watermark):
                late += 1
            else:
                counts[start].update(words)
        latest = time if latest is None else max(latest, time)
    rows = [
        (start, start + size, word, count)
        for start, words in counts.items()
        for word, count in words.items()
    ]
    return sorted(rows), late


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+")
    parser.add_argument("--window", type=int)
    parser.add_argument("--slide", type=int)
    parser.add_argument("--time", choices=("line", "field"), default="line")
    parser.add_argument("--lag", type=int, default=0)
    parser.add_argument("--hash", action="store_true")
    args = parser.parse_args()
    columns = ("word", "count")
    if args.window is None:
        rows = total(args.file)
    else:
        rows, _ = windowed(args.file, args.window, args.slide or args.window, args.time, args.lag)
        columns = ("window_start", "window_end") + columns
    if args.hash:
        print("%d %016x" % row_hash.table(rows))
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([c.decode("utf-8", "surrogateescape") if isinstance(c, bytes) else c for c in row])


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="surrogateescape")
    main()
