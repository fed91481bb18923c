"""Traces: what was measured, over one time base, in inside units and pack sign."""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.errors import Inconclusive, OutOfRange


@dataclass(slots=True)
class Trace:
    """Samples of one channel, in the order of time."""

    name: str
    at_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def append(self, at_s: float, value: float) -> None:
        """Add one sample; one that arrives late takes its place in time.

        Raises:
            OutOfRange: time or value is not a finite number; a NaN would answer every comparison with no.
        """
        if not (math.isfinite(at_s) and math.isfinite(value)):
            raise OutOfRange(f"trace {self.name}: {value!r} at {at_s!r} s is not a sample")
        if self.at_s and at_s < self.at_s[-1]:
            index = bisect.bisect_right(self.at_s, at_s)
            self.at_s.insert(index, at_s)
            self.values.insert(index, value)
            return
        self.at_s.append(at_s)
        self.values.append(value)

    def __len__(self) -> int:
        return len(self.at_s)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return iter(zip(self.at_s, self.values, strict=True))

    def between(self, begin_s: float, end_s: float) -> Trace:
        """Return the samples with begin <= t <= end."""
        low = bisect.bisect_left(self.at_s, begin_s)
        high = bisect.bisect_right(self.at_s, end_s)
        return Trace(self.name, self.at_s[low:high], self.values[low:high])

    def need(self, count: int = 1) -> Trace:
        """Return itself if there are enough samples.

        Raises:
            Inconclusive: there are not.
        """
        if len(self) < count:
            raise Inconclusive(f"trace {self.name} has {len(self)} samples where {count} are needed")
        return self

    def usual_gap(self) -> float:
        """Return the usual time between two samples, the median, in seconds; 0 for fewer than two instants."""
        gaps = [later - at_s for at_s, later in itertools.pairwise(self.at_s) if later > at_s]
        return statistics.median(gaps) if gaps else 0.0

    def longest_gap(self, begin_s: float, end_s: float) -> float:
        """Return the longest time without a sample inside a window, its ends included, in seconds."""
        instants = [begin_s, *self.between(begin_s, end_s).at_s, end_s]
        return max(later - at_s for at_s, later in itertools.pairwise(instants))

    def mean(self) -> float:
        """Return the mean of the values (at least one sample)."""
        self.need()
        return sum(self.values) / len(self.values)

    def spread(self) -> float:
        """Return the experimental standard deviation of the values (at least two samples)."""
        self.need(2)
        mean = self.mean()
        variance = sum((value - mean) ** 2 for value in self.values) / (len(self.values) - 1)
        return float(variance**0.5)

    def at(self, at_s: float) -> float:
        """Return the newest value at or before an instant.

        Raises:
            Inconclusive: there is none.
        """
        index = bisect.bisect_right(self.at_s, at_s) - 1
        if index < 0:
            raise Inconclusive(f"trace {self.name} has no sample at or before {at_s:.3f} s")
        return self.values[index]

    def first(self, holds: Callable[[float], bool], *, after_s: float = 0.0) -> float | None:
        """Return when a sample first satisfies a condition, or None."""
        for at_s, value in self:
            if at_s >= after_s and holds(value):
                return at_s
        return None

    def crossing(self, level: float, *, rising: bool, after_s: float = 0.0) -> float | None:
        """Return when the line between samples crosses a level, interpolated, or None."""
        for index in range(1, len(self)):
            if self.at_s[index] < after_s:
                continue
            before, now = self.values[index - 1], self.values[index]
            crosses = before <= level < now if rising else before >= level > now
            if crosses:
                share = (level - before) / (now - before)
                return self.at_s[index - 1] + share * (self.at_s[index] - self.at_s[index - 1])
        return None

    def ever(self, holds: Callable[[float], bool]) -> bool:
        """Say whether any sample satisfies a condition."""
        return any(holds(value) for value in self.values)

    def always(self, holds: Callable[[float], bool]) -> bool:
        """Say whether there are samples and all of them satisfy a condition."""
        return bool(self.values) and all(holds(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Mark:
    """A named instant, for example `stimulus`, `abort`, `frozen`."""

    at_s: float
    name: str
    detail: str = ""


@dataclass(slots=True)
class Traces:
    """All channels of one test, and the marks set on them.

    Channels: `reference_current` (A, pack sign), `pack_side_voltage` and `bench_side_voltage` (V), `bms.SIGNAL`
    (inside unit), `output.ROLE` (0 or 1), `alarm.ROLE` (number of alarms).
    """

    channels: dict[str, Trace] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Add one sample to a channel."""
        trace = self.channels.get(channel)
        if trace is None:
            trace = self.channels[channel] = Trace(channel)
        trace.append(at_s, value)

    def mark(self, at_s: float, name: str, detail: str = "") -> None:
        """Set a mark."""
        self.marks.append(Mark(at_s, name, detail))

    def marked(self, name: str) -> Mark | None:
        """Return the last mark of that name, or None."""
        return next((mark for mark in reversed(self.marks) if mark.name == name), None)

    def __contains__(self, channel: str) -> bool:
        return channel in self.channels

    def __getitem__(self, channel: str) -> Trace:
        """Return a channel.

        Raises:
            Inconclusive: it was never recorded.
        """
        try:
            return self.channels[channel]
        except KeyError:
            raise Inconclusive(f"nothing was recorded on channel {channel!r}") from None


class Asked(Traces):
    """The same traces, noting which channels a judgement asked for."""

    def __init__(self, traces: Traces) -> None:
        super().__init__(traces.channels, traces.marks)
        self.names: set[str] = set()

    def __getitem__(self, channel: str) -> Trace:
        """Return a channel and note its name; see `Traces`."""
        self.names.add(channel)
        return super().__getitem__(channel)
