"""One triggered recording of a digitiser that fills a ring of samples: how much to ask for, and what to cut out of it.

Between the crossing of the level and the place where the instrument says that it triggered lie its comparator's
latency and its count of samples. Both are families' secrets, so the ring is taken a little longer than was asked for,
and the crossing is looked for in the samples themselves: they alone say where zero is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.emulator_roles import Waveform
from bench.errors import InstrumentError, OutOfRange
from bench.quantities import finite

_UNEVEN = 0.5  # of a sample's period: more is a missing sample


@dataclass(frozen=True, slots=True)
class Capture:
    """What was asked for (`count` samples, `before` of them ahead of the crossing), and the ring that surely holds it:
    `points` samples, of which `position_pct` per cent lie ahead of the trigger."""

    rate_hz: float
    level_v: float
    rising: bool
    count: int
    before: int
    slack: int
    points: int
    position_pct: int

    @property
    def trigger(self) -> int:
        """The sample at which the instrument triggered, counted from 0 in the order of time."""
        return self.points * self.position_pct // 100

    def cut(self, values_v: Sequence[float], stamps_s: Sequence[float], where: str) -> Waveform:
        """Return the samples asked for; zero is the first one beyond the level.

        Raises:
            InstrumentError: a sample is missing, or none near the trigger crosses the level in that direction.
        """
        values = self._in_order(values_v, stamps_s, where)
        crossings = [
            index
            for index in range(max(1, self.trigger - self.slack), min(len(values), self.trigger + self.slack + 1))
            if self._crosses(values[index - 1], values[index])
        ]
        if not crossings:
            way = "upwards" if self.rising else "downwards"
            raise InstrumentError(
                f"{where}: triggered, but within {self.slack} samples of the trigger none crosses {self.level_v:g} V "
                f"{way}: something shorter than a sample? set another level or rate"
            )
        zero = min(crossings, key=lambda index: abs(index - self.trigger))
        cut = values[zero - self.before : zero - self.before + self.count]
        return Waveform(-self.before / self.rate_hz, 1.0 / self.rate_hz, tuple(cut))

    def _crosses(self, earlier_v: float, later_v: float) -> bool:
        if self.rising:
            return earlier_v < self.level_v <= later_v
        return earlier_v > self.level_v >= later_v

    def _in_order(self, values_v: Sequence[float], stamps_s: Sequence[float], where: str) -> list[float]:
        """Turn the ring so that time rises, and see that no sample is missing."""
        if not len(values_v) == len(stamps_s) == self.points:
            raise InstrumentError(f"{where}: {len(values_v)} samples instead of {self.points}")
        turns = [index for index in range(1, self.points) if stamps_s[index] < stamps_s[index - 1]]
        if len(turns) > 1:
            raise InstrumentError(f"{where}: the samples' times go back {len(turns)} times")
        start = turns[0] if turns else 0
        stamps = [*stamps_s[start:], *stamps_s[:start]]
        period_s = 1.0 / self.rate_hz
        for index in range(1, self.points):
            step_s = stamps[index] - stamps[index - 1]
            if abs(step_s - period_s) > _UNEVEN * period_s:
                raise InstrumentError(
                    f"{where}: {step_s:g} s between two samples instead of {period_s:g} s: one is missing"
                )
        return [*values_v[start:], *values_v[:start]]


def plan_capture(
    what: str, *, rate_hz: float, duration_s: float, level_v: float, rising: bool, before_s: float, latency_s: float
) -> Capture:
    """Plan a recording of `duration_s` in all, `before_s` of it ahead of the crossing; `latency_s` is the comparator's.

    Raises:
        OutOfRange: no duration, or not more of it than lies ahead of the crossing.
    """
    finite(duration_s, f"{what}, duration")
    if not 0.0 <= before_s < duration_s:
        raise OutOfRange(f"{what}: {before_s:g} s before the level is not within a duration of {duration_s:g} s")
    count, before = math.ceil(duration_s * rate_hz - 1e-6), round(before_s * rate_hz)
    if not before < count:
        raise OutOfRange(f"{what}: {duration_s:g} s at {rate_hz:g} Hz leave no sample after the level")
    slack = math.ceil(latency_s * rate_hz) + 2
    per_cent = max(1, count // 100)  # samples; the position is a whole per cent of them
    while True:
        position = math.ceil((before + slack + 1) / per_cent)  # the one more is needed to see the first one cross
        if position + math.ceil((count - before + slack) / per_cent) <= 100:
            return Capture(rate_hz, level_v, rising, count, before, slack, 100 * per_cent, position)
        per_cent += 1
