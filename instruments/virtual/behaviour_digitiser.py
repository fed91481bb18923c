"""A multimeter that also takes samples by itself, up to a million a second, of the voltage at the shunt.

Source: sample rates from 1 kHz to 1 MHz, sixteen bits. Each sample is the exact average over its aperture of the
circuit's own solution (`circuit_history`), worked out when somebody asks: no event of simulated time is spent on it,
and an edge keeps its shape down to nanoseconds. A level is crossed where the true voltage crosses it; the first sample
that begins after that is the triggering one. Gain and offset are fixed for a unit inside 60 % of 0.03 % of reading and
0.03 % of range (typical; the reference gives no accuracy), noise is half a count.

Not simulated: bandwidth of the front end, jitter and skew of the sample clock, the delay of the trigger, samples of
another place than the reference shunt (refused), more than a million samples.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, inf

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_meter import OVERLOAD, Meter
from instruments.virtual.circuit import Circuit
from instruments.virtual.circuit_history import Piece, crossing_s
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import gaussian, uniform

LOWEST_HZ, HIGHEST_HZ = 1e3, 1e6
MOST_SAMPLES = 1_000_000
_ACCURACY_PCT, _COUNTS = 0.03, 65536


class SampleSeries:
    """One run of samples on a grid from `start_ns`; what it has by now is in `window`.

    Without a trigger it takes `count` samples; with one (`before` is not None) it runs until a level was crossed,
    keeps `before` samples from before and fills up to `length`. A `ring` keeps the newest `length`.
    """

    def __init__(
        self,
        circuit: Circuit,
        now_ns: int,
        *,
        rate_hz: float,
        aperture_s: float,
        length: int,
        count: int | None,
        ring: bool,
        before: int | None,
        level_v: float,
        rising: bool,
    ) -> None:
        self._circuit = circuit
        self._history = circuit.history()
        self.start_ns, self.step_ns, self.aperture_ns = now_ns, 1e9 / rate_hz, aperture_s * 1e9
        self._length, self._count, self._ring, self._before = length, count, ring, before
        self._sign = -1.0 if circuit.reference_shunt_reversed else 1.0
        self._level_a = self._sign * level_v / circuit.reference_shunt_ohm
        self._rising = rising is (self._sign > 0.0)
        self._trigger: int | None = None
        self._above: bool | None = None
        self._scanned_ns: float = now_ns
        self._stopped_ns: int | None = None
        self._history.keep_from[self] = now_ns
        if before is not None:
            self._history.watchers.append(self._scan)

    def forget(self) -> None:
        """Let the history drop what it kept for this series."""
        self._history.keep_from.pop(self, None)
        if self._scan in self._history.watchers:
            self._history.watchers.remove(self._scan)

    def stop(self, now_ns: int) -> None:
        """Take no further sample; what was taken stays."""
        if self._stopped_ns is None:
            self._look()
            self._stopped_ns = now_ns

    @property
    def waiting(self) -> bool:
        """Whether it runs and waits for its level."""
        self._look()
        return self._before is not None and self._trigger is None and self._stopped_ns is None

    def window(self, now_ns: int) -> tuple[int, int, bool]:
        """Return the index of the first sample kept, how many there are, and whether it is over."""
        self._look()
        end_ns = now_ns if self._stopped_ns is None else self._stopped_ns
        taken = max(0, floor((end_ns - self.start_ns - self.aperture_ns) / self.step_ns + 1e-6) + 1)
        over = self._stopped_ns is not None
        if self._before is not None and self._trigger is not None:
            first = max(0, self._trigger - self._before)
            return first, max(0, min(taken - first, self._length)), over or taken >= first + self._length
        if self._before is None and self._count is not None:
            over = over or taken >= self._count
            taken = min(taken, self._count)
        if not (self._ring or self._before is not None):
            return 0, min(taken, self._length), over or taken >= self._length
        stored = min(taken, self._length)
        return taken - stored, stored, over

    def mean_v(self, index: int) -> float:
        """Return the average of the shunt's voltage over one sample, in volts."""
        at_ns = self.start_ns + index * self.step_ns
        return self._sign * self._history.mean_a(at_ns, at_ns + self.aperture_ns) * self._circuit.reference_shunt_ohm

    def at_ns(self, index: int) -> float:
        """Return when a sample begins, in nanoseconds."""
        return self.start_ns + index * self.step_ns

    def _look(self) -> None:
        self._circuit.catch_up()
        if self._before is not None and self._stopped_ns is None:
            self._scan(self._history.live())

    def _scan(self, piece: Piece) -> None:
        """Look for the level in what has not been looked at."""
        if self._trigger is not None or self._stopped_ns is not None or piece.end_ns < self._scanned_ns:
            return
        from_s = min(max(0.0, piece.at_s(self._scanned_ns)), piece.length_s)
        above = (piece.wave.current_a(from_s) >= self._level_a) is self._rising
        if self._above is False and above:  # it jumped between two pieces
            at_s: float | None = from_s
        else:
            at_s = crossing_s(piece, self._level_a, self._rising, from_s)
        self._scanned_ns = piece.end_ns
        self._above = (piece.wave.current_a(piece.length_s) >= self._level_a) is self._rising
        if at_s is not None:
            crossed_ns = piece.start_ns + (piece.start_s + at_s) * 1e9
            self._trigger = max(0, ceil((crossed_ns - self.start_ns) / self.step_ns - 1e-6))
            self._history.keep_from[self] = self.start_ns + max(0, self._trigger - (self._before or 0)) * self.step_ns
        else:
            self._history.keep_from[self] = self._scanned_ns - (self._length + 1) * self.step_ns


class DigitisingMeter(Meter):
    """A meter whose second function takes samples; `circuit` is given where it hangs on the reference shunt."""

    def __init__(
        self,
        name: str,
        serial: str,
        probe: Callable[[], float],
        circuit: Circuit | None,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        self._circuit = circuit
        self.series: SampleSeries | None = None
        super().__init__(name, serial, probe, clock, seed)

    def defaults(self) -> None:
        """Return to the settings after `*RST`."""
        super().defaults()
        self.digitises = False
        self.sample_range_v, self.sample_rate_hz = 10.0, HIGHEST_HZ
        self.sample_aperture_s: float | None = None  # None: as long as a sample lasts
        self.samples_wanted = 1
        self.points, self.ring = 100_000, True
        self.edge, self.edge_level_v, self.edge_rising = False, 0.0, True
        self.before_pct: float | None = None  # of a loaded trigger model that waits for the edge
        self.clear()

    def clear(self) -> None:
        """Empty the buffer."""
        if self.series is not None:
            self.series.forget()
        self.series = None
        self._values: dict[int, float] = {}

    def begin(self, *, triggered: bool) -> None:
        """Start to take samples into an empty buffer: a number of them, or around the edge.

        Raises:
            Refused: the meter does not hang on the shunt, does not digitise, or runs already.
        """
        if self._circuit is None or not self.digitises:
            raise Refused(-221)
        if self.running:
            raise Refused(-213)
        if triggered and (self.before_pct is None or not self.edge):
            raise Refused(-221)
        self.clear()
        aperture_s = 1.0 / self.sample_rate_hz if self.sample_aperture_s is None else self.sample_aperture_s
        self.series = SampleSeries(
            self._circuit,
            self.clock.now_ns(),
            rate_hz=self.sample_rate_hz,
            aperture_s=min(aperture_s, 1.0 / self.sample_rate_hz),
            length=self.points,
            count=None if triggered else self.samples_wanted,
            ring=self.ring,
            before=round(self.points * (self.before_pct or 0.0) / 100.0) if triggered else None,
            level_v=self.edge_level_v,
            rising=self.edge_rising,
        )

    def abort(self) -> None:
        """Return to idle; readings and samples taken so far stay."""
        super().abort()
        if self.series is not None:
            self.series.stop(self.clock.now_ns())

    @property
    def running(self) -> bool:
        """Whether samples are being taken."""
        return self.series is not None and not self.series.window(self.clock.now_ns())[2]

    def stored(self) -> int:
        """Return how many samples the buffer holds."""
        return 0 if self.series is None else self.series.window(self.clock.now_ns())[1]

    def left_s(self) -> float:
        """Return how long a run without a trigger still takes, in seconds; infinite where that is not known."""
        series = self.series
        if series is None or not self.running:
            return 0.0
        if self.before_pct is not None and series.waiting:
            return inf
        left = min(self.samples_wanted, self.points) if self.before_pct is None else self.points
        return max(0.0, (left - self.stored()) / self.sample_rate_hz)

    def samples(self, first: int, last: int) -> list[tuple[float, float]]:
        """Return samples by their number in the buffer, oldest is 1: value in volts and seconds since sample 1.

        Raises:
            Refused: not all of them are there.
        """
        series = self.series
        if series is None:
            raise Refused(-222)
        begin, stored, _ = series.window(self.clock.now_ns())
        if not 1 <= first <= last <= stored:
            raise Refused(-222)
        found = []
        for number in range(first, last + 1):
            index = begin + number - 1
            value = self._values.get(index)
            if value is None:
                value = self._values[index] = self._converted(series, index)
            found.append((value, (number - 1) * series.step_ns * 1e-9))
        return found

    def _converted(self, series: SampleSeries, index: int) -> float:
        true_v, range_v = series.mean_v(index), self.sample_range_v
        if abs(true_v) > 1.2 * range_v:
            return OVERLOAD if true_v > 0 else -OVERLOAD
        count_v = 2.4 * range_v / _COUNTS
        gain = 6e-3 * _ACCURACY_PCT * uniform(self.seed, self.name, f"digitiser gain {range_v}")
        offset_v = 6e-3 * _ACCURACY_PCT * range_v * uniform(self.seed, self.name, f"digitiser offset {range_v}")
        noise_v = 0.5 * count_v * gaussian(self.seed, self.name, "sample", round(series.at_ns(index)))
        return self._with_fault(count_v * round((true_v * (1.0 + gain) + offset_v + noise_v) / count_v))
