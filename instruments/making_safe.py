"""Make a bench safe that nobody has open: after a crash, a power cut of the computer, a `kill -9`.

Other than `open_stand` it goes on whatever does not answer: each instrument is opened for itself, and what opens
is switched off.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from bench.clock import wait_until
from bench.definition import FILE, Definition, check_simulated
from bench.errors import ConnectionLost, InstrumentError
from bench.observer import Observers
from bench.reference import Reference
from bench.roles import HasWatchdog, PowerInstrument, Switch, VoltageMeter
from bench.wall_clock import WallClock
from bench.way_out import Aside, SafeReport, Step, StepResult, run_stage, switch_off, take_way_out
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE, NAMELESS

OPENING_S = 6.0
AT_ONCE_S = 0.5  # what has not answered by then may take seconds: then the disconnect does not wait for it
AGAIN_S = 0.25
POWER_ROLES = ("supply", "load", "bidirectional")

DriverKinds = Mapping[str, type[Any]]


def load_drivers(definition: Definition, lab: Path | None = None) -> DriverKinds:
    """Import the driver of every role and what it stands on, so that nothing is imported when it matters.

    pyvisa takes numpy along where it finds it, for waveforms that nobody reads here; it is not let in.

    Raises:
        DefinitionError: an unknown driver.
    """
    numpy = sys.modules.get("numpy")
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        from instruments.transports.visa import resource_manager

        resource_manager()
    finally:
        if numpy is None:
            del sys.modules["numpy"]
        else:
            sys.modules["numpy"] = numpy
    return {
        role: catalogue.load(
            FOLDER_OF_ROLE[role], definition.instruments[name].driver, lab / "drivers" if lab else None
        )
        for role, name in definition.roles.items()
    }


def make_safe(
    definition: Definition,
    *,
    observers: Observers | None = None,
    lab: Path | None = None,
    kinds: DriverKinds | None = None,
    patience_s: float = 0.0,
) -> SafeReport:
    """Open what answers, take the way out with it, and close it again. The BMS is not asked: it has its own master.

    `kinds` are drivers loaded before. An instrument that refuses is tried again for `patience_s`: one that takes a
    single client may still count the connection of a process that died. `safe` in the report means that every part
    of the bench was reached and the current measured to be off. A connection that cannot be closed is a step like any
    other and changes nothing about that.

    Raises:
        DefinitionError: the definition would reach hardware, or names an unknown driver; nothing was opened.
    """
    check_simulated(definition)  # hardware needs no admission to be switched off
    watchers = observers or Observers()
    found_kinds = load_drivers(definition, lab) if kinds is None else kinds
    clock = WallClock()
    drivers: dict[str, Any] = {}

    def open_one(role: str) -> str:
        until_s = clock.now() + patience_s
        while True:
            try:
                drivers[role] = _reach(definition, role, found_kinds[role], clock, watchers)
            except InstrumentError:  # one that answered with garbage may answer well the next time
                if clock.now() >= until_s:
                    raise
                clock.sleep(AGAIN_S)
            else:
                return f"{definition.roles[role]} answers"

    try:
        steps: list[Step] = [(role, partial(open_one, role)) for role in definition.roles]
        opened = run_stage(clock, "reached", steps, deadline_s=AT_ONCE_S if patience_s else OPENING_S)
        if patience_s and not all(result.done for result in opened):
            early = dict(drivers)
            disconnect = cast("Switch | None", early.get("disconnect"))
            opened += switch_off(clock, _power_of(early), disconnect, blind=True)
            late = [role for role in definition.roles if role not in early]
            again: list[Step] = [(role, partial(_wait_for, clock, drivers, role)) for role in late]
            reached = run_stage(clock, "reached", again, deadline_s=patience_s + OPENING_S)
            opened = [result for result in opened if result.stage != "reached" or result.done] + reached
        found = dict(drivers)
        reference = None
        if "reference_meter" in found and "pack_meter" in found:
            reference = Reference(
                definition, cast(VoltageMeter, found["reference_meter"]), cast(VoltageMeter, found["pack_meter"])
            )
        report = take_way_out(
            clock,
            _power_of(found),
            cast("Switch | None", found.get("disconnect")),
            None,
            reference,
            aside=Aside.of(found),
        )
        report = _disarm(clock, found, _judge(opened, report))
    finally:
        closing: list[Step] = [(role, partial(_close, driver)) for role, driver in list(drivers.items())]
        closed = run_stage(clock, "closed", closing)  # with those that came too late
        clock.close()
    failed = tuple(step for step in closed if not step.done)  # it says nothing about the current
    return SafeReport((*report.steps, *failed), report.safe, report.current_a, report.text)


def _reach(definition: Definition, role: str, kind: type[Any], clock: WallClock, watchers: Observers) -> Any:
    """Open one instrument and take control of it; one that refuses is closed again, so that its place is free."""
    name = definition.roles[role]
    section = definition.instruments[name]
    options = dict(section.options)
    if role in NAMELESS and section.serial and not section.address.startswith(FILE):
        options.setdefault("serial", section.serial)
    driver = kind.open(name, section.address, clock=clock, record=watchers.dialogue, options=options)
    try:
        if role in POWER_ROLES:
            driver.take_control()
        elif section.measuring is not None and role != "digitiser":
            driver.set_range(section.measuring.range_v)
            driver.set_integration(section.measuring.power_line_cycles)
    except BaseException:
        driver.close()
        raise
    return driver


def _power_of(drivers: Mapping[str, Any]) -> dict[str, PowerInstrument]:
    return {role: cast(PowerInstrument, drivers[role]) for role in POWER_ROLES if role in drivers}


def _wait_for(clock: WallClock, drivers: Mapping[str, Any], role: str) -> str:
    """Wait for one that is late, and switch it off in the moment in which it answers."""
    if wait_until(clock, lambda: role in drivers, timeout_s=OPENING_S) is None:
        raise ConnectionLost(f"{role} was not reached")
    if role in POWER_ROLES:
        drivers[role].output_off()
    elif role == "disconnect":
        drivers[role].open_contact()
    return f"{role} answers, late"


def _disarm(clock: WallClock, drivers: Mapping[str, Any], report: SafeReport) -> SafeReport:
    """Disarm watchdogs where the bench is safe; otherwise they are what is left."""
    armed: list[Step] = [
        (role, partial(_disarm_one, driver)) for role, driver in drivers.items() if isinstance(driver, HasWatchdog)
    ]
    if not report.safe or not armed:
        return report
    steps = (*report.steps, *run_stage(clock, "watchdogs disarmed", armed))
    return SafeReport(steps, report.safe, report.current_a, report.text)


def _disarm_one(driver: HasWatchdog) -> str:
    if not driver.is_watchdog_armed():
        return "was not armed"
    driver.disarm_watchdog()
    return "disarmed"


def _close(driver: Any) -> None:
    driver.close()


def _judge(opened: list[StepResult], report: SafeReport) -> SafeReport:
    missing = [result.step for result in opened if not result.done and result.stage == "reached"]
    steps = (*opened, *(step for step in report.steps if not (step.text == "this bench has none" and missing)))
    if missing:
        text = f"{report.text}; not reached: {', '.join(missing)}"
        return SafeReport(steps, False, report.current_a, text)
    return SafeReport(steps, report.safe and not report.failed, report.current_a, report.text)
