"""The wiring sheet of a bench: a drawing (text in 80 columns, or SVG in black on white) and a list to tick."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from xml.sax.saxutils import escape

from bench.definition import Definition
from bench.wiring import POWER_ROLES, WiringItem, lead_words, shunt_sides, wiring_items
from bench.wiring_confirmation import SHOWN, WiringConfirmation, content_hash

WIDTH = 80
MINUS, PLUS = 30, 36  # columns of the two rails
_X_MINUS, _X_PLUS, _ROW, _LETTER = 260, 340, 24, 7.2
_SHEET = 800


def drawing_lines(definition: Definition) -> list[str]:
    """Return the drawing as lines of at most 80 plain characters, from the instruments down to the pack."""
    roles, topology = definition.roles, definition.topology
    hi, lo = shunt_sides(definition)
    lines = []
    for role in (each for each in POWER_ROLES if each in roles):
        lines += [_tap(f"{roles[role]} ({role}) +", PLUS), _tap("-", MINUS)]
    lines += [_rails("bus -", "bus +"), _rails()]
    if "disconnect" in roles:
        lines += [_box(f"disconnect: {roles['disconnect']}, {topology.disconnect_a:g} A"), _rails()]
    lines += [
        _lead(f"{'HI' if hi == 'instruments' else 'LO'} of {roles['reference_meter']}"),
        _box(f"reference shunt {topology.reference_shunt.ohm * 1e3:g} mOhm"),
        _lead(f"{'LO' if lo == 'pack' else 'HI'} of {roles['reference_meter']}"),
        _rails(),
        _box(f"fuse {topology.fuse_a:g} A"),
        _rails("P-", "P+"),
        _frame("+---------+"),
        _frame("|   BMS   |"),
        _frame("+---------+"),
        _rails("B-", "B+"),
        _lead(f"HI of {roles['pack_meter']}"),
        _lead(f"LO of {roles['pack_meter']}", at=MINUS),
        _frame("[  cells  ]"),
    ]
    return [line.rstrip() for line in lines]


def _put(pieces: Iterable[tuple[int, str]]) -> str:
    line = ""
    for column, text in sorted(pieces):
        line = line.ljust(column)[:column] + text
    return line[:WIDTH]


def _rails(minus: str = "", plus: str = "") -> str:
    left = [(max(0, MINUS - len(minus) - 1), minus)] if minus else []
    right = [(PLUS + 2, plus)] if plus else []
    return _put([*left, (MINUS, "|"), (PLUS, "|"), *right])


def _tap(name: str, column: int) -> str:
    text = f"{name[: MINUS - 4]} "
    dash = text.rjust(MINUS - 2) + "-" * (column - MINUS + 2) + "o"
    return dash + ("|".rjust(PLUS - MINUS) if column == MINUS else "")


def _box(text: str) -> str:
    return _put([(MINUS, "|"), (PLUS, f"[] {text}")])


def _lead(text: str, at: int = PLUS) -> str:
    if at == PLUS:
        return _put([(MINUS, "|"), (PLUS, f"o---- {text}")])
    return _put([(MINUS, "o-----|---- " + text)])


def _frame(text: str) -> str:
    return _put([(MINUS - 2, text)])


def list_lines(items: Iterable[WiringItem], width: int = WIDTH) -> list[str]:
    """Return the list to tick, wrapped; proposals and gaps say that they are."""
    lines, group = [], ""
    for number, item in enumerate(items, start=1):
        if item.group != group:
            group = item.group
            lines += ["", group]
        mark = "MISSING: " if item.missing else "proposal: " if item.proposal else ""
        begin = f"{number:3} [ ] "
        lines += textwrap.wrap(
            mark + item.text,
            width,
            initial_indent=begin,
            subsequent_indent=" " * len(begin),
            break_on_hyphens=False,
        )
    return lines[1:]


def status_line(definition: Definition, confirmation: WiringConfirmation | None) -> str:
    """Say whether this content of the definition was confirmed."""
    content = f"content {content_hash(definition)[:SHOWN]}"
    if confirmation is None:
        return f"{content}: not confirmed"
    return f"{content}: confirmed by {confirmation.by} at {confirmation.at}"


def sheet_lines(definition: Definition, confirmation: WiringConfirmation | None) -> list[str]:
    """Return the whole sheet as text in 80 columns."""
    kind = " (SIMULATED)" if definition.bench.simulated else ""
    head = textwrap.wrap(f"Wiring of bench {definition.name}{kind}: {definition.bench.title}", WIDTH)
    return [
        *head,
        "",
        *drawing_lines(definition),
        "",
        *list_lines(wiring_items(definition)),
        "",
        *textwrap.wrap(status_line(definition, confirmation), WIDTH),
    ]


# -- SVG ---------------------------------------------------------------------------------------------------------


class _Svg:
    """Collects shapes; black lines and text on white, nothing that a copier would lose."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.wide = float(_SHEET)

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>')

    def box(self, x: float, y: float, wide: float, high: float) -> None:
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"/>')

    def dot(self, x: float, y: float) -> None:
        self.parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="4"/>')

    def text(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        reach = x + _LETTER * len(text) if anchor == "start" else x
        self.wide = max(self.wide, reach + 20)
        self.parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')


def sheet_svg(definition: Definition, confirmation: WiringConfirmation | None) -> str:
    """Return the whole sheet as one SVG document."""
    svg = _Svg()
    svg.text(20, 30, f"Wiring of bench {definition.name}{' (SIMULATED)' if definition.bench.simulated else ''}")
    svg.text(20, 30 + _ROW, status_line(definition, confirmation))
    y = _draw(svg, definition, 90.0)
    for line in list_lines(wiring_items(definition), width=104):
        y += _ROW * 0.8
        svg.text(20, y, line.replace(" [ ] ", "     "))
        if " [ ] " in line[:9]:
            svg.box(48, y - 10, 11, 11)
    high = y + 70
    svg.line(20, high - 20, 320, high - 20)
    svg.text(20, high - 5, "name, date")
    body = "\n".join(svg.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{svg.wide:g}" height="{high:g}" '
        f'viewBox="0 0 {svg.wide:g} {high:g}">\n'
        "<style>text{font:12px monospace;fill:#000;white-space:pre}"
        "line,rect{stroke:#000;stroke-width:1.5;fill:#fff}circle{fill:#000}</style>\n"
        f'<rect x="0" y="0" width="{svg.wide:g}" height="{high:g}" stroke="none"/>\n{body}\n</svg>\n'
    )


def _draw(svg: _Svg, definition: Definition, y: float) -> float:
    """Draw from the instruments down to the cells; return where the list may begin."""
    roles, topology, hi = definition.roles, definition.topology, shunt_sides(definition)[0]
    top, marks = y, []
    for role in (each for each in POWER_ROLES if each in roles):
        svg_name = f"{roles[role]} ({role})"
        marks.append((y, y + _ROW, svg_name))
        y += 2.5 * _ROW
    before = len(svg.parts)  # the rails lie below everything else, once their end is known
    for plus_y, minus_y, name in marks:
        left = _X_MINUS - 60
        svg.box(20, plus_y - 12, left - 20, 48)
        svg.text(28, plus_y + 16, name[:21])
        svg.line(left, plus_y, _X_PLUS, plus_y)
        svg.line(left, minus_y, _X_MINUS, minus_y)
        svg.dot(_X_PLUS, plus_y)
        svg.dot(_X_MINUS, minus_y)
        svg.text(left + 6, plus_y - 4, "+")
        svg.text(left + 6, minus_y - 4, "-")
    words, sized = lead_words(topology.wiring_a)
    size = f", {words} (proposal)" if sized else ""
    svg.text(_X_PLUS + 14, y, f"bus +, {topology.wiring_a:g} A{size}")
    svg.text(_X_MINUS - 50, y, "bus -")
    y += 1.5 * _ROW
    if "disconnect" in roles:
        y = _part(svg, y, f"disconnect: {roles['disconnect']}, {topology.disconnect_a:g} A")
    meter = roles["reference_meter"]
    y = _mark(svg, _X_PLUS, y, f"{'HI' if hi == 'instruments' else 'LO'} of {meter}")
    y = _part(svg, y, f"reference shunt {topology.reference_shunt.ohm * 1e3:g} mOhm")
    y = _mark(svg, _X_PLUS, y, f"{'LO' if hi == 'instruments' else 'HI'} of {meter}")
    y = _part(svg, y, f"fuse {topology.fuse_a:g} A")
    svg.box(_X_MINUS - 40, y, 160, 1.5 * _ROW)
    svg.text(_X_MINUS + 25, y + 22, "BMS")
    svg.text(_X_PLUS + 20, y - 4, "P+")
    svg.text(_X_MINUS - 30, y - 4, "P-")
    y += 2.5 * _ROW
    svg.text(_X_PLUS + 20, y - 12, "B+")
    svg.text(_X_MINUS - 30, y - 12, "B-")
    y = _mark(svg, _X_PLUS, y, f"HI of {roles['pack_meter']}")
    svg.dot(_X_MINUS, y)
    svg.text(20, y + 4, f"LO of {roles['pack_meter']}"[:30])
    svg.line(_X_MINUS - 60, y, _X_MINUS, y)
    y += _ROW
    rails = _Svg()
    rails.line(_X_MINUS, top + _ROW, _X_MINUS, y)
    rails.line(_X_PLUS, top, _X_PLUS, y)
    svg.parts[before:before] = rails.parts
    svg.box(_X_MINUS - 40, y, 160, 1.5 * _ROW)
    svg.text(_X_MINUS + 18, y + 22, "cells")
    return y + 3 * _ROW


def _part(svg: _Svg, y: float, text: str) -> float:
    svg.box(_X_PLUS - 10, y, 20, 1.2 * _ROW)
    svg.text(_X_PLUS + 20, y + 18, text)
    return y + 1.7 * _ROW


def _mark(svg: _Svg, x: float, y: float, text: str) -> float:
    svg.line(x, y, x + 60, y)
    svg.dot(x, y)
    svg.text(x + 66, y + 4, text)
    return y + _ROW
