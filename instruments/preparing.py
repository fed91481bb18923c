"""Bring an open bench to where a test may begin: everything off and open, its zero known, the BMS fed, watched over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

from bench.definition import Definition
from bench.dut_identity import check_dut
from bench.envelope import OVERCURRENT_MARGIN
from bench.errors import DefinitionError, NotDue
from bench.quantities import Direction, show
from bench.roles import (
    PowerInstrument,
    VoltageMeter,
)
from bench.stand import Stand
from instruments.feeding import Feeding
from instruments.leaving import POWER_ROLES, Opened
from instruments.watchdogs import arm_watchdogs, end_watchdog

ZERO_READINGS = 5
AWAKE_S = 1.0  # how often an instrument is spoken to while the BMS is being fed


def prepare(stand: Stand, opened: Opened, *, watchdogs: bool, dut_serial: str = "") -> None:
    """Take control, see that everything is off and open, judge the zero, program protections, arm watchdogs."""
    definition, drivers = stand.definition, opened.drivers
    for role in ("reference_meter", "pack_meter"):
        section = definition.instruments[definition.roles[role]]
        meter = cast(VoltageMeter, drivers[role])
        if section.measuring is None:
            raise DefinitionError(
                f"{definition.source.name}, instruments.{definition.roles[role]}.measuring: is missing; write "
                "measuring = { range_v = ..., power_line_cycles = ... }"
            )
        meter.set_range(section.measuring.range_v)
        meter.set_integration(section.measuring.power_line_cycles)
    for role in POWER_ROLES:
        if role in drivers:
            _check_ratings(definition, role, drivers[role])
            drivers[role].take_control()
            end_watchdog(stand, role, drivers[role])
            if drivers[role].is_output_on():
                stand.note(f"{role} was on when the bench was opened; switched off")
                drivers[role].output_off()
    if stand.disconnect is not None:
        end_watchdog(stand, "disconnect", drivers["disconnect"])
        stand.disconnect.open_contact()
    feeding = Feeding(definition, stand.profile, stand.clock, drivers, stand.note, stand.progress)
    with _awake(stand, drivers):
        feeding.leave_off()
    stand.guard.require_clear("nothing was switched on")
    stand.guard.attach(stand.reference, stand.dut)
    _check_zero(stand)
    for line in stand.guard.program_protections():
        stand.note(f"protection {line}, read back")
    with _awake(stand, drivers):
        reached_ohm = feeding.feed()
    if stand.cell_emulator is not None:
        stand.guard.cells_told(True, None, "on, at rest")
    for sensor, ohm in reached_ohm.items():
        stand.guard.sensors_told(sensor, ohm, False)
    if stand.auxiliary_supply is not None:
        check_dut(stand, dut_serial)
    if watchdogs:
        arm_watchdogs(stand, stand.guard.switching)
    stand.dut.start()
    stand.guard.start_watch()


@contextlib.contextmanager
def _awake(stand: Stand, drivers: Mapping[str, Any]) -> Iterator[None]:
    """Talk to the power instruments meanwhile: some close a connection silent for 5 s, and no watch runs yet."""
    power = [drivers[role] for role in POWER_ROLES if role in drivers]

    def ask() -> None:
        for part in power:
            with contextlib.suppress(NotDue):
                part.measure_voltage()

    tick = stand.clock.every(AWAKE_S, ask)
    try:
        yield
    finally:
        tick.cancel()


def _check_ratings(definition: Definition, role: str, instrument: PowerInstrument) -> None:
    """Refuse an instrument that cannot do what the envelope says it may."""
    ratings = instrument.get_ratings()
    source = definition.source.name
    name = definition.roles[role]
    if not ratings.voltage_v.contains(definition.envelope.max_v):
        raise DefinitionError(
            f"{source}, envelope.max_v: {definition.envelope.max_v:g} V is beyond {name}'s {ratings.voltage_v.high:g} V"
        )
    quadrants = (
        (Direction.CHARGE, ratings.source_current_a, definition.envelope.charge_a),
        (Direction.DISCHARGE, ratings.sink_current_a, definition.envelope.discharge_a),
    )
    for direction, quadrant, limit_a in quadrants:
        if quadrant is not None and OVERCURRENT_MARGIN * limit_a > quadrant.high:
            raise DefinitionError(
                f"{source}, envelope.{direction.word}_a: {limit_a:g} A x {OVERCURRENT_MARGIN:g} (its own trip) = "
                f"{OVERCURRENT_MARGIN * limit_a:g} A is beyond {name}'s {quadrant.high:g} A"
            )


def _check_zero(stand: Stand) -> None:
    """Reference first: its zero with the loop open. Without a disconnect the outputs alone open the loop."""
    readings = []
    for _ in range(ZERO_READINGS):
        readings.append(stand.reference.current())
        stand.clock.sleep(0.02)
    zero_a = stand.reference.check_zero(readings)
    ambient = stand.definition.environment.temperature_degc
    told = "not declared" if ambient is None else f"{ambient:g} degC declared"
    warm_up_min = stand.definition.environment.warm_up_min
    warm = "not declared" if warm_up_min is None else f"{warm_up_min:g} min declared"
    found = show(zero_a, "A", stand.reference.current_uncertainty(0.0))
    stand.note(f"reference zero {found}, ambient {told}, warm-up {warm}")
