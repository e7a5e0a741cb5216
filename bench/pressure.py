#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pressure.py WEIR JOB.so --cores A,B --disk DIR [--sleeps 0,200,1000,10000] [--seconds S]

Checkpoints in front of a slow sink (bench/graph/pressure.c): two sources on one core deal records of 1 KiB to a sink on
the other one, which sleeps for each. Every 100 ms a checkpoint is due, or as soon as the one before is complete:

  aligned     barriers wait behind the rows
  unaligned   they overtake them
  timeout     they overtake rows once a checkpoint has been under way for 100 ms

One JSON line for each kind and sleep, "KIND-SLEEP_US": how long each checkpoint took from its trigger until its manifest
was durable, in ms, and the rows that it holds. The last one is left out: the sources have ended by then.
"""
import argparse
import json
import pathlib
import subprocess
import sys

KINDS = {
    "aligned": {},
    "unaligned": {"checkpoints.unaligned": "true"},
    "timeout": {"checkpoints.unaligned": "true", "checkpoints.alignment_timeout": "100ms"},
}


def run(args, kind, sleep_us, seconds):
    folder = args.disk / f"{kind}-{sleep_us}"
    report = args.disk / "report.json"
    source, sink = args.cores.split(",")[0], args.cores.split(",")[-1]
    sets = {"checkpoints.dir": folder, "checkpoints.interval": "100ms", "placement.cores": args.cores,
            "placement.vertices.letters.cores": source, "placement.vertices.sleeper.cores": sink,
            "memory.budget": "2GiB", **KINDS[kind]}
    line = [args.weir, "run", args.job, "--name", "pressure", "--report", report, "-p", f"seconds={seconds}",
            "-p", f"sleep={sleep_us}us"]
    for name, value in sets.items():
        line += ["--set", f"{name}={value}"]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the job ended with {done.returncode}: {done.stderr}")
    taken = json.loads(report.read_text())["checkpoints"][:-1]
    print(json.dumps({"name": f"{kind}-{sleep_us}", "ms": [round(c["duration_ns"] / 1e6, 3) for c in taken],
                      "rows": [c["rows_in_flight"] for c in taken]}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("job", type=pathlib.Path)
    parser.add_argument("--cores", required=True)
    parser.add_argument("--disk", type=pathlib.Path, required=True)
    parser.add_argument("--sleeps", default="0,200,1000,10000", help="of the sink, in microseconds")
    parser.add_argument("--seconds", type=int, default=10, help="that records come; three times as long for 10 ms")
    args = parser.parse_args()
    args.disk = args.disk.resolve() / "pressure"
    args.disk.mkdir(parents=True)
    for sleep_us in map(int, args.sleeps.split(",")):
        for kind in KINDS:
            run(args, kind, sleep_us, args.seconds * (3 if sleep_us >= 10000 else 1))
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)


if __name__ == "__main__":
    main()
