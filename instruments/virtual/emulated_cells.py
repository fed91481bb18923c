"""A stack of emulated cells in the place of real ones: what each channel holds, and where it gives up.

The channels are wired in series, from B- up, and every junction leads through its sense wire to the BMS. A channel
that is on holds its voltage while the current it gives stays between its two limits; beyond, it becomes a current. One
that is off or interrupted carries nothing and floats where the wires pull it; one that is shorted holds 0 V. What all
of them do together follows from the wires in closed form (a linear network with one response matrix).

Not simulated: output resistance, rise time, ripple, range switching, relaxation (an emulated cell has none: release
tests pass too easily on it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from instruments.virtual.sense_wires import SenseWires

Connection = Literal["normal", "open", "short", "reversed"]
_SLACK_A, _SLACK_V = 1e-12, 1e-9


@dataclass(slots=True)
class Channel:
    """One emulated cell. Limits are magnitudes in amperes: what it may give, and what it may take."""

    on: bool = False
    voltage_v: float = 0.0
    source_limit_a: float = 0.0
    sink_limit_a: float = 0.0
    connection: Connection = "normal"

    @property
    def held_v(self) -> float | None:
        """The voltage that it holds at its terminals, in volts; None if it carries no current at all."""
        if self.connection == "short":
            return 0.0
        if not self.on or self.connection == "open":
            return None
        return -self.voltage_v if self.connection == "reversed" else self.voltage_v

    @property
    def span_a(self) -> tuple[float, float]:
        """The current out of its upper terminal that it can carry, lowest and highest, in amperes."""
        if self.connection == "reversed":
            return -self.source_limit_a, self.sink_limit_a
        return -self.sink_limit_a, self.source_limit_a


class EmulatedCells:
    """Channels 1 to n, B- first, on their sense wires."""

    def __init__(self, wires: SenseWires) -> None:
        self.wires = wires
        self.channels = tuple(Channel() for _ in range(wires.cells))
        self._answer: tuple[list[float], list[float], list[float]] | None = None
        self._response: list[list[float]] | None = None
        self._limited: frozenset[int] = frozenset()
        wires.after_change = self._rewired

    def set(
        self,
        cell: int,
        *,
        on: bool | None = None,
        voltage_v: float | None = None,
        source_limit_a: float | None = None,
        sink_limit_a: float | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Change one channel, counted from 1; what is not named stays."""
        channel = self.channels[cell - 1]
        for name, value in (
            ("voltage_v", voltage_v),
            ("source_limit_a", source_limit_a),
            ("sink_limit_a", sink_limit_a),
        ):
            if value is not None:
                if not (isfinite(value) and value >= 0.0):
                    raise ValueError(f"emulated cell {cell}: {name} = {value!r} is not a finite magnitude")
                setattr(channel, name, value)
        channel.on = channel.on if on is None else on
        channel.connection = channel.connection if connection is None else connection
        self._answer = None

    def cells_v(self) -> list[float]:
        """Return the voltage at every channel's terminals, in volts."""
        return self._solved()[0]

    def currents_a(self) -> list[float]:
        """Return what every channel gives out of its upper terminal, in amperes."""
        return self._solved()[1]

    def cells_seen_v(self) -> list[float]:
        """Return what stands at the BMS's inputs of every cell, in volts."""
        return self._solved()[2]

    def limited(self) -> tuple[int, ...]:
        """Return the channels, counted from 1, that stand at one of their current limits."""
        self._solved()
        return tuple(sorted(k + 1 for k in self._limited))

    def _rewired(self) -> None:
        self._answer = self._response = None

    def _solved(self) -> tuple[list[float], list[float], list[float]]:
        if self._answer is None:
            cells_v = self._voltages()
            self._answer = cells_v, self.wires.cell_currents_a(cells_v), self.wires.cells_seen_v(cells_v)
        return self._answer

    def _voltages(self) -> list[float]:
        """Find what every channel's terminals stand at: those that hold, hold; the others carry a known current."""
        held = {k: channel.held_v for k, channel in enumerate(self.channels)}
        known_a = {k: 0.0 for k, value in held.items() if value is None}
        limits = {k: c.span_a for k, c in enumerate(self.channels) if k not in known_a and c.connection != "short"}
        limited: dict[int, float] = {}
        for _ in range(4 * len(self.channels) + 4):
            fixed_v = {k: v for k, v in held.items() if v is not None and k not in limited}
            cells_v = self._mixed(fixed_v, {**known_a, **limited})
            currents_a = self.wires.cell_currents_a(cells_v)
            beyond = {}
            for k, (low_a, high_a) in limits.items():
                if k not in limited and not low_a - _SLACK_A <= currents_a[k] <= high_a + _SLACK_A:
                    beyond[k] = high_a if currents_a[k] > high_a else low_a
            back = [k for k, at_a in limited.items() if self._recovers(k, at_a, cells_v[k], held[k])]
            if not beyond and not back:
                break
            for k in back:
                del limited[k]
            limited.update(beyond)
        self._limited = frozenset(limited)
        return cells_v

    def _recovers(self, cell: int, at_a: float, now_v: float, held_v: float | None) -> bool:
        """Whether a limited channel could hold its voltage again: it stands beyond it, on the wrong side."""
        assert held_v is not None  # only such channels are limited
        upper_a = self.channels[cell].span_a[1]
        return now_v > held_v + _SLACK_V if at_a == upper_a else now_v < held_v - _SLACK_V

    def _mixed(self, fixed_v: dict[int, float], known_a: dict[int, float]) -> list[float]:
        """Solve for the voltages of the channels whose current is known: Y_cc v_c = i_c - Y_cv v_v."""
        cells_v = [fixed_v.get(k, 0.0) for k in range(len(self.channels))]
        if not known_a:
            return cells_v
        response = self._matrix()
        free = sorted(known_a)
        missing = self.wires.cell_currents_a(cells_v)
        system = [[response[j][k] for k in free] for j in free]
        for k, value in zip(free, _gauss(system, [known_a[k] - missing[k] for k in free]), strict=True):
            cells_v[k] = value
        return cells_v

    def _matrix(self) -> list[list[float]]:
        """Return the response of every current to every voltage, in siemens; symmetric."""
        if self._response is None:
            n = len(self.channels)
            self._response = [self.wires.cell_currents_a([1.0 if j == k else 0.0 for j in range(n)]) for k in range(n)]
        return self._response


def _gauss(rows: list[list[float]], right: Sequence[float]) -> list[float]:
    """Solve a small symmetric system; a row that nothing reaches (every wire of it open) leaves its unknown at 0."""
    n = len(rows)
    work = [[*row, value] for row, value in zip(rows, right, strict=True)]
    scale = max((abs(x) for row in rows for x in row), default=0.0)
    for k in range(n):
        if abs(work[k][k]) <= 1e-12 * scale or not work[k][k]:
            continue
        for j in range(k + 1, n):
            factor = work[j][k] / work[k][k]
            for column in range(k, n + 1):
                work[j][column] -= factor * work[k][column]
    out = [0.0] * n
    for k in range(n - 1, -1, -1):
        if abs(work[k][k]) <= 1e-12 * scale or not work[k][k]:
            continue
        out[k] = (work[k][n] - sum(work[k][j] * out[j] for j in range(k + 1, n))) / work[k][k]
    return out
