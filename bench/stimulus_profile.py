"""What a current shall do over time, as data: pulse trains, and profiles of points. Nothing is forced here.

Amperes in pack sign (charging positive), seconds from the profile's own beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple

from bench.errors import OutOfRange
from bench.quantities import Direction

Between = Literal["held", "straight"]
LONGEST_S = 7 * 24 * 3600.0  # beyond a week a time is in another unit
MOST_POINTS = 1_000_000


class Point(NamedTuple):
    """From this instant on this current (held), or on the way through it (straight)."""

    at_s: float
    current_a: float


class Segment(NamedTuple):
    """A stretch of a profile: from one current to another in a straight line, or the same one all the time."""

    begin_s: float
    end_s: float
    begin_a: float
    end_a: float

    @property
    def lasts_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.begin_s

    def parts(self) -> Iterator[Segment]:
        """Yield it in one piece, or in two where it passes through zero."""
        if self.begin_a * self.end_a >= 0.0:
            yield self
            return
        at_s = self.begin_s + self.lasts_s * self.begin_a / (self.begin_a - self.end_a)
        yield Segment(self.begin_s, at_s, self.begin_a, 0.0)
        yield Segment(at_s, self.end_s, 0.0, self.end_a)


@dataclass(frozen=True, slots=True)
class CurrentProfile:
    """A current over time. It ends at rest: the last point says when, and its current is 0.

    `between`: a point's current is `held` until the next one, or the current moves `straight` to the next one.
    """

    name: str
    points: tuple[Point, ...]
    between: Between = "held"
    source: str = ""  # where it came from, in words

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise OutOfRange(f"profile {self.name}: {len(self.points)} points; it needs a first one, and one to end at")
        if len(self.points) > MOST_POINTS:
            raise OutOfRange(f"profile {self.name}: {len(self.points)} points, at most {MOST_POINTS} are played")
        for number, point in enumerate(self.points, 1):
            if not (math.isfinite(point.at_s) and math.isfinite(point.current_a)):
                raise OutOfRange(
                    f"profile {self.name}, point {number}: {point.current_a!r} A at {point.at_s!r} s is no setting"
                )
        if self.points[0].at_s != 0.0:
            raise OutOfRange(f"profile {self.name}: begins at {self.points[0].at_s:g} s; its first time must be 0")
        for number, (before, after) in enumerate(pairwise(self.points), 2):
            if after.at_s <= before.at_s:
                raise OutOfRange(
                    f"profile {self.name}, point {number}: {after.at_s:g} s is not after {before.at_s:g} s; times rise"
                )
        if self.duration_s > LONGEST_S:
            raise OutOfRange(f"profile {self.name}: lasts {self.duration_s:g} s, more than a week; times are seconds")
        if self.points[-1].current_a != 0.0:
            raise OutOfRange(
                f"profile {self.name}: ends with {self.points[-1].current_a:g} A; the last row says when it ends, its "
                "current must be 0"
            )

    @property
    def duration_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.points[-1].at_s

    def segments(self) -> Iterator[Segment]:
        """Yield its stretches in the order of time."""
        for before, after in pairwise(self.points):
            end_a = before.current_a if self.between == "held" else after.current_a
            yield Segment(before.at_s, after.at_s, before.current_a, end_a)

    def peak_a(self, direction: Direction) -> float:
        """Return the largest current in a direction, a magnitude in amperes; 0 if none flows that way."""
        return max(0.0, *(point.current_a * direction.sign for point in self.points))

    def scaled(self, factor: float) -> CurrentProfile:
        """Return it with every current multiplied.

        Raises:
            OutOfRange: a factor that is not positive would turn charging into discharging, or leave nothing.
        """
        if not (math.isfinite(factor) and factor > 0.0):
            raise OutOfRange(f"profile {self.name}: scaled by {factor!r}; a factor is positive and finite")
        points = tuple(Point(at_s, factor * current_a) for at_s, current_a in self.points)
        return replace(self, points=points, source=f"{self.source} x {factor:.4g}".strip())

    def scaled_to(self, peak_a: float) -> CurrentProfile:
        """Return it with the larger of its two peaks at this magnitude, in amperes.

        Raises:
            OutOfRange: no current flows in it, or the peak is not positive.
        """
        largest_a = max(self.peak_a(direction) for direction in Direction)
        if largest_a == 0.0:
            raise OutOfRange(f"profile {self.name}: no current flows in it, so there is no peak to scale")
        return self.scaled(peak_a / largest_a)

    def repeated(self, times: int) -> CurrentProfile:
        """Return it several times in a row.

        Raises:
            OutOfRange: less than once.
        """
        if times < 1:
            raise OutOfRange(f"profile {self.name}: {times} times is not at all")
        points = [
            Point(number * self.duration_s + at_s, current_a)
            for number in range(times)
            for at_s, current_a in self.points[:-1]
        ]
        return replace(self, points=(*points, Point(times * self.duration_s, 0.0)))


@dataclass(frozen=True, slots=True)
class PulseTrain:
    """Equal pulses: `count` times `amplitude_a` for `on_s`, with `off_s` at `base_a` between them.

    `phase_s` is how long it waits before the first pulse, so that the edges fall at any point of the BMS's own
    sampling; a suite draws it from its seed. Amperes in pack sign.
    """

    amplitude_a: float
    on_s: float
    off_s: float
    count: int
    phase_s: float = 0.0
    base_a: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise OutOfRange(f"pulse train: count = {self.count}; at least one pulse")
        for name, least in (("on_s", "more than 0"), ("off_s", "at least 0"), ("phase_s", "at least 0")):
            value: float = getattr(self, name)
            if not math.isfinite(value) or value < 0.0 or (least == "more than 0" and value == 0.0):
                raise OutOfRange(f"pulse train: {name} = {value!r} s; write {least}")
        if self.count > 1 and self.off_s == 0.0:
            raise OutOfRange(f"pulse train: off_s = 0 makes one pulse of {self.count}; write how long it is off")
        if not (math.isfinite(self.amplitude_a) and math.isfinite(self.base_a)):
            raise OutOfRange(f"pulse train: {self.amplitude_a!r} A on {self.base_a!r} A is no setting")
        if self.amplitude_a == self.base_a:
            raise OutOfRange(f"pulse train: amplitude and base are both {self.base_a:g} A, so there is no pulse")

    @property
    def name(self) -> str:
        """What it is, in words."""
        text = f"{self.count} x {self.on_s:g} s at {self.amplitude_a:+g} A"
        text += f", {self.off_s:g} s between" if self.count > 1 else ""
        return text + (f", on {self.base_a:+g} A" if self.base_a else "")

    def edges_s(self) -> tuple[tuple[float, float], ...]:
        """Return when each pulse begins and ends, in seconds from the train's beginning."""
        period_s = self.on_s + self.off_s
        return tuple(
            (self.phase_s + number * period_s, self.phase_s + number * period_s + self.on_s)
            for number in range(self.count)
        )

    def as_profile(self) -> CurrentProfile:
        """Return it as a profile whose points are its edges."""
        edges = self.edges_s()
        points = [Point(0.0, self.base_a)] if self.phase_s else []
        for number, (begin_s, end_s) in enumerate(edges, 1):
            last = number == len(edges) and self.off_s == 0.0
            points += [Point(begin_s, self.amplitude_a), Point(end_s, 0.0 if last else self.base_a)]
        if self.base_a and self.off_s:  # the last gap is a part of the train where current flows in it
            points.append(Point(edges[-1][1] + self.off_s, 0.0))
        return CurrentProfile(self.name, tuple(points), source="pulse train")
