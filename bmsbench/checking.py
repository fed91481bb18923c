"""What `bmsbench check` finds out about a bench: it opens it as a run does, and leaves it as a run does."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import stimulus
from bench.admission import Admission
from bench.definition import Definition
from bench.errors import ReadingError
from bench.frames import CanFrame
from bench.observer import Event, Observers
from bench.polarity import PolarityStep, check_polarity
from bench.profile import Profile
from bench.quantities import Direction, show
from bench.reach import unreachable
from bench.roles import Dialogue
from bench.stand import Stand
from bench.wall_clock import utc_now
from instruments.checks import NAMELESS
from instruments.stand import open_stand

LISTEN_S = 1.5  # to measure the periods of the BMS's signals
PERIOD_SHARE = 0.3  # by which a period may differ from the declared one without a remark
PROBE_A = 10.0
SETTLE_S = 1.0


@dataclass(slots=True)
class Line:
    """One line of the screen: whose, what was found, and whether that is as it should be."""

    part: str
    found: str
    ok: bool = True


@dataclass(slots=True)
class Check:
    """All that was found. `remarks` do not keep a bench from running; errors are raised."""

    bench: str
    bms: str
    simulated: bool
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, part: str, found: str, remark: str = "") -> None:
        """Note what was found, and what is odd about it."""
        self.lines.append(Line(part, found, not remark))
        if remark:
            self.remarks.append(remark)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class _Told:
    """Keeps what the stand tells while it is opened and left."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.arrived: dict[str, list[float]] = {}

    def event(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Keep when the BMS's readings arrived."""
        if channel.startswith("bms."):
            self.arrived.setdefault(channel.removeprefix("bms."), []).append(at_s)

    def frame(self, frame: CanFrame) -> None:
        """Not looked at."""

    def dialogue(self, dialogue: Dialogue) -> None:
        """Not looked at."""

    def notes(self, begin: str) -> list[str]:
        """Return the notes that begin with a word, without it."""
        return [event.text.removeprefix(begin).strip() for event in self.events if event.text.startswith(begin)]


def check_bench(
    definition: Definition,
    profile: Profile,
    *,
    seed: int = 1,
    lab: Path | None = None,
    admission: Admission | None = None,
    dut_serial: str = "",
) -> Check:
    """Open a bench, look at everything, force a few amperes each way, and leave it safely.

    Raises:
        BenchError: what keeps the bench from running.
    """
    told = _Told()
    check = Check(definition.name, profile.name, definition.bench.simulated)
    with open_stand(
        definition, profile, observers=Observers(told), seed=seed, lab=lab, admission=admission, dut_serial=dut_serial
    ) as stand:
        _instruments(stand, check)
        _bms(stand, told, check)
        check.add("protection", "; ".join(told.notes("protection")))
        if watchdogs := told.notes("watchdog"):  # on the wall clock
            check.add("watchdog", "; ".join(watchdogs))
        _safety(stand, profile, check)
        check.add("zero", "; ".join(told.notes("reference zero")))
        for step in check_polarity(stand):
            _polarity(stand, step, check)
    safe = [event for event in told.events if event.kind == "safe"][-1]
    check.add("outputs", f"all off, {safe.text.partition(': ')[2]}")
    return check


def _instruments(stand: Stand, check: Check) -> None:
    today = datetime.date.fromisoformat(utc_now()[:10])
    for role, name in stand.definition.roles.items():
        section, identity = stand.definition.instruments[name], stand.identities[role]
        due = section.calibration_due
        remark = ""
        if due is None:
            calibration = "calibration not declared"
            remark = "" if role in NAMELESS else f"{name}: its calibration is not declared"
        elif due < today:
            calibration = f"calibration OVERDUE since {due}: verdicts that use it will be inconclusive"
            remark = f"{name}: calibration is overdue since {due}"
        else:
            calibration = f"calibrated to {due}"
        who = f"{identity.maker} {identity.model}, {section.address}, serial {identity.serial or 'unknown'}"
        check.add(role.replace("_", " "), f"{name}: {who}; {calibration}", remark)


def _safety(stand: Stand, profile: Profile, check: Check) -> None:
    """Interlock and emergency stop as they read now, what watches the cells, and what cannot be reached."""
    definition = stand.definition
    for role, words in (("interlock", definition.interlock), ("emergency_stop", definition.emergency_stop)):
        if role in definition.roles:
            found = f"{definition.roles[role]} reads closed; {words or 'how it is wired is not declared'}"
        else:
            found = f"{words or 'not declared'}; the bench does not see it (no roles.{role})"
        check.add(role.replace("_", " "), found)
    envelope = definition.envelope
    if "cell_monitor" not in definition.roles:
        check.add(
            "cells",
            f"only the pack's voltage is watched; {envelope.min_degc:g} to {envelope.max_degc:g} degC and single cells "
            "are not (no roles.cell_monitor)",
        )
    for text in unreachable(definition, profile):
        check.add("envelope", text, f"not every protection can be tested: {text}")


def _bms(stand: Stand, told: _Told, check: Check) -> None:
    stand.clock.sleep(LISTEN_S)
    stand.dut.require_link()
    for name in stand.profile.links:
        seen = []
        for signal, section in stand.profile.signals.items():
            times_s = told.arrived.get(signal, [])[-12:]
            if section.link == name and len(times_s) > 2:
                period_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
                seen.append((signal, period_s, abs(period_s / section.period_s - 1.0) > PERIOD_SHARE))
        off = [f"{signal} every {1000 * period_s:.0f} ms" for signal, period_s, wrong in seen if wrong]
        shown = [f"{signal} every {1000 * period_s:.1f} ms" for signal, period_s, _ in seen[:2]]
        check.add(
            "bms",
            f"{stand.profile.name} on {name}: {len(seen)} signals, {', '.join(shown)}; state {stand.dut.state()}",
            f"{name}: periods are not as declared: {', '.join(off)}" if off else "",
        )


def _polarity(stand: Stand, step: PolarityStep, check: Check) -> None:
    """The witnesses agree (`check_polarity` raises otherwise); show what the BMS says about the same current."""
    way = step.direction
    probe_a = min(PROBE_A, stimulus.largest_current_a(stand, way))
    with stimulus.holding(stand, way.sign * probe_a):
        stand.clock.sleep(SETTLE_S)
        reference_a = stand.reference.current()
        try:
            bms_a: float | None = stand.dut.read("pack_current")
            said = f"BMS {show(bms_a or 0.0, 'A')}"
        except ReadingError as problem:
            bms_a, said = None, f"BMS not readable ({problem})"
    remark = "" if bms_a is not None else f"pack_current cannot be read: {said}"
    if bms_a is not None and bms_a * reference_a <= 0:
        remark = (
            f"the BMS says {said.removeprefix('BMS ')} while {way.verb} at {abs(reference_a):.1f} A: run current_sign"
        )
    witness = (
        f"{way.verb}: pack {1000 * step.voltage_change_v:+.1f} mV, meter {show(step.meter_a, 'A')}, {step.instrument} "
        f"{show(step.instrument_a, 'A')}; at {show(reference_a, 'A')} {said}{_means(stand, way, bms_a)}"
    )
    check.add("polarity", witness, remark)


def _means(stand: Stand, way: Direction, bms_a: float | None) -> str:
    signal = stand.profile.signals["pack_current"]
    if bms_a is None or signal.positive_direction is None:
        return ""
    raw = "positive" if (signal.positive_direction is Direction.of("charge")) == (bms_a >= 0) else "negative"
    return f" (its own number is {raw})"
