"""The guard: a layer between every test and every instrument.

It checks setpoints before they are sent, programs the instruments' own protections, watches every sample against
the envelope, arms the abort of every provocation, and takes the way out.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

from bench.clock import Clock, Rank, Tick
from bench.definition import Definition
from bench.dut import Dut
from bench.emulation_guard import EmulationGuard
from bench.emulation_watch import LOOK_S, EmulationWatch
from bench.envelope import Approach
from bench.errors import BenchError, Inconclusive, NotDue, SafetyError
from bench.limits import CellLimits, SampleLimits
from bench.observer import Event, Observers
from bench.quantities import finite, show
from bench.reference import Reference
from bench.roles import (
    CellMonitor,
    PowerInstrument,
    SafetyInput,
    Switch,
)
from bench.traces import Traces
from bench.way_out import Aside, SafeReport, StepResult, switch_off, take_way_out

WATCH_S = 0.1  # period of the watch
STATES_EVERY = 5  # watches from one look at outputs and alarms to the next; each one during a provocation
FAST_S = 0.02  # period of the reference current during a provocation
CELLS_S = 2.0  # period of the bench's own look at cells and temperatures: a scan takes tenths of a second
CELLS_STALE_S = 10.0  # without such a look for so long the guard is blind
CONDUCTS_LOOKS = 2  # looks in a row at which a disconnect that reports open may still carry the current's tail


class Guardian(Protocol):
    """Who stands beside this process and takes the way out when it dies or stalls (`instruments.guarding`)."""

    def beat(self) -> None:
        """Say that a fresh sample was inside the envelope.

        Raises:
            SafetyError: nobody listens any more, or this process itself stood still for too long.
        """

    def acting(self) -> None:
        """Say that this process is switching off, which may take longer than the time between two samples."""

    def opened(self) -> None:
        """Say that everything was told to go off; the test may need a while to notice and to leave."""


class Guard(EmulationGuard):
    """Owns the drivers of one open bench. Tests are handed guarded roles, never these."""

    def __init__(
        self,
        definition: Definition,
        clock: Clock,
        observers: Observers,
        traces: Traces,
        power: dict[str, PowerInstrument],
        disconnect: Switch | None,
        *,
        inputs: Mapping[str, SafetyInput] | None = None,
        cell_monitor: CellMonitor | None = None,
        cell_limits: CellLimits | None = None,
        emulation: EmulationWatch | None = None,
        aside: Aside | None = None,
    ) -> None:
        super().__init__(definition, clock, power, inputs or {}, cell_limits)
        self._observers = observers
        self._traces = traces
        self._disconnect = disconnect
        self._reference: Reference | None = None
        self._dut: Dut | None = None
        self._ticks: list[Tick] = []
        self._cell_monitor = cell_monitor
        self._cells_at_s: float | None = None
        self._emulation = emulation
        self._aside = Aside() if aside is None else aside
        self._limits = SampleLimits(self.envelope, 0.001 * definition.topology.reference_shunt.range_a)
        self._rounds = 0
        # A relay's watchdog is fed by being asked: at least three times within the period it is armed with.
        self._look_every = max(1, min(STATES_EVERY, int(math.ceil(definition.safety.stall_s) / (3 * WATCH_S))))
        self._provoking = False
        self._conducts = 0
        self._stopping: tuple[str, float] | None = None  # how, and since when
        declared = definition.safety.stop_latency
        self.stop_latency_s = {} if declared is None else declared.model_dump()
        self._opening = threading.Lock()
        self.guardian: Guardian | None = None
        # What the watch raised, so that it is told even where no later sleep of the test would have told it.
        self.trouble: BaseException | None = None

    @property
    def drivers(self) -> dict[str, PowerInstrument]:
        """The drivers behind the guarded roles, for whoever opened the bench."""
        return self._power

    @property
    def switching(self) -> dict[str, object]:
        """All drivers that can end the current: the power instruments and the disconnect."""
        return {**self._power, **({} if self._disconnect is None else {"disconnect": self._disconnect})}

    @property
    def cells_too_low(self) -> str | None:
        """Which cell was found below its minimum, in words: it is never charged again."""
        return self._cell_limits.too_low if self._cell_limits is not None else None

    def attach(self, reference: Reference, dut: Dut) -> None:
        """Tell the guard its witness and the BMS that the way out asks to open."""
        self._reference = reference
        self._dut = dut

    # -- the watch ---------------------------------------------------------------------------------------------

    def start_watch(self) -> None:
        """Look at the cells, then sample and check on the clock until `stop_watch`.

        Raises:
            SafetyError: a cell or a temperature is outside its limits already.
        """
        self._watch_cells()
        self._ticks.append(self._clock.every(WATCH_S, self._watch))
        if self._cell_monitor is not None:
            self._ticks.append(self._clock.every(CELLS_S, self._watch_cells, rank=Rank.SLOW))
        if self._emulation is not None:
            self._ticks.append(self._clock.every(LOOK_S, self._watch_emulation, rank=Rank.SLOW))

    def stop_watch(self) -> None:
        """End the watch."""
        for tick in self._ticks:
            tick.cancel()
        self._ticks.clear()

    def _watch(self) -> None:
        now_s = self._clock.now()
        self._watch_inputs()
        current_a = self._sample("reference_current", self._witness().current)
        pack_v = self._sample("pack_side_voltage", self._witness().pack_voltage)
        if (what := self._limits.check(now_s, current_a, pack_v)) is not None:  # before slower instruments are asked
            self._breach(what)
        look = self._provoking or self._rounds % self._look_every == 0
        self._rounds += 1
        for role, instrument in self._power.items():
            self._sample(f"voltage.{role}", instrument.measure_voltage)
            if look:
                self._sample(f"output.{role}", instrument.is_output_on)
                self._sample(f"alarm.{role}", partial(_count_alarms, instrument))
        if self._disconnect is not None and look:
            self._watch_disconnect(self._disconnect, current_a)
        if self._dut is not None:
            for name, link in self._dut.links.items():
                self._keep(f"link.{name}", now_s, float(link.prove().proven))
        if self._cells_at_s is not None and now_s - self._cells_at_s > CELLS_STALE_S:
            self._breach(f"cells were last measured {now_s - self._cells_at_s:.1f} s ago", "watched blindly")
        if self.guardian is not None and current_a is not None and not self.breach:
            try:
                self.guardian.beat()
            except SafetyError as problem:
                self._breach(str(problem), "watched over by nobody")

    def _watch_inputs(self) -> None:
        """One open reading is enough, and it stays a breach when the loop closes again: it flickers, or was opened."""
        for role, part in self._inputs.items():
            clear = self._sample(f"clear.{role}", partial(_clear, part))
            if clear == 0.0 and not self.breach:
                self._breach(f"{part.name} is open; {self._how(role)}", role.replace("_", " "), blind=True)

    def _watch_disconnect(self, disconnect: Switch, current_a: float | None) -> None:
        closed = self._sample("disconnect", partial(_closed, disconnect))
        if closed is None or current_a is None:
            return
        if self._contact_closed and not closed:
            self._contact_closed = False
            self._breach(
                f"{disconnect.name} opened although nobody told it to (its watchdog, the interlock's wire, or its coil "
                "lost power)",
                "the disconnect opened by itself",
            )
        flows = abs(current_a) >= self._witness().off_limit_a
        self._conducts = self._conducts + 1 if flows and not closed else 0
        if self._conducts >= CONDUCTS_LOOKS:
            self._breach(
                f"{disconnect.name} reports open while {show(current_a, 'A')} flow: its contact conducts all the same "
                "(welded, bridged, or another one is wired)",
                "the disconnect does not disconnect",
            )

    def _watch_cells(self) -> None:
        if self._cell_monitor is None or self._cell_limits is None or self.breach:
            return
        now_s = self._clock.now()
        try:
            cells_v = self._cell_monitor.measure_cell_voltages()
            sensors = self._cell_monitor.measure_temperatures()
        except NotDue:
            return
        except BenchError as problem:
            self._open_blindly("cells", problem)
            raise
        self._cells_at_s = now_s
        for number, cell_v in enumerate(cells_v, 1):
            self._keep(f"cell_{number}", now_s, cell_v)
        for name, degc in sensors.items():
            self._keep(f"degc.{name}", now_s, degc)
        what = self._cell_limits.check_voltages(now_s, cells_v) or self._cell_limits.check_temperatures(now_s, sensors)
        if what is not None:
            self._breach(what, "cells and temperatures")

    def _witness(self) -> Reference:
        if self._reference is None:
            raise SafetyError("the guard has no reference to watch; attach() comes before start_watch()")
        return self._reference

    def _fast(self) -> None:
        self._sample("reference_current", self._witness().current)

    def _note_stop(self, at_s: float, current_a: float) -> None:
        """The current is off for the first time since it was told to stop: that is how long this way takes."""
        if self._stopping is None or abs(current_a) >= self._witness().off_limit_a:
            return
        way, since_s = self._stopping
        self._stopping = None
        took_s = at_s - since_s
        self._event("mark", "stopped", detail=f"{way}: current off {took_s:.3f} s after the decision", stopped_s=took_s)
        if way in self.stop_latency_s and took_s > self.stop_latency_s[way]:
            self._event(
                "note",
                f"safety.stop_latency.{way}: {self.stop_latency_s[way]:g} s is declared, {took_s:.2f} s were measured; "
                "the longer one counts from here on",
            )
            self.stop_latency_s[way] = took_s

    def _sample(self, channel: str, measure: Callable[[], float]) -> float | None:
        """Take one sample; one that is not due yet is left to the next tick.

        Raises:
            BenchError: it cannot be had. A guard that cannot see opens everything first.
        """
        try:
            value = finite(float(measure()), channel)
        except NotDue:
            return None
        except BenchError as problem:
            self._open_blindly(channel, problem)
            raise
        now_s = self._clock.now()
        self._keep(channel, now_s, value)
        if channel == "reference_current":
            self._note_stop(now_s, value)
        return value

    def _keep(self, channel: str, at_s: float, value: float) -> None:
        trace = self._traces.channels.get(channel)
        if trace is not None and trace.at_s and trace.at_s[-1] == at_s:
            return  # the fast and the slow watch met on the same instant
        self._observers.sample(channel, at_s, value)

    def _breach(self, what: str, why: str = "envelope breached", *, blind: bool = False) -> None:
        """Open everything first, explain afterwards. `blind`: the disconnect does not wait for the outputs."""
        if not self._claim(what):
            return
        results = self._outputs_off_now(blind=blind, disconnect_too=True)
        self._event("mark", "breach", detail=what)
        failed = "; ".join(str(result) for result in results if not result.done)
        self.trouble = SafetyError(f"{why}: {what}; outputs were switched off{': ' + failed if failed else ''}")
        raise self.trouble

    def _claim(self, what: str) -> bool:
        """Note the first breach; two threads may find one at once, and only the first opens everything."""
        with self._opening:
            if self.breach:
                return False
            self.breach = what
            return True

    def _open_blindly(self, channel: str, problem: BenchError) -> None:
        if not self._claim(f"{channel} could not be watched: {problem}"):
            return
        self.trouble = problem
        results = self._outputs_off_now(blind=True)
        failed = [str(result) for result in results if not result.done]
        self._event("mark", "blind", detail="; ".join([str(self.breach), *failed]))

    def _outputs_off_now(self, *, blind: bool = False, disconnect_too: bool = False) -> list[StepResult]:
        self._acting()
        self._stopping = ("disconnect_s" if blind else "outputs_off_s", self._clock.now())
        self._commanded.clear()
        self._contact_closed = self._contact_closed and not (blind or disconnect_too)
        results = switch_off(self._clock, self._power, self._disconnect, blind=blind, disconnect_too=disconnect_too)
        if self.guardian is not None:
            self.guardian.opened()
        return results

    def _acting(self) -> None:
        if self.guardian is not None:
            self.guardian.acting()

    # -- provocations ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def provoke(
        self, what: str, abort_after_s: float, *approaches: Approach, level_a: float | None = None, fast: bool = True
    ) -> Iterator[None]:
        """Arm the abort of a provocation: after `abort_after_s` the outputs go off, and the trace is marked.

        The pure judgement over the trace then says *fail*. During a provocation the reference is sampled fast, unless
        `fast` is False: a drive cycle of half an hour has nothing that needs it.
        `approaches` say how it moves towards its limits, `level_a` which current is meant to flow.

        Raises:
            Inconclusive: it could not be stopped inside its limits, with the arithmetic; nothing was energised.
        """
        self.require_stoppable(what, *approaches, level_a=level_a, lasts_s=abort_after_s)
        self.aborted = None
        at_s = self._clock.now() + abort_after_s
        abort = self._clock.at(at_s, lambda: self._abort(what))
        samples = self._clock.every(FAST_S, self._fast) if fast else None
        self._provoking = True
        try:
            yield
        finally:
            self._provoking = False
            abort.cancel()
            if samples is not None:
                samples.cancel()

    def require_stoppable(
        self, what: str, *approaches: Approach, level_a: float | None = None, lasts_s: float = 0.0
    ) -> None:
        """See that a provocation can be stopped inside its limits, and that energy and time are left for it.

        Raises:
            Inconclusive: it cannot, with the arithmetic, or nobody has measured how long stopping takes.
        """
        latency_s = self.stop_latency_s.get("outputs_off_s")
        if latency_s is None:
            raise Inconclusive(
                f"{what}: not provoked: safety.stop_latency of bench {self.definition.name} is not declared, so nobody "
                "knows how late it would be stopped; measure it with 'bmsbench commission'"
            )
        refusals = [each.arithmetic(latency_s) for each in approaches]
        if level_a is not None:
            refusals.append(self._limits.refuse_longer(level_a, lasts_s + latency_s))
        told = "; ".join(text for text in refusals if text is not None)
        if told:
            raise Inconclusive(f"{what}: not provoked on bench {self.definition.name}: {told}")

    def _abort(self, what: str) -> None:
        self.aborted = what
        now_s = self._clock.now()
        self._traces.mark(now_s, "abort", what)
        results = self._outputs_off_now()
        self._event("mark", "abort", detail=what)
        failed = [str(result) for result in results if not result.done]
        if failed:
            self.trouble = SafetyError(f"abort of {what}: {'; '.join(failed)}")
            raise self.trouble

    # -- the way out -------------------------------------------------------------------------------------------

    def make_safe(self, reason: str) -> SafeReport:
        """Take the way out; never raises, the report says whether the bench is safe.

        Whoever calls it does so inside `bench.shield.shielded`, so that no signal interrupts it.
        """
        self.stop_watch()
        report = take_way_out(
            self._clock, self._power, self._disconnect, self._dut, self._reference, self._acting, aside=self._aside
        )
        self._event("safe", f"made safe ({reason}): {report.text}", safe=report.safe, lines=report.lines())
        return report

    def _event(self, kind: Any, text: str, **data: object) -> None:
        self._observers.event(Event(kind, self._clock.now(), text, dict(data)))


def _count_alarms(instrument: PowerInstrument) -> float:
    return float(len(instrument.get_alarms()))


def _clear(part: SafetyInput) -> float:
    return float(part.is_clear())


def _closed(part: Switch) -> float:
    return float(part.is_closed())
