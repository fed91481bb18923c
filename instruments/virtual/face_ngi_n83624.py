"""The NGI N83624 cell simulator in its SCPI dialect, all 24 channels behind one port.

Source: the maker's SCPI guide V20240130 as the instrument reference restates it: voltages in V, currents in mA, LF to
send and CRLF in answers, channel number after the first word (`SOUR3:VOLT 3.7`) or as a list at the end
(`SOUR:VOLT 3.7(@1,2,3)`, `MEAS:VOLT?(@1,2)`), `*RST` is a factory reset of about 10 s, error -115 "cannot query".
Users need 250 to 300 ms between commands: what comes earlier than 250 ms after the message before is lost here.

Assumed: every setting can be asked back by its own command with a question mark; a list is answered with commas;
`SYST:ERR?` exists; a query that is not understood stays silent. The sign of a channel that sinks, the meaning of states
5 and 6 and what sends too fast does to a real unit are unverified (see `behaviour_cell_emulator`).

Not simulated: UDP and the ports of single channels, RS232, CAN, the Modbus face, `RES`, `ECHO`, `MAH`, `CAPR` beyond
being kept, the SOC and sequence modes (refused), the change of the network address by a factory reset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bench.clock import NS
from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_cell_emulator import (
    CHANNELS,
    CHARGE,
    HIGHEST_A,
    HIGHEST_V,
    SOURCE,
    CellEmulatorUnit,
    numbers,
)
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.instrument_errors import ErrorQueue, Refused
from instruments.virtual.scpi_arguments import split_suffix
from instruments.virtual.scpi_face import CommandTable, Handler, ScpiSession, parse_number, parse_switch
from instruments.virtual.wire import Session

MAKER, MODEL, FIRMWARE = "NGI", "N83624", "V1.00"
SPACING_S, RESET_S = 0.25, 10.0
VOLTAGE_READ_S, CURRENT_READ_S = 0.004, 0.06  # each channel: all 24 currents take about 1.5 s
_LIST = re.compile(r"\(@([^)]*)\)\s*$")


class EmulatorSession(ScpiSession):
    """One connection. The channels that a command means are taken out of it before it is looked up."""

    undefined_header = -113

    def __init__(self, unit: CellEmulatorUnit, model: str) -> None:
        self.unit = unit
        self._model = model
        self._meant: list[int] = []
        super().__init__(CommandTable(self._commands()), ErrorQueue(10, '0,"No error"'))

    def _commands(self) -> dict[str, Handler]:
        table: dict[str, Handler] = {
            "*IDN?": lambda _: f"{MAKER},{self._model},{self.unit.serial},{FIRMWARE}",
            "*RST": lambda _: self._factory_reset(),
            "SYSTem:ERRor[:NEXT]?": lambda _: self.errors.take(),
            "OUTPut:ONOFF": lambda text: self._each(on=parse_switch(text)),
            "OUTPut:ONOFF?": lambda _: self._show(lambda n: str(int(self.unit.settings(n).on))),
            "OUTPut:MODE": self._mode,
            "OUTPut:MODE?": lambda _: self._show(lambda n: str(self.unit.settings(n).mode)),
            "OUTPut:STATe?": lambda _: self._show(lambda n: str(self.unit.state(n))),
            "OUTPut:EVENt?": lambda _: self._show(lambda n: str(self.unit.state(n))),
            "MEASure:VOLTage?": lambda _: self._measure(self.unit.measure_v, 1.0, VOLTAGE_READ_S),
            "MEASure:CURRent?": lambda _: self._measure(self.unit.measure_a, 1e3, CURRENT_READ_S),
            "MEASure:POWer?": lambda _: self._measure(self._power_w, 1.0, CURRENT_READ_S),
            "FAULt:SIMUlate": self._fault,
            "FAULt:SIMUlate?": lambda _: self._show(lambda n: str(self.unit.settings(n).fault)),
        }
        for header, name, scale, high in (
            ("SOURce:VOLTage", "voltage_v", 1.0, HIGHEST_V),
            ("SOURce:OUTCURRent", "limit_a", 1e3, HIGHEST_A),
            ("CHARge:VOLTage", "charge_v", 1.0, HIGHEST_V),
            ("CHARge:OUTCURRent", "charge_a", 1e3, HIGHEST_A),
            ("PROtection:VOLTage", "trip_v", 1.0, 1.1 * HIGHEST_V),
            ("PROtection:CURRent", "trip_a", 1e3, 1.1 * HIGHEST_A),
            ("PROtection:POWEr", "trip_w", 1.0, HIGHEST_V * HIGHEST_A),
        ):
            table[header] = self._setter(name, scale, high)
            table[f"{header}?"] = self._getter(name, scale)
        for header, name, top in (("SOURce:RANGe", "range_code", 3), ("MEASure:CAPRate", "capture", 2)):
            table[header] = self._chooser(name, top)
            table[f"{header}?"] = self._getter(name, None)
        return table

    def message(self, line: bytes) -> bytes:
        """Do one message, or lose it: too soon after the one before, or during a factory reset."""
        unit, now_ns = self.unit, self.unit.clock.now_ns()
        heard_ns, unit.heard_ns = unit.heard_ns, now_ns
        if unit.busy() or (heard_ns is not None and now_ns - heard_ns < round(SPACING_S * NS)):
            if b"?" in line:
                self.wire.silence()
            return b""
        answer = super().message(line)
        return answer[:-1] + b"\r\n" if answer else b""

    def command(self, text: str, path: str = "") -> str | None:
        """Do one command for the channels that it names."""
        listed = _LIST.search(text)
        header, space, arguments = (text[: listed.start()] if listed else text).partition(" ")
        try:
            header, suffix = split_suffix(header)
            if listed:
                self._meant = numbers(listed[1].split(","))
            else:
                self._meant = numbers([suffix]) if suffix else []
        except Refused as refusal:
            self.report(refusal.code)
            if "?" in text:
                self.wire.silence()
            return None
        return super().command(f"{header}{space}{arguments.strip()}", path)

    def _channels(self) -> list[int]:
        if not self._meant:
            raise Refused(-115)
        return self._meant

    def _each(self, **values: float) -> None:
        for number in self._channels():
            self.unit.change(number, **values)

    def _show(self, one: Callable[[int], str]) -> str:
        return ",".join(one(number) for number in self._channels())

    def _measure(self, one: Callable[[int], float], scale: float, each_s: float) -> str:
        self.wire.owe(each_s * len(self._channels()))
        return self._show(lambda number: f"{scale * one(number):.5f}")

    def _power_w(self, number: int) -> float:
        return self.unit.measure_v(number) * self.unit.measure_a(number)

    def _setter(self, name: str, scale: float, high: float) -> Handler:
        def handle(text: str) -> None:
            value = parse_number(text, {}, syntax=-104, suffix=-131) / scale
            if not 0.0 <= value <= high:
                raise Refused(-222)
            self._each(**{name: value})

        return handle

    def _getter(self, name: str, scale: float | None) -> Handler:
        def one(number: int) -> str:
            value = getattr(self.unit.settings(number), name)
            return str(value) if scale is None else f"{scale * value:.5f}"

        return lambda _: self._show(one)

    def _chooser(self, name: str, top: int) -> Handler:
        def handle(text: str) -> None:
            if not text.strip().isdigit() or int(text) > top:
                raise Refused(-222)
            self._each(**{name: int(text)})

        return handle

    def _mode(self, text: str) -> None:
        if text.strip() not in (str(SOURCE), str(CHARGE)):
            raise Refused(-222)
        self._each(mode=int(text))

    def _fault(self, text: str) -> None:
        if not text.strip().isdigit():
            raise Refused(-104)
        for number in self._channels():
            self.unit.relay(number, int(text))

    def _factory_reset(self) -> None:
        self.unit.defaults()
        self.unit.busy_until_ns = self.unit.clock.now_ns() + round(RESET_S * NS)
        self.wire.drop()


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the unit.

    Options: `first_cell` is the cell, counted from B-, that channel 1 stands for (1). On a bench whose cells are the
    pack's own nothing is wired to it. `sink_reads_positive` turns the unverified sign round.
    """
    first, positive = options.get("first_cell", 1), options.get("sink_reads_positive", False)
    stack = circuit.dut.emulated
    cells = CHANNELS if stack is None else stack.wires.cells
    if not isinstance(first, int) or isinstance(first, bool) or not 1 <= first <= cells:
        raise DefinitionError(
            f"virtual cell emulator {name!r}: option first_cell = {first!r} must be from 1 to {cells}"
        )
    if not isinstance(positive, bool):
        raise DefinitionError(f"virtual cell emulator {name!r}: option sink_reads_positive must be true or false")
    unit = CellEmulatorUnit(name, serial, stack, first, positive, clock, seed)
    model = str(options.get("model", MODEL))

    def session() -> Session:
        return EmulatorSession(unit, model)

    return Face(unit, MAKER, model, {"scpi": session})
