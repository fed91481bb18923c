"""Make a bench safe that nobody has open: after a crash, a power cut of the computer, a `kill -9`.

Other than `open_stand` it goes on whatever does not answer: each instrument is opened for itself, and what opens
is switched off.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from bench.definition import Definition, refuse_hardware
from bench.observer import Observers
from bench.reference import Reference
from bench.roles import PowerInstrument, Switch, VoltageMeter
from bench.wall_clock import WallClock
from bench.way_out import SafeReport, Step, StepResult, run_stage, take_way_out
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE

OPENING_S = 6.0
POWER_ROLES = ("supply", "load", "bidirectional")


def make_safe(definition: Definition, *, observers: Observers | None = None, lab: Path | None = None) -> SafeReport:
    """Open what answers, take the way out with it, and close it again. The BMS is not asked: it has its own master.

    `safe` in the report means that every part of the bench was reached and the current measured to be off.

    Raises:
        DefinitionError: the definition would reach hardware, or names an unknown driver; nothing was opened.
    """
    refuse_hardware(definition)
    watchers = observers or Observers()
    kinds = {
        role: catalogue.load(
            FOLDER_OF_ROLE[role], definition.instruments[name].driver, lab / "drivers" if lab else None
        )
        for role, name in definition.roles.items()
    }
    clock = WallClock()
    drivers: dict[str, Any] = {}

    def open_one(role: str) -> str:
        name = definition.roles[role]
        section = definition.instruments[name]
        options = dict(section.options)
        if role == "disconnect" and section.serial:
            options.setdefault("serial", section.serial)
        driver = kinds[role].open(name, section.address, clock=clock, record=watchers.dialogue, options=options)
        if role in POWER_ROLES:
            driver.take_control()
        elif section.measuring is not None:
            driver.set_range(section.measuring.range_v)
            driver.set_integration(section.measuring.power_line_cycles)
        drivers[role] = driver
        return f"{name} answers"

    try:
        steps: list[Step] = [(role, partial(open_one, role)) for role in definition.roles]
        opened = run_stage(clock, "reached", steps, deadline_s=OPENING_S)
        found = dict(drivers)
        power = {role: cast(PowerInstrument, found[role]) for role in POWER_ROLES if role in found}
        reference = None
        if "reference_meter" in found and "pack_meter" in found:
            reference = Reference(
                definition, cast(VoltageMeter, found["reference_meter"]), cast(VoltageMeter, found["pack_meter"])
            )
        report = take_way_out(clock, power, cast("Switch | None", found.get("disconnect")), None, reference)
        return _judge(opened, report)
    finally:
        for driver in drivers.values():
            driver.close()
        clock.close()


def _judge(opened: list[StepResult], report: SafeReport) -> SafeReport:
    missing = [result.step for result in opened if not result.done]
    steps = (*opened, *(step for step in report.steps if not (step.text == "this bench has none" and missing)))
    if missing:
        text = f"{report.text}; not reached: {', '.join(missing)}"
        return SafeReport(steps, False, report.current_a, text)
    return SafeReport(steps, report.safe and not report.failed, report.current_a, report.text)
