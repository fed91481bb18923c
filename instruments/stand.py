"""The one assembler: opens what a definition names, hands out guarded roles, and owns the way out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.admission import Admission
from bench.bench_lock import hold_bench
from bench.clock import Clock
from bench.definition import FILE, Definition
from bench.definition_sections import CanBinding
from bench.dut_identity import check_dut
from bench.errors import DefinitionError, InstrumentError
from bench.observer import Observers
from bench.profile import Profile
from bench.quarantine import check_bench
from bench.roles import (
    Identity,
    Instrument,
)
from bench.shield import leaving_on_signals
from bench.simulated_clock import SimulatedClock
from bench.stand import Stand
from bench.traces import Traces
from bench.wall_clock import WallClock
from instruments import catalogue
from instruments.assembling import assemble
from instruments.checks import FOLDER_OF_ROLE, NAMELESS, check_admitted, check_fit
from instruments.connecting import connect_pack
from instruments.guarding import GuardianProcess
from instruments.leaving import Opened, abandon, close_all, leave
from instruments.links.opening import open_link
from instruments.preparing import prepare
from instruments.trace_tap import TraceTap


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
            stand = assemble(definition, profile, clock, watchers, traces, opened)
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
            prepare(stand, opened, watchdogs=armed, dut_serial=dut_serial)
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
