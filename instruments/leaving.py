"""How an opened bench is left: the way out, what outranks what, and what happens where even opening it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.clock import Clock
from bench.definition import Definition
from bench.errors import BenchError, InstrumentError, SafetyError
from bench.quarantine import quarantine_bench, remember_low_cell
from bench.roles import BmsLink, Identity
from bench.shield import shielded, tell
from bench.stand import Stand
from bench.wall_clock import WallClock
from bench.way_out import LEFT_ON, OFF_S, Aside, Step, run_stage
from instruments.guarding import GuardianProcess
from instruments.watchdogs import disarm_watchdogs

POWER_ROLES = ("supply", "load", "bidirectional")


@dataclass(slots=True)
class Opened:
    """What has been opened so far, so that it can be closed whatever happens."""

    drivers: dict[str, Any] = field(default_factory=dict)
    links: dict[str, BmsLink] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)  # of those that were who the definition says


def leave(
    stand: Stand, reason: str, problem: BaseException | None, guardian: GuardianProcess | None, opened: Opened
) -> None:
    """Take the way out; a bench that is not safe outranks whatever happened before, then comes what the watch found.

    Raises:
        SafetyError: the current was not measured to be off.
        InstrumentError: it is off, but a part of the bench did not obey: what was left on is not known to be off.
        BenchError: what the watch found and the test was not told any more.
    """
    with shielded():
        report = stand.guard.make_safe(reason)
        if guardian is not None and report.safe:
            guardian.leave()
        stand.observers.drain()
        if report.safe:
            disarm_watchdogs(stand, stand.guard.switching)
        if isinstance(problem, KeyboardInterrupt):
            tell(f"bench {stand.definition.name} {'made safe' if report.safe else 'is NOT safe'}: {report.text}")
        lines = "\n".join(report.lines())
        name = stand.definition.name
        if stand.guard.cells_too_low:
            kept = remember_low_cell(stand.definition, stand.guard.cells_too_low, evidence=report.lines())
            lines = lines if kept is None else f"{lines}\n{kept}"
        if not report.safe:
            if not stand.clock.simulated:
                lines = (
                    f"{lines}\n{quarantine_bench(stand.definition, report.text, by='runner', evidence=report.lines())}"
                )
            if guardian is not None:
                lines = f"{lines}\n{_hand_over(stand, guardian, opened)}"
            raise SafetyError(f"bench {name} is NOT safe: {report.text}\n{lines}") from problem
        trouble = stand.guard.trouble
        if trouble is not None and not isinstance(problem, KeyboardInterrupt) and not _tells(problem, trouble):
            raise trouble from problem
        if report.failed:
            left_on = [step for step in report.failed if step.stage in LEFT_ON]
            if (
                left_on and not stand.clock.simulated
            ):  # an output that may be on behind the disconnect waits for it to close
                cause = f"{report.text}, but {'; '.join(str(step) for step in left_on)}"
                kept = quarantine_bench(stand.definition, cause, by="runner", evidence=report.lines())
                lines = f"{lines}\n{kept}"
            raise InstrumentError(
                f"bench {name} did not obey on the way out, the current is off all the same: {report.text}\n{lines}"
            ) from problem


def _tells(problem: BaseException | None, trouble: BaseException) -> bool:
    """Say whether an exception is what the watch found, or came of it."""
    seen: set[int] = set()
    waiting = [problem]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        if each is trouble or isinstance(each, SafetyError):
            return True
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return False


def _hand_over(stand: Stand, guardian: GuardianProcess, opened: Opened) -> str:
    """Close this process's connections and let the guardian try with its own; say what came of it."""
    try:
        close_all(opened, stand.clock)
    except BaseExceptionGroup as problem:
        stand.note(f"closing the bench before the guardian's turn: {problem.exceptions}")
    safe = guardian.hand_over()
    return f"the guardian then {'made it safe' if safe else 'could not make it safe either'}; see guardian.jsonl"


def abandon(definition: Definition, opened: Opened, clock: Clock, problem: BaseException) -> None:
    """Opening failed before anything was written. Whoever was on already, left by a run that died, is switched off.

    Only instruments that were who the definition says are written to.

    Raises:
        SafetyError: an output is on and does not go off, or the disconnect does not open.
    """
    known = {role: driver for role, driver in opened.drivers.items() if role in opened.identities}
    steps: list[Step] = [(role, partial(_off, known[role])) for role in POWER_ROLES if role in known]
    with shielded():
        results = run_stage(clock, "outputs off", steps, deadline_s=OFF_S)
        if any(result.text or not result.done for result in results) and "disconnect" in known:
            opening: list[Step] = [("disconnect", partial(_open_contact, known["disconnect"]))]
            results += run_stage(clock, "disconnect open", opening)
        off = all(result.done for result in results)
        for stage, step, deadline_s in Aside.of(known).stages(current_off=off):
            results += run_stage(clock, stage, [step], deadline_s=deadline_s)
    failed = [str(result) for result in results if not result.done]
    if failed:
        raise SafetyError(
            f"bench {definition.name} could not be opened ({problem}), and what was on there did not go off: "
            f"{'; '.join(failed)}; run 'bmsbench off --bench {definition.source or definition.name}'"
        ) from problem


def _off(driver: Any) -> str:
    if not driver.is_output_on():
        return ""
    driver.output_off()
    return "was on when the bench was opened; switched off"


def _open_contact(driver: Any) -> str:
    driver.open_contact()
    return ""


def close_all(opened: Opened, clock: Clock) -> None:
    """Close links and drivers; one that refuses does not keep the others open.

    On the wall the callbacks end first: one that polls a link must not find its socket closed under it.
    """
    problems: list[BaseException] = []
    if isinstance(clock, WallClock):
        clock.close()
        if (left := clock.take_problem()) is not None:
            problems.append(left)
    parts = [*opened.links.values(), *opened.drivers.values()]
    opened.links.clear()
    opened.drivers.clear()
    for part in parts:
        try:
            part.close()
        except (BenchError, OSError) as problem:
            problems.append(problem)
    if problems:
        raise BaseExceptionGroup("closing the bench", problems)
