"""Waveshare Modbus RTU relay boards whose relays put faults into the wiring of the BMS.

Source: the board's requests as in `face_waveshare_modbus_relay` (functions 01, 02, 05, 0F); boards may share a line,
each with an address of its own. What hangs on the contacts: `behaviour_faults`.

Not simulated: what those leave out. The boards have no identity, and there is no command that tells a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_faults import FaultBoards
from instruments.virtual.behaviour_relays import RELAYS
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.face_waveshare_modbus_relay import MAKER, MODEL, REPLY_S
from instruments.virtual.modbus_face import RtuSession
from instruments.virtual.relay_bank import BankCommands, units_of
from instruments.virtual.wire import Session

SHORT_OHM, BUS_F = 0.1, 0.02  # with wires, shunt and cells about 400 A and a time constant of a second with 47 ohm
Apply = Callable[[bool], None]


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the boards.

    Options: `faults` maps a fault to its relay, counted through the boards (`open_sense_wire_8 = 1`; also
    `swapped_sense_wires_3_4`, `shunt_open`, `shunt_sense_reversed`, `short_circuit`, `welded_SWITCH`,
    `stuck_open_SWITCH`, `feedback_inverted_SWITCH`, `precharge_open`, `bus_capacitor`); `units` are addresses of the
    boards ([1]); `short_ohm` (0.1) and `bus_f` (0.02) are what lies across the bus. A relay for a switch or a wire that
    this BMS does not have hangs loose.
    """
    where = f"virtual fault relays {name!r}"
    wired, units = options.get("faults"), units_of(where, options)
    if not isinstance(wired, Mapping) or not wired:
        raise DefinitionError(f"{where}: needs the option faults = {{ open_sense_wire_8 = 1 }}, not {wired!r}")
    ohm, farad = _number(where, options, "short_ohm", SHORT_OHM), _number(where, options, "bus_f", BUS_F)
    relays: dict[int, tuple[str, Apply]] = {}
    for fault, relay in wired.items():
        if not isinstance(relay, int) or not 1 <= relay <= RELAYS * len(units):
            raise DefinitionError(
                f"{where}: faults.{fault} = {relay!r} must be a relay from 1 to {RELAYS * len(units)}"
            )
        if relay in relays:
            raise DefinitionError(f"{where}: faults.{fault}: relay {relay} is taken by {relays[relay][0]}")
        relays[relay] = (str(fault), _wire(where, str(fault), circuit, ohm, farad))
    boards = FaultBoards(name, serial, relays, RELAYS * len(units), clock, seed)
    commands = BankCommands(boards, units)

    def session() -> Session:
        return RtuSession(commands, reply_s=REPLY_S)

    return Face(boards, MAKER, MODEL, {"modbus_rtu": session})


def _wire(where: str, fault: str, circuit: Circuit, short_ohm: float, bus_f: float) -> Apply:
    """Return what puts a fault in (True) and takes it away."""
    sense, switches, shunt = circuit.dut.sense, circuit.switches, circuit.dut.shunt
    if found := re.fullmatch(r"(open_sense_wire|swapped_sense_wires)_(\d+)(?:_(\d+))?", fault):
        wires = [int(word) for word in found.groups()[1:] if word is not None]
        if len(wires) != (1 if found[1] == "open_sense_wire" else 2):
            raise DefinitionError(f"{where}: {fault!r}: one wire is opened, two are exchanged")
        if max(wires) > sense.cells:
            return _loose
        if len(wires) == 2:
            return lambda on: sense.swap(*wires)
        return lambda on: sense.open(wires[0]) if on else sense.close(wires[0])
    if found := re.fullmatch(r"(welded|stuck_open|feedback_inverted)_(charge|discharge|main_plus|main_minus)", fault):
        spoil = {"welded": switches.weld, "stuck_open": switches.stick_open}.get(found[1], switches.invert_feedback)
        switch = found[2]
        return (lambda on: spoil(switch, on)) if switch in switches.names else _loose
    simple: dict[str, Apply] = {
        "shunt_open": lambda on: setattr(shunt, "open", on),
        "shunt_sense_reversed": lambda on: setattr(shunt, "reversed", on),
        "short_circuit": lambda on: circuit.short.close(short_ohm) if on else circuit.short.open(),
        "precharge_open": lambda on: setattr(circuit, "precharge_open", on),
        "bus_capacitor": lambda on: circuit.bus_capacitor(bus_f if on else 0.0),
    }
    if fault not in simple:
        raise DefinitionError(f"{where}: there is no fault {fault!r} on this circuit")
    return simple[fault]


def _loose(on: bool) -> None:
    """Nothing hangs on this contact."""


def _number(where: str, options: Mapping[str, object], key: str, default: float) -> float:
    value = options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1e6:
        raise DefinitionError(f"{where}: option {key} = {value!r} must be a number above 0")
    return float(value)
