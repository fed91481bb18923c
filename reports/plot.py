"""A small SVG plot of its own: panels over one time axis, decimated so that no extreme is lost.

Twenty times faster than a plotting library and a tenth of the size, legible in black and white (each line has
its own dash pattern and its name in words), self-contained (no script, no font, no outside reference).
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from reports.plot_panels import X, draw_lines, draw_steps
from reports.plot_parts import (
    BOTTOM,
    GAP,
    LEFT,
    RIGHT,
    TOP,
    Band,
    Level,
    Panel,
    Plot,
    Series,
    decimate,
    number,
    ticks,
)

__all__ = ["Band", "Level", "Panel", "Plot", "Series", "decimate", "svg_plot"]


def svg_plot(plot: Plot) -> str:
    """Return the picture as SVG text; a plot without samples says so in words."""
    width, height = plot.size
    begin_s, end_s = _extent(plot)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="100%" role="img" '
        f'aria-label="{escape(plot.title, {chr(34): "&quot;"})}" '
        'font-family="system-ui, Segoe UI, Roboto, DejaVu Sans, sans-serif" font-size="11.5">',
        f"<title>{escape(plot.title)}</title>",
        f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="17" font-size="13" font-weight="600" fill="#111827">'
        f"{escape(_shortened(plot.title, width))}</text>",
    ]
    if plot.simulated:
        out.append(
            f'<text x="{width - RIGHT}" y="17" text-anchor="end" font-weight="700" fill="#92400e">SIMULATED</text>'
        )
    if begin_s is None or end_s is None:
        out.append(f'<text x="{LEFT}" y="{height / 2:g}" fill="#374151">nothing was recorded</text></svg>')
        return "\n".join(out)
    if end_s <= begin_s:
        end_s = begin_s + 1.0
    scale_x = (width - LEFT - RIGHT) / (end_s - begin_s)

    def x(at_s: float) -> float:
        return LEFT + (at_s - begin_s) * scale_x

    bottom = height - BOTTOM
    for band in plot.bands:
        left, right = x(max(begin_s, band.begin_s)), x(min(end_s, band.end_s))
        if right > left:
            out.append(
                f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{bottom - TOP}" '
                f'fill="#fef3c7" stroke="#d97706" stroke-width="0.5" stroke-dasharray="2 3"/>'
                f'<text x="{left + 3:.1f}" y="{bottom - 4}" fill="#92400e" font-size="10.5">{escape(band.name)}'
                "</text>"
            )
    if plot.simulated:  # above the bands, below the lines
        out.append(
            f'<text x="{width / 2:g}" y="{height / 2:g}" font-size="64" font-weight="700" fill="#9ca3af" '
            f'fill-opacity="0.22" text-anchor="middle">SIMULATED</text>'
        )
    out.extend(_panels(plot, x, bottom, begin_s, end_s))
    for tick in ticks(begin_s, end_s, 8):
        out.append(
            f'<line x1="{x(tick):.1f}" y1="{bottom}" x2="{x(tick):.1f}" y2="{bottom + 4}" stroke="#6b7280"/>'
            f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#374151">{number(tick)}</text>'
        )
    out.append(
        f'<text x="{(LEFT + width - RIGHT) / 2:g}" y="{height - 6}" text-anchor="middle" fill="#374151">'
        "time in the test / s</text>"
    )
    out.extend(_marks(plot, x, bottom, begin_s, end_s))
    out.append("</svg>")
    return "\n".join(out)


def _shortened(title: str, width: int) -> str:
    room = int((width - LEFT - RIGHT - 100) / 7.4)  # letters of this size beside the word SIMULATED
    return title if len(title) <= room else f"{title[: room - 1].rstrip()}…"


def _panels(plot: Plot, x: X, bottom: int, begin_s: float, end_s: float) -> list[str]:
    weights = [0.28 * len(panel.series) if panel.steps else 2.0 for panel in plot.panels]
    room = bottom - TOP - GAP * (len(plot.panels) - 1)
    top = float(TOP)
    out: list[str] = []
    for panel, weight in zip(plot.panels, weights, strict=True):
        height = room * weight / sum(weights)
        draw = draw_steps if panel.steps else draw_lines
        out.extend(draw(panel, x, top, height, plot.size[0], begin_s, end_s))
        top += height + GAP
    return out


def _marks(plot: Plot, x: X, bottom: int, begin_s: float, end_s: float) -> list[str]:
    out: list[str] = []
    last_x = [-1e9, -1e9]
    for at_s, name in sorted(plot.marks):
        if not begin_s <= at_s <= end_s:
            continue
        at = x(at_s)
        # Two rows of names; where both are taken, the line alone stands.
        row = 0 if at - last_x[0] > 7 * len(name) + 8 else 1
        out.append(
            f'<line x1="{at:.1f}" y1="{TOP - 4}" x2="{at:.1f}" y2="{bottom}" stroke="#111827" '
            'stroke-width="0.9" stroke-dasharray="3 2"/>'
        )
        if at - last_x[row] > 6 * len(name) + 4:
            anchor = "end" if at > plot.size[0] - 90 else "start"
            out.append(
                f'<text x="{at + (-3 if anchor == "end" else 3):.1f}" y="{TOP - 18 + 11 * row}" '
                f'text-anchor="{anchor}" fill="#111827" font-size="10.5">{escape(name)}</text>'
            )
            last_x[row] = at
    return out


def _extent(plot: Plot) -> tuple[float | None, float | None]:
    filled = [series for panel in plot.panels for series in panel.series if len(series.at_s)]
    if not filled:
        return None, None
    return min(series.at_s[0] for series in filled), max(series.at_s[-1] for series in filled)
