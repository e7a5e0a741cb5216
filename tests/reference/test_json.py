#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_json.py JSON_DUMP: our scanner beside Python's json on random documents, right and damaged.

Where we are stricter on purpose: no NaN and Infinity, no lone surrogates, at most 64 levels, numbers that fit.
"""
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import unittest

JSON_DUMP = "json_dump"
SEED = 20240102
LONE = re.compile("[\ud800-\udfff]")


def random_text(rng):
    alphabet = ["a", "Z", " ", '"', "\\", "/", "\x00", "\x1f", "\n", "\t", "\x7f", "é", "€", "😀", "\uffff", "\u2028"]
    return "".join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 3, 20, 70))))


def random_number(rng):
    return rng.choice([
        rng.randint(-(1 << 63), (1 << 63) - 1), rng.randint(-99, 99), (1 << 63) - 1, -(1 << 63), 1 << 63, 0,
        rng.uniform(-1, 1), rng.uniform(-1, 1) * 10 ** rng.randint(-300, 300), 1e22, 5e-324, -0.0])


def random_value(rng, depth):
    kind = rng.randint(0, 7 if depth else 5)
    if kind < 2:
        return random_text(rng)
    if kind < 4:
        return random_number(rng)
    if kind < 6:
        return rng.choice([True, False, None])
    if kind == 6:
        return [random_value(rng, depth - 1) for _ in range(rng.randint(0, 4))]
    return {random_text(rng): random_value(rng, depth - 1) for _ in range(rng.randint(0, 4))}


def random_line(rng):
    document = {random_text(rng): random_value(rng, 3) for _ in range(rng.randint(0, 6))}
    if rng.random() < 0.2:
        document = random_value(rng, 3)
    line = json.dumps(document, ensure_ascii=rng.random() < 0.5,
                      separators=rng.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])).encode()
    if rng.random() < 0.6:
        bytes_ = bytearray(line)
        for _ in range(rng.randint(1, 3)):
            where = rng.randrange(len(bytes_))
            what = rng.choice(b'{}[]",:\\u0123456789eE+-. tfn\x01\x80\xc3\xff')
            rng.choice([lambda: bytes_.__setitem__(where, what), lambda: bytes_.insert(where, what),
                        lambda: len(bytes_) > 1 and bytes_.pop(where)])()
            where = min(where, len(bytes_) - 1)
        line = bytes(bytes_)
    return line.replace(b"\n", b" ").replace(b"\0", b" ")


def refuse(name):
    raise ValueError(name)


def dump_value(value):
    if isinstance(value, str):
        return "t" + value.encode().hex()
    if isinstance(value, bool):
        return "b%d" % value
    if value is None:
        return "n"
    if isinstance(value, (list, dict, Pairs)):
        return "-"
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return "i%d" % value
    return "f" + float(value).hex()


class Pairs(list):
    """The members of an object, in order and with repetitions."""


def has_lone(value):
    if isinstance(value, str):
        return LONE.search(value) is not None
    if isinstance(value, (tuple, list)):
        return any(has_lone(part) for part in value)
    return False


def expected(line):
    """The dump of a line by Python's reader, or None where it is no JSON of ours."""
    try:
        text = line.decode("utf-8")
        value = json.loads(text, object_pairs_hook=Pairs, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    if has_lone(value):
        return None
    if not isinstance(value, Pairs):
        return " ok"
    if any(isinstance(v, (int, float)) and not math.isfinite(float(v)) for _, v in value):
        return None  # beyond a double, which Python reads as infinite
    return "".join(" t%s=%s" % (key.encode().hex(), dump_value(v)) for key, v in value) + " ok"


def canonical(dump):
    """Doubles in one spelling: C and Python write different hex digits for the same value."""
    return re.sub(r"=f(\S+)", lambda m: "=f" + float.fromhex(m.group(1)).hex(), dump)


class AgainstPython(unittest.TestCase):
    def check(self, lines):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            done = subprocess.run([JSON_DUMP, file.name], check=True, stdout=subprocess.PIPE)
        dumps = done.stdout.decode("ascii").split("\n")[:-1]
        self.assertEqual(len(dumps), len(lines))
        accepted = 0
        for line, dump in zip(lines, dumps):
            want = expected(line)
            if want is None:
                self.assertRegex(dump, r" bad \d+$", line)
                self.assertLessEqual(int(dump.split()[-1]), len(line) + 1, line)
            else:
                self.assertEqual(canonical(dump), want, line)
                accepted += 1
        return accepted

    def test_random_documents(self):
        print("seed %d" % SEED, file=sys.stderr)
        rng = random.Random(SEED)
        accepted = self.check([random_line(rng) for _ in range(20000)])
        self.assertGreater(accepted, 5000)
        self.assertLess(accepted, 16000)

    def test_chosen_lines(self):
        self.check([b'{"a":1,"a":2}', b'{"a":1e400}', b'{"a":NaN}', b'{"a":-Infinity}', b'["\\ud800"]', b'{"":""}',
                    b'{"\\u0061":"\\ud83d\\ude00"}', b'\xef\xbb\xbf{}', b'{"a":00}', b'{"a":-}', b'{"a":1.}', b" ", b"{}x",
                    b'{"a":9223372036854775808}', b'{"a":-9223372036854775809}', b'{"a":0.1e-7,"b":1E5}', b'"\xed\xa0\x80"'])


if __name__ == "__main__":
    JSON_DUMP = sys.argv[1]
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
