"""The one assembler: opens what a definition names, hands out guarded roles, and owns the way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from bench.admission import Admission
from bench.bench_lock import hold_bench
from bench.clock import Clock
from bench.definition import FILE, CanBinding, Definition
from bench.dut import Dut
from bench.dut_identity import check_dut
from bench.emulation_watch import EmulationWatch
from bench.emulator_roles import Digitiser
from bench.envelope import OVERCURRENT_MARGIN
from bench.errors import DefinitionError, InstrumentError, NotDue
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
from bench.quantities import Direction, show
from bench.quarantine import check_bench
from bench.reference import Reference
from bench.roles import (
    BidirectionalSupply,
    CellMonitor,
    Identity,
    Instrument,
    Load,
    PowerInstrument,
    SafetyInput,
    Supply,
    Switch,
    VoltageMeter,
)
from bench.shield import leaving_on_signals
from bench.simulated_clock import SimulatedClock
from bench.stand import Stand
from bench.traces import Traces
from bench.wall_clock import WallClock
from bench.way_out import Aside
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE, NAMELESS, check_admitted, check_fit
from instruments.connecting import connect_pack
from instruments.feeding import Feeding
from instruments.guarding import GuardianProcess
from instruments.leaving import POWER_ROLES, Opened, abandon, close_all, leave
from instruments.links.opening import open_link
from instruments.trace_tap import TraceTap
from instruments.watchdogs import arm_watchdogs, end_watchdog

SAFETY_ROLES = ("interlock", "emergency_stop")
ZERO_READINGS = 5
AWAKE_S = 1.0  # how often an instrument is spoken to while the BMS is being fed


@contextlib.contextmanager
def open_stand(
    definition: Definition,
    profile: Profile,
    *,
    observers: Observers | None = None,
    seed: int = 0,
    defects: tuple[str, ...] = (),
    lab: Path | None = None,
    bring_up: bool = True,
    evidence: Path | None = None,
    watchdogs: bool | None = None,
    admission: Admission | None = None,
    dut_serial: str = "",
) -> Iterator[Stand]:
    """Open a bench for one test, and take the way out at the end, whatever happened.

    On the wall clock a guardian is armed first; it writes to `evidence` if it had to act. `watchdogs` of instruments
    are armed on the wall clock, in simulated time only when asked for. Hardware is opened only with its `admission`.
    `dut_serial` is the BMS's own, where it cannot say it.

    Raises:
        DefinitionError: definition and profile do not fit, or would reach hardware; nothing was opened.
        InstrumentError, LinkError, WiringError, Inconclusive: opening went wrong; the bench was made safe.
        Occupied: another process has the bench, or one of its instruments; nothing was opened.
        SafetyError: the bench or the BMS is quarantined, nothing was energised; or safe state was not reached.
    """
    check_admitted(definition, admission)
    if definition.bench.clock == "wall":
        check_bench(definition)
    check_fit(definition, profile)
    check_defects(definition, profile, defects)
    watchers = observers or Observers()
    traces = Traces()
    tap = TraceTap(traces)
    watchers.add(tap)
    with contextlib.ExitStack() as stack:
        stack.callback(watchers.remove, tap)
        stack.enter_context(leaving_on_signals())
        stack.enter_context(hold_bench(definition))
        clock, where, bindings = _world(definition, profile, seed, defects, lab, stack)
        opened = Opened()
        stack.callback(close_all, opened, clock)
        guardian = None
        if not clock.simulated:
            guardian = GuardianProcess(definition, lab=lab, evidence=evidence)
            stack.callback(guardian.close)
        for name in profile.links:
            link = open_link(profile, name, bindings[name], clock, watchers.dialogue, watchers.frame)
            opened.links[name] = link
        try:
            _open_drivers(definition, clock, watchers, where, opened, lab)
            stand = _assemble(definition, profile, clock, watchers, traces, opened)
            stand.seed, stand.defects = seed, defects
            if stand.auxiliary_supply is None:  # otherwise nobody feeds it yet, and it is asked once that is done
                check_dut(stand, dut_serial)
            if admission is not None:
                _check_serials(stand, admission)
                stand.note(admission.words())
        except BaseException as problem:
            abandon(definition, opened, clock, problem)
            raise
        armed = (not clock.simulated) if watchdogs is None else watchdogs
        if guardian is not None:  # nothing has been written yet, so there is nothing to leave either
            guardian.wait_armed(clock)
            stand.guard.guardian = guardian
        try:
            _prepare(stand, opened, watchdogs=armed, dut_serial=dut_serial)
            if bring_up:
                connect_pack(stand)
            watchers.drain()
            yield stand
        except BaseException as problem:
            leave(stand, f"after {type(problem).__name__}", problem, guardian, opened)
            raise
        leave(stand, "end of test", None, guardian, opened)


def check_defects(definition: Definition, profile: Profile, defects: tuple[str, ...]) -> None:
    """Make sure that defects can be given to the BMS of this bench, and mean something for it.

    Raises:
        DefinitionError: a bench on the wall clock, an unknown defect, or one without meaning for this profile.
    """
    if not defects:
        return
    if definition.bench.clock == "wall":
        raise DefinitionError(
            f"defect {', '.join(defects)}: bench {definition.name} runs on the wall clock; start its BMS with "
            "the defect instead: bmsbench lab --defect"
        )
    from instruments.virtual.defects import choose_defects

    choose_defects(defects, profile)


def _check_serials(stand: Stand, admission: Admission) -> None:
    for role, identity in stand.identities.items():
        name = stand.definition.roles[role]
        known = admission.serials.get(name)
        if known is not None and identity.serial != known:
            raise InstrumentError(
                f"{name}: serial {identity.serial!r} answers, but {known!r} was commissioned on this bench; commission "
                "the one that is here now"
            )


def _world(
    definition: Definition,
    profile: Profile,
    seed: int,
    defects: tuple[str, ...],
    lab: Path | None,
    stack: contextlib.ExitStack,
) -> tuple[Clock, dict[str, str], dict[str, Mapping[str, object]]]:
    """Return the clock, and where instruments and links are found."""
    addresses = {name: section.address for name, section in definition.instruments.items()}
    bindings: dict[str, Mapping[str, object]] = {name: definition.links[name].model_dump() for name in profile.links}
    if definition.bench.clock == "wall":
        wall = WallClock()
        stack.callback(wall.close)
        return wall, addresses, bindings
    from instruments.virtual.bench import VirtualBench

    clock = SimulatedClock()
    stack.callback(clock.close)
    virtual = VirtualBench(definition, profile, clock, seed=seed, defects=defects, lab=lab)
    stack.callback(virtual.close)
    addresses.update(virtual.addresses)
    for name in profile.links:
        if isinstance(definition.links[name], CanBinding) or virtual.addresses.get(f"links.{name}"):
            bindings[name] = virtual.binding(name)
    return clock, addresses, bindings


def _open_drivers(
    definition: Definition,
    clock: Clock,
    watchers: Observers,
    where: dict[str, str],
    opened: Opened,
    lab: Path | None,
) -> None:
    """Open every role's driver and read its identity; nothing has been written to it when this returns."""
    for role, name in definition.roles.items():
        section = definition.instruments[name]
        driver = catalogue.load(FOLDER_OF_ROLE[role], section.driver, lab / "drivers" if lab else None)
        options = dict(section.options)
        if role in NAMELESS and section.serial and not section.address.startswith(FILE):
            options.setdefault("serial", section.serial)
        instrument = driver.open(name, where[name], clock=clock, record=watchers.dialogue, options=options)
        opened.drivers[role] = instrument
        opened.identities[role] = _identify(definition, role, name, instrument)


def _identify(definition: Definition, role: str, name: str, instrument: Instrument) -> Identity:
    section = definition.instruments[name]
    identity = instrument.identify()
    source = definition.source.name
    if section.model and not identity.model.startswith(section.model):
        raise InstrumentError(
            f"{source}, instruments.{name}.model: {section.model!r} is declared, {identity.model!r} answered"
        )
    if section.serial and identity.serial != section.serial:
        raise InstrumentError(
            f"{source}, instruments.{name}.serial: {section.serial!r} is declared, {identity.serial!r} answered"
        )
    return identity


def _assemble(
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


def _prepare(stand: Stand, opened: Opened, *, watchdogs: bool, dut_serial: str = "") -> None:
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
