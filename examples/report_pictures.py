"""The pictures of report.py. Their colours are such as people tell apart who do not see red or green."""
import dataclasses
import datetime
import math

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from report_steps import ABSENT, FLOATS, NAN, NEW, UNREADABLE, values
from report_text import UNITS, percent, share, shortened

MOST_HISTOGRAMS = 12  # steps whose histograms are drawn

SCALE = matplotlib.colormaps["viridis"]
BLUE, SKY, RED, GREY, LIGHT = "#0072B2", "#9BCBEB", "#D55E00", "#666666", "#EBEBEB"

matplotlib.rcParams.update({
    "font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False,
    "text.parse_math": False,  # a name may have a $
})


def label_steps(axis, steps, most=24):
    """Writes the steps' numbers below an axis, as many as there is room for."""
    each = -(-len(steps) // most) or 1
    places = range(0, len(steps), each)
    axis.set_xticks(places, [shortened(steps[i].short(), 16) for i in places], rotation=45 if len(steps) > 8 else 0,
                    ha="right" if len(steps) > 8 else "center", rotation_mode="anchor")


def saved_at_once(steps):
    """Whether all were saved within a second, as a copy is."""
    return max(s.saved for s in steps) - min(s.saved for s in steps) < 1


def draw_sizes(steps):
    """When each step was saved, if that differs, and how large it is."""
    times = [datetime.datetime.fromtimestamp(s.saved) for s in steps]
    timed = not saved_at_once(steps)
    figure = Figure(figsize=(9.2, 2.8), layout="constrained")
    grid = figure.subplots(1, 2 if timed else 1, width_ratios=[2, 3] if timed else [1], squeeze=False)[0]
    if timed:
        grid[0].plot(times, range(len(steps)), "o-", color=BLUE, markersize=3, linewidth=1)
        each = -(-len(steps) // 12)
        grid[0].set_yticks(range(0, len(steps), each), [shortened(s.short(), 16) for s in steps[::each]])
        grid[0].xaxis.set_major_formatter(ConciseDateFormatter(grid[0].xaxis.get_major_locator()))
        grid[0].set(title="When the steps were saved", ylabel="step", xlabel="time")
        grid[0].grid(axis="x", linewidth=0.3)
    power = min(int(math.log(max(max(s.size for s in steps), 1), 1024)), len(UNITS) - 1)
    own, shared = ([x / 1024**power for x in xs] for xs in ([s.own for s in steps], [s.size - s.own for s in steps]))
    bars = grid[-1]
    bars.bar(range(len(steps)), own, color=BLUE, label="bytes that only this step has")
    if any(shared):
        bars.bar(range(len(steps)), shared, bottom=own, color=SKY, label="bytes that other steps share")
        figure.legend(fontsize="small", frameon=False, loc="outside lower right", ncols=2)
    bars.set(title="Sizes", xlabel="step", ylabel=UNITS[power], xlim=(-0.6, max(len(steps), 6) - 0.4))
    label_steps(bars, steps)
    return figure


def colours(moves):
    """The scale for numbers: four orders of magnitude at most, none above ten times the layer's norm."""
    numbers = [m for line in moves for m in line if not isinstance(m, str) and 0 < m < math.inf]
    high = min(max(numbers, default=1), 10)
    low = max(min(numbers, default=high), high / 1e4)
    return LogNorm(min(low, high / 2), high), any(not isinstance(m, str) and m > high for line in moves for m in line), \
        any(m < low for m in numbers)


FILLS = {NAN: RED, UNREADABLE: "#000000", ABSENT: "#FFFFFF", NEW: "#E8B5D2"}


def draw_moves(pairs, rows, moves):
    """The heat map: a line for each layer, a column for each step that has one before it."""
    norm, above, below = colours(moves)
    image = np.empty((len(rows), len(pairs), 4))
    for y, line in enumerate(moves):
        for x, move in enumerate(line):
            image[y, x] = to_rgba(FILLS[move] if isinstance(move, str) else LIGHT if move == 0
                                                    else SCALE(norm(min(max(move, norm.vmin), norm.vmax))))
    figure = Figure(figsize=(9.2, 1.7 + 0.21 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(image, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(rows)), [shortened(r.label) for r in rows])
    label_steps(axes, [step for step, _ in pairs])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="step, compared with the one before it")
    if len(pairs) <= 50:
        for x in range(len(pairs) + 1):
            axes.axvline(x - 0.5, color="white", linewidth=1)
    for y in range(len(rows) + 1):
        axes.axhline(y - 0.5, color="white", linewidth=1)
    for y, line in enumerate(moves):
        for x, move in enumerate(line):
            if move in (NAN, UNREADABLE):
                axes.text(x, y, ("NaN" if move == NAN else "?") if len(pairs) <= 25 else "×", color="white", ha="center",
                          va="center", fontsize=7, weight="bold")
    bar = figure.colorbar(ScalarMappable(norm, SCALE), ax=axes, pad=0.01, aspect=30,
                          extend={(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[above, below],
                          format=FuncFormatter(lambda v, _: percent(v)))
    bar.set_label("change, of the layer's norm")
    bar.minorticks_off()
    seen = {m if isinstance(m, str) else "did not change" for line in moves for m in line if isinstance(m, str) or m == 0}
    fills = {"did not change": LIGHT} | FILLS
    figure.legend(handles=[Patch(facecolor=fills[k], edgecolor=GREY, linewidth=0.5, label=k) for k in fills if k in seen],
                  loc="outside upper left", ncols=5, frameon=False, fontsize="small")
    return figure


def pick(steps, wanted):
    """At most MOST_HISTOGRAMS steps: the first, the last, evenly between, and those WANTED."""
    if len(steps) <= MOST_HISTOGRAMS:
        return steps
    wanted = [steps.index(s) for s in wanted][:MOST_HISTOGRAMS // 3]
    even = np.linspace(0, len(steps) - 1, MOST_HISTOGRAMS - len(wanted)).round().astype(int).tolist()
    return [steps[i] for i in sorted(set(even + wanted))]


def span(steps, row):
    """From where to where a row's histograms go: its values but for the farthest, and for steps where it has blown up."""
    parts = []  # of each step: the least and the largest value that count
    for step in steps:
        numbers = [n for n in map(step.numbers, row.names) if n.get("min") is not None]
        if numbers:  # a mean or deviation that is too large for a double is not known
            far = [4 * n["std"] if n.get("std") is not None and n.get("mean") is not None else math.inf for n in numbers]
            parts.append((min(max(n["min"], (n.get("mean") or 0) - f) for n, f in zip(numbers, far)),
                          max(min(n["max"], (n.get("mean") or 0) + f) for n, f in zip(numbers, far))))
    reach = [max(abs(low), abs(high)) for low, high in parts if low or high]
    most = 20 * np.quantile(reach, 0.25) if reach else 0
    parts = [p for p in parts if max(abs(p[0]), abs(p[1])) <= most] or [(0, 0)]
    low, high = min(p[0] for p in parts), max(p[1] for p in parts)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def bins_for(size):
    """How many bins the histogram of SIZE values has: few values would fill many of them here and there."""
    return int(min(max(2 * math.sqrt(size), 12), 60))


@dataclasses.dataclass
class Histogram:
    counts: np.ndarray
    seen: int = 0  # values that were read, NaNs too
    bad: int = 0  # of these, NaN or infinite

    def outside(self):
        return self.seen - self.bad - int(self.counts.sum())


def count(directory, steps, rows):
    """A histogram of each row in each step: (row's place, step's name) → Histogram; the rows' spans; and complaints."""
    spans = [span(steps, row) for row in rows]
    place = {name: i for i, row in enumerate(rows) for name in row.names}
    bins = [bins_for(sum(max(s.numbers(n).get("count", 0) for s in steps) for n in row.names)) for row in rows]
    out, complaints = {}, []
    for step in steps:
        names = [n for n, v in step.variables.items() if n in place and v["dtype"] in FLOATS and "error" not in v]
        for at in range(0, len(names), 200):  # of so many the names fit a command line
            try:
                for name, array in values(directory, step, names[at:at + 200]):
                    one = out.setdefault((place[name], step.name), Histogram(np.zeros(bins[place[name]])))
                    finite = array[np.isfinite(array)]
                    one.counts += np.histogram(finite, one.counts.size, spans[place[name]])[0]
                    one.seen += array.size
                    one.bad += array.size - finite.size
            except EOFError as e:
                complaints.append(str(e))
    return out, spans, complaints


def draw_ridges(axes, steps, histograms, limits):
    """The histograms of one layer, a step above the other, the newest lowest. HISTOGRAMS: one for each step, or None."""
    shares = [h.counts / max(h.seen - h.bad, 1) if h else None for h in histograms]
    # One narrow peak, as of zeros, would flatten all others: it is cut off.
    tops = [s.max() for s in shares if s is not None and s.max() > 0]
    top = min(max(tops, default=1), 3 * np.median(tops) if tops else 1)
    for i, (one, heights) in enumerate(zip(histograms, shares)):
        base = len(steps) - 1 - i
        if one is None:
            continue
        colour = SCALE(0.85 * i / max(len(steps) - 1, 1))
        if one.bad:
            axes.plot(limits, (base, base), color=RED, linewidth=1.2, linestyle=(0, (4, 2)), zorder=i + 1)
        if heights.max() > 0:
            line = base + np.minimum(np.append(heights, heights[-1]) / top, 1) * 1.5
            edges = np.linspace(*limits, line.size)
            axes.fill_between(edges, base, line, step="post", color=colour, alpha=0.75, linewidth=0, zorder=i + 1)
            axes.step(edges, line, where="post", color="white", linewidth=0.7, zorder=i + 1)
        notes = ([f"NaN {share(one.bad, one.seen)}"] if one.bad else []) + \
            ([f"outside {share(one.outside(), one.seen)}"] if one.outside() > one.seen / 100 else [])
        axes.text(limits[1], base + 0.16, ", ".join(notes), color=RED if one.bad else GREY, ha="right", fontsize=6.5,
                  weight="bold" if one.bad else "normal", zorder=len(steps) + 2)
    axes.set_yticks(range(len(steps)), [shortened(s.short(), 9) for s in reversed(steps)], fontsize=7)
    axes.set(xlim=limits, ylim=(-0.3, len(steps) + 0.7))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def draw_histograms(steps, rows, counted, spans):
    """The histograms of all layers, three beside each other."""
    # In inches. Matplotlib could find a layout by itself, but of many layers that takes seconds.
    lines, width, height = -(-len(rows) // 3), 9.2, 0.25 + 0.13 * (len(steps) + 1)
    left, right, top, bottom = 0.7, 0.1, 0.3, 0.5
    across, down = 0.6, 0.52  # between two
    each = (width - left - right - 2 * across) / 3
    total = top + lines * height + (lines - 1) * down + bottom
    figure = Figure(figsize=(width, total))
    grid = list(figure.subplots(lines, 3, squeeze=False, gridspec_kw={
        "left": left / width, "right": 1 - right / width, "top": 1 - top / total, "bottom": bottom / total,
        "wspace": across / each, "hspace": down / height}).flat)
    for i, (axes, row) in enumerate(zip(grid, rows)):
        histograms = [counted.get((i, s.name)) for s in steps]
        bad = any(h and h.bad for h in histograms)
        axes.set_title(shortened(row.label, 34) + (" – NaN" if bad else ""), color=RED if bad else "black",
                       weight="bold", loc="left")
        draw_ridges(axes, steps, histograms, spans[i])
        if i % 3 == 0:
            axes.set_ylabel("step")
        if i + 3 >= len(rows):
            axes.set_xlabel("value")
    for axes in grid[len(rows):]:
        axes.remove()
    return figure
