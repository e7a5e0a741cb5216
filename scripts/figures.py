#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""figures.py REPORT.json: a run's report as a few lines.
figures.py --same-answer KERNEL.json TABLE.csv: does TABLE hold the rows that a kernel's checksum stands for.
figures.py --checkpoints REPORT.json: what the checkpoints of a run took."""
import csv
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/reference"))
import row_hash  # noqa: E402


def print_report(path):
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    print(f"   {report['records_in']:,} records in, {report['records_out']:,} out, {report['wall_s']:.2f} s,"
          f" {report['rate_per_s'] / 1e6:.2f} M records/s")
    latency = report.get("latency_ns")
    if latency:
        shown = ("p50", "p90", "p99", "p999", "p9999", "max")
        print("   latency: " + ", ".join(f"{k} {latency[k] / 1000:,.0f} us" for k in shown))
    for core in report.get("cores", []):
        parts = ", ".join(f"{k} {core[k]:.0%}" for k in ("busy", "backpressured", "idle") if k in core)
        print(f"   core {core['cpu']}: {parts}")
    for text in report["departures"]:
        print(f"   departure: {text}")


def same_answer(kernel_path, table_path):
    with open(kernel_path, encoding="utf-8") as file:
        kernel = json.load(file)
    with open(table_path, encoding="utf-8", newline="") as file:
        rows = [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]
    checksum = f"{row_hash.table(rows)[1]:016x}"
    good = (len(rows), checksum) == (kernel["rows"], kernel["checksum"])
    print(f"   {len(rows)} rows, checksum {checksum}; the kernel: {kernel['rows']} rows, {kernel['checksum']}"
          f" at {kernel['ns_per_event']:.1f} ns an event: {'PASS' if good else 'FAIL'}")
    return 0 if good else 1


def print_checkpoints(path):
    with open(path, encoding="utf-8") as file:
        records = json.load(file)["checkpoints"]
    if not records:
        sys.exit("no checkpoint was completed")
    stalls = [record["stall_ns"] / 1e3 for record in records]
    durations = [record["duration_ns"] / 1e6 for record in records]
    written = [record["written_bytes"] for record in records]
    rates = [bytes_ / 1e3 / ms for bytes_, ms in zip(written, durations)]  # bytes / us: MB/s
    print(f"   {len(records)} checkpoints: {statistics.median(written) / 1e3:,.0f} kB written"
          f" (state {records[-1]['bytes'] / 1e3:,.0f} kB), durable in {statistics.median(durations):.1f} ms"
          f" at {statistics.median(rates):,.0f} MB/s (medians)")
    print(f"   stall of the core: median {statistics.median(stalls):.0f} us, longest {max(stalls):.0f} us")


if sys.argv[1] == "--checkpoints":
    print_checkpoints(sys.argv[2])
    sys.exit(0)
if sys.argv[1] == "--same-answer":
    sys.exit(same_answer(*sys.argv[2:]))
print_report(sys.argv[1])
