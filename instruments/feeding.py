"""Feed a BMS whose cells are emulated: cells at rest, sensors at room temperature, then its supply; then it boots.

Before anything drives a current, and while the guard does not watch yet: each step is asked for and measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.definition import Definition
from bench.emulation import CELL_OVERVOLTAGE_MARGIN, NEUTRAL_DEGC, neutral_cell_v
from bench.emulator_roles import HasCellOvervoltageProtection
from bench.envelope import OVERCURRENT_MARGIN, OVERVOLTAGE_MARGIN
from bench.errors import DefinitionError, OutOfRange, WiringError
from bench.quantities import show
from bench.roles import HasOvercurrentProtection, HasOvervoltageProtection
from bench.stand import Stand

CELL_AGREES_V = 0.05  # a channel measures what it was set to: coarse, this finds a dead or an exchanged channel


def leave_aside_off(stand: Stand, drivers: Mapping[str, Any]) -> None:
    """Take control of what stands beside the current path, and see that nothing of it is on: a run may have died."""
    cells, supply, inserter = (drivers.get(role) for role in ("cell_emulator", "auxiliary_supply", "fault_inserter"))
    if inserter is not None and (found := inserter.inserted()):
        stand.note(f"fault_inserter: {', '.join(found)} was left in when the bench was opened; removed")
        inserter.remove_all()
    if supply is not None:
        supply.take_control()
        if supply.is_output_on():
            stand.note("auxiliary_supply was on when the bench was opened; switched off")
            supply.output_off()
    if cells is not None:
        stand.progress("cell emulator: taking control")
        cells.take_control()
        if cells.are_outputs_on():
            stand.note("cell_emulator was on when the bench was opened; switched off")
            cells.outputs_off()


def feed_dut(stand: Stand, drivers: Mapping[str, Any]) -> None:
    """Put cells and sensors where a rested pack has them, then switch the BMS's own supply on.

    Raises:
        DefinitionError: a limit is beyond what an instrument can do. WiringError: a cell is not what it was set to.
        InstrumentError: an instrument did not do as told.
    """
    if stand.cell_emulator is not None:
        _emulate_cells(stand, drivers["cell_emulator"])
    if stand.sensor_emulator is not None:
        _emulate_sensors(stand)
    if stand.auxiliary_supply is not None:
        _supply(stand, drivers["auxiliary_supply"])


def _emulate_cells(stand: Stand, driver: Any) -> None:
    cells, definition, profile = stand.cell_emulator, stand.definition, stand.profile
    assert cells is not None
    neutral_v = neutral_cell_v(profile, definition.source.name)
    stand.progress(f"cell emulator: {cells.cells} cells at {neutral_v:g} V")
    try:
        if isinstance(driver, HasCellOvervoltageProtection):
            trip_v = CELL_OVERVOLTAGE_MARGIN * profile.absolute.cell_high_v
            driver.set_cell_overvoltage_protection(trip_v)
            stand.note(f"protection cell_emulator: over-voltage {trip_v:.2f} V each, read back")
        cells.set_cell_current_limit(definition.cell_emulation.cell_a)
    except OutOfRange as problem:
        raise _beyond(definition, "cell_emulator", "cell_emulation", problem) from problem
    cells.set_cell_voltages((neutral_v,) * cells.cells)
    cells.outputs_on()
    for number, found_v in enumerate(cells.measure_cell_voltages(), 1):
        if not abs(found_v - neutral_v) <= CELL_AGREES_V:
            raise WiringError(
                f"emulated cell {number} was set to {neutral_v:g} V and measures {found_v:.3f} V: look for a short on "
                "its "
                "leads, and at the order of the channels from B-"
            )
    stand.note(f"cell emulator on, {cells.cells} cells at {show(neutral_v, 'V', signed=False)}, measured")


def _emulate_sensors(stand: Stand) -> None:
    sensors, declared = stand.sensor_emulator, stand.profile.temperature_sensors
    assert sensors is not None
    if declared is None:  # refused before by check_fit; the profile may have come another way
        raise DefinitionError(f"{stand.profile.source.name}, temperature_sensors: is missing")
    ohm = declared.curve.ohm(NEUTRAL_DEGC)
    reached = {sensor: sensors.set_resistance(sensor, ohm) for sensor in sensors.sensors()}
    told = ", ".join(f"{sensor} {declared.curve.degc(value):.2f} degC" for sensor, value in reached.items())
    stand.note(f"sensors emulated: {told}")


def _supply(stand: Stand, driver: Any) -> None:
    supply, definition = stand.auxiliary_supply, stand.definition
    limits = definition.dut_supply
    assert supply is not None and limits is not None
    try:
        supply.set_voltage(limits.nominal_v)
        supply.set_current_limit(limits.max_a)
        if isinstance(driver, HasOvervoltageProtection):
            driver.set_overvoltage_protection(OVERVOLTAGE_MARGIN * limits.max_v)
            stand.note(
                f"protection auxiliary_supply: over-voltage {OVERVOLTAGE_MARGIN * limits.max_v:.1f} V, read back"
            )
        if isinstance(driver, HasOvercurrentProtection):
            driver.set_overcurrent_protection(OVERCURRENT_MARGIN * limits.max_a)
            stand.note(
                f"protection auxiliary_supply: over-current {OVERCURRENT_MARGIN * limits.max_a:.2f} A, read back"
            )
    except OutOfRange as problem:
        raise _beyond(definition, "auxiliary_supply", "dut_supply", problem) from problem
    supply.output_on()
    stand.clock.sleep(limits.boot_s)
    stand.note(
        f"BMS fed with {show(supply.measure_voltage(), 'V', signed=False)}, "
        f"{show(supply.measure_current(), 'A', signed=False)}"
    )


def _beyond(definition: Definition, role: str, key: str, problem: OutOfRange) -> DefinitionError:
    return DefinitionError(
        f"{definition.source.name}, {key}: beyond what instruments.{definition.roles[role]} can do: {problem}"
    )
