"""The way out: always the same stages, each step with its chance and its deadline, and then measured.

Current to zero, BMS asked to open, outputs off, disconnect open, voltages and current measured. Stages in order;
inside a stage parallel on the wall clock (a hung instrument must not keep the others waiting), one after the other
in simulated time, where nothing of ours may talk from another thread.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.clock import Clock
from bench.dut import Dut
from bench.emulation import SHORT_CIRCUIT
from bench.emulator_roles import CellEmulator, FaultInserter
from bench.errors import BenchError, InstrumentError
from bench.quantities import show
from bench.reference import Reference
from bench.roles import PowerInstrument, Supply, Switch

# What a hung instrument may cost while current flows: after these two deadlines the disconnect opens. A healthy one
# needs a few hundredths of a second; one that is late goes on in its own thread.
TO_ZERO_S = 1.0
OFF_S = 2.0
STEP_DEADLINE_S = 3.0  # of everything else; longer than a time-out, so that a silent instrument is named as such
CELLS_OFF_S = 8.0  # an emulator of 24 cells that is asked for each one, four in a second
OFF_WITHIN_S = 2.0
_PAUSE_S = 0.05

Step = tuple[str, Callable[[], str | None]]
# Stages without which a bench has not been left as it should be, even where the current is off.
LEFT_ON = ("outputs off", "faults removed", "auxiliary off", "cell emulator off")  # ... since something may be on
MUST_WORK = ("current to zero", "disconnect open", *LEFT_ON)


ASIDE_ROLES = ("fault_inserter", "auxiliary_supply", "cell_emulator")


@dataclass(frozen=True, slots=True)
class Aside:
    """What stands beside the current path and must not be left on either."""

    fault_inserter: FaultInserter | None = None
    auxiliary_supply: Supply | None = None
    cell_emulator: CellEmulator | None = None

    @classmethod
    def of(cls, drivers: Mapping[str, Any]) -> Aside:
        """Return those of some drivers, by role."""
        return cls(**{role: drivers.get(role) for role in ASIDE_ROLES})

    def stages(self, *, current_off: bool) -> list[tuple[str, Step, float]]:
        """Return stage, step and deadline of each, in the order in which they are left."""
        found: list[tuple[str, Step, float]] = []
        if (inserter := self.fault_inserter) is not None:
            remove = partial(_remove_faults, inserter, current_off)
            found.append(("faults removed", ("fault_inserter", remove), STEP_DEADLINE_S))
        if (supply := self.auxiliary_supply) is not None:
            found.append(("auxiliary off", ("auxiliary_supply", _quiet(supply.output_off)), STEP_DEADLINE_S))
        if (cells := self.cell_emulator) is not None:
            found.append(("cell emulator off", ("cell_emulator", _quiet(cells.outputs_off)), CELLS_OFF_S))
        return found


def _remove_faults(inserter: FaultInserter, current_off: bool) -> str:
    """Take all faults away; with a current that is not known to be off the short circuit only."""
    found = inserter.inserted()
    if current_off:
        inserter.remove_all()
        return f"removed {', '.join(found)}" if found else ""
    if SHORT_CIRCUIT in found:
        inserter.remove(SHORT_CIRCUIT)
    left = [fault for fault in found if fault != SHORT_CIRCUIT]
    if left:
        raise InstrumentError(f"{', '.join(left)} left in: wires are not changed while current may flow")
    return ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step."""

    stage: str
    step: str
    done: bool
    text: str

    def __str__(self) -> str:
        return f"{self.stage:<18} {self.step:<14} {'ok' if self.done else 'FAILED'}   {self.text}".rstrip()


@dataclass(frozen=True, slots=True)
class SafeReport:
    """How the way out went. `safe` only if the current was measured to be off."""

    steps: tuple[StepResult, ...]
    safe: bool
    current_a: float | None
    text: str

    @property
    def failed(self) -> tuple[StepResult, ...]:
        """The steps that should have worked and did not: the bench is broken, even where it is safe."""
        return tuple(step for step in self.steps if not step.done and step.stage in MUST_WORK)

    def lines(self) -> list[str]:
        """Return the steps and the measured end, a line each."""
        return [*(str(step) for step in self.steps), self.text]


def run_stage(
    clock: Clock,
    stage: str,
    steps: Sequence[Step],
    *,
    deadline_s: float = STEP_DEADLINE_S,
    alive: Callable[[], None] = lambda: None,
) -> list[StepResult]:
    """Give every step its chance, whatever happens to the others; on the wall each has `deadline_s`.

    `alive` is called once a second while one of them takes longer.
    """
    if clock.simulated:
        return [_attempt(stage, name, action) for name, action in steps]
    results: dict[str, StepResult] = {}

    def run(name: str, action: Callable[[], str | None]) -> None:
        results[name] = _attempt(stage, name, action)

    threads = [threading.Thread(target=run, args=step, name=f"safe-{step[0]}", daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    end_s = clock.now() + deadline_s
    for thread in threads:
        while thread.is_alive() and (left_s := end_s - clock.now()) > 0.0:
            thread.join(min(left_s, 1.0))
            alive()
    late = f"no end within {deadline_s:g} s"
    return [results.get(name, StepResult(stage, name, False, late)) for name, _ in steps]


def _attempt(stage: str, name: str, action: Callable[[], str | None]) -> StepResult:
    try:
        return StepResult(stage, name, True, action() or "")
    except Exception as problem:  # noqa: BLE001 - recorded, and the next step must get its chance
        return StepResult(stage, name, False, f"{type(problem).__name__}: {problem}")


def switch_off(
    clock: Clock,
    power: Mapping[str, PowerInstrument],
    disconnect: Switch | None,
    *,
    blind: bool = False,
    disconnect_too: bool = False,
) -> list[StepResult]:
    """Switch all outputs off at once; where one does not obey, open the disconnect too.

    `blind`: an instrument does not answer any more, so the disconnect opens at once, without waiting for the outputs.
    `disconnect_too`: it opens after them in any case; after a breach everything is opened.
    """
    off: list[Step] = [(role, _quiet(part.output_off)) for role, part in power.items()]
    opened: list[Step] = [] if disconnect is None else [("disconnect", _quiet(disconnect.open_contact))]
    if blind:
        return run_stage(clock, "outputs off", [*opened, *off], deadline_s=OFF_S)
    results = run_stage(clock, "outputs off", off, deadline_s=OFF_S)
    if opened and (disconnect_too or not all(result.done for result in results)):
        results += run_stage(clock, "disconnect open", opened)
    return results


def take_way_out(
    clock: Clock,
    power: Mapping[str, PowerInstrument],
    disconnect: Switch | None,
    dut: Dut | None,
    reference: Reference | None,
    alive: Callable[[], None] = lambda: None,
    *,
    aside: Aside | None = None,
) -> SafeReport:
    """Take the way out; never raises, the report says whether the bench is safe.

    What stands `aside` is left last, once the current was measured to be off. Where it was not, too: a BMS that loses
    its supply opens; then the current is measured once more.

    `alive` is called before each stage: whoever watches this process is told that it is still at it.
    """
    alive()
    to_zero: list[Step] = [(role, _to_zero(part)) for role, part in power.items()]
    steps = run_stage(clock, "current to zero", to_zero, deadline_s=TO_ZERO_S)
    asked_s = clock.now()
    alive()
    if dut is not None:
        steps += run_stage(clock, "BMS asked to open", [("bms", dut.ask_open)])
    off: list[Step] = [(role, _quiet(part.output_off)) for role, part in power.items()]
    alive()
    steps += run_stage(clock, "outputs off", off, deadline_s=OFF_S)
    alive()
    if disconnect is None:
        steps.append(StepResult("disconnect open", "disconnect", True, "this bench has none"))
    else:
        steps += run_stage(clock, "disconnect open", [("disconnect", _quiet(disconnect.open_contact))])
    report = _measure_off(clock, tuple(steps), reference, power, alive)
    if dut is not None:  # a cyclic request is sent with its next slot; the link must not be closed before
        _pause(clock, max(0.0, asked_s + 1.5 * dut.request_period_s - clock.now()))
    stages = [] if aside is None else aside.stages(current_off=report.safe)
    for stage, step, deadline_s in stages:
        alive()
        left = run_stage(clock, stage, [step], deadline_s=deadline_s, alive=alive)
        report = SafeReport((*report.steps, *left), report.safe, report.current_a, report.text)
    if stages and not report.safe:
        report = _measure_off(clock, report.steps, reference, power, alive)
    return report


def _measure_off(
    clock: Clock,
    steps: tuple[StepResult, ...],
    reference: Reference | None,
    power: Mapping[str, PowerInstrument],
    alive: Callable[[], None],
) -> SafeReport:
    if reference is None:
        asked = all(step.done for step in steps if step.stage in ("outputs off", "disconnect open"))
        return SafeReport(steps, asked, None, "no reference was open yet; outputs asked, not measured")
    current_a, problem = _watch_current(clock, reference, alive)
    alive()
    measure: list[Step] = [("pack", lambda: f"{reference.pack_voltage():.2f} V")]
    measure += [(role, _show_output(part)) for role, part in power.items()]
    steps += tuple(run_stage(clock, "measured", measure))
    if math.isnan(current_a):
        return SafeReport(steps, False, None, f"the current could not be measured: {problem}")
    if abs(current_a) >= reference.off_limit_a:
        return SafeReport(
            steps, False, current_a, f"current still {current_a:+.3f} A after {OFF_WITHIN_S:g} s, not off"
        )
    shown = show(current_a, "A", reference.current_uncertainty(current_a))
    return SafeReport(steps, True, current_a, f"current {shown} (measured)")


def _watch_current(clock: Clock, reference: Reference, alive: Callable[[], None]) -> tuple[float, str]:
    """Measure until the current is off or time is up; return the last reading (NaN for none) and what went wrong."""
    current_a, problem = math.nan, ""

    def measure() -> None:
        nonlocal current_a
        current_a = math.nan  # a meter that fails now has said nothing about now
        if problem:  # perhaps it restarted and lost its range; what it says next is what counts
            with contextlib.suppress(BenchError):
                reference.set_up_current()
        current_a = reference.current()

    deadline_s = clock.now() + OFF_WITHIN_S
    while True:
        alive()
        [result] = run_stage(clock, "measured", [(reference.name, _quiet(measure))])
        problem = problem if result.done else result.text
        if abs(current_a) < reference.off_limit_a or clock.now() >= deadline_s:
            return current_a, problem
        problem = _pause(clock, _PAUSE_S) or problem


def _pause(clock: Clock, seconds: float) -> str:
    """Sleep; what a callback left behind is told, not raised: the way out goes on."""
    try:
        clock.sleep(seconds)
    except Exception as error:  # noqa: BLE001 - recorded in the report
        return f"{type(error).__name__}: {error}"
    return ""


def _show_output(part: PowerInstrument) -> Callable[[], str]:
    def run() -> str:
        return f"output {'ON' if part.is_output_on() else 'off'}, {part.measure_voltage():.2f} V at its terminals"

    return run


def _quiet(action: Callable[[], None]) -> Callable[[], str | None]:
    def run() -> str | None:
        action()
        return None

    return run


def _to_zero(part: PowerInstrument) -> Callable[[], str | None]:
    """Set every current of an instrument to zero, whichever setters its role has; one that fails stops no other."""

    def run() -> str | None:
        problems: list[Exception] = []
        for name in ("set_current_limit", "set_current", "set_source_current", "set_sink_current"):
            setter = getattr(part, name, None)
            try:
                if setter is not None:
                    setter(0.0)
            except Exception as problem:  # noqa: BLE001 - raised below, after the others had their chance
                problems.append(problem)
        if problems:
            raise problems[0]
        return None

    return run
