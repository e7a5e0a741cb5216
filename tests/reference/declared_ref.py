# SPDX-License-Identifier: Apache-2.0
"""declared_ref: a text, and what tests/jobs/declared.c says of it, by a plain loop."""
import collections
import random

HEADER = "text,cnt,lines,last"


def text_of(words, lines, seed, per_line=5):
    """Words that come again after many others: on disk they have gone out meanwhile."""
    rng = random.Random(seed)
    return [" ".join(f"word-number-{rng.randrange(words)}" for _ in range(per_line)) for _ in range(lines)]


def expected(lines):
    """Its rows, in the order of the words."""
    cnt = collections.Counter()
    on = collections.defaultdict(list)
    rows = []
    for number, line in enumerate(lines, 1):
        for word in line.split():
            cnt[word] += 1
            on[word].append(number)
            last = "+".join(map(str, on[word][-3:]))
            rows.append(f"{word},{cnt[word]},{len(set(on[word]))},{last}")
    return rows
