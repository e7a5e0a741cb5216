#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The order-free checksum of a table, as dataplane/row_hash.h defines it.

A row is a sequence of int (any 64-bit value, or a scaled decimal), str or bytes, bool, float or None.
"""
import struct

MASK = (1 << 64) - 1
NULL = 0x6E756C6C6E756C6C
K1 = 0xA0761D6478BD642F
K2 = 0xE7037ED1A0B428DB
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def multiplier(idx):
    return mix((GOLDEN * (idx + 1)) & MASK) | 1


MULTIPLIERS = [multiplier(i) for i in range(64)]


def fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def text(value):
    left = len(value)
    seed = (left * GOLDEN) & MASK
    at = 0
    while left > 16:
        a, b = struct.unpack_from("<QQ", value, at)
        seed = fold(a ^ K1, b ^ K2 ^ seed)
        at += 16
        left -= 16
    tail = value[at:]
    a = b = 0
    if left >= 8:
        a, b = int.from_bytes(tail[:8], "little"), int.from_bytes(tail[-8:], "little")
    elif left >= 4:
        a, b = int.from_bytes(tail[:4], "little"), int.from_bytes(tail[-4:], "little")
    elif left > 0:
        a = tail[0] | tail[left // 2] << 8 | tail[left - 1] << 16
    return fold(a ^ K1 ^ seed, b ^ K2)


def field(value):
    if value is None:
        return NULL
    if isinstance(value, str):
        return text(value.encode())
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, float):
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    return int(value) & MASK


def row(values):
    total = 0
    for idx, value in enumerate(values):
        total += field(value) * MULTIPLIERS[idx]
    total &= MASK
    total = ((total ^ (total >> 32)) * 0xD6E8FEB86659FD93) & MASK
    return total ^ (total >> 32)


def table(rows):
    """(number of rows, checksum) of any iterable of rows."""
    count = total = 0
    for values in rows:
        count += 1
        total += row(values)
    return count, total & MASK
