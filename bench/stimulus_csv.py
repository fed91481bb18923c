"""Profiles of current from CSV files: two columns, each with its unit, the current with its sign, in the header.

```
# Comments begin with this sign.
time [s],current [A] charge positive
0,-20.0
10,35.0
12.5,0
```

A header without unit or without the word for the sign is refused: nobody would know what a negative number means.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, DefinitionError
from bench.loading import nearest
from bench.quantities import INSIDE_UNIT, UNITS, Unit
from bench.stimulus_profile import Between, CurrentProfile, Point

CYCLES = Path(__file__).parent / "cycles"
SIGNS = {"charge positive": 1, "discharge positive": -1}
COLUMN = re.compile(r"^(?P<name>\w+)\s*(?:\[(?P<unit>[^\]]*)\])?\s*(?P<sign>.*)$")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
GOOD_HEADER = "time [s],current [A] charge positive"
LARGEST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class _Columns:
    time: Unit
    current: Unit
    sign: int


def read_profile(path: Path, *, between: Between = "held") -> CurrentProfile:
    """Read a profile of current from a CSV file.

    Args:
        path: the file, UTF-8, with a header such as `time [s],current [A] charge positive`; `discharge positive`
            is turned round here and nowhere else. Lines that begin with `#` are comments, the first one is its title.
        between: whether a row's current is `held` until the next row, or moves `straight` to it.

    Raises:
        DefinitionError: naming file, line and column, what stands there, and what to write.
    """
    lines = _lines(path)
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    comments = [line for _, line in numbered if line.startswith("#")]
    rows = [(number, line) for number, line in numbered if not line.startswith("#")]
    if not rows:
        raise DefinitionError(f"{path.name}: has no header; write {GOOD_HEADER!r}")
    columns = _header(path, *rows[0])
    points: list[Point] = []
    for number, line in rows[1:]:
        at_s, current_a = _row(path, number, line, columns)
        if points and at_s <= points[-1].at_s:
            raise DefinitionError(
                f"{path.name}, line {number}, column 'time': {at_s:g} s is not after the {points[-1].at_s:g} s of the "
                "row before; times must rise"
            )
        if not points and at_s != 0.0:
            raise DefinitionError(
                f"{path.name}, line {number}, column 'time': {at_s:g} s; a profile begins at 0, take it off all rows"
            )
        points.append(Point(at_s, current_a))
    if points and points[-1].current_a != 0.0:
        raise DefinitionError(
            f"{path.name}, line {rows[-1][0]}, column 'current': {points[-1].current_a:g} A; the last row says when "
            "the profile ends, so its current must be 0"
        )
    title = comments[0].lstrip("# ").strip() if comments else ""
    try:
        return CurrentProfile(path.stem, tuple(points), between, title or path.name)
    except BenchError as problem:
        raise DefinitionError(f"{path.name}: {problem}") from problem


def find_cycle(name: str, lab: Path | None = None) -> Path:
    """Return the file of a drive cycle given by name or by path (`.csv`); a lab's own `cycles/` comes first.

    Raises:
        DefinitionError: there is none of that name.
    """
    if name.endswith(".csv"):
        return Path(name)
    folders = ([lab / "cycles"] if lab else []) + [CYCLES]
    for folder in folders:
        if (folder / f"{name}.csv").is_file():
            return folder / f"{name}.csv"
    known = [path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.csv")]
    raise DefinitionError(f"no drive cycle called {name!r}{nearest(name, known)}")


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DefinitionError(f"{path.name}: {path.stat().st_size} bytes; a profile has at most {LARGEST_BYTES}")
        return path.read_text(encoding="utf-8-sig").splitlines()  # a table program writes a mark before the text
    except FileNotFoundError:
        siblings = [each.stem for each in path.parent.glob("*.csv")] if path.parent.is_dir() else []
        raise DefinitionError(f"{path}: there is no such file{nearest(path.stem, siblings)}") from None
    except UnicodeDecodeError as problem:
        raise DefinitionError(f"{path.name}: is not UTF-8 text (byte {problem.start}); save it as CSV UTF-8") from None
    except OSError as problem:
        raise DefinitionError(f"{path.name}: cannot be read: {problem}") from None


def _cells(path: Path, number: int, line: str) -> list[str]:
    cells = [cell.strip().strip('"').strip() for cell in line.split(",")]
    if len(cells) == 2:
        return cells
    hint = "write a point before decimals and a comma between columns" if ";" in line or "\t" in line else ""
    if len(cells) == 4 and not hint:
        hint = "are these decimal commas? Write a point"
    told = f"{len(cells)} column{'s' if len(cells) != 1 else ''}, two are needed: time and current"
    raise DefinitionError(f"{path.name}, line {number}: {told}{'; ' + hint if hint else ''}")


def _header(path: Path, number: int, line: str) -> _Columns:
    first, second = _cells(path, number, line)
    time, rest = _column(path, number, 1, first, "time")
    if rest:
        raise DefinitionError(f"{path.name}, line {number}, column 1: {rest!r} after the unit of time means nothing")
    current, word = _column(path, number, 2, second, "current")
    word = re.sub(r"[\s_(),;]+", " ", word).strip().lower()
    if word not in SIGNS:
        found = f"{word!r} says no sign{nearest(word, SIGNS)}" if word else "has no sign"
        raise DefinitionError(
            f"{path.name}, line {number}, column 2 ({second!r}): {found}; write 'charge positive' or 'discharge "
            "positive' after the unit, there is no default"
        )
    return _Columns(time, current, SIGNS[word])


def _column(path: Path, number: int, column: int, text: str, quantity: str) -> tuple[Unit, str]:
    """Read one column of the header: its unit, and whatever follows it."""
    where = f"{path.name}, line {number}, column {column} ({text!r})"
    found = COLUMN.match(text)
    if found is None or found["name"].lower() != quantity:
        raise DefinitionError(f"{where}: is not called {quantity!r}; write {GOOD_HEADER!r}")
    if not found["unit"]:
        raise DefinitionError(f"{where}: has no unit; write {quantity} [{INSIDE_UNIT[quantity]}], there is no default")
    unit = UNITS.get(found["unit"].strip())
    if unit is None or unit.quantity != quantity:
        known = [each.name for each in UNITS.values() if each.quantity == quantity]
        raise DefinitionError(f"{where}: {found['unit']!r} is no unit of {quantity}{nearest(found['unit'], known)}")
    return unit, found["sign"]


def _row(path: Path, number: int, line: str, columns: _Columns) -> tuple[float, float]:
    cells = _cells(path, number, line)
    values = []
    for name, cell in zip(("time", "current"), cells, strict=True):
        where = f"{path.name}, line {number}, column {name!r}"
        if not cell:
            raise DefinitionError(f"{where}: is empty; nothing is put in its place")
        if NUMBER.fullmatch(cell) is None:
            raise DefinitionError(f"{where}: {cell!r} is not a number")
        value = float(cell)
        if not math.isfinite(value):
            raise DefinitionError(f"{where}: {cell!r} is not a finite number")
        values.append(value)
    return columns.time.to_si(values[0]), columns.sign * columns.current.to_si(values[1]) + 0.0
