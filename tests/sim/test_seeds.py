#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_seeds.py WEIR: same job, same input, many worlds: same answer.

Each seed draws the order in which tasks are polled under a simulated clock (poller=seed:N), and beside it
parallelism, cuts, and the sizes of batches, rings and buffers down to the smallest that are legal. The
answers are compared with Flink's. WEIR_SEED_CNT seeds (500) for q5, a fifth of them for the others, from
WEIR_SEED_FIRST (1).
"""
import concurrent.futures
import os
import pathlib
import random
import subprocess
import sys
import unittest

WEIR = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
NEXMARK = ROOT / "tests/data/nexmark"
SEED_CNT = int(os.environ.get("WEIR_SEED_CNT", "500"))
SEED_FIRST = int(os.environ.get("WEIR_SEED_FIRST", "1"))
TIMEOUT_S = 300
JOBS = {
    "q5": (["nexmark", "-p", "query=q5", "-p", f"events={NEXMARK}/events-ooo.jsonl.zst"], NEXMARK / "expected/q5.csv"),
    "q7": (["nexmark", "-p", "query=q7", "-p", f"events={NEXMARK}/events-ooo.jsonl.zst"], NEXMARK / "expected/q7.csv"),
    "q2": (["nexmark", "-p", "query=q2", "-p", f"events={NEXMARK}/events.jsonl.zst"], NEXMARK / "expected/q2.csv"),
}


def world(seed):
    """What a seed draws beside the order of polls."""
    rng = random.Random(seed)
    return {
        "poller": f"seed:{seed}",
        "parallelism": rng.choice([1, 1, 2, 3]),
        "placement.cut": rng.choice(["none", "all"]),
        "batch.rows": rng.choice([64, 128, 1024, 4096]),
        "ring.slots": rng.choice([8, 16, 64]),
        "buffers.size": rng.choice(["4KiB", "8KiB", "32KiB"]),
        "buffers.per_channel": rng.choice([1, 2, 4]),
        "buffers.floating": rng.choice([0, 1, 8]),
        "memory.budget": "512MiB",
        "memory.huge_pages": "off",
    }


def answer(job, sets, name):
    command = [str(WEIR), "run", *JOBS[job][0], "-p", "output=-", "--name", name]
    for key, value in sets.items():
        command += ["--set", f"{key}={value}"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
    result = subprocess.run(command, capture_output=True, env=env, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
    if result.returncode != 0:
        return f"exit {result.returncode}: {result.stderr.decode()[-1500:]}"
    header, *rows = result.stdout.decode().splitlines()
    return [header, *sorted(rows)]


class Seeds(unittest.TestCase):
    def check(self, job, seed_cnt):
        header, *rows = JOBS[job][1].read_text().splitlines()
        expected = [header, *sorted(rows)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            seeds = range(SEED_FIRST, SEED_FIRST + seed_cnt)
            running = {seed: pool.submit(answer, job, world(seed), f"seeds-{os.getpid()}-{job}-{seed}")
                       for seed in seeds}
            for seed, future in running.items():
                found = future.result()
                if found != expected:
                    for other in running.values():
                        other.cancel()
                    shown = found if isinstance(found, str) else f"{len(found)} lines, not {len(expected)}"
                    self.fail(f"seed {seed}, {world(seed)}: {shown}")

    def test_all_seeds_agree_on_q5(self):
        self.check("q5", SEED_CNT)

    def test_all_seeds_agree_on_q7(self):
        self.check("q7", SEED_CNT // 5)

    def test_all_seeds_agree_on_q2(self):
        self.check("q2", SEED_CNT // 5)


if __name__ == "__main__":
    os.nice(10)  # goes by no clock: the tests beside it that do have the processors first
    print(f"seeds {SEED_FIRST} to {SEED_FIRST + SEED_CNT - 1}")
    unittest.main(argv=sys.argv[:1], verbosity=2)
