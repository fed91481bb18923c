"""Keysight DAQ970A as the bench's own eyes on cells: every cell's voltage, thermocouples by name. SCPI on TCP 5025.

Source of facts: `CONF:TEMP TC`, `UNIT:TEMP`, `ROUT:SCAN`, `TRIG`, `FORM:READ` and the 9.9E37 of an open thermocouple
as public drivers of this instrument use them; the maker's programming guide for what a reading looks like with unit
and channel, and that `CONF` switches both off. Never seen on hardware. Not in those sources, taken from the same
maker's multimeters and from SCPI: `CONF:VOLT:DC <range>,(@list)`, `READ?` for one scan, unit `VDC` behind a voltage,
and that a thermocouple is measured against the card's own reference junction. To be seen at the first unit: how long
a scan takes.

The cells' common mode is the card's business: 16 cells in series are about 60 V between its channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import DefinitionError, InstrumentError
from bench.roles import Identity, Record
from instruments.driver import check_model, check_options, option
from instruments.scpi import Scpi, parse_identity
from instruments.transports.visa import ScpiTransport

_RANGE_V = 10.0  # fixed: a cell never needs more, and ranging would cost time
_CHANNEL_S = 0.15  # at most, for one channel of a scan: 1 PLC with its zero, and the relay
_SLOTS, _CHANNELS = range(1, 4), range(1, 41)  # 101 is slot 1, channel 1
_THERMOCOUPLES = ("B", "E", "J", "K", "N", "R", "S", "T")
_READING = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)")
_NO_READING = 9.8e37
_VOLTS, _DEGREES = ("VDC", "V"), ("C",)  # how a reading in volts, in degrees Celsius ends
_FORMAT = ("FORM:READ:UNIT ON", "FORM:READ:CHAN ON", "FORM:READ:TIME OFF", "FORM:READ:ALAR OFF")


class KeysightDaq970a:
    """Cells and thermocouples on the channels of a scanner. Each reading carries its channel, and that is checked."""

    role: ClassVar[str] = "cell_monitor"
    family: ClassVar[str] = "Keysight DAQ970A"
    models: ClassVar[tuple[str, ...]] = ("DAQ970A",)
    transport: ClassVar[str] = "scpi"
    commissioned: ClassVar[bool] = False
    exclusive: ClassVar[bool] = False  # Keysight's LAN instruments take several connections at once
    example_options: ClassVar[Mapping[str, object]] = {  # with which the contract tests open it
        "cells": list(range(101, 117)),
        "sensors": {"cell_1": 117, "cell_6": 118, "cell_11": 119, "cell_16": 120},
    }

    def __init__(
        self, name: str, link: Scpi, cells: tuple[int, ...], sensors: Mapping[str, int], thermocouple: str
    ) -> None:
        self.name = name
        self.link = link
        self._cells = cells
        self._sensors = dict(sensors)
        self._thermocouple = thermocouple
        self._configured = False
        self._scan_list = ""  # what the instrument was last told
        link.transport.on_reopen = self._check_format

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
        """Connect and identify; nothing is changed. Channels are configured by the first measurement.

        Options: `cells` (channels in the order of the cells from B-, such as [101, 102]; mandatory), `sensors`
        (channels of thermocouples by name, such as { cell_1 = 117 }; none), `thermocouple` (its type, `K`).

        Raises:
            DefinitionError: an option is wrong. ConnectionLost: nothing listens there.
            InstrumentError: another model answers.
        """
        check_options(name, options, ("cells", "sensors", "thermocouple"))
        cells, sensors = _channels(name, options)
        thermocouple = option(name, options, "thermocouple", "K")
        if thermocouple not in _THERMOCOUPLES:
            raise DefinitionError(
                f"{name}: option 'thermocouple' is {thermocouple!r}, but must be one of {', '.join(_THERMOCOUPLES)}"
            )
        transport = ScpiTransport(name, address, clock=clock, record=record, timeout_s=timeout_s)
        try:
            transport.connect()
            check_model(transport.where, parse_identity(transport.identification), cls.models, cls.family)
        except BaseException:
            transport.close()
            raise
        return cls(name, Scpi(transport), cells, sensors, thermocouple)

    def identify(self) -> Identity:
        """Ask who it is."""
        return parse_identity(self.link.query("*IDN?"))

    def close(self) -> None:
        """End the conversation."""
        self.link.transport.close()

    def measure_cell_voltages(self) -> tuple[float, ...]:
        """Measure every cell in one scan, in volts, counted from B-.

        Raises:
            InstrumentError: an overload or a missing reading, naming channel and cell; or readings of other channels,
                of another number or unit than asked for.
        """
        names = {channel: f"cell {number}" for number, channel in enumerate(self._cells, start=1)}
        found = self._scan(names, _VOLTS, f"more than {_RANGE_V:g} V, or an open wire")
        return tuple(found[channel] for channel in self._cells)

    def measure_temperatures(self) -> dict[str, float]:
        """Measure every thermocouple in one scan, in degrees Celsius, by its name; empty if none is defined.

        Raises:
            InstrumentError: an open thermocouple, naming channel and sensor; otherwise as for the cells.
        """
        if not self._sensors:
            return {}
        names = {channel: f"sensor {name}" for name, channel in self._sensors.items()}
        found = self._scan(names, _DEGREES, "an open thermocouple")
        return {name: found[channel] for name, channel in self._sensors.items()}

    def _scan(self, names: Mapping[int, str], units: tuple[str, ...], missing: str) -> dict[int, float]:
        """Scan the channels of `names`, lowest first, as the instrument does whatever the order of its list."""
        channels = sorted(names)
        with self.link.transport.operation():
            if not self._configured:
                self._configure()
            self._tell_scan_list(channels)
            answer = self.link.query("READ?", timeout_s=self.link.transport.timeout_s + _CHANNEL_S * len(channels))
        fields = [field.strip() for field in answer.split(",")]
        told = [field.lstrip("+") for field in fields[1::2]]
        if len(fields) != 2 * len(channels) or told != [str(channel) for channel in channels]:
            self._configured = False  # somebody else told it something; the next measurement tells it again
            raise InstrumentError(
                f"{self.link.transport.where}: READ? answered {answer!r}, expected {len(channels)} readings with unit "
                f"and channel, of {_list(channels)}; does another program use it?"
            )
        return {
            channel: self._value(reading, units, f"channel {channel} ({names[channel]})", missing)
            for channel, reading in zip(channels, fields[::2], strict=True)
        }

    def _value(self, reading: str, units: tuple[str, ...], what: str, missing: str) -> float:
        where = f"{self.link.transport.where}, {what}"
        match = _READING.fullmatch(reading)
        if match is None:
            raise InstrumentError(f"{where}: {reading!r} is not a number with a unit")
        value = float(match[1])
        if abs(value) >= _NO_READING:
            raise InstrumentError(f"{where}: {reading} means no reading: {missing}")
        if match[2] not in units:
            raise InstrumentError(f"{where}: {reading!r} carries the unit {match[2]!r}, expected {units[0]}")
        return value

    def _configure(self) -> None:
        """Tell it everything once; `CONF` comes first, since it switches off what `FORM` switches on."""
        cells, sensors = sorted(self._cells), sorted(self._sensors.values())
        self._scan_list = ""
        self.link.write_checked(f"CONF:VOLT:DC {_RANGE_V:g},{_list(cells)}")
        if sensors:
            self.link.write_checked(f"CONF:TEMP TC,{self._thermocouple},{_list(sensors)}")
            self._tell_scan_list(sensors)
            self.link.write_checked("UNIT:TEMP C")
        for command in (*_FORMAT, "TRIG:SOUR IMM", "TRIG:COUN 1"):
            self.link.write_checked(command)
        self._configured = True

    def _tell_scan_list(self, channels: list[int]) -> None:
        wanted = _list(channels)
        if self._scan_list != wanted:
            self._scan_list = ""
            self.link.write_checked(f"ROUT:SCAN {wanted}")
            self._scan_list = wanted

    def _check_format(self) -> None:
        """After a lost connection: a power cycle would have switched unit and channel off."""
        if not self._configured:
            return
        self._configured = False
        if not (self.link.query_switch("FORM:READ:UNIT?") and self.link.query_switch("FORM:READ:CHAN?")):
            raise InstrumentError(
                f"{self.link.transport.where}: the connection was lost, and the settings with it (power cycle?); the "
                "next measurement configures it again"
            )
        self._configured = True


def _list(channels: list[int]) -> str:
    """Write sorted channels as SCPI does: `(@101:116,201)`."""
    starts = [channels[0], *(second for first, second in pairwise(channels) if second != first + 1)]
    ends = [*(first for first, second in pairwise(channels) if second != first + 1), channels[-1]]
    parts = (f"{start}" if start == end else f"{start}:{end}" for start, end in zip(starts, ends, strict=True))
    return f"(@{','.join(parts)})"


def _channels(name: str, options: Mapping[str, object]) -> tuple[tuple[int, ...], dict[str, int]]:
    """Return the channels of cells and of sensors by name.

    Raises:
        DefinitionError: none for cells, not a channel, or one that is used twice.
    """
    cells, sensors = options.get("cells"), options.get("sensors", {})
    if not isinstance(cells, list | tuple) or not cells:
        raise DefinitionError(f"{name}: option 'cells' must list the cells' channels from B-, such as [101, 102, 103]")
    if not isinstance(sensors, Mapping):
        raise DefinitionError(f"{name}: option 'sensors' must name channels, such as {{ cell_1 = 117 }}")
    taken: dict[int, str] = {}
    named = [*((f"cells[{index}]", each) for index, each in enumerate(cells)), *sensors.items()]
    for key, channel in named:
        if type(channel) is not int or channel // 100 not in _SLOTS or channel % 100 not in _CHANNELS:
            raise DefinitionError(f"{name}: option {key}: {channel!r} is not a channel; 103 is slot 1, channel 3")
        if channel in taken:
            raise DefinitionError(f"{name}: option {key}: channel {channel} is already used by {taken[channel]}")
        taken[channel] = str(key)
    return tuple(cells), {str(key): channel for key, channel in sensors.items()}
