#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_style [ROOT [FILE...]]: the rules of style that a script can see.

Without files it reads all that git tracks or would track. A line is excused by a comment on it or on
one of the two before, of the form `lint: allow <rule>: <reason>`; messages end with the rule.
"""
import pathlib
import re
import subprocess
import sys

COLUMNS = 100
C_LINES = 800
H_LINES = 500
FUNCTION_LINES = 70
PARAMETERS = 5
# Loops that are expanded per type take their constants as parameters; nothing is passed.
PARAMETERS_STATIC = 7
FLOORS = ("base", "io", "dataplane", "sched")
LIBRARY = tuple(f + "/" for f in FLOORS)

# Words that say nothing, refused in the names of files.
EMPTY_WORDS = {
    "util", "utils", "helper", "helpers", "common", "misc", "data", "info", "manager", "handler",
    "worker", "context", "impl",
}
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#?\d+\))")
ATOMIC = re.compile(
    r"\b(memory_order\w*|atomic_(?:load|store|exchange|fetch|compare|thread|signal|flag)\w*|"
    r"__atomic_\w+|__sync_\w+|_Atomic)\b"
)
ALLOW = re.compile(r"lint: allow ([a-z-]+): (?!\*/)\S")
DEFINITION = re.compile(r"^([A-Za-z_]\w*)\(", re.M)


def blank(text):
    """C text with comments and strings blanked out, line for line; and where // comments start."""
    out = []
    slashes = []
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    last = 0
    for found in token.finditer(text):
        out.append(text[last : found.start()])
        if found.group().startswith("//"):
            slashes.append(text.count("\n", 0, found.start()) + 1)
        out.append(re.sub(r"[^\n]", " ", found.group()))
        last = found.end()
    out.append(text[last:])
    return "".join(out), slashes


class File:
    """One file and what is wrong with it."""

    def __init__(self, path, text):
        self.path = path
        self.lines = text.split("\n")
        self.problems = []

    def say(self, line, rule, what):
        for near in (line, line - 1, line - 2):
            if 1 <= near <= len(self.lines):
                excuse = ALLOW.search(self.lines[near - 1])
                if excuse and excuse.group(1) == rule:
                    return
        self.problems.append(f"{self.path}:{line}: {what} [{rule}]")


def check_head(file):
    head = "\n".join(file.lines[:2])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        file.say(1, "spdx", "the first lines carry no SPDX-License-Identifier: Apache-2.0")


def check_lines(file):
    is_c = file.path.endswith((".c", ".h", ".cc"))
    is_this = file.path == "scripts/check_style.py"
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            file.say(number, "blank", "blanks at the end of the line")
        if is_c and len(line) > COLUMNS:
            file.say(number, "columns", f"{len(line)} columns, at most {COLUMNS}")
        if is_c and "\t" in line:
            file.say(number, "tab", "a tab")
        if MARKS.search(line) and not is_this:
            file.say(number, "todo", "a mark of unfinished work without its issue: TODO(#12)")
    if file.lines[-1] != "":
        file.say(len(file.lines), "end", "no newline at the end of the file")
    if len(file.lines) > 1 and file.lines[-2:] == ["", ""]:
        file.say(len(file.lines), "end", "blank lines at the end of the file")


def check_size(file):
    limit = H_LINES if file.path.endswith(".h") else C_LINES
    if len(file.lines) - 1 > limit:
        file.say(1, "file-size", f"{len(file.lines) - 1} lines, at most {limit}")


def check_words(file, code, slashes):
    for number, line in enumerate(code.split("\n"), 1):
        if re.search(r"\bvolatile\b", line):
            file.say(number, "volatile", "volatile is no way to share")
        # The explorer is the other implementation of these names; kernels in bench are peers.
        if not file.path.startswith(("base/atomic.h", "tests/race/", "bench/")):
            if found := ATOMIC.search(line):
                file.say(number, "atomic", f"{found.group()} outside base/atomic.h")
        if re.match(r"\s*#\s*pragma\b", line):
            file.say(number, "pragma", "a #pragma")
        if re.match(r"typedef\s+(struct|union|enum)\s+(?:\w+\s*)?(\{|$|(\w+)\s+\3;)", line):
            file.say(number, "typedef", "a typedef of a struct, union or enum")
        if re.search(r"\bgoto\b", line) and not re.search(r"\bgoto\s+\w*(out|fail|done)\w*;", line):
            file.say(number, "goto", "goto to a label that is no exit (out, fail, done)")
    if not file.path.endswith(".cc"):
        for number in slashes:
            file.say(number, "slashes", "// is for code that is not committed")


def check_name(file):
    stem = pathlib.PurePosixPath(file.path).stem
    for word in re.split(r"[_.]", stem.removeprefix("test_")):
        if word in EMPTY_WORDS:
            file.say(1, "name", f"'{word}' in a file's name says nothing")
    if file.path.endswith(".h"):
        guard = "WEIR_" + re.sub(r"\W", "_", file.path).upper()
        text = "\n".join(file.lines)
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            file.say(1, "guard", f"the guard is not {guard}")


def check_own_door(file, root):
    door = file.path[:-2] + ".h"
    text = "\n".join(file.lines)
    includes = re.findall(r'^#include\s*[<"]([^>"]+)[>"]', text, re.M)
    private = file.path[:-2] + "_priv.h"  # which includes the door
    is_first = includes[:1] in ([door], [private])
    if file.path.endswith(".c") and (root / door).exists() and not is_first:
        file.say(1, "door", f"the first include is not its own door {door}")


def parameters(code, at):
    """The number of parameters of the list that opens at code[at]; -1 where it does not close."""
    depth = 0
    count = 1
    for i in range(at, len(code)):
        if code[i] in "([":
            depth += 1
        elif code[i] in ")]":
            depth -= 1
            if depth == 0:
                inside = code[at + 1 : i].strip()
                return (0 if inside in ("", "void") else count), i
        elif code[i] == "," and depth == 1:
            count += 1
    return -1, at


def check_functions(file, code):
    """Each definition starts its name at column 0, below its return type, and ends with a } there."""
    is_library = file.path.startswith(LIBRARY) and file.path.endswith(".c")
    static_words = ["static"] + re.findall(r"^#define (\w+) static\b", code, re.M)
    static = re.compile(rf"\b({'|'.join(static_words)})\b")
    for found in DEFINITION.finditer(code):
        name = found.group(1)
        count, end = parameters(code, found.end() - 1)
        body = re.match(r"[^;{=]*\{", code[end + 1 :])
        if count < 0 or body is None or name.isupper():
            continue  # a declaration, or a macro that makes one
        line = code.count("\n", 0, found.start()) + 1
        close = code.find("\n}", end)
        size = code.count("\n", end, close) if close > 0 else 0
        if size > FUNCTION_LINES:
            file.say(line, "function-size", f"{name} has {size} lines, at most {FUNCTION_LINES}")
        before = code[: found.start()].rstrip().rsplit("\n", 1)[-1]
        is_static = static.search(before) is not None
        # An operator's process has the six that the contract of dataplane/operator.h gives it.
        limit = PARAMETERS_STATIC if is_static else PARAMETERS
        if count > limit and not name.endswith("_process"):
            file.say(line, "parameters", f"{name} has {count} parameters, at most {limit}")
        if is_library and is_static and name.startswith("weir_"):
            file.say(line, "prefix", f"static {name} carries the prefix of exported symbols")
        if is_library and not is_static and not name.startswith("weir_"):
            file.say(line, "prefix", f"exported {name} does not start with weir_")


def check_file(root, path):
    file = File(path, (root / path).read_text(errors="replace"))
    is_c = path.endswith((".c", ".h", ".cc"))
    check_head(file)
    check_lines(file)
    if is_c:
        code, slashes = blank("\n".join(file.lines))
        check_size(file)
        check_words(file, code, slashes)
        check_name(file)
        check_own_door(file, root)
        check_functions(file, code)
    return file.problems


def wanted(root, path):
    if not (root / path).is_file():
        return False
    if path.endswith((".c", ".h", ".cc", ".py", ".sh")) or path.endswith("meson.build"):
        return True
    with open(root / path, "rb") as stream:
        return stream.read(2) == b"#!"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    paths = sys.argv[2:]
    if not paths:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
            check=True, capture_output=True,
        )
        paths = listed.stdout.decode().split("\0")[:-1]
    problems = [p for path in sorted(paths) if wanted(root, path) for p in check_file(root, path)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
