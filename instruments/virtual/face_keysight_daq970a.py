"""The Keysight DAQ970A with a DAQM901A in slot 1: DC volts and thermocouples by scan, in SCPI.

Source: command list of the family (CONFigure with a channel list, ROUTe:SCAN, TRIGger, FORMat:READing, INITiate,
READ?, FETCh?, R?, DATA:POINts?), error queue of 20 entries for each connection; a query that is not understood stays
silent and queues -113. An open thermocouple reads 9.90000000E+37. From manuals of the family's predecessor: CONFigure
makes its channels the scan list and switches unit, time, channel and alarm off in readings; a scan goes through its
channels in ascending order; each start of a scan clears the memory.

Not simulated: every other function and module, the front input, monitoring, scaling, alarms (always 0), absolute time
stamps, the answer to CONFigure?, external triggers, and the front end as `behaviour_scanner` tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_scanner import CHANNELS, Scanner
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.scanner_scpi import MAKER, ScannerSession
from instruments.virtual.wire import Session

MODEL = "DAQ970A"
_PLACE = re.compile(r"cell_([1-9]\d*)")


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the unit.

    Options: `cells` lists the channels of the cells in order from B-, `sensors` maps a place (`cell_3`, or `ambient`)
    to the channel of the thermocouple that sits there. A lead beyond the last cell hangs loose.
    """
    taken: dict[int, str] = {}

    def channel(where: str, value: object) -> int:
        if not isinstance(value, int) or value not in CHANNELS:
            raise DefinitionError(
                f"virtual scanner {name!r}: option {where} = {value!r} is no channel of the module in slot 1; write "
                f"one from {CHANNELS[0]} to {CHANNELS[-1]}"
            )
        if value in taken:
            raise DefinitionError(f"virtual scanner {name!r}: option {where} = {value} is taken by {taken[value]}")
        taken[value] = where
        return value

    cells, sensors = options.get("cells"), options.get("sensors", {})
    if not isinstance(cells, list) or not isinstance(sensors, Mapping):
        raise DefinitionError(
            f"virtual scanner {name!r}: needs options cells = [101, 102, ...] and, if any, "
            f"sensors = {{ cell_1 = 117, ... }}, not cells = {cells!r}, sensors = {sensors!r}"
        )
    volts = {channel(f"cells[{k}]", value): _cell_v(circuit, k) for k, value in enumerate(cells)}
    degc: dict[int, Callable[[], float]] = {}
    for place, value in sensors.items():
        match = _PLACE.fullmatch(str(place))
        if match is None and place != "ambient":
            raise DefinitionError(
                f"virtual scanner {name!r}: option sensors.{place}: is no place; write cell_1, cell_2, ... or ambient"
            )
        degc[channel(f"sensors.{place}", value)] = _place_degc(circuit, int(match[1]) - 1 if match else None)
    model = str(options.get("model", MODEL))
    scanner = Scanner(name, serial, volts, degc, clock, seed)

    def session() -> Session:
        return ScannerSession(scanner, model)

    return Face(scanner, MAKER, model, {"scpi": session})


def _cell_v(circuit: Circuit, cell: int) -> Callable[[], float]:
    def volts() -> float:
        voltages = circuit.dut.cells_v(circuit.pack_current_a())
        return voltages[cell] if cell < len(voltages) else 0.0

    return volts


def _place_degc(circuit: Circuit, cell: int | None) -> Callable[[], float]:
    def degc() -> float:
        temperatures = circuit.pack.temperatures_degc()
        at_a_cell = cell is not None and cell < len(temperatures)
        return temperatures[cell] if at_a_cell and cell is not None else circuit.pack.ambient_degc

    return degc
