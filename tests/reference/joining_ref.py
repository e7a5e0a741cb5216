#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""joining_ref.py: what a join of tables may tell, row by row.

A row of either side makes the joined table another one, and what is told of it is the difference of the two. Rows of the
sides come in any order beside each other, so a log is right where there is an order that it says.
"""
import collections
import itertools

NONE = -1000000
UNMET = {"left": (0,), "right": (1,), "full": (0, 1), "anti": (0,)}


def joined(kind, left, right):
    """The joined table of the rows of one key, as a count of each."""
    pairs = [] if kind in ("semi", "anti") else itertools.product(left, right)
    alone = UNMET.get(kind, ())
    rows = collections.Counter(pairs)
    if not right and 0 in alone or right and kind == "semi":
        rows.update((value, NONE) for value in left)
    if not left and 1 in alone:
        rows.update((NONE, value) for value in right)
    return rows


def latest(entries):
    """The changes of the table of the latest value of each slot, as entries (value, time) come."""
    last = {}
    for value, at in entries:
        was = last.get(value % 8)
        if was is not None and (at, value) <= was:
            continue
        last[value % 8] = at, value
        if was is not None:
            yield "-U", was[1]
        yield "+U" if was is not None else "+I", value


def is_told(kind, change, before, after, lines):
    """Whether these lines are what a change tells: the difference, of kinds as they have to be."""
    gone, new = before - after, after - before
    ops = collections.Counter(op for op, _ in lines)
    kinds = {change[0]} if kind in ("table", "live") else {"+I", "-D"}
    return (set(ops) <= kinds and collections.Counter(row for op, row in lines if op[0] == "-") == gone
            and collections.Counter(row for op, row in lines if op[0] == "+") == new)


def rows_after(changes):
    """The rows that are there after none, one, two ... of the changes."""
    rows = collections.Counter()
    yield []
    for op, value in changes:
        rows[value] += 1 if op[0] == "+" else -1
        yield sorted(rows.elements())


def told_so_far(kind, sides, lines):
    """How many lines of a key's log (op, (left, right)) an order of its sides' changes says at the most."""
    rows = [list(rows_after(changes)) for changes in sides]
    seen, best, ways = set(), 0, [(0, 0, 0)]
    while ways:
        way = ways.pop()
        if way in seen:
            continue
        seen.add(way)
        *at, pos = way
        best = max(best, pos)
        before = joined(kind, rows[0][at[0]], rows[1][at[1]])
        if at == [len(side) for side in sides] and pos == len(lines):
            return pos
        for side in (0, 1):
            if at[side] == len(sides[side]):
                continue
            then = [at[0] + (side == 0), at[1] + (side == 1)]
            after = joined(kind, rows[0][then[0]], rows[1][then[1]])
            end = pos + sum((before - after).values()) + sum((after - before).values())
            if end <= len(lines) and is_told(kind, sides[side][at[side]], before, after, lines[pos:end]):
                ways.append((*then, end))
    return min(best, len(lines) - 1)
