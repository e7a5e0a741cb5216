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
  before_s        of that: until the restore begins
  behind_s        of that: from the end of the restore on

A killed engine is followed by the next one at once, as under a supervisor: fio runs while the one that is to be killed
stands still. With --pause S it is followed S seconds later, as by hand; the time without an engine does not count. Files
are put out of the page cache before each start.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

LOOK_S = 0.001
HANGS_S = 120
NAME = "recovery"
RESTORED = re.compile(r"ts=(\S+)Z .*restored checkpoint (\d+): (\d+) bytes in ([0-9.]+) s")
PART = re.compile(r"part-.*-(\d+)\.\d+-\d+-\d+$")


class Engine:
    """One start of the job."""

    last = None

    def __init__(self, args, number, rate):
        Engine.last = self
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

    def stand_still(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

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
    """The newest epoch that parts with rows are of. What a restore commits is of the epoch that wrote it."""
    try:
        found = [PART.match(name) for name in os.listdir(args.disk / "out")]
    except FileNotFoundError:
        return 0
    return max((int(match.group(1)) for match in found if match), default=0)


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
    """A first engine, until a checkpoint holds every key."""
    engine = Engine(args, 0, 0)
    began = time.monotonic()
    while engine.records() < args.keys:
        engine.check(began)
        time.sleep(0.05)
    begun = newest(args)
    while newest(args) < begun + 2:  # the next one may have begun before
        engine.check(began)
        time.sleep(LOOK_S)
    return engine


def go_on(args, engine, number):
    """Kill an engine that stands still, and start the next: it, and what there is to say of that."""
    forget(args)
    seen = visible(args)
    killed = time.time()
    engine.kill()
    gone = time.time()
    time.sleep(args.pause)
    killed += time.time() - gone
    engine = Engine(args, number, args.rate)
    began = time.monotonic()
    while visible(args) <= seen:
        engine.check(began)
        time.sleep(LOOK_S)
    first = time.time() - killed
    found = RESTORED.search(engine.text())
    if found is None:
        sys.exit(f"it restored nothing: {engine.text()}")
    restore_s = float(found.group(4))
    restored = datetime.datetime.fromisoformat(found.group(1) + "+00:00").timestamp() - killed
    time.sleep(args.run_s)
    engine.stand_still()
    return engine, {"restore_s": restore_s, "restored_bytes": int(found.group(3)), "first_output_s": round(first, 4),
                    "before_s": round(restored - restore_s, 4), "behind_s": round(first - restored, 4)}


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
    parser.add_argument("--pause", type=float, default=0, help="seconds without an engine behind each kill")
    parser.add_argument("--fio-mib", type=int, default=1024)
    parser.add_argument("--cpus")
    return parser.parse_args()


def measure(args):
    engine = fill(args)
    engine.stand_still()
    fio(args, "write")
    line = {"name": "recovery", "keys": args.keys, "rate": args.rate, "interval": args.interval, "pause": args.pause,
            "fio_s": []}
    after = fio(args, "read")
    for number in range(1, args.kills + 1):
        before = after
        engine, found = go_on(args, engine, number)
        after = fio(args, "read")
        for name, value in found.items():
            line.setdefault(name, []).append(value)
        line["fio_s"].append(round(found["restored_bytes"] * (before + after) / 2, 6))
        print(f"\r{number} of {args.kills} kills ", end="", file=sys.stderr, flush=True)
    return line


def main():
    args = parse_args()
    args.disk = args.disk.resolve() / f"recovery-{os.getpid()}"
    args.disk.mkdir(parents=True)
    try:
        line = measure(args)
    finally:
        if Engine.last is not None:
            Engine.last.kill()  # it would stand still for ever
    print(json.dumps(line))
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)


if __name__ == "__main__":
    main()
