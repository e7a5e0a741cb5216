#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""jet.py WEIR JOB.so BENCH_PACE --slide MS --cpu N --other N --disk DIR [--rate N] [--warm S] [--seconds S] [--rounds N]

q5 in the configuration of Hazelcast Jet's latency benchmark (bench/graph/jet.c), by `weir run`: without checkpoints, and
with exactly-once checkpoints each second, in turn (A B B A); beside each run what a loop without an engine sees on the
same core, for an eighth of its time before it and as long after it. One JSON line each, `none` and `once`: percentiles of
each run, in the order of the rounds, as lists.
"""
import argparse
import json
import pathlib
import subprocess
import sys


def floor(args):
    """Percentiles of the hiccups of the core."""
    line = [args.pace, "floor", args.rate, max(args.seconds // 8, 1), "spin", "--cpu", args.cpu]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["floor_ns"]


def run(args, number, sets):
    result = args.disk / f"jet-{number}.json"
    report = args.disk / f"report-{number}.json"
    line = [args.weir, "run", args.job, "--name", f"jet-{args.slide}", "--report", report]
    for name, value in (("slide", args.slide), ("rate", args.rate), ("warm", args.warm), ("seconds", args.seconds),
                        ("result", result)):
        line += ["-p", f"{name}={value}"]
    for name, value in {"placement.cores": args.cpu, "placement.housekeeping": args.other, "placement.idle": "spin",
                        "memory.budget": "2GiB", "memory.touch": "true", **sets}.items():
        line += ["--set", f"{name}={value}"]
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the job ended with {done.returncode}: {done.stderr}")
    found = json.loads(result.read_text())
    found["checkpoints"] = len(json.loads(report.read_text())["checkpoints"])
    return found


def add(lines, args, way, number):
    """One more run of this way."""
    sets = {} if way == "none" else {"checkpoints.dir": args.disk / f"checkpoints-{number}", "checkpoints.interval": "1s"}
    before = floor(args)
    found = run(args, number, sets)
    after = floor(args)
    line = lines.setdefault(way, {"name": way, "rate": args.rate, "slide_ms": args.slide, "runs": []})
    found["floor_ns"] = {share: min(before[share], after[share]) for share in before}
    line["runs"].append(found)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("job", type=pathlib.Path)
    parser.add_argument("pace", type=pathlib.Path)
    parser.add_argument("--slide", type=int, default=10)
    parser.add_argument("--cpu", required=True, help="of the job")
    parser.add_argument("--other", required=True, help="of all else")
    parser.add_argument("--disk", type=pathlib.Path, required=True)
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    return parser.parse_args()


def main():
    args = parse_args()
    args.disk = args.disk.resolve() / f"jet-{args.slide}"
    args.disk.mkdir(parents=True)
    lines = {}
    for number, way in enumerate(["none", "once", "once", "none"] * args.rounds):
        add(lines, args, way, number)
        print(f"\r{number + 1} of {4 * args.rounds} runs ", end="", file=sys.stderr, flush=True)
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)
    for line in lines.values():
        print(json.dumps(line))


if __name__ == "__main__":
    main()
