"""A cell emulator of 24 channels: settings, protections, fault relays, and what it measures at its terminals.

Source: the family's command list (channel states 0 on, 1 over-voltage, 2 over-current, 3 over-power, 5 and 6 for a
refused fault relay; output modes; fault words). Fixed errors of a unit stay inside 0.6 mV and 0.02 mA + 0.02 %; the
reference gives no accuracy, so these are typical values of such an instrument.

Assumed, because the reference does not say: a channel in source mode takes no current, one in charge mode gives none;
a trip stays until the output is switched off; state 5 means "output on or voltage present", 6 "not in source mode".

The sign of the current of a channel that sinks is unverified: here it is negative, and `sink_reads_positive` turns it
round, so that a driver that trusts either is found out.

Not simulated: ranges (kept and read back), the measuring rates' noise, equivalent resistance, echo voltage, mAh, SOC
and sequence modes, over-temperature, output rise times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.clock import Rank
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.emulated_cells import Connection, EmulatedCells
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import gaussian, uniform
from instruments.virtual.sense_wires import SenseWires

CHANNELS = 24
HIGHEST_V, HIGHEST_A = 6.0, 5.0  # typical; the reference names no ratings
SOURCE, CHARGE = 0, 1
OFF_STATE, OVP, OCP, OPP, OFP, OMP = 0, 1, 2, 3, 5, 6
FAULT_WORDS: dict[int, Connection] = {0: "normal", 1: "open", 4: "open", 8: "short", 96: "reversed"}
LOOK_S = 0.01  # how often it compares what it measures with its trip levels


@dataclass(slots=True)
class ChannelSettings:
    """What one channel was told; currents in amperes."""

    on: bool = False
    mode: int = SOURCE
    voltage_v: float = 0.0
    limit_a: float = 0.0
    charge_v: float = 0.0
    charge_a: float = 0.0
    range_code: int = 3
    capture: int = 1
    fault: int = 0
    trip_v: float = HIGHEST_V * 1.1
    trip_a: float = HIGHEST_A * 1.1
    trip_w: float = HIGHEST_V * HIGHEST_A
    tripped: set[int] = field(default_factory=set)


class CellEmulatorUnit(Behaviour):
    """Channels 1 to 24; those of a bench's cells hang on its sense wires, the others have nothing on them."""

    own_faults = frozenset(
        {"frozen_measurement", "sign_inverted", "wrong_value", "refuse_values", "stuck_output", "protection_dead"}
    )

    def __init__(
        self,
        name: str,
        serial: str,
        stack: EmulatedCells | None,
        first_cell: int,
        sink_reads_positive: bool,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self._stack, self._first = stack, first_cell
        self._wired = 0 if stack is None else min(CHANNELS, stack.wires.cells - first_cell + 1)
        self._loose = EmulatedCells(SenseWires(CHANNELS, input_ohm=1e12))  # nothing is on their terminals
        self._sink_sign = -1.0 if not sink_reads_positive else 1.0
        self._frozen: dict[tuple[str, int], float] = {}
        self.busy_until_ns = 0
        self.heard_ns: int | None = None  # when the last message came, on any connection
        self.defaults()
        clock.every(LOOK_S, self._watch, rank=Rank.INSTRUMENT)

    def defaults(self) -> None:
        """Return to what it is after power-up: everything off and at zero."""
        self.channels = [ChannelSettings() for _ in range(CHANNELS)]
        for number in range(1, CHANNELS + 1):
            self._apply(number)

    def power_cycle(self) -> None:
        """Mains off and on; see `Behaviour`."""
        super().power_cycle()
        self.busy_until_ns = 0
        self.defaults()

    @property
    def on(self) -> bool:
        """Whether any channel is on."""
        return any(channel.on for channel in self.channels)

    def settings(self, number: int) -> ChannelSettings:
        """Return what channel `number`, from 1, was told."""
        return self.channels[number - 1]

    def change(self, number: int, **values: float) -> None:
        """Change settings of one channel."""
        if self.fault.name == "refuse_values" and "on" not in values:
            raise Refused(-222)
        if self.fault.name == "stuck_output" and values.get("on") is False:
            return
        settings = self.settings(number)
        for name, value in values.items():
            setattr(settings, name, value)
        if values.get("on") is False:
            settings.tripped.clear()
        self._apply(number)

    def relay(self, number: int, word: int) -> None:
        """Switch a channel's fault relays, or refuse: only in source mode, off, with nothing on the terminals."""
        settings = self.settings(number)
        if word not in FAULT_WORDS:
            raise Refused(-222)
        if settings.mode != SOURCE:
            settings.tripped.add(OMP)
        elif settings.on or abs(self._cells(number)[0].cells_v()[self._cells(number)[1] - 1]) > 0.1:
            settings.tripped.add(OFP)
        else:
            settings.fault = word
            self._apply(number)

    def state(self, number: int) -> int:
        """Return the state word of a channel: bit 0 on, then the trips, 16 to 18 the range."""
        settings = self.settings(number)
        bits = (1 << OFF_STATE if settings.on else 0) | sum(1 << bit for bit in settings.tripped)
        return bits | 1 << (16 + min(settings.range_code, 2))

    def measure_v(self, number: int) -> float:
        """Measure at a channel's terminals, in volts."""
        stack, cell = self._cells(number)
        now_ns = self.clock.now_ns()
        true_v = stack.cells_v()[cell - 1]
        fixed_v = 0.5e-3 * uniform(self.seed, self.name, f"v {number}")
        noise_v = 0.03e-3 * gaussian(self.seed, self.name, f"v {number}", now_ns)
        return self._with_fault("v", number, true_v + fixed_v + noise_v)

    def measure_a(self, number: int) -> float:
        """Measure what a channel gives, in amperes."""
        stack, cell = self._cells(number)
        true_a = stack.currents_a()[cell - 1]
        if stack.channels[cell - 1].connection == "reversed":
            true_a = -true_a
        if true_a < 0.0:
            true_a *= -self._sink_sign
        gain = 1.0 + 2e-4 * uniform(self.seed, self.name, f"gain {number}")
        offset_a = 15e-6 * uniform(self.seed, self.name, f"a {number}")
        noise_a = 1e-6 * gaussian(self.seed, self.name, f"a {number}", self.clock.now_ns())
        return self._with_fault("a", number, true_a * gain + offset_a + noise_a)

    def busy(self) -> bool:
        """Whether it is restarting and hears nothing."""
        return self.clock.now_ns() < self.busy_until_ns

    def _with_fault(self, what: str, number: int, value: float) -> float:
        if self.fault.name == "frozen_measurement":
            return self._frozen.setdefault((what, number), value)
        self._frozen.clear()
        if self.fault.name == "wrong_value":
            return value * self.fault.options["gain"]
        return -value if self.fault.name == "sign_inverted" and what == "a" else value

    def _cells(self, number: int) -> tuple[EmulatedCells, int]:
        """Where a channel is wired, and as which cell."""
        if self._stack is not None and number <= self._wired:
            return self._stack, self._first + number - 1
        return self._loose, number

    def _apply(self, number: int) -> None:
        settings = self.settings(number)
        source = settings.mode == SOURCE
        stack, cell = self._cells(number)
        stack.set(
            cell,
            on=settings.on,
            voltage_v=settings.voltage_v if source else settings.charge_v,
            source_limit_a=settings.limit_a if source else 0.0,
            sink_limit_a=0.0 if source else settings.charge_a,
            connection=FAULT_WORDS[settings.fault],
        )

    def _watch(self) -> None:
        """Trip what is beyond its levels."""
        if self.fault.name == "protection_dead":
            return
        for number, settings in enumerate(self.channels, 1):
            if not settings.on:
                continue
            stack, cell = self._cells(number)
            volts, amperes = abs(stack.cells_v()[cell - 1]), abs(stack.currents_a()[cell - 1])
            found = _beyond((volts, settings.trip_v), (amperes, settings.trip_a), (volts * amperes, settings.trip_w))
            if found:
                settings.tripped |= found
                settings.on = False
                self._apply(number)


def _beyond(*pairs: tuple[float, float]) -> set[int]:
    return {bit for bit, (value, level) in zip((OVP, OCP, OPP), pairs, strict=True) if value > level}


def numbers(text: Sequence[str]) -> list[int]:
    """Read channel numbers.

    Raises:
        Refused: one of them is none.
    """
    found = []
    for word in text:
        if not word.strip().isdigit() or not 1 <= int(word) <= CHANNELS:
            raise Refused(-222)
        found.append(int(word))
    return found
