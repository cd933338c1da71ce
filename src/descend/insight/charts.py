"""Curves, bars and heat tables as inline SVG and HTML: no script, no outside resource, colours by the page's variables.

Ticks lie on 1, 2, 5 · 10ⁿ (after Heckbert 1990, "Nice numbers for graph labels"). A value that is not finite breaks its
curve there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 30
POINTS = 400
"""More points than this cannot be told apart on a screen; they are thinned."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: in the legend.
        points: (x, y) in order of x.
        colour: number of the page's series colour, 1 …
        mark: x of a point to be marked, if any.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 1
    mark: float | None = None


def chart(title: str, curves: Sequence[Curve], x_name: str = "step") -> str:
    """Curves over one axis; logarithmic upward where the values span more than a factor of 30 and are above 0."""
    curves = [curve for curve in curves if any(math.isfinite(y) for _, y in curve.points)]
    if not curves:
        return ""
    ys = [y for curve in curves for _, y in curve.points if math.isfinite(y)]
    xs = [x for curve in curves for x, _ in curve.points]
    log = min(ys) > 0 and max(ys) / min(ys) > 30
    x_low, x_high = _room(0.0, max(xs))
    if log:
        y_ticks = _decades(min(ys), max(ys))
        y_low, y_high = math.log10(min(*ys, y_ticks[0])), math.log10(max(*ys, y_ticks[-1]))
    else:
        y_ticks = ticks(*_room(min(ys), max(ys)))
        y_low, y_high = min(y_ticks[0], *ys), max(y_ticks[-1], *ys)

    def across(x: float) -> float:
        return LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        y = math.log10(y) if log else y
        return HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)

    grid = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(y):.1f}" y2="{up(y):.1f}"/>'
        f'<text class="tick" x="{LEFT - 7}" y="{up(y) + 3.5:.1f}" text-anchor="end">{number(y)}</text>'
        for y in y_ticks
    ]
    x_ticks = [x for x in ticks(x_low, x_high) if x_low <= x <= x_high]
    grid += [
        f'<text class="tick" x="{across(x):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{number(x)}</text>'
        for x in x_ticks
    ]
    drawn = "".join(_drawn(curve, across, up) for curve in curves)
    legend = "".join(f'<span class="key k{curve.colour}">{escape(curve.name)}</span>' for curve in curves)
    if any(curve.mark is not None and curve.points for curve in curves):
        legend += "<small>● the kept model</small>"
    scale = ", logarithmic" if log else ""
    return (
        f"<figure><figcaption>{escape(title)}<small> by {escape(x_name)}{scale}</small>{legend}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(grid)}{drawn}</svg>'
        "</figure>"
    )


def bar(parts: Mapping[str, float], unit: str) -> str:
    """One bar of stacked parts, and the parts in figures."""
    whole = sum(max(value, 0.0) for value in parts.values())
    if not whole:
        return ""
    shares = {name: max(value, 0.0) / whole for name, value in parts.items()}
    pieces = "".join(
        f'<i class="b{n}" style="width:{100 * share:.2f}%" title="{escape(name)} {share:.0%}"></i>'
        for n, (name, share) in enumerate(shares.items(), 1)
    )
    keys = "".join(
        f'<span class="key k{n}">{escape(name)} <b>{parts[name]:.3g} {escape(unit)}</b> {share:.0%}</span>'
        for n, (name, share) in enumerate(shares.items(), 1)
    )
    return f'<div class="bar">{pieces}</div><div class="keys">{keys}</div>'


def heat(rows: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """A confusion matrix, rows the truth: each cell shaded by its share of the row, mistakes in their own colour."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    body = []
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        total = sum(row)
        cells = []
        for j, count in enumerate(row):
            share = count / total if total else 0.0
            # The square root lifts rare mistakes into sight.
            shade = f' style="--s:{100 * math.sqrt(share):.0f}%"' if count else ""
            tip = f"{name} taken for {names[j]}: {count:g} of {total:g}"
            kind = "hit" if i == j else "miss"
            cells.append(f'<td class="{kind}"{shade} title="{escape(tip)}">{f"{count:g}" if count else "·"}</td>')
        right = f"{row[i] / total:.0%}" if total else "–"
        body.append(f'<tr><th scope=row>{escape(name)}</th>{"".join(cells)}<td class="recall">{right}</td></tr>')
    return (
        f'<div class="wide"><table class="heat"><thead><tr><th></th>{head}<th>found</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from just below ``low`` to just above ``high``."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def number(value: float) -> str:
    """Short: 0.001, 12k, 3e-05."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 10_000:
        return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"
    return f"{value:.4g}"


def _drawn(curve: Curve, across: Callable[[float], float], up: Callable[[float], float]) -> str:
    stride = math.ceil(len(curve.points) / POINTS)
    points = [*curve.points[:: stride or 1]]
    if curve.points[-1] != points[-1]:
        points.append(curve.points[-1])
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    lines = "".join(
        '<polyline class="c{}" points="{}"/>'.format(
            curve.colour, " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in run)
        )
        for run in runs
        if len(run) > 1
    )
    alone = {run[0] for run in runs if len(run) == 1}
    dots = []
    for x, y in (point for run in runs for point in run):
        shown = "dot" if (x, y) in alone or x == curve.mark else "spot"
        dots.append(
            f'<circle class="{shown} d{curve.colour}" cx="{across(x):.1f}" cy="{up(y):.1f}" r="4">'
            f"<title>{escape(curve.name)} {y:.4g} at {x:,g}</title></circle>"
        )
    return lines + "".join(dots)


def _room(low: float, high: float) -> tuple[float, float]:
    """The range, made wide enough to be drawn where all values are one."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    pad = abs(low) * 0.5 or 0.5
    return low - pad, high + pad


def _decades(low: float, high: float) -> list[float]:
    powers = [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    stride = math.ceil(len(powers) / 7)
    return powers[::stride]


def shares(rows: Sequence[Sequence[float]], left: Sequence[str], top: Sequence[str]) -> str:
    """A table of shares, each cell shaded by its own; every row adds up to 1."""
    head = "".join(f'<th scope=col class="up">{escape(name)}</th>' for name in top)
    body = []
    for row, name in zip(rows, left, strict=True):
        tips = [escape(f"{name} asks {other}: {share:.0%}") for share, other in zip(row, top, strict=True)]
        cells = "".join(
            f'<td class="hit" style="--s:{100 * share:.0f}%" title="{tip}"></td>'
            for share, tip in zip(row, tips, strict=True)
        )
        body.append(f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>")
    return (
        f'<div class="wide"><table class="heat"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
