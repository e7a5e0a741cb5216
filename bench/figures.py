# SPDX-License-Identifier: Apache-2.0
"""The figures that bench/run measures: one row each, with both commands, the goal, and where failure begins.

A command prints one JSON line with name, ns_per_event, events and checksum. {build} is the build folder, other names in
braces are inputs of INPUTS, made once by make_input and mapped by both sides. A suite is one program that measures
several figures by itself.
"""
import dataclasses
import itertools
import typing

import paired
import snapshots

# Records of 64 bytes and about 96 of payload each: 1 GiB of records alone. The words are over 1 GiB too.
EVENTS = 1 << 24
YSB_BYTES = 1 << 30
WORD_LINES = 9_500_000

# name: (kind, specification); the size is the first number of the specification.
INPUTS = {
    "log": ("log", "gen:%d,seed=1" % EVENTS),
    "log4m": ("log", "gen:%d,seed=1" % (EVENTS // 4)),
    "log1m": ("log", "gen:%d,seed=1" % (EVENTS // 16)),
    "lines": ("jsonl", "log:gen:1000000,seed=1"),
    "ysb78": ("ysb", "gen:%d,seed=1,record=78" % (YSB_BYTES // 78)),
    "ysb128": ("ysb", "gen:%d,seed=1,record=128" % (YSB_BYTES // 128)),
    "words10k": ("words", "gen:%d,seed=1,words=10000" % WORD_LINES),
    "words1m": ("words", "gen:%d,seed=1,words=1000000" % WORD_LINES),
}


@dataclasses.dataclass(frozen=True)
class Figure:
    name: str  # of its history file
    title: str
    ours: str  # command
    peer: str  # command
    peer_name: str
    goal: typing.Optional[float]  # at least, of peer time / our time; of a value with a unit: at most; None: no goal
    bar: float = 0.0  # the lower end of the interval below this: failed
    cores: int = 1  # 2: bracketed by the ping-pong probe, pairs of one placement only
    alike: tuple = paired.ANSWER  # what both sides say alike of the answer
    full: bool = False  # not in the README's table; of one that is no part of a suite: measured by --full only
    unit: str = ""  # "": a ratio, else a value in this unit, the smaller the better

    def is_reached(self, row):
        if self.goal is None:
            return None
        return row["value"] <= self.goal if self.unit else row["ratio"] >= self.goal

    def is_missed(self, row):
        """Below the bar: of ratios alone, and of values that have one."""
        if self.unit:
            return self.bar > 0 and row["high"] > self.bar
        return row["low"] < self.bar

    def inputs(self):
        return [name for name in INPUTS if "{%s}" % name in self.ours + self.peer]


@dataclasses.dataclass(frozen=True)
class Suite:
    """A program that measures by itself; points are (figure, function from its JSON lines to the row)."""

    name: str
    # {cores}: the list of them; {core}, {other}: the last, and another; {hgrm}: where percentiles go; {disk}: a folder
    # for files that are to be durable
    command: str
    points: tuple
    cores: int = 2
    needs: tuple = ()  # programs beside ours (bench/packages.txt)
    limit_s: float = 900  # no result after that
    is_grid: bool = False  # of `bench/run --grid`


# The log of each query: what keeps a row a key of its input for ever, or takes long, gets fewer events.
QUERY_LOGS = {"q4": "log4m", "q6": "log1m", "q9": "log1m", "q10": "log1m", "q11": "log4m", "q12": "log4m",
              "q15": "log4m", "q16": "log1m", "q17": "log4m", "q18": "log1m", "q19": "log1m", "q20": "log4m"}
# q12 counts by the clock; of bids of one time, q18 has the one that comes last, and two cores' rows come as they come.
ALIKE_IN_PARALLEL = {"q12": (), "q18": ("rows",)}
QUERIES_BY_HAND = ("q4", "q6", "q9", "q15", "q16", "q17", "q18", "q19", "q20", "q21", "q22")

KERNEL = "{build}/bench/nexmark/bench_kernels"
ENGINE = "{build}/bench/bench_engine"
JSON = "{build}/bench/nexmark/bench_json"


def engine_rows():
    """The engine against the hand-written kernel on the same mapped bytes, fused and cut across two cores."""
    work = [(q, q, "{log}") for q in ("q0", "q1", "q2", "q3", "q5", "q7", "q8")]
    work += [("ysb78", "ysb", "{ysb78} " + INPUTS["ysb78"][1]), ("ysb128", "ysb", "{ysb128} " + INPUTS["ysb128"][1])]
    work += [("words10k", "words", "{words10k} 10000"), ("words1m", "words", "{words1m} 10000")]
    for name, kernel, rest in work:
        ours, peer = "%s %s %s" % (ENGINE, kernel, rest), "%s %s %s" % (KERNEL, kernel, rest)
        yield Figure("engine-fused-" + name, name + ", fused on one core", ours, peer, "kernel", 0.80, 0.60)
        yield Figure(
            "engine-cut-" + name, name + ", cut across two cores", ours + " --cut", peer, "kernel", 0.50, 0.30, cores=2
        )


def query_command(query, more=""):
    command = "%s %s {%s} --state=1024" % (ENGINE, query, QUERY_LOGS.get(query, "log"))
    return command + (" --output={disk}/q10/" if query == "q10" else "") + more


def query_rows():
    """The other queries against their kernels, and all of them on two cores, each with a subtask of every operator,
    beside one."""
    for query in QUERIES_BY_HAND:
        peer = "%s %s {%s}" % (KERNEL, query, QUERY_LOGS.get(query, "log"))
        yield Figure("engine-fused-" + query, query + ", fused on one core", query_command(query), peer, "kernel", 0.80)
    for number in range(23):
        query = "q%d" % number
        yield Figure(
            "two-cores-" + query, query + ", two subtasks on two cores", query_command(query, " --parallel=2"),
            "taskset -c {core} " + query_command(query), "one core", None, cores=2,
            alike=ALIKE_IN_PARALLEL.get(query, paired.ANSWER),
            full=True,
        )


def kernel_rows():
    """Whether the kernels are a measure at all: the speed of reading the same bytes."""
    for query in ("q2", "q7"):
        ours, peer = "%s %s {log}" % (KERNEL, query), "%s read {log}" % KERNEL
        yield Figure(
            "kernel-read-" + query, "kernel " + query, ours, peer, "sequential read", 0.80, 0.60, alike=()
        )


def state_suite(keys, draw):
    """One update of keyed state, beside a table that never grows and has no pages, and two packaged maps."""
    command = "taskset -c {core} {build}/bench/bench_state --contest %d %s 5" % (keys, draw)
    points = []
    for peer, peer_name, goal in (("flat", "flat table", 0.80), ("robin", "tsl::robin_map", 1.0),
                                  ("std", "std::unordered_map", 1.0)):
        figure = Figure(
            "state-%s-%d-%s" % (peer, keys, draw), "state update, %d keys, %s" % (keys, draw), command, command,
            peer_name, goal, full=draw == "zipf" and keys != 1_000_000,
        )
        names = ("weir-%d-%s" % (keys, draw), "%s-%d-%s" % (peer, keys, draw))
        points.append((figure, lambda lines, n=names: paired.contest_ratio(lines, *n)))
    return Suite("state-%d-%s" % (keys, draw), command, tuple(points), cores=1)


FIGURES = [
    *engine_rows(),
    *query_rows(),
    *kernel_rows(),
    Figure("json-lines", "JSON lines to records", JSON + " weir {lines}", JSON + " simdjson {lines}", "simdjson", 1.0),
]

RING = "{build}/bench/ring/bench_ring --rounds 5 --ms 20 --cores {cores}"


def ring_points():
    for size, batch in itertools.product((8, 16, 64), (1, 8, 32, 128)):
        line = {"test": "stream", "bytes": size, "batch": batch}
        figure = Figure(
            "ring-%d-%d" % (size, batch), "ring, %d bytes, batch %d" % (size, batch), RING, RING, "", 1.0, cores=2,
            full=size == 16 or batch in (8, 128),
        )
        yield figure, lambda lines, wanted=line: paired.summarise_point(lines, wanted)
    line = {"test": "ping-pong", "bytes": 8}
    figure = Figure("ring-ping-pong", "ring, ping-pong", RING, RING, "", 1.0, cores=2)
    yield figure, lambda lines, wanted=line: paired.summarise_point(lines, wanted)


CHAIN = "{build}/bench/graph/bench_chain --rounds 5 --cores {cores}"


def chain_points():
    """What a map costs where N follow each other, and the chain beside one function that does all N steps."""
    for cnt in (1, 2, 4, 8, 16):
        ours, peer, full = "pointer-%d" % cnt, "macro-%d" % cnt, cnt != 16
        title = "chain of %d maps" % cnt
        figure = Figure(
            "chain-%d" % cnt, title + ", one stage", CHAIN, CHAIN, "one function", 0.80, cores=2, full=full
        )
        yield figure, lambda lines, a=ours, b=peer: paired.contest_ratio(lines, a, b)
        for form, name, goal in (("pointer", "one stage", 0.3), ("ring", "a ring behind each", 3.0)):
            figure = Figure(
                "chain-step-%s-%d" % (form, cnt), "%s, %s: a map" % (title, name), CHAIN, CHAIN, "no maps",
                None if full else goal, cores=2, full=full, unit="ns",
            )
            yield figure, lambda lines, a="%s-%d" % (form, cnt), n=cnt: paired.contest_steps(lines, a, "none-0", n)


EXCHANGE = "{build}/bench/graph/bench_exchange --rounds 5 --cores {cores}"


def exchange_points():
    for keys in (10_000, 1_000_000):
        figure = Figure(
            "exchange-%d" % keys, "keyed exchange of two cores, %d keys" % keys, EXCHANGE, EXCHANGE,
            "two threads by hand", 0.50, 0.30, cores=2,
        )
        yield figure, lambda lines, n=keys: paired.contest_ratio(lines, "engine-%d" % n, "hand-%d" % n)


WINDOW = "{build}/bench/graph/bench_window --rounds 5 --cores {cores}"


def window_points():
    """A record in windows whose size is N slides, beside the same with N = 1: flat is 1."""
    for aggregate in ("count", "max"):
        for overlap in (5, 10, 100, 1000):
            figure = Figure(
                "window-%s-%d" % (aggregate, overlap), "%s in windows of %d slides" % (aggregate, overlap), WINDOW,
                WINDOW, "of one slide", 0.80, alike=(), full=overlap in (5, 100) or aggregate == "max",
            )
            yield figure, lambda lines, a=aggregate, n=overlap: paired.contest_ratio(
                lines, "%s-%d" % (a, n), a + "-1", alike=())


TIMERS = "{build}/bench/graph/bench_timers --rounds 5 --cores {cores}"


def timer_points():
    for live, title in ((150_000, "150,000 waiting"), (10_000_000, "10 M waiting")):
        figure = Figure("timers-%d" % live, "10 M timers set and fired, %s" % title, TIMERS, TIMERS, "binary heap", None)
        yield figure, lambda lines, n=live: paired.contest_ratio(lines, "weir-%d" % n, "heap-%d" % n)


ASYNC = "{build}/bench/graph/bench_async --rounds 5 --cores {cores}"
ASYNC_FORMS = {"now": "answered at once", "other": "answered by another core", "later": "answered in 20 us, 1 of 64 in 200"}


def async_points():
    for form, title in ASYNC_FORMS.items():
        for order in ("ordered", "unordered"):
            name = "%s-%s" % (form, order)
            figure = Figure("async-" + name, "async operator, %s, %s" % (title, order), ASYNC, ASYNC, "a loop by hand",
                            None, cores=1 if form == "now" else 2)
            yield figure, lambda lines, n=name: paired.contest_ratio(lines, n, "hand-" + n)
    figure = Figure("async-order", "async operator, %s, ordered beside unordered" % ASYNC_FORMS["later"], ASYNC, ASYNC,
                    "unordered", None, cores=2)
    yield figure, lambda lines: paired.contest_ratio(lines, "later-ordered", "later-unordered")


PRESSURE = ("python3 {root}/bench/pressure.py {build}/apps/weir/weir {build}/bench/graph/pressure.so --cores {cores} "
            "--disk {disk}")


def pressure_points():
    for sleep_us, title in ((0, "no time"), (200, "0.2 ms"), (1000, "1 ms"), (10000, "10 ms")):
        for kind in ("unaligned", "timeout"):
            name = "pressure-%s-%d" % (kind, sleep_us)
            text = "unaligned" if kind == "unaligned" else "unaligned behind 100 ms"
            figure = Figure(name, "checkpoint, sink of %s a record, %s" % (title, text), PRESSURE, PRESSURE, "aligned",
                            None, cores=2, unit="ms")
            yield figure, lambda lines, k=kind, us=sleep_us: paired.checkpoint_ms(
                lines, "%s-%d" % (k, us), "aligned-%d" % us)


JET = ("python3 {root}/bench/jet.py {build}/apps/weir/weir {build}/bench/graph/jet.so {build}/bench/graph/bench_pace "
       "--cpu {core} --other {other} --disk {disk} --slide ")


def jet_suite(slide):
    """q5 as Jet's latency benchmark has it: the delay of a window's last row."""
    command, points = JET + str(slide), []
    title = "q5 of 10 s / %d ms, 10 k keys, 1 M events/s" % slide
    for way, text in (("none", ""), ("once", ", exactly-once each 1 s")):
        for share, goal in (("p50", 50.0), ("p99", None), ("p999", 200.0)):
            figure = Figure("jet-%d-%s-%s" % (slide, way, share), "%s%s: %s above the floor" % (title, text, SHARES[share]),
                            command, command, "hiccup floor", goal if way == "none" else None, cores=2,
                            full=goal is None, unit="us")
            points.append((figure, lambda lines, w=way, s=share: paired.late_windows(lines, w, s)))
    figure = Figure("jet-%d-added-p999" % slide, title + ": p99.9 that exactly-once adds", command, command, "none", 100.0,
                    cores=2, unit="us")
    points.append((figure, lambda lines: paired.late_by_checkpoints(lines, "p999")))
    return Suite("jet-%d" % slide, command, tuple(points))


MOVE = ("python3 {root}/bench/move.py {build}/apps/weir/weir {build}/tests/jobs/moved.so --cores {cores} "
        "--disk {disk}")
MOVE_BASES = {"base": "as many checkpoints", "none": "no checkpoints"}


def move_points():
    """Rows are late while key groups move: how many times as late as without."""
    for share in ("p999", "p9999", "max"):
        for base, peer_name in MOVE_BASES.items():
            figure = Figure(
                "move-%s-%s" % (base, share),
                "16 of 128 key groups move each 200 ms, 100 k keys, 1 M rows/s: " + SHARES.get(share, share), MOVE, MOVE,
                peer_name, 10.0 if (share, base) == ("p999", "base") else None, cores=2, full=share != "p999",
                unit="times",
            )
            yield figure, lambda lines, b=base, s=share: paired.late_by_moves(lines, b, s)


PACE = "{build}/bench/graph/bench_pace "
SHARES = {"p50": "p50", "p99": "p99", "p999": "p99.9", "p9999": "p99.99"}


def latency_points(name, title, command, goals, full=False):
    for share, goal in goals:
        figure = Figure(
            "%s-%s" % (name, share), "%s, %s above the floor" % (title, SHARES[share]), command, command,
            "hiccup floor", goal, full=full, unit="us",
        )
        yield figure, lambda lines, s=share: paired.latency_excess(lines, s)


def latency_suite(name, rate_name, rate, seconds, tail, idle="spin"):
    command = PACE + "latency %d %d %s --cpu {core} --hgrm {hgrm}/%s" % (rate, seconds, idle, name)
    goals = [("p50", 1.0), ("p99", 5.0), (tail, 50.0)]
    title = "latency at %s/s%s" % (rate_name, "" if idle == "spin" else ", " + idle)
    return Suite(name, command, tuple(latency_points(name, title, command, goals, idle != "spin")), cores=1)


CPU = PACE + "cpu 3 --cpu {core}"


def cpu_points():
    for percent in (0, 1, 10, 50):
        title = "CPU use at %d %% load, adaptive" % percent if percent else "CPU use of an idle job, adaptive"
        goal, bar = (2.0, 2.0) if percent == 0 else (None, 0.0)
        figure = Figure("cpu-%d" % percent, title, CPU, CPU, "spin", goal, bar, unit="% of a core")
        yield figure, lambda lines, p=percent: paired.cpu_use(lines, "adaptive-%d" % p, "spin-%d" % p)




GRID_LIMIT_S = 230
SNAPSHOT_SIZES = {1: "1 MiB", 64: "64 MiB", 1024: "1 GiB", 4096: "4 GiB"}
SNAPSHOT_RATES = {"0": "no updates", "1000000": "1 M updates/s", "full": "full speed"}
# Rounds and snapshots of a phase: 1,000 in all up to 64 MiB, 30 at 1 GiB, 5 at 4 GiB and a little more.
SNAPSHOT_COUNTS = {1: (5, 100), 64: (10, 50), 1024: (5, 3), 4096: (3, 1)}
SNAPSHOT_PEERS = {"page": "pages copied on write", "stop": "stop and copy", "fork": "fork"}


def snapshot_command(phases, mib, rate, keys, rounds, rest):
    words = "%s %s --mib %d --rate %s --rounds %d %s" % (snapshots.BENCH, phases, mib, rate, rounds, rest)
    return words + (" --zipf" if keys == "zipf" else "") + snapshots.TAIL


def grid_suite(name, command, points, needs=()):
    return Suite(name, command, tuple(points), needs=needs, limit_s=GRID_LIMIT_S, is_grid=True)


def snapshot_suite(mib, rate, keys):
    """Snapshots in full, one after another. The row of the gap holds all else that is known of them."""
    rounds, count = SNAPSHOT_COUNTS[mib]
    is_goal = (mib, rate, keys) == (1024, "1000000", "uniform")
    has_fio = keys == "uniform" and rate != "full" and mib in (64, 1024)
    phases = "idle,control,line" + (",write" if has_fio else "")
    command = snapshot_command(phases, mib, rate, keys, rounds, "--snapshots %d --ms 1000" % count)
    name = "snapshot-%d-%s-%s" % (mib, rate, keys)
    title = "snapshots of %s, %s" % (SNAPSHOT_SIZES[mib], SNAPSHOT_RATES[rate])
    title += "" if rate == "0" else ", " + keys

    def figure(what, text, peer, goal, full, unit):
        return Figure("%s-%s" % (name, what), "%s: %s" % (title, text), command, command, peer, goal, cores=2,
                      full=full, unit=unit)

    points = [(figure("gap", "gap between polls, p99.99 above the control", "control", 20.0 if is_goal else None,
                      not is_goal, "us"), lambda lines: snapshots.gap_excess(lines, "line", "control", "gap"))]
    if rate != "0":
        points.append((figure("work", "gap of polls with work, p99.99 above the control", "control",
                              20.0 if is_goal else None, not is_goal, "us"),
                       lambda lines: snapshots.gap_excess(lines, "line", "control", "work")))
    if is_goal:
        points += [
            (figure("cpu", "CPU of the storage core a GB", "control", 60.0, True, "ms"),
             lambda lines: snapshots.storage_cpu(lines, "line", "control")),
            (figure("durable", "until the manifest is durable, p50", "the file", None, True, "ms"),
             lambda lines: snapshots.durable(lines, "line")),
            (figure("undo", "old lines that wait, the most", "budget", None, True, "MiB"),
             lambda lines: snapshots.undo_memory(lines, "line")),
        ]
    if has_fio:
        full = rate != "0" and not is_goal
        points.append((figure("fio", "bytes a second", "fio", 0.92, full, ""), snapshots.bandwidth))
    return grid_suite(name, command, points, ("fio",) if has_fio else ())


def loss_suite(mib, rate, keys, intervals, ms, goals, rounds=5):
    """Checkpoints as a job takes them, on a schedule, beside none."""
    phases = ",".join(["none"] + ["more@%d" % interval for interval in intervals])
    command = snapshot_command(phases, mib, rate, keys, rounds, "--ms %d" % ms)
    name = "checkpoints-%d-%s-%s" % (mib, rate, keys)
    points = []
    for interval in intervals:
        ours, goal = "more@%d" % interval, goals.get(interval)
        every = "%d ms" % interval if interval < 1000 else "%d s" % (interval // 1000)
        title = "checkpoints of %s each %s, %s, %s" % (SNAPSHOT_SIZES[mib], every, SNAPSHOT_RATES[rate], keys)
        take = snapshots.slowdown if rate == "full" else snapshots.loss
        figure = Figure("%s-%d-loss" % (name, interval), title + ": lost of the core", command, command, "none", goal, cores=2,
                        full=goal is None, unit="%")
        points.append((figure, lambda lines, o=ours, t=take: t(lines, o)))
        figure = Figure("%s-%d-bytes" % (name, interval), title + ": bytes written for a byte of written lines", command,
                        command, "lines", 1.5, cores=2, full=goal is None, unit="bytes")
        points.append((figure, lambda lines, o=ours: snapshots.amplification(lines, o)))
    suite = name if len(intervals) > 1 or intervals == [1000] else "%s-%d" % (name, intervals[0])
    return grid_suite(suite, command, points)


def peer_suite(mib, peers, rest):
    """The same state and rate, with other ways to keep the memory as it was."""
    command = snapshot_command("control,line," + ",".join(peers), mib, "1000000", "uniform",
                               2 if mib == 1024 else 5, "--snapshots %d %s" % (5 if mib == 1024 else 10, rest))
    points = []
    for peer in ["line"] + peers:
        name = SNAPSHOT_PEERS.get(peer, "lines saved")
        figure = Figure("peer-%d-%s%s" % (mib, peer, "-small" if rest and peer == "line" else ""),
                        "snapshots of %s, 1 M updates/s, %s%s: gap of polls with work, p99.99 above the control"
                        % (SNAPSHOT_SIZES[mib], name, ", small pages of the host" if rest else ""),
                        command, command, "control", None, cores=2, full=True, unit="us")
        points.append((figure, lambda lines, p=peer: snapshots.gap_excess(lines, p, "control", "work")))
    return grid_suite("peer-%d-%s" % (mib, peers[0]), command, points)


RECOVERY = "python3 {root}/bench/recovery.py {build}/apps/weir/weir {build}/bench/snapshot/keyed.so --disk {disk} "
PEERS = "python3 {root}/bench/snapshot_peers.py {build}/bench/snapshot/bench_snapshot "


def recovery_suite(name, keys, kills, interval, title):
    """A real job, killed and started again."""
    command = RECOVERY + "--keys %d --kills %d --interval %s --cpus {cores}" % (keys, kills, interval)
    points = (
        (Figure("restore-" + name, "restore of %s by a job" % title, command, command, "fio, sequential read", 0.91,
                cores=2), snapshots.restore),
        (Figure("kill-" + name, "first output after kill -9, %s, checkpoints each %s, p99" % (title, interval), command,
                command, "the restore", 2.0, cores=2, unit="s"), snapshots.first_output),
    )
    return Suite("recovery-" + name, command, points, needs=("fio",))


def other_store_suites():
    for peer, title, rounds, needs in (
            ("redis", "snapshot of 1 GiB, beside BGSAVE", 4, ("redis-server", "redis-cli")),
            ("rocksdb", "checkpoint of 1 GiB after 1 M updates, beside RocksDB's", 8, ())):
        command = PEERS + peer + " --rounds %d --disk {disk} --cores {core},{other} --rocks" % rounds
        command += " {build}/bench/snapshot/bench_rocks"
        figure = Figure("other-" + peer, title, command, command, peer, 1.0, cores=2)
        yield grid_suite("other-" + peer, command,
                         ((figure, lambda lines, p=peer: snapshots.other_store(lines, p)),), needs)


def snapshot_suites():
    yield snapshot_suite(1024, "1000000", "uniform")
    yield loss_suite(1024, "1000000", "uniform", [1000], 5000, {1000: 2.0})
    yield loss_suite(64, "1000000", "uniform", [100, 1000], 2000, {100: 5.0})
    yield snapshot_suite(1024, "0", "uniform")
    yield snapshot_suite(64, "0", "uniform")
    yield recovery_suite("64", 2_000_000, 30, "100ms", "64 MiB")
    yield recovery_suite("1024", 32_000_000, 10, "1s", "1 GiB")
    yield from other_store_suites()
    for mib in (64, 1024):
        yield peer_suite(mib, ["page", "stop"], "")
        yield peer_suite(mib, ["fork"], "--small-pages")
    for mib in (64, 1024):
        yield loss_suite(mib, "1000000", "uniform", [10000], 20000, {}, 2)
    yield loss_suite(1024, "1000000", "zipf", [1000], 5000, {})
    yield loss_suite(1024, "full", "uniform", [1000], 5000, {})
    yield loss_suite(64, "full", "uniform", [100, 1000], 2000, {})
    yield loss_suite(1024, "full", "zipf", [1000], 5000, {})
    yield loss_suite(1024, "full", "uniform", [10000], 20000, {}, 2)
    done = {(1024, "1000000", "uniform"), (1024, "0", "uniform"), (64, "0", "uniform")}
    for mib, rate, keys in itertools.product(SNAPSHOT_SIZES, SNAPSHOT_RATES, ("uniform", "zipf")):
        if (mib, rate, keys) not in done and (rate != "0" or keys == "uniform"):
            yield snapshot_suite(mib, rate, keys)


# Those whose figures are all `full` run with --full only.
SUITES = [
    *(state_suite(keys, draw) for keys in (100, 10_000, 1_000_000, 10_000_000) for draw in ("uniform", "zipf")),
    Suite("ring", RING, tuple(ring_points())),
    Suite("chain", CHAIN, tuple(chain_points())),
    Suite("exchange", EXCHANGE, tuple(exchange_points())),
    Suite("window", WINDOW, tuple(window_points()), cores=1),
    Suite("timers", TIMERS, tuple(timer_points()), cores=1),
    Suite("async", ASYNC, tuple(async_points())),
    Suite("pressure", PRESSURE, tuple(pressure_points())),
    *(jet_suite(slide) for slide in (10, 20, 500)),
    Suite("move", MOVE, tuple(move_points())),
    latency_suite("latency-1m", "1 M events", 1_000_000, 100, "p9999"),
    latency_suite("latency-100k", "100 k events", 100_000, 60, "p999"),
    latency_suite("latency-100k-adaptive", "100 k events", 100_000, 60, "p999", "adaptive"),
    Suite("cpu", CPU, tuple(cpu_points()), cores=1),
    *snapshot_suites(),
]
