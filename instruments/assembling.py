"""Put guarded roles before the drivers of a bench that was opened."""

from __future__ import annotations

from typing import cast

from bench.clock import Clock
from bench.definition import Definition
from bench.dut import Dut
from bench.emulation_watch import EmulationWatch
from bench.emulator_roles import Digitiser
from bench.guard import Guard
from bench.guarded import Guarded, GuardedSwitch
from bench.guarded_emulators import (
    CELL_MONITOR,
    DIGITISER,
    GuardedAuxiliary,
    GuardedCells,
    GuardedFaults,
    GuardedSensors,
    Passed,
)
from bench.limits import CellLimits
from bench.observer import Observers
from bench.profile import Profile
from bench.reference import Reference
from bench.roles import (
    BidirectionalSupply,
    CellMonitor,
    Load,
    PowerInstrument,
    SafetyInput,
    Supply,
    Switch,
    VoltageMeter,
)
from bench.stand import Stand
from bench.traces import Traces
from bench.way_out import Aside
from instruments.leaving import POWER_ROLES, Opened

SAFETY_ROLES = ("interlock", "emergency_stop")


def assemble(
    definition: Definition,
    profile: Profile,
    clock: Clock,
    watchers: Observers,
    traces: Traces,
    opened: Opened,
) -> Stand:
    drivers = opened.drivers
    power = {role: cast(PowerInstrument, drivers[role]) for role in POWER_ROLES if role in drivers}
    disconnect = cast("Switch | None", drivers.get("disconnect"))
    guard = Guard(
        definition,
        clock,
        watchers,
        traces,
        power,
        disconnect,
        inputs={role: cast(SafetyInput, drivers[role]) for role in SAFETY_ROLES if role in drivers},
        cell_monitor=cast("CellMonitor | None", drivers.get("cell_monitor")),
        cell_limits=CellLimits(definition.envelope, profile) if "cell_monitor" in drivers else None,
        emulation=EmulationWatch(profile, drivers.get("cell_emulator"), drivers.get("sensor_emulator")),
        aside=Aside.of(drivers),
    )
    reference = Reference(
        definition, cast(VoltageMeter, drivers["reference_meter"]), cast(VoltageMeter, drivers["pack_meter"])
    )
    dut = Dut(profile, opened.links, clock, watchers)
    guarded = {role: Guarded(role, part, guard) for role, part in power.items()}
    stand = Stand(
        definition=definition,
        profile=profile,
        clock=clock,
        observers=watchers,
        traces=traces,
        guard=guard,
        reference=reference,
        dut=dut,
        supply=cast("Supply | None", guarded.get("supply")),
        load=cast("Load | None", guarded.get("load")),
        bidirectional=cast("BidirectionalSupply | None", guarded.get("bidirectional")),
        disconnect=None if disconnect is None else GuardedSwitch(disconnect, guard),
        identities=dict(opened.identities),
    )
    _add_aside(stand, opened)
    return stand


def _add_aside(stand: Stand, opened: Opened) -> None:
    """Hand out what stands beside the current path, guarded too."""
    drivers, guard, profile, definition = opened.drivers, stand.guard, stand.profile, stand.definition
    if (driver := drivers.get("cell_emulator")) is not None:
        stand.cell_emulator = GuardedCells(driver, profile, definition, guard)
    if (driver := drivers.get("sensor_emulator")) is not None:
        stand.sensor_emulator = GuardedSensors(driver, guard)
    if (driver := drivers.get("auxiliary_supply")) is not None:
        stand.auxiliary_supply = cast(Supply, GuardedAuxiliary(driver, definition, guard))
    if (driver := drivers.get("fault_inserter")) is not None:
        stand.fault_inserter = GuardedFaults(driver, profile, guard)
    if (driver := drivers.get("digitiser")) is not None:
        stand.digitiser = cast(Digitiser, Passed("digitiser", driver, DIGITISER))
    if (driver := drivers.get("cell_monitor")) is not None:
        stand.cell_monitor = cast(CellMonitor, Passed("cell_monitor", driver, CELL_MONITOR))
