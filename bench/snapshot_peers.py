#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""snapshot_peers.py BENCH redis|rocksdb --disk DIR [--mib N] [--rounds N] [--cores DATA,STORAGE] [--rocks PROGRAM]

Other stores' snapshots of as many bytes, beside ours, in turn. JSON lines: {"name", "ms": [...]}
until all of it is durable.

  redis    BGSAVE of N MiB in values of 1,000 bytes, by a server that nobody asks for anything else, without compression;
           fork_us is how long it stood still. Ours: a snapshot in full of N MiB without updates.
  rocksdb  a checkpoint after 1 M random updates of 64-byte entries, N MiB in all. Ours: an increment after as many.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

VALUE_BYTES = 1000
LOOK_S = 0.01
HANGS_S = 60
UPDATES = 1000000
ENTRY_BYTES = 64


def ours(args, phases, rest):
    line = [args.bench, phases, "--mib", args.mib, "--rounds", 1, "--cores", args.cores, "--dir", args.disk] + rest
    done = subprocess.run([str(word) for word in line], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Redis:
    """A server of our own on a socket of its own."""

    def __init__(self, args):
        self.socket = args.disk / "redis.sock"
        line = ["taskset", "-c", args.cores, "redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "",
                "--appendonly", "no", "--dir", args.disk, "--rdbcompression", "no", "--enable-debug-command", "local"]
        self.process = subprocess.Popen([str(word) for word in line], stdout=subprocess.DEVNULL)
        self.until(self.socket.exists)
        count = args.mib * (1 << 20) // VALUE_BYTES
        self.ask("DEBUG", "POPULATE", str(count), "key", str(VALUE_BYTES))

    def until(self, is_so):
        """Wait, but not for a server that has ended, nor for ever."""
        began = time.monotonic()
        while not is_so():
            if self.process.poll() is not None or time.monotonic() - began > HANGS_S:
                self.process.kill()
                sys.exit(f"redis-server ended, or nothing happens for {HANGS_S} s")
            time.sleep(LOOK_S)

    def ask(self, *words):
        line = ["redis-cli", "-s", str(self.socket), *words]
        return subprocess.run(line, capture_output=True, text=True, check=True, timeout=HANGS_S).stdout

    def info(self):
        pairs = (line.split(":", 1) for line in self.ask("INFO").splitlines() if ":" in line)
        return {key: value.strip() for key, value in pairs}

    def save(self):
        """(milliseconds until it was done, microseconds of the fork)."""
        began = time.monotonic()
        if "started" not in self.ask("BGSAVE"):
            sys.exit("redis-server saves nothing")
        self.until(lambda: self.info()["rdb_bgsave_in_progress"] == "0")
        ms = 1000 * (time.monotonic() - began)
        info = self.info()
        if info["rdb_last_bgsave_status"] != "ok":
            sys.exit("redis-server: BGSAVE failed")
        return ms, int(info["latest_fork_usec"])

    def close(self):
        self.process.terminate()
        self.process.wait()


def redis(args):
    server = Redis(args)
    lines = {"ours": {"name": "ours", "ms": []}, "peer": {"name": "redis", "ms": [], "fork_us": []}}
    for turn in range(args.rounds):
        for who in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            if who == "ours":
                taken = ours(args, "line", ["--snapshots", 1, "--rate", 0])[0]
                lines[who]["ms"].append(taken["durable_ms"][0])
                continue
            ms, fork_us = server.save()
            lines[who]["ms"].append(ms)
            lines[who]["fork_us"].append(fork_us)
    server.close()
    lines["peer"]["bytes"] = os.stat(args.disk / "dump.rdb").st_size
    return lines.values()


def rocksdb(args):
    folder = args.disk / "rocks"
    folder.mkdir()
    line = [args.rocks, folder, args.mib * (1 << 20) // ENTRY_BYTES, UPDATES, args.rounds]
    rest = ["--rate", UPDATES, "--ms", 250 * args.rounds]
    before = ours(args, "more@1000", rest)[0]
    done = subprocess.run(["taskset", "-c", args.cores] + [str(word) for word in line], stdout=subprocess.PIPE, text=True,
                          check=True)
    after = ours(args, "more@1000", rest)[0]
    yield {"name": "ours", "ms": before["increment_ms"] + after["increment_ms"]}
    yield json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=pathlib.Path)
    parser.add_argument("peer", choices=("redis", "rocksdb"))
    parser.add_argument("--disk", type=pathlib.Path, required=True)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--cores", default="1,0")
    parser.add_argument("--rocks", type=pathlib.Path)
    args = parser.parse_args()
    args.disk = args.disk.resolve() / f"peers-{os.getpid()}"
    args.disk.mkdir(parents=True)
    for line in redis(args) if args.peer == "redis" else rocksdb(args):
        print(json.dumps(line))
    subprocess.run(["rm", "-rf", str(args.disk)], check=True)


if __name__ == "__main__":
    main()
