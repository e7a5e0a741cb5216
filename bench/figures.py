# SPDX-License-Identifier: Apache-2.0
"""The figures that bench/run measures: one row each, with both commands, the goal, and where failure begins.

A command prints one JSON line with name, ns_per_event, events and checksum. {build} is the build folder, {probe} and
other names in braces are inputs of INPUTS, made once by make_input and mapped by both sides.
"""
import dataclasses

# Records of 64 bytes and about 96 of payload each: 1 GiB of records alone.
EVENTS = 1 << 24
YSB_BYTES = 1 << 30
WORD_LINES = 10_000_000

# name: (kind, specification); the size is the first number of the specification.
INPUTS = {
    "log": ("log", "gen:%d,seed=1" % EVENTS),
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
    goal: float  # of peer time / our time: above 1, ours is faster
    bar: float = 0.0  # the lower end of the interval below this: failed
    cores: int = 1  # 2: bracketed by the ping-pong probe, pairs of one placement only
    same_answer: bool = True  # both sides end in the same checksum
    full: bool = False  # measured by bench/run --full only

    def inputs(self):
        return [name for name in INPUTS if "{%s}" % name in self.ours + self.peer]


@dataclasses.dataclass(frozen=True)
class Suite:
    """A program that pairs by itself: a JSON line a point with the peer's name and ours-over-peer ratios."""

    name: str
    command: str
    points: tuple  # (figure name, title, what the lines of the point hold, goal)
    cores: int = 2


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


def kernel_rows():
    """Whether the kernels are a measure at all: the speed of reading the same bytes."""
    for query in ("q2", "q7"):
        ours, peer = "%s %s {log}" % (KERNEL, query), "%s read {log}" % KERNEL
        yield Figure(
            "kernel-read-" + query, "kernel " + query, ours, peer, "sequential read", 0.80, 0.60, same_answer=False
        )


STATE = "{build}/bench/bench_state --point "


def state_rows():
    """One update of keyed state, beside a table that never grows and has no pages, and a packaged map."""
    peers = (("flat", "flat table", 0.80), ("robin", "tsl::robin_map", 1.0), ("std", "std::unordered_map", 1.0))
    for keys in (100, 10_000, 1_000_000, 10_000_000):
        for draw in ("uniform", "zipf"):
            for peer, peer_name, goal in peers:
                yield Figure(
                    "state-%s-%d-%s" % (peer, keys, draw),
                    "state update, %d keys, %s" % (keys, draw),
                    STATE + "weir %d %s" % (keys, draw),
                    STATE + "%s %d %s" % (peer, keys, draw),
                    peer_name,
                    goal,
                    full=peer == "std" or draw == "zipf" or keys == 100,
                )


FIGURES = [
    *engine_rows(),
    *kernel_rows(),
    *state_rows(),
    Figure("json-lines", "JSON lines to records", JSON + " weir {lines}", JSON + " simdjson {lines}", "simdjson", 1.0),
]

RING = "{build}/bench/ring/bench_ring --rounds 5 --ms 20 --cores {cores}"


def ring_points():
    for size, batch in ((8, 1), (8, 32), (64, 1), (64, 32)):
        line = {"test": "stream", "bytes": size, "batch": batch}
        yield "ring-%d-%d" % (size, batch), "ring, %d bytes, batch %d" % (size, batch), line, 1.0
    yield "ring-ping-pong", "ring, ping-pong", {"test": "ping-pong", "bytes": 8}, 1.0


SUITES = [Suite("ring", RING, tuple(ring_points()))]
