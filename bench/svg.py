# SPDX-License-Identifier: Apache-2.0
"""The plots of the figures, written as SVG by hand: ratios with their intervals, and one figure over time."""
from xml.sax.saxutils import escape

ROW = 22
LEFT = 250
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
    step = next(s for s in (0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if high / s <= 8)
    return [i * step for i in range(int(high / step) + 1)]


def colour_of(row):
    if row["low"] < row.get("bar", 0):
        return BAD
    return GOOD if row["ratio"] >= row["goal"] else SHORT


def ratios(title, rows):
    """One row each: its interval, its median, a mark at its goal. rows: title, ratio, low, high, goal, bar."""
    high = max([1.0] + [max(row["high"], row["goal"]) for row in rows]) * 1.08
    height = TOP + ROW * len(rows) + 40
    bottom = height - 32

    def at(value):
        return LEFT + PLOT * value / high

    body = []
    for tick in ticks(high):
        body += [line(at(tick), TOP - 8, at(tick), bottom, GRID), text(at(tick), bottom + 16, "%g" % tick, "middle")]
    body.append(line(at(1), TOP - 8, at(1), bottom, INK, 1, "4 3"))
    for idx, row in enumerate(rows):
        y = TOP + ROW * idx + 6
        colour = colour_of(row)
        body += [
            text(LEFT - 10, y + 4, row["title"], "end"),
            line(at(row["goal"]), y - 8, at(row["goal"]), y + 8, INK, 2),
            line(at(row["low"]), y, at(row["high"]), y, colour, 3),
            dot(at(row["ratio"]), y, colour),
            text(LEFT + PLOT + 12, y + 4, "%.2f" % row["ratio"], colour=colour),
        ]
    body.append(text(LEFT, height - 2, "ratio to the peer of the same run, 95 % interval; upright mark: goal", size=11))
    return page(LEFT + PLOT + RIGHT, height, title, body)


def history(title, points):
    """One figure over its measurements in order. points: label, ratio, low, high, goal."""
    high = max([1.0] + [max(p["high"], p["goal"]) for p in points]) * 1.08
    width, height, left, bottom = 720, 300, 60, 250
    step = (width - left - 30) / max(len(points), 1)

    def at(value):
        return bottom - (bottom - TOP) * value / high

    body = []
    for tick in ticks(high):
        body += [line(left, at(tick), width - 20, at(tick), GRID), text(left - 8, at(tick) + 4, "%g" % tick, "end")]
    goal = points[-1]["goal"]
    body.append(line(left, at(goal), width - 20, at(goal), INK, 1, "4 3"))
    for idx, p in enumerate(points):
        x = left + step * (idx + 0.5)
        body += [line(x, at(p["low"]), x, at(p["high"]), colour_of(p), 3), dot(x, at(p["ratio"]), colour_of(p))]
        if len(points) <= 12 or idx % (len(points) // 12 + 1) == 0:
            body.append(text(x, bottom + 18, p["label"], "middle", size=10))
    return page(width, height, title, body)
