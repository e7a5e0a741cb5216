#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""move.py WEIR JOB.so --cores A,B --disk DIR [--rate N] [--warm S] [--seconds S] [--every MS] [--rounds N]

Key groups that move under load (tests/jobs/moved.c), by `weir run`: 16 of 128, a count per key of 100,000 keys in two
subtasks, from one to the other and back every 200 ms. In turn (A B C C B A):

  none    no checkpoints
  base    a checkpoint as often as the others move
  moves   each move is the barrier of a checkpoint; there are no others

The first two are asked for their status as often as the third for a move. Latency counts from the time at which a row was
due until it is at the sink, without the first `warm` seconds. One JSON line each: percentiles of each run, in the order of
the rounds, and how long each answer (that of a move: until rows go to the other subtask, and its checkpoint is complete)
and each checkpoint of the run took, in ms.
"""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

GROUPS, GROUP_CNT, KEYS, SUBTASKS = (0, 15), 128, 100_000, 2
NAME = "movebench"
WAYS = ("none", "base", "moves")
# Far more than any run takes: its checkpoints are those of the moves.
NEVER = "1h"


def start(args, number, way):
    report = args.disk / f"report-{number}.json"
    line = [args.weir, "run", args.job, "--name", NAME, "--report", report]
    for name, value in {"rate": args.rate, "rows": args.rate * (args.warm + args.seconds), "warm": args.warm, "keys": KEYS,
                        "output": "discard"}.items():
        line += ["-p", f"{name}={value}"]
    for name, value in {"parallelism": SUBTASKS, "max_parallelism": GROUP_CNT, "state.moves": "true",
                        "placement.cores": args.cores, "memory.budget": "2GiB", "memory.touch": "true",
                        "checkpoints.dir": args.disk / f"checkpoints-{number}",
                        "checkpoints.interval": f"{args.every}ms" if way == "base" else NEVER}.items():
        line += ["--set", f"{name}={value}"]
    return report, subprocess.Popen([str(word) for word in line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def socket_path():
    """Where the job listens: docs/control.md."""
    if os.geteuid() == 0:
        return f"/run/weir/{NAME}.sock"
    xdg = os.environ.get("XDG_RUNTIME_DIR", "")
    return f"{xdg}/weir/{NAME}.sock" if xdg.startswith("/") else f"/tmp/weir-{os.geteuid()}/{NAME}.sock"


def ask(request):
    """(whether it was done, how long that took in ms); without a process of its own, which would take a core's time"""
    began = time.monotonic()
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(socket_path())
            asker.sendall(json.dumps({"version": 1, **request}).encode() + b"\n")
            while part := asker.recv(1 << 16):
                answer += part
    except OSError:
        return False, 0
    return b'"error"' not in answer and answer != b"", 1e3 * (time.monotonic() - began)


def request_of(way, turn):
    move = {"verb": "move", "vertex": "count", "key_groups": GROUPS, "to": 1 - turn % SUBTASKS}
    return move if way == "moves" else {"verb": "status"}


def requests(args, process, way):
    """How long each took behind the warm-up, until the job ends; those before it runs or when it ends are refused."""
    taken, turn, began = [], 0, None
    while process.poll() is None:
        is_done, ms = ask(request_of(way, turn))
        now = time.monotonic()
        began = began or (now if is_done else None)
        if is_done:
            turn += 1
        if is_done and now - began >= args.warm:
            taken.append(round(ms, 3))
        try:
            process.wait(max(args.every - ms, 0) / 1e3)
        except subprocess.TimeoutExpired:
            pass
    return taken


def run(args, number, way):
    report, process = start(args, number, way)
    taken = requests(args, process, way)
    if process.returncode != 0:
        sys.exit(f"the job ended with {process.returncode}: {process.stderr.read()}")
    found = json.loads(report.read_text())
    checkpoints = [round(checkpoint["duration_ns"] / 1e6, 3) for checkpoint in found["checkpoints"]]
    return {"job_ns": found["latency_ns"], "answer_ms": taken, "checkpoint_ms": checkpoints}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("job", type=pathlib.Path)
    parser.add_argument("--cores", required=True)
    parser.add_argument("--disk", type=pathlib.Path, required=True)
    parser.add_argument("--rate", type=int, default=1_000_000)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--every", type=int, default=200, help="ms between the beginnings of two moves")
    parser.add_argument("--rounds", type=int, default=5, help="of two pairs each")
    return parser.parse_args()


def main():
    args = parse_args()
    args.disk = args.disk.resolve() / "move"
    args.disk.mkdir(parents=True)
    runs = {way: [] for way in WAYS}
    for number, way in enumerate([*WAYS, *reversed(WAYS)] * args.rounds):
        runs[way].append(run(args, number, way))
        print(f"\r{number + 1} of {2 * len(WAYS) * args.rounds} runs ", end="", file=sys.stderr, flush=True)
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)
    for way, found in runs.items():
        print(json.dumps({"name": way, "rate": args.rate, "runs": found}))


if __name__ == "__main__":
    main()
