# SPDX-License-Identifier: Apache-2.0
"""What is made of the histories: the table of the README and the plots under docs/figures."""
import json
import os

import svg

BEGIN = "<!-- figures: made by bench/run, not by hand -->"
END = "<!-- end of figures -->"


def read_history(folder, name):
    path = os.path.join(folder, name + ".jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def append_history(folder, row):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, row["name"] + ".jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


def latest(folder, figures):
    """(figure, its last line) of those that were ever measured."""
    for figure in figures:
        lines = read_history(folder, figure.name)
        if lines:
            yield figure, lines[-1]


def verdict(figure, row):
    if row["low"] < figure.bar:
        return "below the bar of %.2f" % figure.bar
    return "reached" if row["ratio"] >= figure.goal else "short"


def speed(ns):
    return "%.2f ns (%.0f M/s)" % (ns, 1000 / ns)


def table(folder, figures):
    """The figures as Markdown, with the host that they were measured on below."""
    lines = ["| figure | ours | peer | ratio, 95 % interval | goal | |", "|---|---:|---:|---:|---:|---|"]
    hosts = []
    for figure, row in latest(folder, figures):
        lines.append(
            "| %s | %s | %s: %s | **%.2f** (%.2f to %.2f) | %.2f | %s |"
            % (figure.title, speed(row["ours_ns"]), row["peer"], speed(row["peer_ns"]), row["ratio"], row["low"],
               row["high"], figure.goal, verdict(figure, row)))
        host = row["host"]
        said = "%s, %d CPUs%s, Linux %s, THP %s, clock %s, commit %s" % (
            host["cpu"], host["cpus"], " (virtual)" if host["hypervisor"] else "", host["kernel"], host["thp"],
            host["clock_source"], host["commit"] + ("+changes" if host["dirty"] else ""))
        if said not in hosts:
            hosts.append(said)
    if len(lines) == 2:
        return "Nothing measured yet: `bench/run` makes this table.\n"
    lines += ["", "A ratio is the peer's time over ours, medians of pairs of one run. Host: %s." % "; ".join(hosts)]
    return "\n".join(lines) + "\n"


def put_between_marks(text, made):
    """The text with what stands between the marks replaced; ValueError where a mark is missing."""
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError("the marks of the figures' table are missing")
    return text[: begin + len(BEGIN)] + "\n\n" + made + "\n" + text[end:]


def write_file(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_plots(history_folder, plot_folder, figures):
    rows = [dict(row, title=f.title, goal=f.goal, bar=f.bar) for f, row in latest(history_folder, figures)]
    if rows:
        write_file(os.path.join(plot_folder, "ratios.svg"), svg.ratios("Weir beside its peers", rows))
    for figure, _ in latest(history_folder, figures):
        lines = read_history(history_folder, figure.name)
        if len(lines) > 1:
            points = [dict(l, label=l["host"]["commit"][:7], goal=figure.goal, bar=figure.bar) for l in lines]
            write_file(os.path.join(plot_folder, figure.name + ".svg"), svg.history(figure.title, points))
