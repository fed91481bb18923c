"""Put an instrument where its first contact can be judged: the bench around it, and what its output is led to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from bench.admission import Admission
from bench.bench_lock import hold_bench
from bench.commissioning import Commissioning, ContactLine, section_digest
from bench.definition import FILE, Definition
from bench.dut import Dut
from bench.errors import BenchError, DefinitionError, SafetyError
from bench.loading import nearest
from bench.observer import NullObserver
from bench.profile import Profile
from bench.quarantine import check_bench, quarantine_bench
from bench.reference import Reference
from bench.roles import BmsLink, Identity, PowerInstrument, Switch
from bench.shield import leaving_on_signals, shielded, tell
from bench.wall_clock import WallClock, utc_now
from bench.way_out import SafeReport, take_way_out
from bench.wiring_confirmation import content_hash
from bmsbench.commissioning_world import Wanted, World
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE, NAMELESS, check_admitted, check_fit
from instruments.commissioning import contact_power
from instruments.commissioning_guards import disarm
from instruments.commissioning_inputs import contact_input, contact_monitor
from instruments.commissioning_parts import contact_meter, contact_switch, make_ready
from instruments.driver_digest import driver_digest
from instruments.first_contact import ContactSheet, Place
from instruments.guarding import GuardianProcess
from instruments.leaving import POWER_ROLES
from instruments.links.opening import open_link

METERS = ("reference_meter", "pack_meter")
CONTACTS = {
    "reference_meter": contact_meter,
    "pack_meter": contact_meter,
    "disconnect": contact_switch,
    "interlock": contact_input,
    "emergency_stop": contact_input,
    "cell_monitor": contact_monitor,
}


def role_of(definition: Definition, target: str) -> str:
    """Return the role that is meant by a role's or an instrument's name.

    Raises:
        DefinitionError: it is neither, or an instrument without a role.
    """
    if target in definition.roles:
        return target
    for role, name in definition.roles.items():
        if name == target:
            return role
    known = [*definition.roles, *definition.roles.values()]
    raise DefinitionError(
        f"{definition.source.name or definition.name}: {target!r} is no role and no instrument with a role"
        f"{nearest(target, known)}"
    )


def commission(
    definition: Definition,
    profile: Profile,
    wanted: Wanted,
    *,
    lab: Path | None = None,
    press_local: Callable[[], None] | None = None,
    move_loop: Callable[[bool], None] | None = None,
    admission: Admission | None = None,
) -> Commissioning:
    """Meet one instrument of a bench for the first time; the bench is left safely, whatever was found.

    `press_local` asks a person to press LOCAL at a real instrument, and returns when that was done; `move_loop` to open
    (False) or close (True) the loop of a safety input. Hardware is met only with its `admission`. On the wall clock a
    guardian stands beside, armed before anything is written.

    Raises:
        DefinitionError: the target, the fault or the files are wrong; nothing was opened.
        BenchError: the rest of the bench is not fit for it, is quarantined, or somebody else has it.
        SafetyError: the guardian cannot stand beside; or the bench is not safe.
    """
    check_admitted(definition, admission)
    role = role_of(definition, wanted.target)
    if wanted.connected == "pack":
        check_fit(definition, profile)
    name = definition.roles[role]
    drivers = lab / "drivers" if lab else None
    driver = catalogue.load(FOLDER_OF_ROLE[role], definition.instruments[name].driver, drivers)
    sheet = ContactSheet()
    check_bench(definition)
    with contextlib.ExitStack() as stack:
        stack.enter_context(leaving_on_signals())
        stack.enter_context(hold_bench(definition))
        world = World(definition, profile, wanted, name, stack)
        world.press_local = world.press_local or press_local
        world.move_loop = world.move_loop or move_loop
        guardian = None if world.clock.simulated else GuardianProcess(definition, lab=lab, evidence=None)
        if guardian is not None:
            stack.callback(guardian.close)
        parts: dict[str, Any] = {}
        for each in sorted(definition.roles, key=lambda one: one == role):  # the one to be judged comes last
            opening = partial(_open, world, each, lab)
            if each != role:
                parts[each] = opening()
                stack.callback(_close, sheet, definition.roles[each], parts[each])
            elif sheet.judge("opening", partial(_put, parts, role, opening), essential=True):
                stack.callback(_close, sheet, name, parts[role])
        if role in parts:
            if guardian is not None:
                guardian.wait_armed(world.clock)
            _meet(world, role, parts, sheet, guardian)
    who = sheet.identity or Identity("", "", "", "")
    return Commissioning(
        bench=definition.name,
        definition_digest=content_hash(definition),
        role=role,
        instrument=name,
        driver=definition.instruments[name].driver,
        driver_digest=driver_digest(driver),
        maker=who.maker,
        model=who.model,
        serial=who.serial,
        firmware=who.firmware,
        virtual=definition.bench.simulated or who.virtual,
        at=utc_now(),
        connected=str(wanted),
        lines=tuple(sheet.lines),
        figures=dict(sheet.figures),
        section_digest=section_digest(definition.instruments[name]),
    )


def _put(parts: dict[str, Any], role: str, opening: Callable[[], Any]) -> str:
    parts[role] = opening()
    return "answers; nothing was written"


def _open(world: World, role: str, lab: Path | None) -> Any:
    name = world.definition.roles[role]
    section = world.definition.instruments[name]
    options = dict(section.options)
    if role in NAMELESS and section.serial and not section.address.startswith(FILE):
        options.setdefault("serial", section.serial)
    driver = catalogue.load(FOLDER_OF_ROLE[role], section.driver, lab / "drivers" if lab else None)
    return driver.open(name, world.where[name], clock=world.clock, record=lambda _: None, options=options)


def _meet(
    world: World, role: str, parts: dict[str, Any], sheet: ContactSheet, guardian: GuardianProcess | None
) -> None:
    definition, wanted = world.definition, world.wanted
    power = {each: cast(PowerInstrument, parts[each]) for each in POWER_ROLES if each in parts}
    disconnect = cast("Switch | None", parts.get("disconnect"))
    reference = Reference(definition, parts["reference_meter"], parts["pack_meter"])
    place = Place(
        definition,
        role,
        parts[role],
        world.clock,
        reference,
        power,
        disconnect,
        wanted.connected,
        wanted.resistor_ohm if wanted.connected == "resistor" else None,
        world.press_local,
        world.move_loop,
        guardian,
    )
    dut: Dut | None = None

    def leave() -> SafeReport:
        with shielded():
            if guardian is None:
                report = take_way_out(world.clock, power, disconnect, dut, reference)
            else:
                report = take_way_out(world.clock, power, disconnect, dut, reference, guardian.acting)
                guardian.leave()
            if report.safe:
                _disarm(place, sheet)
        if not report.safe and definition.bench.clock == "wall":
            quarantine_bench(definition, report.text, by="bmsbench commission", evidence=report.lines())
        return report

    with contextlib.ExitStack() as stack:
        try:
            make_ready(place, {each: parts[each] for each in METERS if each != role})
            if disconnect is not None and role != "disconnect":
                disconnect.open_contact()
            if wanted.connected == "pack":
                dut = stack.enter_context(_bms(world, sheet))
            (contact_power if role in power else CONTACTS[role])(place, sheet)
        except BaseException as problem:
            report = leave()
            lines = "\n".join(report.lines())
            if not report.safe:
                raise SafetyError(f"bench {definition.name} is NOT safe: {report.text}\n{lines}") from problem
            if isinstance(problem, KeyboardInterrupt):
                tell(f"bench {definition.name} made safe: {report.text}")
            raise
        report = leave()
    sheet.stopped = ""
    sheet.judge("left safely", partial(_left, report))


def _left(report: SafeReport) -> str:
    """Say how the bench was left.

    Raises:
        SafetyError: it is not safe, or a part of it did not obey.
    """
    if not report.safe:
        raise SafetyError(f"the bench is NOT safe: {report.text}")
    if report.failed:
        raise SafetyError(
            f"{report.text}, but {'; '.join(f'{step.stage} {step.step}' for step in report.failed)} failed"
        )
    return report.text


def _disarm(place: Place, sheet: ContactSheet) -> None:
    try:
        disarm(place)
    except BenchError as problem:
        sheet.lines.append(ContactLine("watchdogs disarmed", "fail", str(problem)))


@contextlib.contextmanager
def _bms(world: World, sheet: ContactSheet) -> Iterator[Dut]:
    links: dict[str, BmsLink] = {}
    try:
        for name in world.profile.links:
            links[name] = open_link(
                world.profile, name, world.bindings[name], world.clock, lambda _: None, lambda _: None
            )
        dut = Dut(world.profile, links, world.clock, NullObserver())
        dut.start()
        dut.bring_up()
        yield dut
    finally:
        if isinstance(world.clock, WallClock):
            world.clock.close()  # a callback that polls a link must not find its socket closed under it
        for name, link in links.items():
            _close(sheet, name, link)


def _close(sheet: ContactSheet, name: str, part: Any) -> None:
    """Close a part; one that refuses keeps neither the others open nor the evidence from being kept."""
    try:
        part.close()
    except (BenchError, OSError) as problem:
        sheet.lines.append(ContactLine(f"closing {name}", "fail", str(problem)))
