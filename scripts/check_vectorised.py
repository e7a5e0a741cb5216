#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_vectorised.py FILE FUNCTION...: whether the functions' inner loops compute on packed vectors.

Reads the machine code of FILE (an object or a shared module; objdump). A function passes when one of its innermost
loops holds packed arithmetic: the others are for the rows left over, and for columns that overlap. Moving vectors about
is not enough. Names may carry the suffixes of the compiler's copies (`.constprop.0`). Exit 1: one does not pass, or is
not there.
"""
import re
import subprocess
import sys

PACKED = re.compile(r"^v?p(add|sub|mul|cmp|sll|srl|sra|and|or|xor|max|min)\w*$|^v?(add|sub|mul|div|cmp\w*)p[sd]$")
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(?:([0-9a-f]+)\b)?")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")


def functions(text):
    """name -> [(address, mnemonic, target of a jump or None)]"""
    found = {}
    body = None
    for line in text.splitlines():
        head = FUNCTION.match(line)
        if head:
            body = found.setdefault(re.sub(r"\.(constprop|isra|part|cold)\b.*", "", head.group(1)), [])
            continue
        code = LINE.match(line)
        if code and body is not None:
            mnemonic = code.group(2)
            target = int(code.group(3), 16) if mnemonic.startswith("j") and code.group(3) else None
            body.append((int(code.group(1), 16), mnemonic, target))
    return found


def innermost_loops(body):
    """The instructions of each loop (from the target of a jump back to the jump) that holds no other."""
    first = body[0][0] if body else 0
    loops = {(target, at) for at, _, target in body if target is not None and first <= target <= at}
    for begin, end in sorted(loops):
        if not any((begin, end) != other and begin <= other[0] and other[1] <= end for other in loops):
            yield [mnemonic for at, mnemonic, _ in body if begin <= at <= end]


def verdict(body):
    loops = list(innermost_loops(body))
    if not loops:
        return "has no loop"
    if not any(PACKED.match(mnemonic) for loop in loops for mnemonic in loop):
        return f"computes on no packed vectors in any of {len(loops)} innermost loops"
    return None


def main():
    path, *names = sys.argv[1:]
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    found = functions(text)
    failed = 0
    for name in names:
        why = verdict(found[name]) if name in found else "is not there"
        if why:
            print(f"{path}: {name} {why}")
            failed = 1
    if not names:
        sys.exit(__doc__)
    return failed


if __name__ == "__main__":
    sys.exit(main())
