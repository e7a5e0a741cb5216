#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wrap_comments FILE...: break comment lines that are longer than 100 columns.

clang-format leaves comments alone, as it would break pictures and tables. This does the least: the
words that do not fit go to the start of the next line where that line goes on with the same
paragraph, else to a line of their own. A comment behind code that does not fit goes above it.
"""
import pathlib
import re
import sys

COLUMNS = 100
INSIDE = re.compile(r"^(\s*(?:/\*|\*)\s+)(\S.*)$")
BEHIND = re.compile(r"^(\s*)(\S.*?)\s*(/\* [^*]*(?:\*(?!/)[^*]*)*\*/)$")


def prefix_of(line):
    """The blanks, star and blanks that a line after this one of the same comment starts with.

    The lines after a label ("Returns: text", "name   text") hang below its text.
    """
    found = INSIDE.match(line)
    if not found:
        return None
    label = re.match(r"\w+:\s+|(?:\S+ )*\S+ {2,}", found.group(2))
    return found.group(1).replace("/*", " *") + " " * (label.end() if label else 0)


def goes_on(line, prefix, text_before):
    """Whether line continues the paragraph that ended with text_before, at that indent."""
    found = INSIDE.match(line)
    if not found or found.group(1) != prefix:
        return False
    text = found.group(2)
    starts_entry = re.match(r"([-*•]|\w+:|\w+ - |\[|\d+\.)", text) or "  " in text.strip()
    return not starts_entry and not text_before.endswith(":")


def continued(after, line, rest):
    """The indent of after where it goes on with line's paragraph: hanging below a label, or plain."""
    plain = INSIDE.match(line).group(1).replace("/*", " *")
    for prefix in (prefix_of(line), plain):
        if goes_on(after, prefix, rest):
            return prefix
    return None


def wrap(lines):
    out = []
    in_comment = False
    i = 0
    while i < len(lines):
        line = lines[i]
        starts = line.lstrip().startswith("/*")
        in_comment = in_comment or starts
        if len(line) > COLUMNS and in_comment and prefix_of(line) and line.rfind(" ", 0, COLUMNS + 1) > 0:
            prefix = prefix_of(line)
            closes = line.endswith("*/")
            body = line[:-2].rstrip() if closes else line
            room = COLUMNS if not closes or len(body) > COLUMNS else COLUMNS - 3
            cut = body.rfind(" ", len(prefix), room + 1)
            if cut > len(prefix):
                rest = body[cut + 1 :].strip()
                out.append(body[:cut].rstrip())
                if closes:
                    lines[i] = f"{prefix}{rest} */"
                elif i + 1 < len(lines) and (into := continued(lines[i + 1], line, rest)):
                    lines[i + 1] = f"{into}{rest} {INSIDE.match(lines[i + 1]).group(2)}"
                    i += 1
                else:
                    lines[i] = f"{prefix}{rest}"
                continue
        behind = BEHIND.match(line)
        if len(line) > COLUMNS and not in_comment and behind and not line.endswith("\\"):
            out.append(behind.group(1) + behind.group(3))
            lines[i] = behind.group(1) + behind.group(2)
            continue
        if in_comment and "*/" in line:
            in_comment = False
        out.append(line)
        i += 1
    return out


def main():
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        before = path.read_text()
        after = "\n".join(wrap(before.split("\n")))
        if after != before:
            path.write_text(after)


if __name__ == "__main__":
    main()
