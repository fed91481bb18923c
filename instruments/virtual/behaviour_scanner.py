"""A scanning multimeter with one 20-channel multiplexer: cells' voltages and thermocouples, one after another.

Accuracy, one year: DC volts as `behaviour_meter` (representative of this class of meter); a thermocouple of any type
within 1.0 K with the internal reference junction, the thermocouple itself left out. Gain, offset and junction errors
are fixed for a unit and stay inside that; noise falls with the root of the integration time. A channel takes its
integration and 8 ms for the relay, so that 16 cells at one power line cycle take about 0.45 s.

A channel that has nothing on it reads about nothing (volts) or is open (thermocouple). So does a cell's lead beyond
the last cell of the pack.

Not simulated: readings during a scan (a scan holds the values of its start), automatic zero and channel delays (they
cost no time), conversion of thermocouple voltages (a wrong type reads right), common-mode errors of high cells, and
modules in slots 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.clock import NS
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.behaviour_meter import ACCURACY, LINE_HZ, OVERLOAD
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import gaussian, uniform

CHANNELS = range(101, 121)
ACCURACY_V = {range_v: ACCURACY[range_v] for range_v in (0.1, 1.0, 10.0, 100.0)} | {300.0: (0.0045, 0.0010)}
RANGES_V = tuple(ACCURACY_V)
THERMOCOUPLES = ("B", "E", "J", "K", "N", "R", "S", "T")
SHOWN = ("UNIT", "TIME", "CHAN", "ALAR")  # beside the value of a reading
SWITCHING_S = 0.008
MEMORY = 100_000  # readings; the oldest are overwritten
_JUNCTION_K, _CHANNEL_K, _NOISE_K = 0.6, 0.25, 0.02  # together below the 1.0 K


@dataclass(slots=True)
class ChannelSetting:
    """How one channel measures: `thermocouple` is its type, or empty for DC volts; range None is automatic."""

    thermocouple: str = ""
    range_v: float | None = None
    nplc: float = 1.0
    unit: str = "C"


@dataclass(frozen=True, slots=True)
class ScanReading:
    """One reading: `value` in volts or in the channel's unit of temperature, `at_s` since the scan began."""

    channel: int
    value: float
    unit: str
    at_s: float


class Scanner(Behaviour):
    """Settings, scan list and memory; `volts` and `sensors` say what is on which channel (V, degC)."""

    own_faults = frozenset({"frozen_measurement", "wrong_value", "open_thermocouple"})

    def __init__(
        self,
        name: str,
        serial: str,
        volts: Mapping[int, Callable[[], float]],
        sensors: Mapping[int, Callable[[], float]],
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self._volts, self._sensors = dict(volts), dict(sensors)
        self._series = 0  # a later one makes the scans of the earlier ones void
        self.defaults()

    def defaults(self) -> None:
        """Return to the settings after `*RST`: no channel is scanned."""
        self.settings = {channel: ChannelSetting() for channel in CHANNELS}
        self.scan_list: list[int] = []
        self.trigger_source = "IMM"
        self.trigger_period_s = 10.0
        self.trigger_count: int | None = 1  # None: without end
        self.shown = dict.fromkeys(SHOWN, False)
        self.readings: list[ScanReading] = []
        self.waiting = False
        self._frozen: dict[int, float] = {}
        self._going: list[ScanReading] = []  # the scan that is not over yet
        self._over_ns = 0
        self._sweeps_left: int | None = 0  # to be begun; None: without end
        self._series += 1

    def power_cycle(self) -> None:
        """Mains off and on; see `Behaviour`."""
        super().power_cycle()
        self.defaults()

    # -- scanning ----------------------------------------------------------------------------------------------

    def scan_s(self) -> float:
        """Return how long one scan of the list takes, in seconds."""
        return sum(SWITCHING_S + self.settings[channel].nplc / LINE_HZ for channel in self.scan_list)

    def interval_s(self) -> float:
        """Return the time from the start of one scan to that of the next, in seconds."""
        return max(self.scan_s(), self.trigger_period_s if self.trigger_source == "TIM" else 0.0)

    def start(self) -> None:
        """Leave idle: clear the memory and scan, or wait for the trigger."""
        if not self.scan_list:
            raise Refused(-221)
        if self.waiting or self._going or self._sweeps_left != 0:
            raise Refused(-213)
        self.readings = []
        if self.trigger_source == "BUS":
            self.waiting = True
        else:
            self._run()

    def trigger(self) -> None:
        """A bus trigger came."""
        if not self.waiting:
            raise Refused(-211)
        self.waiting = False
        self._run()

    def stop(self) -> None:
        """Return to idle; readings taken so far stay."""
        self._series += 1
        self.waiting = False
        self._going, self._sweeps_left = [], 0

    def complete(self) -> float:
        """Finish the scans that are outstanding with the values of now; return the time owed, in seconds."""
        if self.waiting:
            raise Refused(-214)
        left = self._sweeps_left
        if left is None:  # an answer would never come
            raise Refused(-221)
        owed_s = 0.0
        if self._going:
            owed_s = (self._over_ns - self.clock.now_ns()) / NS
            self._keep(self._going)
        for _ in range(left):
            self._keep(self.scan(round(owed_s * NS)))
            owed_s += self.interval_s()
        self.stop()
        return owed_s

    def _run(self) -> None:
        self._series += 1
        self._sweeps_left = self.trigger_count
        self._begin(self._series)

    def _begin(self, series: int) -> None:
        """Begin one scan; its readings are in the memory once it is over."""
        if series != self._series:
            return
        if self._sweeps_left is not None:
            self._sweeps_left -= 1
        now_ns = self.clock.now_ns()
        self._going = self.scan()
        self._over_ns = now_ns + round(self.scan_s() * NS)

        def over() -> None:
            if series == self._series:
                self._keep(self._going)
                self._going = []

        self.at_ns(self._over_ns, over)
        if self._sweeps_left != 0:
            self.at_ns(now_ns + round(self.interval_s() * NS), lambda: self._begin(series))

    def _keep(self, readings: list[ScanReading]) -> None:
        self.readings = (self.readings + readings)[-MEMORY:]

    # -- measuring ---------------------------------------------------------------------------------------------

    def scan(self, offset_ns: int = 0) -> list[ScanReading]:
        """Measure every channel of the list as it is now; `offset_ns` gives later scans noise of their own."""
        found, at_s = [], 0.0
        for channel in sorted(self.scan_list):
            setting = self.settings[channel]
            at_ns = self.clock.now_ns() + offset_ns
            value, unit = self._temperature(channel, at_ns) if setting.thermocouple else self._voltage(channel, at_ns)
            at_s += SWITCHING_S + setting.nplc / LINE_HZ
            found.append(ScanReading(channel, self._frozen_or(channel, value), unit, at_s))
        return found

    def _frozen_or(self, channel: int, value: float) -> float:
        if self.fault.name == "frozen_measurement":
            return self._frozen.setdefault(channel, value)
        self._frozen.clear()
        return value

    def _voltage(self, channel: int, at_ns: int) -> tuple[float, str]:
        setting = self.settings[channel]
        true_v = self._volts[channel]() if channel in self._volts else 0.0
        range_v = setting.range_v or next((r for r in RANGES_V if abs(true_v) <= 1.2 * r), RANGES_V[-1])
        if abs(true_v) > (1.2 if range_v < RANGES_V[-1] else 1.0) * range_v:  # 20 % over range, except the highest
            return (OVERLOAD if true_v > 0 else -OVERLOAD), "VDC"
        of_reading_pct, of_range_pct = ACCURACY_V[range_v]
        gain = 6e-3 * of_reading_pct * uniform(self.seed, self.name, f"gain {range_v}")
        offset_v = 6e-3 * of_range_pct * range_v * uniform(self.seed, self.name, f"offset {range_v} {channel}")
        sigma_v = max(1e-7, 3e-7 * range_v) / setting.nplc**0.5
        noise_v = sigma_v * gaussian(self.seed, self.name, f"v {channel}", at_ns)
        value_v = true_v * (1.0 + gain) + offset_v + noise_v
        return (value_v * self.fault.options["gain"] if self.fault.name == "wrong_value" else value_v), "VDC"

    def _temperature(self, channel: int, at_ns: int) -> tuple[float, str]:
        setting = self.settings[channel]
        torn = self.fault.name == "open_thermocouple" and self.fault.options["channel"] in (0, channel)
        if torn or channel not in self._sensors:
            return OVERLOAD, setting.unit
        degc = (
            self._sensors[channel]()
            + _JUNCTION_K * uniform(self.seed, self.name, "junction")
            + _CHANNEL_K * uniform(self.seed, self.name, f"junction {channel}")
            + _NOISE_K * gaussian(self.seed, self.name, f"t {channel}", at_ns)
        )
        return {"C": degc, "F": 32.0 + 1.8 * degc, "K": degc + 273.15}[setting.unit], setting.unit
