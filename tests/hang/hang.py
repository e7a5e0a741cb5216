#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hang.py BUILD [--seconds N] [--rate N] [--engine auto|posix]: what a job notices of storage that hangs.

Nexmark q5 at a rate, a window each 20 ms, with a checkpoint each 200 ms: once undisturbed, once with the storage of
checkpoints stopped for N seconds in its middle. For both, from the same run: rows per second by the job's own count, in
the seconds of the hang; latency from the intended time of a row to its arrival at the sink; the longest gap between two
polls of a core; checkpoints. Output of both is compared. Figures are told, not judged; exit code 1 where the output
differs, a checkpoint was complete during the hang, or none was behind it.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import storage

ROOT = pathlib.Path(__file__).resolve().parents[2]
AROUND_S = 10  # before the hang and behind it
SAMPLE_S = 0.25
PERCENTILES = ("p50", "p99", "p999", "p9999", "max")


def status_of(weir, name):
    done = subprocess.run([weir, "status", name, "--json"], capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def rates(samples, begin, end):
    """Least, mean and greatest rate between two samples in a row that lie within [begin, end]."""
    inside = [sample for sample in samples if begin <= sample[0] <= end]
    steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(inside, inside[1:])]
    mean = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    return min(steps), mean, max(steps)


def run(args, folder, hang_s):
    """One run: what its report says, its samples, and when it hung."""
    kept = storage.Storage(args.build / "tests/hang/hang_fs", folder)
    name = f"hang-{os.getpid()}-{folder.name}"
    weir = str(args.build / "apps/weir/weir")
    events = args.rate * (2 * AROUND_S + args.seconds)
    line = [weir, "run", "nexmark", "--name", name, "--report", str(folder / "report.json"), "-p", "query=q5",
            "-p", f"events=gen:{events},seed=1,event_rate={args.rate // 100}", "-p", f"rate={args.rate}",
            "-p", f"output={folder}/out.csv", "--set", f"checkpoints.dir={kept.path}/checkpoints",
            "--set", "checkpoints.interval=200ms", "--set", f"io.engine={args.engine}"]
    samples = []
    hung = None
    went_on = None
    during = {}
    try:
        with (folder / "log").open("w") as log:
            job = subprocess.Popen(line, stderr=log, stdin=subprocess.DEVNULL)
        while job.poll() is None:
            status = status_of(weir, name)
            now = time.monotonic()
            if status is not None and status["records_in"] > 0:
                samples.append((now, status["records_in"]))
                if hang_s and hung is None and now - samples[0][0] >= AROUND_S:
                    kept.hang()
                    hung = now
                elif hung is not None and went_on is None:
                    during.setdefault("first", status["checkpoints"]["completed"])
                    during["last"] = status["checkpoints"]["completed"]
                    if now - hung >= hang_s:
                        kept.go_on()
                        went_on = now
            time.sleep(SAMPLE_S)
    finally:
        kept.close()
    if job.returncode != 0:
        raise SystemExit(f"hang: the job ended with {job.returncode}: {(folder / 'log').read_text()}")
    return json.loads((folder / "report.json").read_text()), samples, hung, went_on, during


def tell(what, told):
    report, samples, hung, went_on, _ = told
    begin = samples[0][0] + AROUND_S
    end = begin + 1 if hung is None else went_on
    if hung is None:
        end = samples[-1][0] - AROUND_S
    least, mean, most = rates(samples, begin, end)
    latency = report["latency_ns"]
    print(f"{what:12} rows/s {mean:9.0f} (least {least:.0f}, most {most:.0f} in {SAMPLE_S} s)   latency "
          + ", ".join(f"{name} {latency[name] / 1e6:.2f} ms" for name in PERCENTILES if name in latency)
          + f"   longest poll gap {report['poll_gap_ns'] / 1e6:.2f} ms   rows out {report['records_out']}"
          + f"   checkpoints {len(report['checkpoints'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=200000)
    parser.add_argument("--engine", choices=("auto", "posix"), default="auto")
    args = parser.parse_args()
    lacks = storage.why_not()
    if lacks:
        print(f"hang: no {lacks} here", file=sys.stderr)
        return 77
    with tempfile.TemporaryDirectory(prefix="weir-hang-") as owner:
        told = {}
        for what, hang_s in (("undisturbed", 0), (f"hung {args.seconds} s", args.seconds)):
            folder = pathlib.Path(owner) / what.split()[0]
            folder.mkdir()
            told[what] = run(args, folder, hang_s)
            tell(what, told[what])
        report, _, _, _, during = told[what]
        outputs = [(pathlib.Path(owner) / what.split()[0] / "out.csv").read_bytes() for what in told]
    wrong = []
    if outputs[0] != outputs[1]:
        wrong.append("the output differs")
    if during["last"] > during["first"] + 1:
        wrong.append(f"{during['last'] - during['first']} checkpoints were complete while storage hung")
    if len(report["checkpoints"]) <= during["last"]:
        wrong.append("no checkpoint was complete behind the hang")
    print(f"hang: {'; '.join(wrong) if wrong else 'the output is the same, and checkpoints went on behind the hang'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
