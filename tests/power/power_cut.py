#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""power_cut BUILD [--cuts N] [--fs ext4|xfs] ...: cut the power of a real file system, often, and look.

A job (power_life write) takes checkpoints and commits output on fresh file systems whose disk is a recorder:
every write and flush is known in order, and for every promise that the job made how much had been recorded
by then. Now and then a write of the job's own bytes fails, once: the kernel then takes the page for clean,
the first fsync says so, a second one would not. A cut is a position in that stream, and a disk that holds
all before the last flush and, of what was written behind it, anything: all, nothing, some writes without
those before them, some sectors of a write. It is mounted (the journal is replayed), and power_life check
looks:

  - what is visible of the output belongs to checkpoints that were acknowledged, each row once;
  - an output that was said to be whole is whole;
  - every manifest that has its name is whole, and so is every file that it names;
  - a start finds a checkpoint no older than the last one acknowledged, with the state that was written;
  - the job, run on from there to its end, leaves each row once.

After some cuts all that is recorded in turn, and cut, too: a power cut while a power cut is recovered from.

Each recording is another (its order follows from the disk and the machine); the cuts of a recording follow
from the seed. What failed is kept in build/power-cut, with the command that does it again.

What it cannot see: on ext4 and xfs an fsync makes all changes of names durable that came before it in its
file system. So nothing is lost where the fsync of a directory is left out that another fsync follows before
the promise: of the directory of snapshot files (the manifest's comes), of the sink's hidden directory (its
parts' own come before). The simulated disk of test_store_power knows no such grace, and sees the first.
"""
import argparse
import bisect
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRITE, FLUSH = 1, 2
EVENT = struct.Struct("<QII")
ENGINES = ("io_uring", "posix")
# Small, for a disk is copied for every cut; xfs is not made smaller than this.
System = collections.namedtuple("System", "size tear mkfs options")
# Writes are torn by sectors, but of xfs by blocks: of 75 cuts of a recovery, which fall into the replay of its log,
# up to four left a disk torn by sectors that xfs did not mount. With blocks the same cuts can all be mounted.
SYSTEMS = {
    "ext4": System(64 << 20, 512, ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
                   "noatime"),
    "xfs": System(300 << 20, 4096, ["mkfs.xfs", "-q", "-K", "-f"], "noatime,nouuid"),
}
# Outputs and checkpoints, each a file system of its own: any fsync makes all durable that was changed before in
# its file system, so that a missing one of the sink would hide behind the next one of the store.
PARTS = ("out", "ckpt")
# Where cuts are, and how many of ten: right behind a promise, where it shows that it is not kept; behind a commit
# that came after a failed write; right before a flush, where most writes are open; anywhere.
PLACES = {"ack": 3, "end": 1, "fault": 2, "flush": 3, "any": 1}
FAILURE_CNT_MAX = 5
HARD_CUT_CNT = 50
AGAIN_CUT_CNT = 5  # of a recovery
CHECK_S = 120
BUSY_TRY_CNT = 600  # of a tenth of a second: who looks through all mounts holds ours, too

Event = collections.namedtuple("Event", "kind off size at")  # at: of its bytes in the log
Note = collections.namedtuple("Note", "position kind")


def run(*command, **kwargs):
    subprocess.run([str(word) for word in command], check=True, **kwargs)


def copy(source, to):
    run("cp", "--sparse=always", source, to)


def again(*command):
    """What may still be in use: until it succeeds."""
    for _ in range(BUSY_TRY_CNT):
        if subprocess.run([str(word) for word in command], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"power_cut: no success: {' '.join(str(word) for word in command)}")


class Mounted:
    """The two file systems of an image, or of the recorder's disk, mounted below a folder while it is entered."""

    def __init__(self, system, image, folder):
        self.system = SYSTEMS[system]
        self.command = ["mount", "-t", system]
        self.image = image
        self.folders = [folder / name for name in PARTS]

    def __enter__(self):
        try:
            for i, folder in enumerate(self.folders):
                folder.mkdir(exist_ok=True)
                where = f"loop,offset={i * self.system.size},sizelimit={self.system.size},{self.system.options}"
                run(*self.command, "-o", where, self.image, folder)
        except BaseException:  # also where it is interrupted
            self.__exit__()
            raise

    def __exit__(self, *_):
        for folder in self.folders:
            if folder.is_mount():
                again("umount", folder)


class Recording:
    """What a job did to a disk, in a folder: base.img, writes.log, notes, about.json."""

    def __init__(self, folder):
        self.folder = folder
        self.about = json.loads((folder / "about.json").read_text())
        self.log = open(folder / "writes.log", "rb")
        self.events = list(self.read_events())
        self.flushes = [i for i, event in enumerate(self.events) if event.kind == FLUSH]
        # Flushes with writes before them, and how many these are.
        sizes = [after - before - 1 for before, after in zip([-1, *self.flushes], self.flushes)]
        self.full = [flush for flush, size in zip(self.flushes, sizes) if size > 0]
        self.weights = [size for size in sizes if size > 0]
        self.notes = []
        for line in (folder / "notes").read_text().splitlines():
            position, kind = line.split()[:2]
            self.notes.append(Note(int(position), kind))

    def read_events(self):
        while head := self.log.read(EVENT.size):
            off, size, kind = EVENT.unpack(head)
            yield Event(kind, off, size, self.log.tell())
            self.log.seek(size if kind == WRITE else 0, os.SEEK_CUR)

    def bytes_of(self, event):
        self.log.seek(event.at)
        return self.log.read(event.size)

    def positions(self, *kinds):
        return [note.position for note in self.notes if note.kind in kinds and note.position > 0]

    def promises(self):
        return self.positions("ack", "end")


def wait_for(process, path):
    for _ in range(200):
        if path.exists():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    sys.exit("power_cut: the recorder does not start")


def make_systems(system, image):
    run("truncate", "-s", len(PARTS) * system.size, image)
    part = image.with_suffix(".part")
    for i in range(len(PARTS)):
        run("truncate", "-s", system.size, part)
        run(*system.mkfs, part)
        run("dd", f"if={part}", f"of={image}", "bs=1M", f"seek={i * system.size >> 20}", "conv=sparse,notrunc",
            "status=none")
        part.unlink()


def record(build, folder, about, base, task):
    """Run power_life on the file systems of base over the recorder. task: its arguments before and after the place,
    and the engine; it notes in new-notes. Returns what it said."""
    disk, fuse, place = (folder / name for name in ("disk.img", "fuse", "mnt"))
    fuse.mkdir()
    place.mkdir()
    copy(base, disk)
    recorder = subprocess.Popen(
        [build / "tests/power/power_recorder", disk, folder / "writes.log", folder / "page", fuse])
    try:
        wait_for(recorder, fuse / "disk")
        with Mounted(about["fs"], fuse / "disk", place), open(folder / "life.log", "w", encoding="utf-8") as log:
            life = subprocess.run(
                [build / "tests/power/power_life", task[0], place, str(about["seed"]), about["engine"], *task[1:],
                 folder / "new-notes", folder / "page"], stdout=log, stderr=log, check=False)
    finally:
        again("fusermount3", "-u", fuse)
        recorder.wait(timeout=30)
    said = (folder / "life.log").read_text(errors="replace")
    if recorder.returncode != 0 or life.returncode != 0:
        sys.exit(f"{said}\npower_cut: {about}: the job that is to be recorded fails, or the recorder")
    disk.unlink()
    about["said"] = " ".join(line for line in said.splitlines() if line.startswith("failed writes"))
    (folder / "about.json").write_text(json.dumps(about))


def record_job(build, folder, about):
    """Jobs on fresh file systems."""
    make_systems(SYSTEMS[about["fs"]], folder / "base.img")
    record(build, folder, about, folder / "base.img", ["write", str(about["rounds"])])
    (folder / "new-notes").rename(folder / "notes")
    return Recording(folder)


def record_recovery(build, recording, cut, image, folder):
    """What a cut has left is looked at and gone on with, and that is recorded in turn. What had been promised before
    the cut is promised from the beginning."""
    about = {**recording.about, "seed": recording.about["seed"] * 1000 + cut.number, "again": 0}
    folder.mkdir()
    image.rename(folder / "base.img")
    record(build, folder, about, folder / "base.img", ["check", str(cut.position), recording.folder / "notes"])
    old = [line.split(None, 1) for line in (recording.folder / "notes").read_text().splitlines()]
    (folder / "notes").write_text(
        "".join(f"0 {rest}\n" for position, rest in old if int(position) <= cut.position) +
        (folder / "new-notes").read_text())
    return Recording(folder)


class Cut:
    """One cut of a recording: where, and what survives behind the last flush. Follows from the seed."""

    def __init__(self, recording, number):
        about = recording.about
        self.number = number
        self.tear = SYSTEMS[about["fs"]].tear
        self.rng = random.Random(f"{about['seed']} {about['fs']} {about['engine']} {number}")
        first = recording.notes[0].position
        last = recording.notes[-1].position
        kind = about["at"] or self.rng.choices(list(PLACES), list(PLACES.values()))[0]
        if kind in ("ack", "end", "fault"):
            self.position = self.rng.choice(recording.positions(kind) or recording.promises() or [last])
        elif kind == "flush":
            self.position = self.rng.choices(recording.full, recording.weights)[0]
        else:
            self.position = self.rng.randint(first, last)
        self.position = min(max(self.position, first), last)
        self.chance = self.rng.choice((0.0, 0.0, 0.1, 0.5, 0.9, 1.0))
        self.torn = self.rng.choice((0.0, 0.3, 1.0))

    def survivors(self, pending):
        """Yields (event, None) for a write that is whole, (event, its pieces) for a torn one."""
        for event in pending:
            if self.rng.random() >= self.chance:
                continue
            if self.rng.random() >= self.torn:
                yield event, None
            else:
                yield event, [i for i in range(-(-event.size // self.tear)) if self.rng.random() < 0.5]


class Disks:
    """The disks of cuts that come by rising position."""

    def __init__(self, recording, folder):
        self.recording = recording
        self.stable = folder / "stable.img"
        self.applied = 0
        self.tally = collections.Counter()
        copy(recording.folder / "base.img", self.stable)

    def apply(self, image, event, pieces=None):
        data = self.recording.bytes_of(event)
        if pieces is None:
            os.pwrite(image, data, event.off)
            return
        tear = SYSTEMS[self.recording.about["fs"]].tear
        for i in pieces:
            os.pwrite(image, data[i * tear:(i + 1) * tear], event.off + i * tear)

    def make(self, cut, to):
        events = self.recording.events
        idx = bisect.bisect_left(self.recording.flushes, cut.position) - 1
        flushed = self.recording.flushes[idx] + 1 if idx >= 0 else 0
        image = os.open(self.stable, os.O_RDWR)
        for event in events[self.applied:flushed]:
            if event.kind == WRITE:
                self.apply(image, event)
        os.close(image)
        self.applied = max(self.applied, flushed)
        copy(self.stable, to)
        pending = events[flushed:cut.position]
        image = os.open(to, os.O_RDWR)
        kept = 0
        for event, pieces in cut.survivors(pending):
            self.apply(image, event, pieces)
            self.tally["torn" if pieces is not None else "kept"] += 1
            kept += 1
        os.close(image)
        self.tally["lost"] += len(pending) - kept
        self.tally["cuts"] += 1


def check(build, recording, cut, image, place):
    """Mount the disk of a cut and look. Returns (what is wrong or "", checkpoints found that nobody was told)."""
    about = recording.about
    try:
        with Mounted(about["fs"], image, place):
            done = subprocess.run(
                [build / "tests/power/power_life", "check", place, str(about["seed"] + cut.number), about["engine"],
                 str(cut.position), recording.folder / "notes"],
                check=False, capture_output=True, text=True, errors="replace", timeout=CHECK_S)
    except subprocess.TimeoutExpired:
        return f"no end within {CHECK_S} s", 0
    except subprocess.CalledProcessError as failed:
        return f"it cannot be mounted: {failed}", 0
    newer = 0
    for line in done.stdout.splitlines() + done.stderr.splitlines():
        if ": found checkpoint" in line:
            words = line.replace(",", "").split()
            newer += int(words[words.index("checkpoint") + 1]) > int(words[words.index("acknowledged") + 1])
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip(), newer


def cut_again(build, recording, cut, image, folder):
    """Cut the recovery from a cut. Returns a tally."""
    own = folder / "again"
    tally = cut_all(build, record_recovery(build, recording, cut, image, own), range(AGAIN_CUT_CNT), own, True)
    shutil.rmtree(own)
    return tally


def cut_all(build, recording, numbers, folder, is_recovery=False):
    """Returns a tally; what failed is said and kept."""
    about = recording.about
    place = folder / "mnt"
    place.mkdir(exist_ok=True)
    cuts = sorted((Cut(recording, number) for number in numbers), key=lambda cut: cut.position)
    disks = Disks(recording, folder)
    tally = disks.tally
    failed = []
    for cut in cuts:
        image = folder / "cut.img"
        disks.make(cut, image)
        goes_on = about["again"] > 0 and cut.number % about["again"] == about["again"] - 1
        if goes_on:
            copy(image, folder / "again.img")
        wrong, found = check(build, recording, cut, image, place)
        image.unlink()
        tally["newer"] += found
        if wrong:
            failed.append(cut.number)
            tally["wrong"] += 1
            print(f"{about['fs']} {about['engine']}: seed {about['seed']}, cut {cut.number} behind {cut.position} "
                  f"events, chance {cut.chance}, torn {cut.torn}:\n{wrong}", flush=True)
        elif goes_on:
            second = cut_again(build, recording, cut, folder / "again.img", folder)
            tally["again"] += second["cuts"]
            tally["wrong"] += second["wrong"]
        if tally["wrong"] >= FAILURE_CNT_MAX:
            break
    disks.stable.unlink()
    if failed:
        keep(recording, failed)
    if not is_recovery:
        say(recording, tally)
    return tally


def say(recording, tally):
    about = recording.about
    print(f"{about['fs']} {about['engine']}: seed {about['seed']}, {len(recording.events)} events, "
          f"{len(recording.flushes)} flushes, {len(recording.promises())} promises; {about['said']}; {tally['cuts']} "
          f"cuts, {tally['again']} of recoveries; behind the last flush {tally['lost']} writes lost, {tally['torn']} "
          f"torn, {tally['kept']} kept; {tally['newer']} checkpoints found that nobody had been told of; "
          f"{tally['wrong']} wrong", flush=True)
    # Where all is well it must have been hard enough.
    if tally["wrong"] == 0 and tally["cuts"] >= HARD_CUT_CNT and not about["at"] and 0 in (
            tally["lost"], tally["torn"], tally["kept"], len(recording.positions("fault"))):
        sys.exit("power_cut: that was too easy: no write lost, torn or kept, or none that failed")


def keep(recording, failed):
    about = recording.about
    to = ROOT / f"build/power-cut/{about['fs']}-{about['engine']}-{about['seed']}"
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in ("base.img", "writes.log", "notes", "about.json"):
        copy(recording.folder / name, to / name)
    for number in failed:
        print(f"again: scripts/power-cut --replay {to.relative_to(ROOT)} --cut {number}")


def whole(least):
    def parse(text):
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"at least {least}")
        return number
    return parse


def options():
    parser = argparse.ArgumentParser(prog="scripts/power-cut", description=__doc__.split("\n\n", 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--cuts", type=whole(1), default=300, help="of each file system (300)")
    parser.add_argument("--fs", choices=SYSTEMS, help="only this one")
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument("--rounds", type=whole(1), default=12, help="jobs in a recording (12)")
    parser.add_argument("--at", choices=PLACES, help="only cuts behind an ack, an end, a fault; before a flush; any")
    parser.add_argument("--again", type=whole(0), default=10, metavar="N",
                        help="cut the recovery from every N-th cut again, five times (10; 0: none)")
    parser.add_argument("--seed", type=whole(0), help="of the job and of the cuts; another each time without")
    parser.add_argument("--replay", type=pathlib.Path, metavar="DIR", help="cut this recording again")
    parser.add_argument("--cut", type=whole(0), help="with --replay: only this cut")
    return parser.parse_args()


def main():
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("power_cut: terminated"))  # what is mounted is unmounted
    scratch = os.environ.get("WEIR_POWER_DIR") or ("/dev/shm" if os.path.isdir("/dev/shm") else None)
    total = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="weir-power-", dir=scratch) as name:
        folder = pathlib.Path(name)
        if args.replay:
            numbers = range(args.cuts) if args.cut is None else [args.cut]
            tally = cut_all(args.build, Recording(args.replay), numbers, folder)
            return 1 if tally["wrong"] else 0
        seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1, 1 << 31)
        engines = [args.engine] if args.engine else ENGINES
        for system in [args.fs] if args.fs else SYSTEMS:
            for i, engine in enumerate(engines):
                about = {"fs": system, "engine": engine, "seed": seed, "rounds": args.rounds, "at": args.at,
                         "again": args.again}
                own = folder / f"{system}-{engine}"
                own.mkdir()
                count = args.cuts // len(engines) + (1 if i < args.cuts % len(engines) else 0)
                total += cut_all(args.build, record_job(args.build, own, about), range(count), own)
                shutil.rmtree(own)
    print(f"power-cut: seed {seed}, {total['cuts']} cuts, {total['again']} of recoveries, {total['wrong']} wrong")
    return 1 if total["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
