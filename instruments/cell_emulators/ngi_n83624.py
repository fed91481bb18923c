"""NGI N83624 battery simulator (also sold as Rexgear BCS): 24 isolated cells, SCPI text on TCP 7000.

Source of facts: the maker's SCPI guide V20240130; from a public driver used on hardware: 250 ms between two commands,
up to 4.5 s for the currents of 24 channels, channel lists behind `SOUR:OUTCURR` and `OUTP:ONOFF`, and 0 to 6 V, 0 to
5 A. Never seen on hardware. Not known, to be seen at the first unit:

- the sign of a current that a channel sinks. Here they are used as sources only, and a current below zero is an error.
- its serial number: `*IDN?` has a reserved field there. Option `serial` names it.
- how fine its settings are; here a setting read back within 1 mV, 1 mA is taken for the same.

No watchdog: the outputs stay on when the bench disappears. `*RST` would reset its network address: never sent. The
current range (`SOUR:RANG`) and the relays of the fault simulation option stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, Self

from bench.clock import Clock, Tick
from bench.errors import InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import Identity, Record
from instruments.driver import check_model, check_options, confirm, option
from instruments.ngi_channels import NgiChannels, channel_list, channels_of
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

_SPACING_S = 0.25
_EXECUTION_S = 2.0
_CURRENTS_S = 5.0  # that the answer with all currents may take beyond the time-out
_ZERO_SHARE = 0.001  # of the rated current: an offset of the reading, not a sinking cell
_SOURCE_MODE = 0


class NgiN83624(NgiChannels):
    """Cells as voltage sources on the channels that the definition gives them, counted from B-."""

    role: ClassVar[str] = "cell_emulator"
    family: ClassVar[str] = "NGI N83624"
    models: ClassVar[tuple[str, ...]] = (r"N83624\b.*",)
    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {"channels": list(range(1, 17))}  # of the contract tests

    def __init__(self, name: str, link: Scpi, channels: tuple[int, ...], serial: str, volts: Range, amps: Range):
        super().__init__(name, link, channels, volts)
        self._serial, self._amps = serial, amps
        self.told_at_s = link.transport.clock.now()  # when the last setting of a voltage was sent
        self._should_be_on = False
        self._told_v: dict[int, float] = {}  # what the channels were last told
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
        """Connect and identify; nothing is changed.

        Options: `channels` (in the order of the cells from B-, such as [1, 2, 3]; mandatory), `serial` (what the
        definition calls this unit, as it does not know itself), `rated_v` (6.0) and `rated_a` (5.0) as printed on it.

        Raises:
            DefinitionError: an option is wrong. ConnectionLost: nothing listens there. InstrumentError: another model.
        """
        check_options(name, options, ("channels", "serial", "rated_v", "rated_a"))
        channels = channels_of(name, options)
        volts = Range(0.0, option(name, options, "rated_v", 6.0), "V")
        amps = Range(0.0, option(name, options, "rated_a", 5.0), "A")
        serial = option(name, options, "serial", "")
        transport = ScpiTransport(name, address, clock=clock, record=record, timeout_s=timeout_s, spacing_s=_SPACING_S)
        try:
            transport.connect()
            check_model(transport.where, parse_identity(transport.identification), cls.models, cls.family)
        except BaseException:
            transport.close()
            raise
        return cls(name, Scpi(transport), channels, serial, volts, amps)

    def identify(self) -> Identity:
        """Ask who it is; where it does not know its serial number (it says 0), that is the definition's."""
        identity = parse_identity(self.link.query("*IDN?"))
        return replace(identity, serial=self._serial) if identity.serial in ("", "0") else identity

    def close(self) -> None:
        """End the conversation; the outputs stay as they are."""
        self._forget_pending_off()
        self._in_control = False
        self.link.transport.close()

    def take_control(self) -> None:
        """See that every channel is a source; it knows no remote lock. A channel that is on stays as it is.

        Raises:
            InstrumentError: a channel is on in another mode, or does not become a source.
        """
        with self.link.transport.operation():
            for channel in self._channels:
                if self._mode(channel) == _SOURCE_MODE:
                    continue
                if not self._is_off(channel):
                    raise InstrumentError(f"{self._where(channel)} is on, but not as a source; switch it off first")
                self.link.write(f"OUTP{channel}:MODE {_SOURCE_MODE}")
                if self._mode(channel) != _SOURCE_MODE:
                    raise InstrumentError(f"{self._where(channel)} does not become a source when told")
        self._in_control = True

    def set_cell_voltage(self, cell: int, voltage_v: float) -> None:
        """Set one cell, in volts, and read it back; half a second."""
        if not 1 <= cell <= self.cells:
            raise OutOfRange(f"{self.name}: there is no cell {cell!r}, but cells 1 to {self.cells}")
        self._set_voltages({self._channels[cell - 1]: voltage_v})

    def set_cell_voltages(self, voltages_v: tuple[float, ...]) -> None:
        """Set all cells, in volts, and read them back. 16 equal ones take 4 s, 16 different ones 8 s, one by one."""
        if len(voltages_v) != self.cells:
            raise OutOfRange(f"{self.name}: {len(voltages_v)} voltages for {self.cells} cells")
        self._set_voltages(dict(zip(self._channels, voltages_v, strict=True)))

    def set_cell_current_limit(self, current_a: float) -> None:
        """Set what every cell may source, a magnitude in amperes, and read it back."""
        self._amps.check(current_a, f"{self.name}, current limit")
        self._need_control()
        wanted_ma = current_a * 1e3
        with self.link.transport.operation():
            self.link.write(f"SOUR:OUTCURR {wanted_ma:.3f}{channel_list(self._channels)}")
            for channel in self._channels:
                self._check_setting(channel, f"SOUR{channel}:OUTCURR?", wanted_ma, "mA")

    def outputs_on(self) -> None:
        """Connect all cells and ask whether that happened.

        Raises:
            InstrumentError: a channel stayed off or tripped; the others may be on: switch off.
        """
        self._need_control()
        self._forget_pending_off()
        self._should_be_on = True
        clock = self.link.transport.clock
        with self.link.transport.operation():
            self.link.write(f"OUTP:ONOFF 1{channel_list(self._channels)}")
            for channel in self._channels:
                confirm(
                    clock, partial(self._is_on, channel), partial(self._still, "off", channel), within_s=_EXECUTION_S
                )

    def outputs_off(self) -> None:
        """Disconnect all cells and ask whether that happened. Inside a callback, where nobody may wait, the channels
        are asked for one by one on the clock, and one that is still on raises there."""
        self._should_be_on = False
        self._forget_pending_off()
        clock = self.link.transport.clock
        with self.link.transport.operation(urgent=True):
            self.link.write(f"OUTP:ONOFF 0{channel_list(self._channels)}")
            if clock.in_callback:
                self._ask_off_later(0)
                return
            for channel in self._channels:
                confirm(
                    clock, partial(self._is_off, channel), partial(self._still, "on", channel), within_s=_EXECUTION_S
                )

    def are_outputs_on(self) -> bool:
        """Ask whether any cell is connected, channel by channel until one is."""
        with self.link.transport.operation():
            return not all(self._is_off(channel) for channel in self._channels)

    def measure_cell_voltages(self) -> tuple[float, ...]:
        """Measure every cell at its terminals, in volts, counted from B-."""
        return self._measure("VOLT", "V")

    def measure_cell_currents(self) -> tuple[float, ...]:
        """Measure what every cell sources, in amperes; the answer may take 4.5 s.

        Raises:
            InstrumentError: a reading is missing, or below zero by more than an offset: what that means is not known
                of this family; or the channels were not seen to be sources (`take_control`).
        """
        self._need_control()
        currents_a = self._measure("CURR", "mA", longer_s=_CURRENTS_S)
        for channel, current_a in zip(self._channels, currents_a, strict=True):
            if current_a < -_ZERO_SHARE * self._amps.high:
                raise InstrumentError(
                    f"{self._where(channel)} reads {1e3 * current_a:g} mA; which way a current below zero flows is not "
                    "documented for this family, and is not guessed: measure it with a known resistor"
                )
        return currents_a

    def _set_voltages(self, wanted_v: Mapping[int, float]) -> None:
        for channel, voltage_v in wanted_v.items():
            self._volts.check(voltage_v, f"{self.name}, channel {channel}")
        self._need_control()
        texts: dict[str, list[int]] = {}
        for channel, voltage_v in wanted_v.items():
            texts.setdefault(f"{voltage_v:.4f}", []).append(channel)
        with self.link.transport.operation():
            for text, channels in texts.items():
                if len(channels) == 1:
                    self.link.write(f"SOUR{channels[0]}:VOLT {text}")
                else:
                    self.link.write(f"SOUR:VOLT {text}{channel_list(channels)}")
                self.told_at_s = self.link.transport.clock.now()
            for channel, voltage_v in wanted_v.items():
                self._check_setting(channel, f"SOUR{channel}:VOLT?", voltage_v, "V")
                self._told_v[channel] = voltage_v

    def _ask_off_later(self, index: int) -> None:
        """Ask for one channel once the spacing has passed, and then for the next one."""

        def ask() -> None:
            with self.link.transport.operation(urgent=True):
                if not self._is_off(self._channels[index]):
                    raise InstrumentError(self._still("on", self._channels[index]))
            if index + 1 < self.cells:
                self._ask_off_later(index + 1)

        clock = self.link.transport.clock
        self._pending_off = clock.at(clock.now() + 2 * _SPACING_S, ask)

    def _forget_pending_off(self) -> None:
        if self._pending_off is not None:
            self._pending_off.cancel()
            self._pending_off = None

    def _check_after_reopening(self) -> None:
        """Say it once if a power cycle has switched it off or changed its settings; one channel tells for all."""
        first = self._channels[0]
        gone = self._still("off", first) if self._should_be_on and self._is_off(first) else ""
        for channel, voltage_v in list(self._told_v.items())[:1]:
            gone = gone or self._difference(channel, f"SOUR{channel}:VOLT?", voltage_v, "V")
        if gone:
            self._should_be_on = self._in_control = False
            self._told_v.clear()
            raise InstrumentError(
                f"{gone}; the connection was lost, and the state with it (power cycle?): take control again"
            )
