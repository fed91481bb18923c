"""A 6½-digit multimeter measuring DC volts somewhere on the circuit.

Source: representative one-year accuracy (0.1 V: 0.0050 % of reading + 0.0035 % of range; 10 V: 0.0035 + 0.0005);
the other ranges after the same class of meter. Gain and offset errors are fixed for a unit and stay inside 60 % of
that; noise falls with the root of the integration time.

Not simulated: averaging over the integration time (the reading is the value at its start), thermal EMF, input
current and impedance, the 10 MOhm divider, warm-up, rejection of hum, bursts of more than 10 000 readings.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import gaussian, uniform

OVERLOAD = 9.9e37
ACCURACY = {  # range in V: % of reading, % of range
    0.1: (0.0050, 0.0035),
    1.0: (0.0040, 0.0007),
    10.0: (0.0035, 0.0005),
    100.0: (0.0045, 0.0006),
    1000.0: (0.0045, 0.0010),
}
LINE_HZ = 50.0
BURST = 10_000  # readings; real units keep more, but nobody here waits for them


class Meter(Behaviour):
    """One multimeter; `probe` returns the true voltage at its terminals, in volts."""

    own_faults = frozenset({"frozen_measurement", "sign_inverted", "wrong_value"})

    def __init__(self, name: str, serial: str, probe: Callable[[], float], clock: SimulatedClock, seed: int) -> None:
        super().__init__(name, serial, clock, seed)
        self._probe = probe
        self.defaults()

    def defaults(self) -> None:
        """Return to the settings after `*RST`."""
        self.range_v: float | None = None  # None: automatic
        self.nplc = 10.0
        self.aperture_s: float | None = None
        self.auto_zero = True
        self.input_auto = False
        self.trigger_source = "IMM"
        self.trigger_count = 1
        self.trigger_delay_s = 0.0
        self.sample_count = 1
        self.sample_timer_s: float | None = None
        self.readings: list[float] = []
        self.waiting = False  # for a trigger
        self._outstanding = 0
        self._frozen: float | None = None
        self._series = 0

    def power_cycle(self) -> None:
        """Mains off and on; see `Behaviour`."""
        super().power_cycle()
        self.defaults()

    @property
    def integration_s(self) -> float:
        """How long one reading takes, in seconds; automatic zero measures twice."""
        once_s = self.nplc / LINE_HZ if self.aperture_s is None else self.aperture_s
        return 2.0 * once_s if self.auto_zero else once_s

    @property
    def interval_s(self) -> float:
        """Time from one sample to the next, in seconds."""
        return max(self.integration_s, self.sample_timer_s or 0.0)

    def read(self, offset_ns: int = 0) -> float:
        """Take one reading now, in volts; `offset_ns` gives later samples of a burst noise of their own."""
        true_v = self._probe()
        range_v = self.range_v or next((r for r in ACCURACY if abs(true_v) <= 1.2 * r), 1000.0)
        if abs(true_v) > (1.2 if range_v < 1000.0 else 1.0) * range_v:  # 20 % over range, except the highest
            return OVERLOAD if true_v > 0 else -OVERLOAD
        at_ns = self.clock.now_ns() + offset_ns
        of_reading_pct, of_range_pct = ACCURACY[range_v]
        gain = 6e-3 * of_reading_pct * uniform(self.seed, self.name, f"gain {range_v}")
        offset_v = 6e-3 * of_range_pct * range_v * uniform(self.seed, self.name, f"offset {range_v}")
        cycles = self.nplc if self.aperture_s is None else self.aperture_s * LINE_HZ
        sigma_v = max(1e-7, 3e-7 * range_v) / cycles**0.5
        noise_v = sigma_v * gaussian(self.seed, self.name, "v", at_ns)
        return self._with_fault(true_v * (1.0 + gain) + offset_v + noise_v)

    def _with_fault(self, value_v: float) -> float:
        fault = self.fault.name
        if fault == "frozen_measurement":
            self._frozen = value_v if self._frozen is None else self._frozen
            return self._frozen
        self._frozen = None
        if fault == "sign_inverted":
            return -value_v
        return value_v * self.fault.options["gain"] if fault == "wrong_value" else value_v

    def initiate(self) -> None:
        """Leave idle: measure at once, or wait for the trigger."""
        if self.waiting or self._outstanding:
            raise Refused(-213)
        if self.sample_count * self.trigger_count > BURST:
            raise Refused(-225)
        self.readings = []
        if self.trigger_source == "IMM":
            self._start()
        else:
            self.waiting = True

    def trigger(self) -> None:
        """A bus trigger came."""
        if not self.waiting or self.trigger_source != "BUS":
            raise Refused(-211)
        self.waiting = False
        self._start()

    def abort(self) -> None:
        """Return to idle; readings taken so far stay."""
        self._series += 1
        self.waiting = False
        self._outstanding = 0

    def _start(self) -> None:
        self._series += 1
        self._outstanding = self.sample_count * self.trigger_count
        start_ns = self.clock.now_ns() + round(self.trigger_delay_s * NS)
        self._schedule(self._series, start_ns)

    def _schedule(self, series: int, due_ns: int) -> None:
        def sample() -> None:
            if series == self._series and self._outstanding:
                self.readings.append(self.read())
                self._outstanding -= 1
                if self._outstanding:
                    self._schedule(series, due_ns + round(self.interval_s * NS))

        if due_ns <= self.clock.now_ns():
            sample()
        else:
            self.at_ns(due_ns, sample)

    def complete(self) -> float:
        """Finish the readings that are outstanding with the voltage of now; return the time owed, in seconds."""
        owed_s = 0.0
        if self.waiting:
            raise Refused(-214)
        while self._outstanding:
            owed_s += self.interval_s
            self.readings.append(self.read(round(owed_s * NS)))
            self._outstanding -= 1
        self._series += 1
        return owed_s
