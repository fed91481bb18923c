"""Rigol DP800 laboratory supplies: one channel that feeds the DUT, SCPI on TCP 5555.

Source of facts: the commands that four public drivers of the family agree on; the maker's programming guide for some
of them and for the channels' ratings; users' notes for the tens of milliseconds that it needs between commands, and
that more than the rating is taken in silence. Never seen on hardware. To be seen at the first unit: whether its panel
is locked over LAN (nothing is sent to lock it), and what an over-temperature looks like (here: an output that is off).

No watchdog: the output stays on when the bench disappears. Tracking of two channels must be off. No DP811 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Self

from bench.clock import Clock, Tick
from bench.errors import DefinitionError, InstrumentError
from bench.quantities import Range
from bench.roles import Identity, Ratings, Record, Regulation
from instruments.driver import check_model, check_options, confirm, confirm_off, option
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

_CHANNELS = {  # rated volts and amperes by model and channel
    "DP821": {1: (60.0, 1.0), 2: (8.0, 10.0)},
    "DP831": {1: (8.0, 5.0), 2: (30.0, 2.0)},
    "DP832": {1: (30.0, 3.0), 2: (30.0, 3.0), 3: (5.0, 3.0)},
}
_SPACING_S = 0.05
_EXECUTION_S = 1.0
_COARSEST = {"V": 0.0101, "A": 0.00101}  # resolution of the models without an A, and a rounding
_PROTECTION_LIMIT = 1.05  # of the rating
_REGULATIONS: dict[str, Regulation] = {"CV": "CV", "CC": "CC"}
_ALARMS = {"OVP": "overvoltage", "OCP": "overcurrent"}


class RigolDp800:
    """One channel of a DP821, DP831 or DP832. It only sources; a current that it delivers to the DUT is positive."""

    role: ClassVar[str] = "auxiliary_supply"
    family: ClassVar[str] = "Rigol DP800"
    models: ClassVar[tuple[str, ...]] = (r"DP8(21|31|32)A?",)
    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {"channel": 1}  # with which the contract tests open it

    def __init__(self, name: str, link: Scpi, channel: int, rated_v: float, rated_a: float) -> None:
        self.name = name
        self.link, self._clock = link, link.transport.clock
        self._channel = f"CH{channel}"
        self._source = f":SOUR{channel}"
        self._rated = {"V": rated_v, "A": rated_a}
        self._in_control = False
        self._should_be_on = False
        self._told_v: float | None = None
        self._pending_off: Tick | None = None
        link.transport.on_reopen = self._check_after_reopening

    @classmethod
    def open(
        cls,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        options: Mapping[str, object] = {},
    ) -> Self:
        """Connect and identify; nothing is changed. Option `channel` (as printed on it, a positive one; mandatory)."""
        check_options(name, options, ("channel",))
        channel = option(name, options, "channel", 0)
        transport = ScpiTransport(name, address, clock=clock, record=record, timeout_s=timeout_s, spacing_s=_SPACING_S)
        try:
            transport.connect()
            identity = parse_identity(transport.identification)
            check_model(transport.where, identity, cls.models, cls.family)
            channels = _CHANNELS[identity.model.removesuffix("A")]
            if channel not in channels:
                raise DefinitionError(f"{name}: option 'channel' is {channel}, but {identity.model} has {[*channels]}")
        except BaseException:
            transport.close()
            raise
        return cls(name, Scpi(transport), channel, *channels[channel])

    def identify(self) -> Identity:
        """Ask who it is."""
        return parse_identity(self.link.query("*IDN?"))

    def close(self) -> None:
        """End the conversation; the output stays as it is."""
        self._forget_pending_off()
        self.link.transport.close()

    def get_ratings(self) -> Ratings:
        """Return the ratings of the channel; the instrument tells its model only."""
        volts, amps = (Range(0.0, rated, unit) for unit, rated in self._rated.items())
        return Ratings(volts, amps, None, volts.high * amps.high)

    def take_control(self) -> None:
        """Empty the error queue of what others left there. It knows no owner that could be asked for."""
        self.link.drain_errors()
        self._in_control = True

    def output_on(self) -> None:
        """Connect the terminals and ask whether that happened; refused while a trip is latched."""
        self._need_control()
        self._forget_pending_off()
        with self.link.transport.operation():
            if alarms := self.get_alarms():
                raise InstrumentError(f"{self.name}: not switched on, alarms are latched: {alarms}; clear_alarms first")
            self.link.write_checked(f":OUTP {self._channel},ON")
            confirm(self._clock, self.is_output_on, partial(self._still, "off"), within_s=_EXECUTION_S)
        self._should_be_on = True

    def output_off(self) -> None:
        """Disconnect the terminals and ask whether that happened."""
        self._should_be_on = False
        self._forget_pending_off()
        with self.link.transport.operation(urgent=True):
            self.link.write(f":OUTP {self._channel},OFF")
            still = partial(self._still, "on")
            self._pending_off = confirm_off(self._clock, self._is_still_on, still, within_s=_EXECUTION_S)
            self.link.drain_errors()  # it is off, which was the question; the queue must not blame the next

    def is_output_on(self) -> bool:
        """Ask whether the terminals are connected."""
        return self.link.query_switch(f":OUTP? {self._channel}")

    def set_voltage(self, voltage_v: float) -> None:
        """Set the output voltage, in volts up to the rating, and read it back."""
        self._set(f"{self._source}:VOLT ", f"{self._source}:VOLT?", voltage_v, "V")
        self._told_v = voltage_v

    def get_voltage(self) -> float:
        """Read the voltage setting back, in volts."""
        return self.link.query_float(f"{self._source}:VOLT?", "V")

    def set_current_limit(self, current_a: float) -> None:
        """Set the current limit, in amperes up to the rating, and read it back."""
        self._set(f"{self._source}:CURR ", f"{self._source}:CURR?", current_a, "A")

    def get_current_limit(self) -> float:
        """Read the current limit back, in amperes."""
        return self.link.query_float(f"{self._source}:CURR?", "A")

    def measure_voltage(self) -> float:
        """Measure the voltage at the terminals, in volts."""
        return self.link.query_float(f":MEAS:VOLT? {self._channel}", "V")

    def measure_current(self) -> float:
        """Measure the current into the DUT, in amperes."""
        return self.link.query_float(f":MEAS:CURR? {self._channel}", "A")

    def get_regulation(self) -> Regulation:
        """Ask what limits the output now; one that is on and unregulated (`UR`) raises `InstrumentError`."""
        with self.link.transport.operation():
            if not self.is_output_on():
                return "OFF"
            word = self.link.query(f":OUTP:CVCC? {self._channel}").strip()
        if word not in _REGULATIONS:
            raise InstrumentError(f"{self.name}: output on, but it regulates neither voltage nor current: {word}")
        return _REGULATIONS[word]

    def get_alarms(self) -> tuple[str, ...]:
        """Ask for latched trips: `overvoltage`, `overcurrent`."""
        with self.link.transport.operation():
            return tuple(alarm for kind, alarm in _ALARMS.items() if self._has_tripped(kind))

    def clear_alarms(self) -> None:
        """Output off, verified; cleared; verified off again, and no trip left."""
        self.output_off()
        with self.link.transport.operation():
            for kind in _ALARMS:
                self.link.write_checked(f":OUTP:{kind}:CLEAR {self._channel}")
            if self.is_output_on():
                raise InstrumentError(f"{self.name}: the output came back on after its alarms were cleared")
            if left := self.get_alarms():
                raise InstrumentError(f"{self.name}: alarm not cleared, its cause is still there: {left}")

    def set_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage, in volts up to 105 % of the rating, switch it on, and read both back."""
        self._protect("OVP", voltage_v, "V")

    def get_overvoltage_protection(self) -> float:
        """Read the trip voltage back, in volts; an error if it is switched off."""
        return self._protection("OVP", "V")

    def set_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current, in amperes up to 105 % of the rating, switch it on, and read both back."""
        self._protect("OCP", current_a, "A")

    def get_overcurrent_protection(self) -> float:
        """Read the trip current back, in amperes; an error if it is switched off."""
        return self._protection("OCP", "A")

    def _set(self, setting: str, question: str, value: float, unit: str, *, share: float = 1.0) -> None:
        """Check the range, tell, and read back within the instrument's resolution."""
        Range(0.0, share * self._rated[unit], unit).check(value, f"{self.name}, {setting.rstrip(' ,')}")
        self._need_control()
        with self.link.transport.operation():
            self.link.write_checked(f"{setting}{value:.4f}")
            found = self.link.query_float(question, unit)
        if abs(found - value) > _COARSEST[unit]:
            raise InstrumentError(f"{self.name}: {question} says {found:g} {unit} instead of {value:g} {unit}")

    def _protect(self, kind: str, value: float, unit: str) -> None:
        setting, question = f":OUTP:{kind}:VAL {self._channel},", f":OUTP:{kind}:VAL? {self._channel}"
        with self.link.transport.operation():
            self._set(setting, question, value, unit, share=_PROTECTION_LIMIT)
            self.link.write_checked(f":OUTP:{kind} {self._channel},ON")
            self._protection(kind, unit)

    def _protection(self, kind: str, unit: str) -> float:
        with self.link.transport.operation():
            if not self.link.query_switch(f":OUTP:{kind}? {self._channel}"):
                raise InstrumentError(f"{self.name}: its {_ALARMS[kind]} protection is switched off")
            return self.link.query_float(f":OUTP:{kind}:VAL? {self._channel}", unit)

    def _has_tripped(self, kind: str) -> bool:
        answer = self.link.query(f":OUTP:{kind}:QUES? {self._channel}").strip().upper()
        if answer not in ("YES", "NO"):
            raise InstrumentError(f"{self.name}, :OUTP:{kind}:QUES?: {answer!r} is neither YES nor NO")
        return answer == "YES"

    def _is_still_on(self) -> bool:
        with self.link.transport.operation(urgent=True):
            return self.is_output_on()

    def _forget_pending_off(self) -> None:
        if self._pending_off is not None:
            self._pending_off.cancel()
            self._pending_off = None

    def _still(self, state: str) -> str:
        return f"{self.name}: {self._channel} is still {state}"

    def _need_control(self) -> None:
        if not self._in_control:
            raise InstrumentError(f"{self.name}: not under control yet; call take_control first")

    def _check_after_reopening(self) -> None:
        """Say it once if the output went off meanwhile, or its voltage is another."""
        gone = self._still("off") if self._should_be_on and not self.is_output_on() else ""
        if not gone and self._told_v is not None and abs(self.get_voltage() - self._told_v) > _COARSEST["V"]:
            gone = f"{self.name}: {self._source}:VOLT? is no longer {self._told_v:g} V"
        if gone:
            self._should_be_on, self._in_control, self._told_v = False, False, None
            raise InstrumentError(f"{gone}; the connection was lost, its state too (power cycle?): take control again")
