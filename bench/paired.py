# SPDX-License-Identifier: Apache-2.0
"""Two commands measured in turn on one host: A B B A, the ratio of each pair, and its bootstrap interval."""
import json
import os
import platform
import random
import shlex
import signal
import statistics
import subprocess

RESAMPLES = 10000
CONFIDENCE = 0.95
# What a run itself writes leaves the commit what it was.
NOT_CODE = (":!bench/history", ":!docs/figures", ":!README.md")
# A ping-pong over two lines takes 65 to 130 ns where the two virtual CPUs are near, over 500 where they are far.
FAR_NS = 250
# What two runs say of an answer that is the same in both.
ANSWER = ("rows", "checksum")


class Refused(Exception):
    """A measurement that is no result: a command failed, or the answers differ."""


def run_command(command, cpus=None):
    """The JSON line of one run."""
    argv = shlex.split(command)
    if cpus is not None:
        argv = ["taskset", "-c", cpus] + argv
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Refused("%s: exit %d: %s" % (command, done.returncode, done.stderr.strip()[-300:]))
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if len(lines) != 1:
        raise Refused("%s: %d JSON lines where one is due" % (command, len(lines)))
    line = json.loads(lines[0])
    if not line.get("ns_per_event", 0) > 0:
        raise Refused("%s: no ns_per_event" % command)
    return line


def bootstrap(ratios, seed=1):
    """(median, low, high): the percentile interval of the median over resampled pairs."""
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    cut = (1 - CONFIDENCE) / 2
    return statistics.median(ratios), medians[int(cut * RESAMPLES)], medians[int((1 - cut) * RESAMPLES) - 1]


def placement(probe):
    """Where the two virtual CPUs stand now: near or far; None without a probe."""
    if probe is None:
        return None
    return "far" if run_command(probe)["ns_per_event"] > FAR_NS else "near"


def check_answers(ours, peer, alike):
    if any(ours.get(part) != peer.get(part) for part in alike):
        raise Refused(
            "answers differ: %s rows %s, checksum %s; %s rows %s, checksum %s"
            % (ours["name"], ours.get("rows"), ours.get("checksum"), peer["name"], peer.get("rows"), peer.get("checksum"))
        )


def measure(ours, peer, pairs, alike=ANSWER, cpus=None, probe=None, say=lambda text: None):
    """Run A B B A until there are enough pairs; returns what the history keeps of them.

    With a probe each A B B A is bracketed by it; one that began and ended in different placements is left out, and
    of the others only the more frequent placement counts.
    """
    run_command(ours, cpus)  # the first run of each finds cold files and tables: it does not count
    run_command(peer, cpus)
    taken = []
    rounds = 0
    place = placement(probe)
    while len([1 for t in taken if t[0] != "mixed"]) * 2 < pairs and rounds < 3 * pairs:
        a, b = run_command(ours, cpus), run_command(peer, cpus)
        b2, a2 = run_command(peer, cpus), run_command(ours, cpus)
        check_answers(a, b, alike)
        check_answers(a2, b2, alike)
        after = placement(probe)
        taken.append((place if place == after else "mixed", [(a, b), (a2, b2)]))
        place = after
        rounds += 1
        say("%d of %d pairs" % (2 * len(taken), pairs))
    return summarise(taken, pairs)


def summarise(taken, pairs):
    places = [place for place, _ in taken if place != "mixed"]
    if not places:
        raise Refused("the two CPUs moved in every round: no pair of one placement")
    place = max(set(places), key=places.count)
    kept = [pair for where, both in taken if where == place for pair in both]
    if len(kept) < min(pairs, 10) // 2:
        raise Refused("only %d pairs of one placement (%s)" % (len(kept), place))
    ratios = [b["ns_per_event"] / a["ns_per_event"] for a, b in kept]
    middle, low, high = bootstrap(ratios)
    return {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(kept),
        "ours_ns": round(statistics.median(a["ns_per_event"] for a, _ in kept), 4),
        "peer_ns": round(statistics.median(b["ns_per_event"] for _, b in kept), 4),
        "ratios": [round(r, 4) for r in ratios],
        "events": kept[0][0].get("events"),
        "checksum": kept[0][0].get("checksum"),
        "placement": place,
    }


def best_peer(lines, wanted):
    """Of a suite's lines at one point, (ours, the fastest peer's)."""
    at_point = [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]
    ours = [line for line in at_point if line["ring"] == "weir_ring"]
    peers = [line for line in at_point if line["ring"] != "weir_ring"]
    if not ours or not peers:
        raise Refused("no line for %s" % wanted)
    return ours[0], min(peers, key=lambda line: line["ns"])


def summarise_point(lines, wanted):
    """What the history keeps of one point of a suite; the ratio is the best peer's time over ours."""
    ours, peer = best_peer(lines, wanted)
    ratios = [1 / r for r in peer["ratios"]]
    middle, low, high = bootstrap(ratios)
    return {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": 2 * len(ratios),
        "ours_ns": ours["ns"],
        "peer_ns": peer["ns"],
        "peer": peer["ring"],
        "ratios": [round(r, 4) for r in ratios],
    }


def named(lines, name):
    for line in lines:
        if line.get("name") == name:
            return line
    raise Refused("no line named %s" % name)


def contest_pair(lines, ours, peer, alike):
    a, b = named(lines, ours), named(lines, peer)
    check_answers(a, b, alike)
    if len(a["ns"]) != len(b["ns"]) or not a["ns"]:
        raise Refused("%s and %s were not measured in the same rounds" % (ours, peer))
    return a, b


def contest_ratio(lines, ours, peer, alike=ANSWER):
    """What the history keeps of two entries of a contest (bench/graph/contest.h); the ratio is the peer's time over
    ours, pair by pair."""
    a, b = contest_pair(lines, ours, peer, alike)
    ratios = [theirs / mine for mine, theirs in zip(a["ns"], b["ns"])]
    middle, low, high = bootstrap(ratios)
    return {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(ratios),
        "ours_ns": round(statistics.median(a["ns"]), 4),
        "peer_ns": round(statistics.median(b["ns"]), 4),
        "ratios": [round(r, 4) for r in ratios],
        "events": a["events"],
        "checksum": a["checksum"],
    }


def contest_steps(lines, ours, base, step_cnt):
    """What one of step_cnt steps adds to the base, in ns."""
    a, b = contest_pair(lines, ours, base, ())
    values = [(mine - without) / step_cnt for mine, without in zip(a["ns"], b["ns"])]
    middle, low, high = bootstrap(values)
    return {
        "value": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(values),
        "ours_value": round(statistics.median(a["ns"]), 4),
        "peer_value": round(statistics.median(b["ns"]), 4),
        "values": [round(v, 4) for v in values],
    }


def latency_excess(lines, share):
    """How far a percentile of the job lies above that of the floor, in microseconds."""
    line = named(lines, "latency")
    job, floor = line["job_ns"], line["floor_ns"]
    excess = round((job[share] - floor[share]) / 1000, 3)
    return {
        "value": excess,
        "low": excess,
        "high": excess,
        "ours_value": round(job[share] / 1000, 3),
        "peer_value": round(floor[share] / 1000, 3),
        "rate": line["rate"],
        "events": line["events"],
        "job_ns": job,
        "floor_ns": floor,
    }


def spread(values):
    """(median, least, greatest)."""
    return statistics.median(values), min(values), max(values)


def runs_row(ours, peer):
    """What the history keeps of values of single runs, each with the peer's of the same run."""
    middle, low, high = spread([a - b for a, b in zip(ours, peer)])
    return {
        "value": round(middle, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "ours_value": round(statistics.median(ours), 3),
        "peer_value": round(statistics.median(peer), 3),
        "values": [round(v, 3) for v in ours],
        "peer_values": [round(v, 3) for v in peer],
    }


def late_windows(lines, way, share, rows="job"):
    """How far a percentile of windows' results lies above the floor, in microseconds: run by run."""
    runs = named(lines, way)["runs"]
    row = runs_row([r[rows + "_ns"][share] / 1000 for r in runs], [r["floor_ns"][share] / 1000 for r in runs])
    row.update(windows=runs[0]["windows"], checkpoints=[r["checkpoints"] for r in runs],
               first_us=[r["first_ns"][share] / 1000 for r in runs])
    return row


def late_by_checkpoints(lines, share):
    """What exactly-once adds to a percentile, in microseconds."""
    ours, peer = ([r["job_ns"][share] / 1000 for r in named(lines, way)["runs"]] for way in ("once", "none"))
    return runs_row(ours, peer)


def checkpoint_ms(lines, ours, peer):
    """Milliseconds of a checkpoint: median, least and greatest of a run, beside another run's median."""
    mine, theirs = (named(lines, name)["ms"] for name in (ours, peer))
    if not mine or not theirs:
        raise Refused("%s or %s: no checkpoint was complete in time" % (ours, peer))
    middle, low, high = spread(mine)
    return {
        "value": middle,
        "low": low,
        "high": high,
        "ours_value": middle,
        "peer_value": statistics.median(theirs),
        "peer_low": min(theirs),
        "peer_high": max(theirs),
        "checkpoints": [len(mine), len(theirs)],
        "rows_in_flight": statistics.median(named(lines, ours)["rows"]),
    }


def late_by_moves(lines, base, share):
    """How many times as late rows are as in the base, run by run: in milliseconds beside it."""
    ours, peer = ([r["job_ns"][share] / 1e6 for r in named(lines, way)["runs"]] for way in ("moves", base))
    asked = [ms for r in named(lines, "moves")["runs"] for ms in r["answer_ms"]]
    if not asked:
        raise Refused("moves: no key groups moved")
    middle, low, high = bootstrap([a / b for a, b in zip(ours, peer)])
    return {
        "value": round(middle, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "ours_text": amount_ms(ours),
        "peer_text": amount_ms(peer),
        "pairs": len(ours),
        "ours_ms": [round(v, 3) for v in ours],
        "peer_ms": [round(v, 3) for v in peer],
        "moves": len(asked),
        "move_ms": dict(zip(("median", "least", "greatest"), spread(asked))),
    }


def amount_ms(values):
    return "%.2f ms" % statistics.median(values)


def cpu_use(lines, ours, peer):
    """Percent of a core, and what the peer takes."""
    a, b = named(lines, ours), named(lines, peer)
    percent = round(a["percent"], 2)
    return {
        "value": percent,
        "low": percent,
        "high": percent,
        "ours_value": percent,
        "peer_value": round(b["percent"], 2),
        "rate": a["rate"],
        "events": a["events"],
    }


def run_in_time(command, limit_s):
    """(exit code, stdout, stderr) of a program that is ended after limit_s with all that it has started."""
    process = subprocess.Popen(shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Refused("%s: not done after %g s" % (command, limit_s)) from None
    return process.returncode, out, err


def run_suite(command, probe, limit_s=None):
    """The lines of a program that measures several things by itself, and the placement that it ran in."""
    before = placement(probe)
    code, out, err = run_in_time(command, limit_s)
    if code != 0:
        raise Refused("%s: exit %d: %s" % (command, code, err.strip()[-300:]))
    after = placement(probe)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return lines, before if before == after else "mixed"


def read_text(path, default="unknown"):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return default


def steal_ticks():
    """(stolen, all) clock ticks of the host so far."""
    fields = [int(f) for f in read_text("/proc/stat").splitlines()[0].split()[1:9]]
    return fields[7], sum(fields)


def chosen(text):
    """The value in brackets of a kernel's list of choices."""
    return text[text.find("[") + 1 : text.find("]")] if "[" in text else text


def git(root, *args):
    done = subprocess.run(["git", "-C", root, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def fingerprint(root):
    """What a reader must know of the host before comparing a figure with another."""
    cpuinfo = read_text("/proc/cpuinfo")
    model = next((l.split(":", 1)[1].strip() for l in cpuinfo.splitlines() if l.startswith("model name")), "unknown")
    memory = read_text("/proc/meminfo").split("\n")
    kib = {line.split(":")[0]: line.split()[1] for line in memory if ":" in line}
    clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "hypervisor": " hypervisor" in cpuinfo,
        "memory_gib": round(int(kib.get("MemTotal", 0)) / (1 << 20), 1),
        "kernel": platform.release(),
        "thp": chosen(read_text("/sys/kernel/mm/transparent_hugepage/enabled")),
        "huge_pages_2m": int(kib.get("HugePages_Total", 0)),
        "clock_source": read_text(clock),
        "governor": read_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        "mitigations_off": "mitigations=off" in read_text("/proc/cmdline"),
        "load": round(os.getloadavg()[0], 2),
        "commit": git(root, "rev-parse", "--short=12", "HEAD") or "unknown",
        "dirty": bool(git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *NOT_CODE)),
    }
