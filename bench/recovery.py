#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""recovery.py WEIR JOB.so --disk DIR --keys N --kills N [--rate N] [--interval T] [--cpus LIST]

Kills a running `weir run` with -9, starts it again with --restore=latest, and again, N times. The job is
bench/snapshot/keyed.c: as much state as its keys take, random updates at a fixed rate, a sink that shows rows with the
checkpoint that holds them. One JSON line:

  restore_s       what the engine says that it took to read the checkpoint and put the state in its place
  restored_bytes  of the checkpoint's files
  fio_s           fio's time for a sequential read of as many bytes: blocks of 1 MiB, 8 in flight, past the page cache;
                  before and after each restore, the mean
  first_output_s  from the kill until rows of after it are visible: killed, started, restored, and a checkpoint complete

Files are put out of the page cache before each start.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

LOOK_S = 0.001
HANGS_S = 120
NAME = "recovery"
RESTORED = re.compile(r"restored checkpoint (\d+): (\d+) bytes in ([0-9.]+) s")


class Engine:
    """One start of the job."""

    def __init__(self, args, number, rate):
        self.args = args
        self.log = args.disk / f"log-{number}"
        line = [args.weir, "run", args.job, "--name", NAME, "--restore=latest", "-p", f"keys={args.keys}", "-p",
                "events=1000000000000", "-p", f"rate={rate}", "-p", f"output={args.disk}/out/", "--set",
                f"checkpoints.dir={args.disk}/checkpoints", "--set", f"checkpoints.interval={args.interval}", "--set",
                f"memory.budget={args.budget}"]
        if args.cpus:
            line = ["taskset", "-c", args.cpus] + line
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(word) for word in line], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)

    def check(self, began):
        if self.process.poll() is not None:
            sys.exit(f"the job ended: {self.text()}")
        if time.monotonic() - began > HANGS_S:
            self.process.kill()
            sys.exit(f"nothing happens for {HANGS_S} s: {self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def records(self):
        answer = subprocess.run([str(self.args.weir), "status", NAME, "--json"], capture_output=True, check=False)
        return json.loads(answer.stdout)["records_in"] if answer.returncode == 0 else 0

    def kill(self):
        self.process.kill()
        self.process.wait()


def newest(args):
    """The id of the newest checkpoint; 0: none."""
    folder = args.disk / "checkpoints" / NAME / "manifest"
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    return max((int(name.split("-")[1]) for name in names if name.startswith("M-")), default=0)


def visible(args):
    """Committed parts."""
    try:
        return {name for name in os.listdir(args.disk / "out") if name.startswith("part-")}
    except FileNotFoundError:
        return set()


def forget(args):
    """Put the checkpoint's files out of the page cache."""
    for path in (args.disk / "checkpoints" / NAME / "data").iterdir():
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def fio(args, how):
    """Seconds a byte."""
    line = ["fio", "--name=weir", f"--filename={args.disk}/fio.tmp", f"--rw={how}", "--bs=1m", "--iodepth=8",
            "--ioengine=io_uring", "--fixedbufs", "--registerfiles", "--direct=1", f"--size={args.fio_mib}m",
            "--end_fsync=1", "--output-format=json"]
    if args.cpus:
        line = ["taskset", "-c", args.cpus] + line
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return 1 / json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0][how]["bw_bytes"]


def fill(args):
    """A first engine, until a checkpoint holds every key; then killed."""
    engine = Engine(args, 0, 0)
    began = time.monotonic()
    while engine.records() < args.keys:
        engine.check(began)
        time.sleep(0.05)
    begun = newest(args)
    while newest(args) < begun + 2:  # the next one may have begun before
        engine.check(began)
        time.sleep(LOOK_S)
    engine.kill()


def go_on(args, number):
    """One start behind a kill, and the next kill: (restore_s, bytes, first_output_s)."""
    seen = visible(args)
    killed = time.monotonic()
    engine = Engine(args, number, args.rate)
    while visible(args) <= seen:
        engine.check(killed)
        time.sleep(LOOK_S)
    first = time.monotonic() - killed
    found = RESTORED.search(engine.text())
    if found is None:
        sys.exit(f"it restored nothing: {engine.text()}")
    time.sleep(args.run_s)
    engine.kill()
    return float(found.group(3)), int(found.group(2)), first


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", type=pathlib.Path)
    parser.add_argument("job", type=pathlib.Path)
    parser.add_argument("--disk", type=pathlib.Path, required=True)
    parser.add_argument("--keys", type=int, required=True)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--rate", type=int, default=1000000)
    parser.add_argument("--interval", default="1s")
    parser.add_argument("--budget", default="4GiB")
    parser.add_argument("--run-s", type=float, default=0.5, help="an engine lives so long behind its first output")
    parser.add_argument("--fio-mib", type=int, default=1024)
    parser.add_argument("--cpus")
    return parser.parse_args()


def main():
    args = parse_args()
    args.disk = args.disk.resolve() / f"recovery-{os.getpid()}"
    args.disk.mkdir(parents=True)
    fill(args)
    fio(args, "write")
    line = {"name": "recovery", "keys": args.keys, "rate": args.rate, "interval": args.interval, "restore_s": [],
            "restored_bytes": [], "fio_s": [], "first_output_s": []}
    for number in range(1, args.kills + 1):
        before = fio(args, "read")
        forget(args)
        restore_s, size, first_s = go_on(args, number)
        after = fio(args, "read")
        line["restore_s"].append(restore_s)
        line["restored_bytes"].append(size)
        line["fio_s"].append(round(size * (before + after) / 2, 6))
        line["first_output_s"].append(round(first_s, 4))
        print(f"\r{number} of {args.kills} kills ", end="", file=sys.stderr, flush=True)
    print(json.dumps(line))
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)


if __name__ == "__main__":
    main()
