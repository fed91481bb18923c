"""The two kinds of panels of `reports.plot`: lines that share a scale, and flags as steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from xml.sax.saxutils import escape

from reports.plot_parts import LEFT, LINES, RIGHT, Panel, Series, decimate, number, ticks

X = Callable[[float], float]


def draw_lines(panel: Panel, x: X, top: float, height: float, width: int, begin_s: float, end_s: float) -> list[str]:
    """Draw series with a common scale, their thresholds, and a legend in words."""
    low, high = _range(panel)
    bottom = top + height

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * height

    out = [
        f'<rect x="{LEFT}" y="{top:.1f}" width="{width - LEFT - RIGHT}" height="{height:.1f}" fill="none" '
        'stroke="#9ca3af"/>'
    ]
    for tick in ticks(low, high, 4):
        heavy = ' stroke-width="1.2"' if tick == 0 else ""
        out.append(
            f'<line x1="{LEFT}" y1="{y(tick):.1f}" x2="{width - RIGHT}" y2="{y(tick):.1f}" '
            f'stroke="#d1d5db"{heavy}/>'
            f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#374151">'
            f"{number(tick)}</text>"
        )
    out.append(
        f'<text x="14" y="{top + height / 2:.1f}" text-anchor="middle" fill="#111827" '
        f'transform="rotate(-90 14 {top + height / 2:.1f})">{escape(panel.title)}</text>'
    )
    out.extend(_levels(panel, y, top, width))
    order: dict[str, int] = {}
    legend_x = LEFT + 8.0
    for series in panel.series:
        choices = LINES[series.style]
        colour, dash, stroke = choices[order.get(series.style, 0) % len(choices)]
        order[series.style] = order.get(series.style, 0) + 1
        paint = f'fill="none" stroke="{colour}" stroke-width="{stroke}"' + (
            f' stroke-dasharray="{dash}"' if dash else ""
        )
        points = decimate(series.at_s, series.values)
        for piece in _pieces(_held(points) if series.style == "bms" else points):
            path = " ".join(_outline([(round(x(at_s), 1), round(y(value), 1)) for at_s, value in piece]))
            if len(piece) == 1:
                out.append(f'<circle cx="{x(piece[0][0]):.1f}" cy="{y(piece[0][1]):.1f}" r="2" fill="{colour}"/>')
            else:
                out.append(f'<polyline points="{path}" {paint} stroke-linejoin="round"/>')
        out.append(
            f'<line x1="{legend_x:.1f}" y1="{top + 10:.1f}" x2="{legend_x + 26:.1f}" y2="{top + 10:.1f}" {paint}/>'
            f'<text x="{legend_x + 31:.1f}" y="{top + 14:.1f}" fill="{colour}" stroke="#ffffff" stroke-width="3" '
            f'paint-order="stroke">{escape(series.name)}</text>'
        )
        legend_x += 50 + 6.6 * len(series.name)
    return out


def _levels(panel: Panel, y: X, top: float, width: int) -> list[str]:
    out: list[str] = []
    names: list[tuple[float, float]] = []  # where names stand: height, and the left end
    for level in panel.thresholds:
        at = y(level.value)
        # Names of levels that lie close together stand side by side.
        right = min((left for other, left in names if abs(other - at) < 13), default=float(width - RIGHT - 4))
        names.append((at, right - 6.4 * len(level.name) - 12))
        out.append(
            f'<line x1="{LEFT}" y1="{at:.1f}" x2="{width - RIGHT}" y2="{at:.1f}" stroke="#991b1b" '
            'stroke-width="1.2" stroke-dasharray="12 4"/>'
            f'<text x="{right:.1f}" y="{at - 3 if at > top + 14 else at + 12:.1f}" text-anchor="end" '
            f'fill="#991b1b" font-size="10.5" stroke="#ffffff" stroke-width="3" paint-order="stroke">'
            f"{escape(level.name)}</text>"
        )
    return out


def draw_steps(panel: Panel, x: X, top: float, height: float, width: int, begin_s: float, end_s: float) -> list[str]:
    """Draw flags one above the other: a thin line while down, a filled bar with the word while up."""
    row = height / max(1, len(panel.series))
    out: list[str] = []
    for index, series in enumerate(panel.series):
        base = top + (index + 1) * row - 3
        bar = min(row - 5, 13.0)
        out.append(
            f'<line x1="{LEFT}" y1="{base:.1f}" x2="{width - RIGHT}" y2="{base:.1f}" stroke="#9ca3af"/>'
            f'<text x="{LEFT + 8}" y="{base - 3:.1f}" fill="#374151" font-size="10.5" stroke="#ffffff" '
            f'stroke-width="3" paint-order="stroke">{escape(series.name)}</text>'
        )
        for up_s, down_s in _up_times(series, end_s):
            left, right = x(max(begin_s, up_s)), x(min(end_s, down_s))
            out.append(
                f'<rect x="{left:.1f}" y="{base - bar:.1f}" width="{max(1.5, right - left):.1f}" '
                f'height="{bar:.1f}" fill="#4b5563" fill-opacity="0.85"/>'
            )
            if right - left > 24:
                out.append(
                    f'<text x="{(left + right) / 2:.1f}" y="{base - bar / 2 + 3.5:.1f}" fill="#ffffff" '
                    'text-anchor="middle" font-size="10">on</text>'
                )
    return out


def _up_times(series: Series, end_s: float) -> Iterable[tuple[float, float]]:
    up_s: float | None = None
    for at_s, value in zip(series.at_s, series.values, strict=True):
        if value and up_s is None:
            up_s = at_s
        elif not value and up_s is not None:
            yield up_s, at_s
            up_s = None
    if up_s is not None:
        yield up_s, end_s


def _held(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Let a reported value stand until the next one arrives: between them the BMS said nothing."""
    held: list[tuple[float, float]] = points[:1]
    for (_, before), (at_s, value) in pairwise(points):
        if value != before:
            held.append((at_s, before))
        held.append((at_s, value))
    return held


def _outline(points: list[tuple[float, float]]) -> list[str]:
    """Return the points of a line that make a visible difference: the inner ones of a level stretch make none."""
    kept: list[tuple[float, float]] = []
    for index, point in enumerate(points):
        inner = 0 < index < len(points) - 1 and points[index - 1][1] == point[1] == points[index + 1][1]
        if not inner:
            kept.append(point)
    return [f"{across:g},{down:g}" for across, down in kept]


def _range(panel: Panel) -> tuple[float, float]:
    values = [value for series in panel.series for value in series.values if math.isfinite(value)]
    values += [level.value for level in panel.thresholds]
    if not values:
        return -1.0, 1.0
    low, high = min(values), max(values)
    margin = 0.07 * (high - low) or max(0.05 * abs(high), 1e-3)
    # Room above for the legend, which must not lie on the lines.
    return low - margin, high + 3.2 * margin


def _pieces(points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if math.isfinite(point[1]):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
