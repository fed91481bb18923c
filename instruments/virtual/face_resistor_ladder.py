"""Waveshare Modbus RTU relay boards whose relays switch resistors into the places of temperature sensors.

Source: the board's requests as in `face_waveshare_modbus_relay` (functions 01, 02, 05, 0F; address 1 unless told
otherwise); several boards share a line; what hangs on their contacts: `behaviour_ladder`.

Not simulated: what those two leave out. The boards have no identity, and there is no command that tells a resistance.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_ladder import Ladder, LadderBoard
from instruments.virtual.behaviour_relays import RELAYS
from instruments.virtual.circuit import Circuit
from instruments.virtual.face import Face
from instruments.virtual.face_waveshare_modbus_relay import MAKER, MODEL, REPLY_S
from instruments.virtual.modbus_face import RtuSession
from instruments.virtual.relay_bank import BankCommands, units_of
from instruments.virtual.wire import Session

_KNOWN = ("sensor", "relays", "ohm", "base_ohm", "wiring", "open_relay", "short_relay")


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the board.

    Option `sensors` maps a name to what is wired there: `{ sensor = 1, relays = [1, 2], ohm = [10e3, 4.7e3],
    base_ohm = 20e3, wiring = "parallel", open_relay = 7, short_relay = 8 }`. `sensor` is the BMS's sensor (from 1)
    whose place it takes; `wiring` is parallel or series; the last four may be left out. `unit` is the address of the
    board, `units` those of several on one line, whose relays are counted through.
    """
    wired = options.get("sensors")
    units = units_of(f"virtual resistor ladder {name!r}", options)
    if not isinstance(wired, Mapping) or not wired:
        raise DefinitionError(
            f"virtual resistor ladder {name!r}: needs the option sensors = {{ NAME = {{ sensor = 1, relays = [1, 2], "
            f"ohm = [10e3, 4.7e3] }} }}, not {wired!r}"
        )
    ladders: dict[str, Ladder] = {}
    taken: dict[int, str] = {}
    for sensor, section in wired.items():
        where = f"virtual resistor ladder {name!r}, sensors.{sensor}"
        ladder = _ladder(where, section, circuit.dut.sensors.count, RELAYS * len(units))
        for relay in ladder.used():
            if relay in taken:
                raise DefinitionError(f"{where}: relay {relay} is taken by {taken[relay]}")
            taken[relay] = str(sensor)
        ladders[str(sensor)] = ladder
    board = LadderBoard(name, serial, ladders, circuit.dut.sensors, RELAYS * len(units), clock, seed)
    commands = BankCommands(board, units)

    def session() -> Session:
        return RtuSession(commands, reply_s=REPLY_S)

    return Face(board, MAKER, MODEL, {"modbus_rtu": session})


def _ladder(where: str, section: object, count: int, relay_count: int) -> Ladder:
    if not isinstance(section, Mapping) or set(section) - set(_KNOWN):
        raise DefinitionError(f"{where}: must be a table with keys among {', '.join(_KNOWN)}, not {section!r}")
    sensor, relays, ohm = section.get("sensor"), section.get("relays"), section.get("ohm")
    wiring, base_ohm = section.get("wiring", "parallel"), section.get("base_ohm")
    if not isinstance(sensor, int) or not 1 <= sensor <= count:
        raise DefinitionError(f"{where}.sensor = {sensor!r}: must be a sensor of the BMS, from 1 to {count}")
    if not isinstance(relays, list) or not isinstance(ohm, list) or len(relays) != len(ohm) or not relays:
        raise DefinitionError(f"{where}: relays = {relays!r} and ohm = {ohm!r} must be lists of one length")
    for value in (*ohm, *([] if base_ohm is None else [base_ohm])):
        if not isinstance(value, int | float) or not 0.0 < value < inf:
            raise DefinitionError(f"{where}: {value!r} Ω is not a resistor")
    if wiring not in ("series", "parallel"):
        raise DefinitionError(f"{where}.wiring = {wiring!r}: write series or parallel")
    extra = (section.get("open_relay"), section.get("short_relay"))
    for relay in (*relays, *(relay for relay in extra if relay is not None)):
        if not isinstance(relay, int) or not 1 <= relay <= relay_count:
            raise DefinitionError(f"{where}: relay {relay!r} must be from 1 to {relay_count}")
    return Ladder(
        sensor,
        tuple(relays),
        tuple(float(value) for value in ohm),
        None if base_ohm is None else float(base_ohm),
        "series" if wiring == "series" else "parallel",
        extra[0],
        extra[1],
    )
