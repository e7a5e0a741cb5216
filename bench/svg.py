# SPDX-License-Identifier: Apache-2.0
"""The plots of the figures, written as SVG by hand: ratios and values with their intervals, percentiles, and one
figure over time."""
import math
from xml.sax.saxutils import escape

ROW = 22
LEFT = 330
PLOT = 460
RIGHT = 110
TOP = 46
GRID, INK, GOOD, SHORT, BAD = "#d8dee4", "#1f2328", "#1a7f37", "#9a6700", "#cf222e"


def text(x, y, words, anchor="start", colour=INK, size=12):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" font-size="%d">%s</text>' % (
        x, y, anchor, colour, size, escape(words))


def line(x1, y1, x2, y2, colour, width=1.0, dash=""):
    extra = ' stroke-dasharray="%s"' % dash if dash else ""
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"%s/>' % (
        x1, y1, x2, y2, colour, width, extra)


def dot(x, y, colour):
    return '<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>' % (x, y, colour)


def page(width, height, title, body):
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" '
        'font-family="system-ui, sans-serif" role="img"><title>%s</title>'
        '<rect width="100%%" height="100%%" fill="#ffffff"/>' % (width, height, width, height, escape(title)))
    return "\n".join([head, text(16, 24, title, size=15), *body, "</svg>"]) + "\n"


def ticks(high):
    """At most nine round numbers from 0."""
    unit = 10 ** math.floor(math.log10(high))
    step = next(unit * s for s in (0.1, 0.2, 0.25, 0.5, 1, 2) if high / (unit * s) <= 8)
    return [i * step for i in range(int(high / step) + 1)]


COLOURS = {"good": GOOD, "short": SHORT, "bad": BAD}
CLIP = 2.0  # values beyond stand at the edge with their number: they would squeeze all others


def bars(title, rows, caption):
    """One row each: its interval, its middle, a mark at its goal. rows: title, at, low, high, goal, label, state."""
    high = min(CLIP, max([1.0] + [max(row["high"], row["goal"]) for row in rows])) * 1.04
    height = TOP + ROW * len(rows) + 40
    bottom = height - 32

    def at(value):
        return LEFT + PLOT * min(max(value, 0), high) / high

    body = []
    for tick in ticks(high):
        body += [line(at(tick), TOP - 8, at(tick), bottom, GRID), text(at(tick), bottom + 16, "%g" % tick, "middle")]
    body.append(line(at(1), TOP - 8, at(1), bottom, INK, 1, "4 3"))
    for idx, row in enumerate(rows):
        y = TOP + ROW * idx + 6
        colour = COLOURS[row["state"]]
        body += [
            text(LEFT - 10, y + 4, row["title"], "end"),
            line(at(row["goal"]), y - 8, at(row["goal"]), y + 8, INK, 2),
            line(at(row["low"]), y, at(row["high"]), y, colour, 3),
            dot(at(row["at"]), y, colour),
            text(LEFT + PLOT + 12, y + 4, row["label"] + (" →" if row["at"] > high else ""), colour=colour),
        ]
    body.append(text(16, height - 2, caption, size=11))
    return page(LEFT + PLOT + RIGHT, height, title, body)


def ratios(title, rows):
    """rows: title, ratio, low, high, goal, state."""
    return bars(title, [dict(row, at=row["ratio"], label="%.2f" % row["ratio"]) for row in rows],
                "ratio to the peer of the same run, 95 % interval; upright mark: goal")


def shares(title, rows):
    """Values as shares of their goals: below 1 the goal is reached. rows: title, value, low, high, goal, label."""
    return bars(title, [
        dict(row, at=row["value"] / row["goal"], low=row["low"] / row["goal"], high=row["high"] / row["goal"], goal=1)
        for row in rows], "as a share of the goal, which is at 1: less is better")


def percentiles(title, job, floor):
    """Two staircases over the percentiles, in a logarithmic scale of time."""
    names = [("p50", "50 %"), ("p90", "90 %"), ("p99", "99 %"), ("p999", "99.9 %"), ("p9999", "99.99 %"), ("max", "max")]
    width, height, left, bottom = 720, 340, 70, 280
    low = min(max(min(job["p50"], floor["p50"]), 1), 100)
    decades = range(int(math.log10(low)), int(math.log10(max(job["max"], floor["max"], 1000))) + 2)
    step = (width - left - 40) / (len(names) - 1)

    def at(ns):
        share = (math.log10(max(ns, low)) - decades[0]) / (decades[-1] - decades[0])
        return bottom - (bottom - TOP) * share

    body = []
    for decade in decades:
        ns = 10 ** decade
        label = "%g ns" % ns if ns < 1000 else "%g µs" % (ns / 1e3) if ns < 1e6 else "%g ms" % (ns / 1e6)
        body += [line(left, at(ns), width - 20, at(ns), GRID), text(left - 8, at(ns) + 4, label, "end")]
    for idx, (_, label) in enumerate(names):
        body.append(text(left + step * idx, bottom + 18, label, "middle", size=11))
    for values, colour, words, x in ((floor, SHORT, "hiccup floor", 170), (job, GOOD, "job", 70)):
        for idx, (name, _) in enumerate(names):
            body.append(dot(left + step * idx, at(values[name]), colour))
            if idx > 0:
                before = values[names[idx - 1][0]]
                body.append(line(left + step * (idx - 1), at(before), left + step * idx, at(values[name]), colour, 2))
        body += [dot(x, height - 20, colour), text(x + 10, height - 16, words)]
    return page(width, height, title, body)


def history(title, points):
    """One figure over its measurements in order. points: label, at, low, high, goal, state."""
    high = max([p["high"] for p in points] + [p["goal"] or 0 for p in points] + [1e-9]) * 1.08
    width, height, left, bottom = 720, 300, 60, 250
    step = (width - left - 30) / max(len(points), 1)

    def at(value):
        return bottom - (bottom - TOP) * max(value, 0) / high

    body = []
    for tick in ticks(high):
        body += [line(left, at(tick), width - 20, at(tick), GRID), text(left - 8, at(tick) + 4, "%g" % tick, "end")]
    goal = points[-1]["goal"]
    if goal is not None:
        body.append(line(left, at(goal), width - 20, at(goal), INK, 1, "4 3"))
    for idx, p in enumerate(points):
        x = left + step * (idx + 0.5)
        colour = COLOURS[p["state"]]
        body += [line(x, at(p["low"]), x, at(p["high"]), colour, 3), dot(x, at(p["at"]), colour)]
        if len(points) <= 12 or idx % (len(points) // 12 + 1) == 0:
            body.append(text(x, bottom + 18, p["label"], "middle", size=10))
    return page(width, height, title, body)
