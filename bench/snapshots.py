# SPDX-License-Identifier: Apache-2.0
"""The figures of snapshots: what they cost the core that goes on writing, and how fast they become durable.

bench/snapshot/bench_snapshot measures all phases of a suite in turn, in one process, on the same state; lines are by
phase. A result is never compared with one of another run.
"""
import statistics

import paired

BENCH = "{build}/bench/snapshot/bench_snapshot"
TAIL = " --cores {other},{core} --dir {disk}"  # the last core serves the interrupts of the disk, where there is one queue


def gap_excess(lines, ours, control, which):
    """How far the p99.99 of the gaps, over all snapshots of the run, lies above that of the control."""
    a, b = paired.named(lines, ours), paired.named(lines, control)
    idle = [line for line in lines if line["name"] == "idle"]
    value = a[which + "_us"]["p9999"] - b[which + "_us"]["p9999"]
    pairs = [mine - theirs for mine, theirs in zip(a[which + "_p9999_us"], b[which + "_p9999_us"])]
    return {
        "value": round(value, 3),
        "low": round(value, 3),
        "high": round(value, 3),
        "ours_value": round(a[which + "_us"]["p9999"], 3),
        "peer_value": round(b[which + "_us"]["p9999"], 3),
        "pairs_us": [round(pair, 3) for pair in pairs],
        "ours_us": a[which + "_us"],
        "peer_us": b[which + "_us"],
        "idle_us": idle[0]["gap_us"] if idle else None,
        "snapshots": a["snapshots"],
        "declined": a["declined"],
        "held_ms": a["held_ms"],
        "barrier_us": a["barrier_us"],
        "write_us": a["write_us"],
        "durable_us": a["durable_us"],
        "bytes_per_us": a["bytes_per_us"],
        "updates_per_us": [statistics.median(line["updates_per_us"]) for line in (a, b)],
        "undo_lines": [a["undo_max"], a["undo_budget"], a["saved"]],
        "storage_cpu_ms_per_gb": [cpu_per_gb(a), cpu_per_gb(b)],
    }


def cpu_per_gb(line):
    return round(1e12 * line["storage_cpu_s"] / max(line["file_bytes"], 1), 2)


def ratio_of(ours, peer, mine, theirs, text):
    """What the history keeps of pairs of rates: above 1, ours is faster."""
    ratios = [one / other for one, other in zip(mine, theirs)]
    middle, low, high = paired.bootstrap(ratios)
    return {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(ratios),
        "ours_text": text(statistics.median(mine)),
        "peer_text": text(statistics.median(theirs)),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "snapshots": ours["snapshots"],
        "declined": ours["declined"],
    }


def bandwidth(lines, ours="line", peer="write"):
    """Bytes a second until files are durable, beside fio's word of the same round."""
    a, b = paired.named(lines, ours), paired.named(lines, peer)
    if not all(b["bytes_per_us"]):
        raise paired.Refused("fio gave no figure")
    row = ratio_of(a, b, a["bytes_per_us"], b["bytes_per_us"], lambda rate: "%.2f GB/s" % (rate / 1000))
    row["peer_buffers"] = b.get("buffers")
    row["tidy_ms"] = [a.get("tidy_ms"), a["snapshots"]]
    return row


def loss(lines, ours, base="none"):
    """Percent of the core: how much more of its time the same updates take, at the rate that they come."""
    a, b = paired.named(lines, ours), paired.named(lines, base)
    values = [
        0.1 * rate * (mine - without)  # ns an update, updates a us
        for mine, without, rate in zip(a["update_ns"], b["update_ns"], a["updates_per_us"])
    ]
    middle, low, high = paired.bootstrap(values)
    return {
        "value": round(middle, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "pairs": len(values),
        "ours_text": "%.1f ns an update" % statistics.median(a["update_ns"]),
        "peer_text": "%.1f ns" % statistics.median(b["update_ns"]),
        "values": [round(value, 3) for value in values],
        "update_ns": [a["update_ns"], b["update_ns"]],
        "updates_per_us": [round(statistics.median(line["updates_per_us"]), 3) for line in (a, b)],
        "snapshots": a["snapshots"],
        "declined": a["declined"],
        "held_ms": a["held_ms"],
        "late_ms_max": [a["late_ms_max"], b["late_ms_max"]],
        "saved": a["saved"],
        "write_us": a["write_us"],
    }


def slowdown(lines, ours, base="none"):
    """Percent of updates a second, where there is no rate to keep."""
    a, b = paired.named(lines, ours), paired.named(lines, base)
    row = loss(lines, ours, base)
    values = [100 * (1 - mine / without) for mine, without in zip(a["updates_per_us"], b["updates_per_us"])]
    row["value"], row["low"], row["high"] = (round(value, 3) for value in paired.bootstrap(values))
    row["values"] = [round(value, 3) for value in values]
    row["ours_text"], row["peer_text"] = ("%.1f M updates/s" % rate for rate in row["updates_per_us"])
    return row


def amplification(lines, ours):
    """Bytes of increments' files over the bytes of the lines in them."""
    line = paired.named(lines, ours)
    if line["increments"] == 0:
        raise paired.Refused("no increment was written")
    value = round(line["increment_bytes"] / line["dirty_bytes"], 4)
    return {
        "value": value,
        "low": value,
        "high": value,
        "ours_text": "%.1f MB" % (line["increment_bytes"] / line["increments"] / 1e6),
        "peer_text": "%.1f MB" % (line["dirty_bytes"] / line["increments"] / 1e6),
        "increments": line["increments"],
        "snapshots": line["snapshots"],
        "file_bytes": line["file_bytes"],
        "declined": line["declined"],
    }


def storage_cpu(lines, ours, peer):
    """Milliseconds of CPU a GB, of all that is not the data core."""
    a, b = paired.named(lines, ours), paired.named(lines, peer)
    mine, theirs = cpu_per_gb(a), cpu_per_gb(b)
    return {
        "value": mine,
        "low": mine,
        "high": mine,
        "ours_value": mine,
        "peer_value": theirs,
        "snapshots": a["snapshots"],
    }


def durable(lines, ours):
    """Milliseconds from the barrier until the manifest is durable, the median; peer: until the file is."""
    line = paired.named(lines, ours)
    value = line["durable_us"]["p50"] / 1000
    return {
        "value": round(value, 3),
        "low": round(value, 3),
        "high": round(value, 3),
        "ours_value": round(value, 3),
        "peer_value": round(line["write_us"]["p50"] / 1000, 3),
        "durable_us": line["durable_us"],
        "write_us": line["write_us"],
        "snapshots": line["snapshots"],
    }


def undo_memory(lines, ours):
    """MiB of old lines that were waiting at most; peer: what there is room for."""
    line = paired.named(lines, ours)
    mib = [round(72 * line[key] / (1 << 20), 3) for key in ("undo_max", "undo_budget")]
    return {
        "value": mib[0],
        "low": mib[0],
        "high": mib[0],
        "ours_value": mib[0],
        "peer_value": mib[1],
        "saved": line["saved"],
        "snapshots": line["snapshots"],
    }


def seconds(value):
    return "%.2f s" % value if value >= 1 else "%.0f ms" % (1000 * value)


def restore(lines):
    """fio's time for the same bytes over ours, restore by restore."""
    line = paired.named(lines, "recovery")
    ratios = [fio / mine for mine, fio in zip(line["restore_s"], line["fio_s"])]
    middle, low, high = paired.bootstrap(ratios)
    return {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(ratios),
        "ours_text": seconds(statistics.median(line["restore_s"])),
        "peer_text": seconds(statistics.median(line["fio_s"])),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "restored_bytes": line["restored_bytes"],
    }


def first_output(lines):
    """Seconds from a kill until rows of after it are visible: the 99th percentile, the longest where there are fewer
    than 100."""
    line = paired.named(lines, "recovery")
    taken = sorted(line["first_output_s"])
    value = taken[min(len(taken) - 1, int(0.99 * len(taken)))]
    return {
        "value": value,
        "low": value,
        "high": value,
        "ours_text": "p50 " + seconds(statistics.median(taken)),
        "peer_text": seconds(statistics.median(line["restore_s"])),
        "kills": len(taken),
        "first_output_s": line["first_output_s"],
        "restored_bytes": line["restored_bytes"],
    }


def other_store(lines, name):
    """The other's time until its snapshot is durable over ours."""
    mine, theirs = paired.named(lines, "ours"), paired.named(lines, name)
    ratios = [other / one for one, other in zip(mine["ms"], theirs["ms"])]
    middle, low, high = paired.bootstrap(ratios)
    row = {
        "ratio": round(middle, 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "pairs": len(ratios),
        "ours_text": "%.1f ms" % statistics.median(mine["ms"]),
        "peer_text": "%.1f ms" % statistics.median(theirs["ms"]),
        "ours_ms": mine["ms"],
        "peer_ms": theirs["ms"],
    }
    if "fork_us" in theirs:
        row["fork_us"] = theirs["fork_us"]
        row["peer_text"] += ", stands still %.1f ms" % (statistics.median(theirs["fork_us"]) / 1000)
    return row
