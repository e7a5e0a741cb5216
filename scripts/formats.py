#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""formats.py --markdown: the formats of files, as the headers draw them, for docs/formats.md.

A format is what stands in a header's comment between a line `[format: GROUP / TITLE (VERSION)]` and a
line `[end of format]`; VERSION is the macro that holds its number, and may be left out. What is
indented is a picture, the rest is prose. Every magic word of our files must be in one of them.
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = ["base", "io", "dataplane", "sched", "apps"]
GROUPS = ["Checkpoints", "State", "Output", "Input", "Running jobs"]
# From the whole to its parts; what is not named here follows by name.
TITLES = ["Directory of a job, epoch records", "Manifest", "Snapshot file", "What the file of a task holds",
          "Small parts of a task", "Rows under way", "Savepoint", "Records of pages", "Pages", "Tables", "Texts as keys",
          "Hash of keys", "Blobs", "Lists of rows", "Declared states", "Parts of operators"]
MARK = re.compile(r"^ \* \[format: ([^/]+?) / ([^(]+?)(?: \((\w+)\))?\]$")
END = " * [end of format]"
MAGIC = re.compile(r'"(WEIR[A-Z0-9]{4})"|define \w+_MAGIC "(\w+)')


class Wrong(Exception):
    """Something to be mended in a header."""


def sources():
    for floor in FLOORS:
        yield from sorted((ROOT / floor).rglob("*.[ch]"))


def version_of(macro):
    for path in sources():
        found = re.search(rf"^#define {macro} (\d+)", path.read_text(), re.M)
        if found:
            return found.group(1)
    raise Wrong(f"{macro} is defined nowhere")


def formats():
    """(group, title, version macro or None, path, lines of its text)."""
    for path in sources():
        if path.suffix != ".h":
            continue
        lines = path.read_text().split("\n")
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(lines):
            if "[format:" not in line:
                continue
            mark = MARK.match(line)
            if not mark or mark.group(1) not in GROUPS:
                raise Wrong(f"{name}:{number + 1}: [format: GROUP / TITLE (VERSION)], GROUP of {GROUPS}")
            if END not in lines[number:]:
                raise Wrong(f"{name}:{number + 1}: no [end of format]")
            end = lines.index(END, number)
            yield *mark.groups(), name, [text[2:].rstrip() for text in lines[number + 1:end]]


def paragraphs(lines):
    """Runs of lines between empty ones; neighbouring pictures are one."""
    out = []
    for text in "\n".join(lines).strip("\n").split("\n\n"):
        is_picture = text.startswith("  ")
        if out and is_picture and out[-1][0]:
            out[-1] = (True, out[-1][1] + "\n\n" + text)
        else:
            out.append((is_picture, text))
    return out


def markdown():
    found = sorted(formats(), key=lambda f: (
        GROUPS.index(f[0]), TITLES.index(f[1]) if f[1] in TITLES else len(TITLES), f[1]))
    group_before = None
    for group, title, macro, name, lines in found:
        if group != group_before:
            yield f"## {group}\n"
            group_before = group
        yield f"### {title}\n"
        version = f"Version {version_of(macro)} (`{macro}`). " if macro else ""
        yield f"{version}[{name}](../{name})\n"
        for is_picture, text in paragraphs(lines):
            text = textwrap.dedent(text)
            yield f"```text\n{text}\n```\n" if is_picture else text + "\n"


def check_magic(text):
    for path in sources():
        for words in MAGIC.findall(path.read_text()):
            word = words[0] or words[1]
            if word not in text:
                raise Wrong(f"{path.relative_to(ROOT)}: files with the word {word} are in no [format: ...]")


def main(args):
    if args != ["--markdown"]:
        print("usage: scripts/formats.py --markdown", file=sys.stderr)
        return 2
    try:
        text = "\n".join(markdown())
        check_magic(text)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
