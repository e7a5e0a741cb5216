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


def is_loaded(row):
    """Whether the host had more to do than this figure: then pairs keep the ratio better than the speed."""
    return row["host"]["load"] > row["host"]["cpus"] + 1


def verdict(figure, row):
    reached = figure.is_reached(row)
    said = [] if reached is None else ["reached" if reached else "short"]
    if figure.is_missed(row):
        said = ["%s the bar" % ("above" if figure.unit else "below")]
    return ", ".join(said + (["loaded host"] if is_loaded(row) else []))


def millions(ns):
    """Events a second at ns each."""
    return "%.*f M/s" % (0 if ns < 100 else 2, 1000 / ns)


def speed(ns):
    return "%.2f ns (%s)" % (ns, millions(ns))


def amount(number, unit):
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2
    words = {"us": " µs", "% of a core": " %", "%": " %"}.get(unit, " " + unit)
    return "%.*f%s" % (digits, number, words)


def cells(figure, row):
    """What a figure says, as texts: ours, peer, result, goal, bar."""
    if figure.unit:
        ours = row.get("ours_text") or amount(row["ours_value"], figure.unit)
        spread = "" if row["low"] == row["high"] else " (%.2f to %.2f)" % (row["low"], row["high"])
        peer = "%s: %s" % (row["peer"], row.get("peer_text") or amount(row["peer_value"], figure.unit))
        result = "**%s**%s" % (amount(row["value"], figure.unit), spread)
        goal = "" if figure.goal is None else "≤ " + amount(figure.goal, figure.unit)
        return ours, peer, result, goal, "≤ %g" % figure.bar if figure.bar else ""
    ours = row.get("ours_text") or speed(row["ours_ns"])
    peer = "%s: %s" % (row["peer"], row.get("peer_text") or speed(row["peer_ns"]))
    result = "**%.2f** (%.2f to %.2f)" % (row["ratio"], row["low"], row["high"])
    bar = "≥ %.2f" % figure.bar if figure.bar else ""
    return ours, peer, result, "" if figure.goal is None else "≥ %.2f" % figure.goal, bar


def line_of(figure, row):
    """One figure as a line for a terminal."""
    ours, peer, result, goal, _ = cells(figure, row)
    return "%-48s %s  goal %s  ours %s, %s" % (figure.title, result.replace("*", ""), goal or "none", ours, peer)


def describe(host):
    return "%s, %d CPUs%s, Linux %s, THP %s, clock %s" % (
        host["cpu"], host["cpus"], " (virtual)" if host["hypervisor"] else "", host["kernel"], host["thp"],
        host["clock_source"])


def commit_of(host):
    return host["commit"] + ("+changes" if host["dirty"] else "")


def table(folder, figures):
    """The figures as Markdown, with the host that they were measured on below."""
    lines = ["| figure | ours | peer | result, 95 % interval | goal | bar | |", "|---|---:|---:|---:|---:|---:|---|"]
    hosts = {}
    for figure, row in latest(folder, figures):
        lines.append("| %s | %s | %s |" % (figure.title, " | ".join(cells(figure, row)), verdict(figure, row)))
        commits = hosts.setdefault(describe(row["host"]), [])
        if commit_of(row["host"]) not in commits:
            commits.append(commit_of(row["host"]))
    if len(lines) == 2:
        return "Nothing measured yet: `bench/run` makes this table.\n"
    lines += [
        "",
        "A result without a unit is the peer's time over ours, the median over pairs of one run: above 1, ours is "
        "faster. One in ns is what a step adds, one in µs how far a percentile lies above the host's hiccups of the "
        "same minutes, one in ms the median of a run's checkpoints, from the least to the greatest. Host: %s."
        % "; ".join("%s, commit %s" % (host, ", ".join(commits)) for host, commits in hosts.items()),
    ]
    return "\n".join(lines) + "\n"


def of_query(folder, kind, query):
    lines = read_history(folder, "%s-%s" % (kind, query))
    return lines[-1] if lines else None


def query_table(folder):
    """Every Nexmark query: events a second on one core and on two, and of its kernel where there is one."""
    lines = ["| query | events | kernel | one core | of the kernel | across two cores | two subtasks on two cores | "
             "of one core |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for number in range(23):
        query = "q%d" % number
        fused, cut, two = (of_query(folder, kind, query) for kind in ("engine-fused", "engine-cut", "two-cores"))
        if fused is None and two is None:
            continue
        share = "" if fused is None else "%.2f" % fused["ratio"]
        loaded = " (loaded host)" if any(row and is_loaded(row) for row in (fused, two)) else ""
        lines.append("| %s | %.1f M | %s | %s | %s | %s | %s | %s |" % (
            query + loaded, (fused or two)["events"] / 1e6, millions(fused["peer_ns"]) if fused else "",
            millions(fused["ours_ns"] if fused else two["peer_ns"]), share, millions(cut["ours_ns"]) if cut else "",
            millions(two["ours_ns"]) if two else "", "%.2f" % two["ratio"] if two else ""))
    return "\n".join(lines) + "\n"


def page(folder, figures):
    """All figures, those outside the README's table too, with their plots."""
    lines = ["# Figures", "", "Made by `bench/run` from `bench/history`, not by hand; what they mean: "
             "[benchmarks](../benchmarks.md).", "", "![ratios](ratios.svg)", "", table(folder, figures)]
    return "\n".join(lines)


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
    """ratios.svg, values.svg, the percentiles of each latency, and each figure over its measurements."""
    rows = []
    for figure, row in latest(history_folder, figures):
        state = "bad" if figure.is_missed(row) else "good" if figure.is_reached(row) in (True, None) else "short"
        rows.append(dict(row, title=figure.title, goal=figure.goal, bar=figure.bar, unit=figure.unit, state=state))
    ratios = [row for row in rows if not row["unit"] and row["goal"] is not None]
    values = [dict(row, label=amount(row["value"], row["unit"])) for row in rows if row["unit"] and row["goal"]]
    if ratios:
        write_file(os.path.join(plot_folder, "ratios.svg"), svg.ratios("Weir beside its peers", ratios))
    if values:
        write_file(os.path.join(plot_folder, "values.svg"), svg.shares("Weir beside its goals", values))
    for row in rows:
        if "floor_ns" in row:
            name = row["name"].rsplit("-", 1)[0]
            title = row["title"].rsplit(", ", 1)[0]
            write_file(os.path.join(plot_folder, name + ".svg"), svg.percentiles(title, row["job_ns"], row["floor_ns"]))
    for figure, _ in latest(history_folder, figures):
        lines = read_history(history_folder, figure.name)
        if len(lines) > 1:
            write_file(os.path.join(plot_folder, figure.name + ".svg"), svg.history(figure.title, [
                point_of(figure, line) for line in lines]))


def point_of(figure, row):
    return {
        "label": row["host"]["commit"][:7], "at": row["value"] if figure.unit else row["ratio"], "low": row["low"],
        "high": row["high"], "goal": figure.goal,
        "state": "bad" if figure.is_missed(row) else "short" if figure.is_reached(row) is False else "good",
    }
