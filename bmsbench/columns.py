"""Tables for a terminal and for a pipe: aligned columns, the last one wrapped, no colour that carries meaning."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

NARROWEST = 24  # what the last column keeps on a narrow terminal
GAP = "  "
WIDTH = 80


def width() -> int:
    """Columns of the terminal, 80 on a pipe."""
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return head and rows as lines; only the last column wraps."""
    every = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head) - 1)]
    left = sum(widths) + len(GAP) * len(widths)
    lines = []
    for row in every:
        begin = "".join(cell.ljust(wide) + GAP for cell, wide in zip(row[:-1], widths, strict=True))
        parts = textwrap.wrap(row[-1], max(NARROWEST, width() - left), break_on_hyphens=False) or [""]
        lines += [f"{begin if index == 0 else ' ' * left}{part}".rstrip() for index, part in enumerate(parts)]
    return lines


def paragraph(first: str, text: str, indent: int = 12) -> list[str]:
    """Return text that hangs beside a word, wrapped."""
    return textwrap.wrap(
        text, width(), initial_indent=first.ljust(indent), subsequent_indent=" " * indent, break_on_hyphens=False
    )
