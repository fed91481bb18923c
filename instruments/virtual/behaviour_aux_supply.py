"""A small bench supply with up to three channels, one of which may feed the BMS itself.

Source: Rigol DP800: unipolar channels, regulation CV, CC or UR, over-voltage and over-current protection per channel
with a latched trip, range over-travel (a 30 V channel takes 32 V, a 3 A channel 3.2 A). Fixed errors of a unit stay
inside 60 % of 0.05 % + 10 mV and 0.2 % + 5 mA (typical; the reference gives no accuracy).

A channel without a wire on it carries nothing. Not simulated: rise time, tracking, remote sense, coupling of the
channels' grounds, over-temperature, the delayer, the timer, recorder and analyser.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.clock import Rank
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import Behaviour
from instruments.virtual.dut_supply import DutSupply
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import gaussian, uniform

OVER_TRAVEL = 16.0 / 15.0
LOOK_S = 0.01


@dataclass(slots=True)
class AuxChannel:
    """Ratings and settings of one channel."""

    rated_v: float
    rated_a: float
    voltage_v: float = 0.0
    current_a: float = 0.0
    on: bool = False
    ovp_v: float = 0.0
    ovp_on: bool = False
    ocp_a: float = 0.0
    ocp_on: bool = False
    ovp_tripped: bool = False
    ocp_tripped: bool = False

    def __post_init__(self) -> None:
        self.current_a = self.rated_a  # what a unit shows after power-up is unverified
        self.ovp_v, self.ocp_a = 1.1 * self.rated_v, 1.1 * self.rated_a


class AuxSupply(Behaviour):
    """Channels from 1; `feeds` is the one that is wired to the BMS's supply terminals."""

    own_faults = frozenset(
        {
            "stuck_output",
            "refuse_values",
            "frozen_measurement",
            "wrong_value",
            "protection_dead",
            "clear_reenables",
        }
    )

    def __init__(
        self,
        name: str,
        serial: str,
        ratings: tuple[tuple[float, float], ...],
        feeds: int,
        supply: DutSupply,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self._ratings, self._feeds, self._supply = ratings, feeds, supply
        self._frozen: dict[tuple[str, int], float] = {}
        self.selected = 1
        self._supply.attach()
        self.defaults()
        clock.every(LOOK_S, self._watch, rank=Rank.INSTRUMENT)

    def defaults(self) -> None:
        """Return to the state after `*RST` and after power-up: all off, at 0 V."""
        self.channels = [AuxChannel(volts, amperes) for volts, amperes in self._ratings]
        self.selected = 1
        self._apply()

    def power_cycle(self) -> None:
        """Mains off and on; see `Behaviour`."""
        super().power_cycle()
        self.defaults()

    @property
    def on(self) -> bool:
        """Whether any channel is on."""
        return any(channel.on for channel in self.channels)

    def channel(self, number: int) -> AuxChannel:
        """Return a channel, from 1.

        Raises:
            Refused: there is none of that number.
        """
        if not 1 <= number <= len(self.channels):
            raise Refused(-222)
        return self.channels[number - 1]

    def set(self, number: int, *, voltage_v: float | None = None, current_a: float | None = None) -> None:
        """Set voltage or current limit, with the range's over-travel."""
        channel = self.channel(number)
        if self.fault.name == "refuse_values":
            raise Refused(-222)
        for value, rated in ((voltage_v, channel.rated_v), (current_a, channel.rated_a)):
            if value is not None and not 0.0 <= value <= rated * OVER_TRAVEL + 1e-9:
                raise Refused(-222)
        channel.voltage_v = channel.voltage_v if voltage_v is None else voltage_v
        channel.current_a = channel.current_a if current_a is None else current_a
        self._apply()
        self._watch()

    def switch(self, number: int, on: bool) -> None:
        """Switch an output; one whose trip is not cleared stays off."""
        channel = self.channel(number)
        if on and (channel.ovp_tripped or channel.ocp_tripped):
            raise Refused(-221)
        if not on and self.fault.name == "stuck_output":
            return
        channel.on = on
        self._apply()
        self._watch()

    def clear(self, number: int, *, overvoltage: bool) -> None:
        """Acknowledge a trip."""
        channel = self.channel(number)
        if overvoltage:
            channel.ovp_tripped = False
        else:
            channel.ocp_tripped = False
        if self.fault.name == "clear_reenables":
            channel.on = True
            self._apply()

    def terminal_v(self, number: int) -> float:
        """Return the true voltage at a channel's terminals, in volts."""
        channel = self.channel(number)
        if number == self._feeds:
            return self._supply.terminal_v()
        return channel.voltage_v if channel.on else 0.0

    def true_a(self, number: int) -> float:
        """Return the true current out of a channel, in amperes."""
        self.channel(number)
        return self._supply.current_a() if number == self._feeds else 0.0

    def regulation(self, number: int) -> str:
        """Return CV, CC, or UR for a channel that is off."""
        channel = self.channel(number)
        if not channel.on:
            return "UR"
        return "CC" if self.terminal_v(number) < channel.voltage_v - 1e-6 else "CV"

    def measure_v(self, number: int) -> float:
        """Measure at a channel's terminals, in volts."""
        return self._read("v", number, self.terminal_v(number), 3e-4, 6e-3)

    def measure_a(self, number: int) -> float:
        """Measure a channel's current, in amperes; a channel that is off shows nothing."""
        if not self.channel(number).on:
            return self._with_fault("a", number, 0.0)
        return self._read("a", number, self.true_a(number), 1.2e-3, 3e-3)

    def _read(self, what: str, number: int, value: float, gain: float, offset: float) -> float:
        gain *= uniform(self.seed, self.name, f"{what} gain {number}")
        offset *= uniform(self.seed, self.name, f"{what} offset {number}")
        noise = 3e-4 * gaussian(self.seed, self.name, f"{what} {number}", self.clock.now_ns())
        return self._with_fault(what, number, max(0.0, value * (1.0 + gain) + offset + noise))

    def _with_fault(self, what: str, number: int, value: float) -> float:
        if self.fault.name == "frozen_measurement":
            return self._frozen.setdefault((what, number), value)
        self._frozen.clear()
        return value * self.fault.options["gain"] if self.fault.name == "wrong_value" else value

    def _apply(self) -> None:
        channel = self.channels[self._feeds - 1]
        self._supply.set(source_v=channel.voltage_v if channel.on else 0.0, limit_a=channel.current_a)

    def _watch(self) -> None:
        """Trip what is beyond its levels."""
        if self.fault.name == "protection_dead":
            return
        for number, channel in enumerate(self.channels, 1):
            if not channel.on:
                continue
            channel.ovp_tripped |= channel.ovp_on and self.terminal_v(number) > channel.ovp_v
            channel.ocp_tripped |= channel.ocp_on and self.true_a(number) > channel.ocp_a
            if channel.ovp_tripped or channel.ocp_tripped:
                channel.on = False
                self._apply()
