# SPDX-License-Identifier: Apache-2.0
"""collatz_ref: lines for tests/jobs/collatz.c, and what it makes of them, by a plain loop."""
import random

LONG = "a text that is longer than what fits into a row by itself; "


def lines_of(cnt, seed, largest=100_000):
    """Long texts and short ones. No value is 1: it would go round once."""
    rng = random.Random(seed)
    return [f"{i},{rng.randrange(2, largest)},{LONG * (i % 3)}{i}" for i in range(cnt)]


def steps_of(value):
    steps = 0
    while True:
        value = value // 2 if value % 2 == 0 else 3 * value + 1
        steps += 1
        if value == 1:
            return steps


def expected(lines):
    """Its rows, sorted: id, value, steps, visits, text."""
    rows = []
    for line in lines:
        number, value, text = line.split(",", 2)
        steps = steps_of(int(value))
        rows.append([number, "1", str(steps), str(steps), text])
    return sorted(rows)
