"""The guard: a layer between every test and every instrument.

It checks setpoints before they are sent, programs the instruments' own protections, watches every sample against
the envelope, arms the abort of every provocation, and takes the way out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from bench.clock import Clock, Tick
from bench.definition import Definition
from bench.dut import Dut
from bench.errors import BenchError, DefinitionError, NotDue, OutOfRange, SafetyError
from bench.observer import Event, Observers
from bench.quantities import Direction, finite, show
from bench.reference import Reference
from bench.roles import (
    HasOvercurrentProtection,
    HasOvervoltageProtection,
    HasSinkOvercurrentProtection,
    PowerInstrument,
    Switch,
)
from bench.traces import Traces
from bench.way_out import SafeReport, StepResult, switch_off, take_way_out

WATCH_S = 0.1  # period of the watch
STATES_EVERY = 5  # watches from one look at outputs and alarms to the next; each one during a provocation
FAST_S = 0.02  # period of the reference current during a provocation
OVERVOLTAGE_MARGIN = 1.03  # instruments' own over-voltage trip, beyond the envelope
OVERCURRENT_MARGIN = 1.10  # instruments' own over-current trip, beyond the envelope: the BMS acts first


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


class Guard:
    """Owns the drivers of one open bench. Tests are handed guarded roles, never these."""

    def __init__(
        self,
        definition: Definition,
        clock: Clock,
        observers: Observers,
        traces: Traces,
        power: dict[str, PowerInstrument],
        disconnect: Switch | None,
    ) -> None:
        self.definition = definition
        self.envelope = definition.envelope
        self.aborted: str | None = None
        self._clock = clock
        self._observers = observers
        self._traces = traces
        self._power = power
        self._disconnect = disconnect
        self._reference: Reference | None = None
        self._dut: Dut | None = None
        self._ticks: list[Tick] = []
        self._energy_wh = 0.0
        self._rounds = 0
        self._provoking = False
        self._last_sample: tuple[float, float] | None = None
        self.breach: str | None = None
        self.guardian: Guardian | None = None

    @property
    def drivers(self) -> dict[str, PowerInstrument]:
        """The drivers behind the guarded roles, for whoever opened the bench."""
        return self._power

    def attach(self, reference: Reference, dut: Dut) -> None:
        """Tell the guard its witness and the BMS that the way out asks to open."""
        self._reference = reference
        self._dut = dut

    # -- before power ------------------------------------------------------------------------------------------

    def program_protections(self) -> list[str]:
        """Program the instruments' own protections, read them back, and return what was set in words.

        Raises:
            DefinitionError: the protections would not fit below fuse and wiring, or beyond the ratings.
            InstrumentError: an instrument did not accept its limit.
        """
        limits = {direction: OVERCURRENT_MARGIN * self.limit_a(direction) for direction in Direction}
        part = min(
            ("fuse_a", self.definition.topology.fuse_a),
            ("wiring_a", self.definition.topology.wiring_a),
            ("disconnect_a", self.definition.topology.disconnect_a),
            key=lambda item: item[1],
        )
        for direction, trip_a in limits.items():
            if trip_a > part[1]:
                raise DefinitionError(
                    f"{self.definition.source.name}, envelope.{direction.word}_a: {self.limit_a(direction):g} A x "
                    f"{OVERCURRENT_MARGIN:g} = {trip_a:g} A is above topology.{part[0]} = {part[1]:g} A"
                )
        done: list[str] = []
        voltage_v = OVERVOLTAGE_MARGIN * self.envelope.max_v
        for role, instrument in self._power.items():
            source = Direction.DISCHARGE if role == "load" else Direction.CHARGE
            if isinstance(instrument, HasOvervoltageProtection):
                instrument.set_overvoltage_protection(voltage_v)
                done.append(f"{role}: over-voltage {voltage_v:.1f} V")
            if isinstance(instrument, HasOvercurrentProtection):
                instrument.set_overcurrent_protection(limits[source])
                done.append(f"{role}: over-current {limits[source]:.1f} A {source.word}")
            if isinstance(instrument, HasSinkOvercurrentProtection):
                instrument.set_sink_overcurrent_protection(limits[Direction.DISCHARGE])
                done.append(f"{role}: over-current {limits[Direction.DISCHARGE]:.1f} A discharge")
        return done

    def limit_a(self, direction: Direction) -> float:
        """Return the envelope's current in a direction, a magnitude in amperes."""
        return self.envelope.charge_a if direction is Direction.CHARGE else self.envelope.discharge_a

    # -- setpoints (bench.guarded.Checks) ------------------------------------------------------------------------

    def check_voltage(self, role: str, voltage_v: float) -> None:
        """Refuse a voltage outside the envelope; 0 V and up is allowed, since a sink may be told to pull low."""
        if not 0.0 <= voltage_v <= self.envelope.max_v:
            raise OutOfRange(
                f"{role}: {voltage_v:g} V is outside the envelope of bench {self.definition.name}, "
                f"0 to {self.envelope.max_v:g} V; nothing was sent"
            )

    def check_current(self, role: str, direction: Direction, current_a: float) -> None:
        """Refuse a current outside the envelope."""
        limit_a = self.limit_a(direction)
        if not 0.0 <= current_a <= limit_a:
            raise OutOfRange(
                f"{role}: {current_a:g} A {direction.word} is outside the envelope of bench "
                f"{self.definition.name}, 0 to {limit_a:g} A; nothing was sent"
            )

    def before_output_on(self, role: str) -> None:
        """Refuse to let source and sink drive at once, or to energise after a breach or abort."""
        if self.breach:
            raise SafetyError(f"{role}: not switched on after a breach of the envelope: {self.breach}")
        if self.aborted:
            raise SafetyError(
                f"{role}: not switched on after the abort of {self.aborted}; begin a new provocation or end the test"
            )
        for other, instrument in self._power.items():
            if other != role and instrument.is_output_on():
                raise SafetyError(f"{role}: {other} is still on; only one of source and sink may drive")

    # -- the watch ---------------------------------------------------------------------------------------------

    def start_watch(self) -> None:
        """Sample and check on the clock until `stop_watch`."""
        self._ticks.append(self._clock.every(WATCH_S, self._watch))

    def stop_watch(self) -> None:
        """End the watch."""
        for tick in self._ticks:
            tick.cancel()
        self._ticks.clear()

    def _watch(self) -> None:
        now_s = self._clock.now()
        current_a = self._sample("reference_current", self._current)
        pack_v = self._sample("pack_side_voltage", self._pack_voltage)
        look = self._provoking or self._rounds % STATES_EVERY == 0
        self._rounds += 1
        for role, instrument in self._power.items():
            self._sample(f"voltage.{role}", instrument.measure_voltage)
            if look:
                self._sample(f"output.{role}", instrument.is_output_on)
                self._sample(f"alarm.{role}", partial(_count_alarms, instrument))
        if self._dut is not None:
            for name, link in self._dut.links.items():
                self._keep(f"link.{name}", now_s, float(link.prove().proven))
        self._check_sample(now_s, current_a, pack_v)
        if self.guardian is not None and current_a is not None:
            try:
                self.guardian.beat()
            except SafetyError as problem:
                self._breach(str(problem), "watched over by nobody")

    def _current(self) -> float:
        return self._witness().current()

    def _pack_voltage(self) -> float:
        return self._witness().pack_voltage()

    def _witness(self) -> Reference:
        if self._reference is None:
            raise SafetyError("the guard has no reference to watch; attach() comes before start_watch()")
        return self._reference

    def _fast(self) -> None:
        self._sample("reference_current", self._current)

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
        self._keep(channel, self._clock.now(), value)
        return value

    def _keep(self, channel: str, at_s: float, value: float) -> None:
        trace = self._traces.channels.get(channel)
        if trace is not None and trace.at_s and trace.at_s[-1] == at_s:
            return  # the fast and the slow watch met on the same instant
        self._observers.sample(channel, at_s, value)

    def _check_sample(self, now_s: float, current_a: float | None, pack_v: float | None) -> None:
        if current_a is not None:
            direction = Direction.CHARGE if current_a >= 0 else Direction.DISCHARGE
            # The instruments' own trips lie 10 % beyond the envelope; the watch acts a little before them.
            limit_a = 1.05 * self.limit_a(direction)
            if not abs(current_a) <= limit_a:  # a NaN lands here too
                self._breach(f"{show(current_a, 'A')}, the envelope allows {limit_a:.1f} A {direction.word}")
        if pack_v is not None and not self.envelope.min_v <= pack_v <= self.envelope.max_v:
            self._breach(
                f"pack at {pack_v:.2f} V, the envelope allows {self.envelope.min_v:g} to {self.envelope.max_v:g} V"
            )
        if current_a is not None and pack_v is not None:
            power_w = abs(current_a * pack_v)
            if not power_w <= self.envelope.max_w:
                self._breach(f"{power_w:.0f} W, the envelope allows {self.envelope.max_w:g} W")
            if self._last_sample is not None:
                self._energy_wh += power_w * (now_s - self._last_sample[0]) / 3600.0
            self._last_sample = (now_s, power_w)
            if self._energy_wh > self.envelope.energy_wh:
                self._breach(f"{self._energy_wh:.0f} Wh in this test, allowed are {self.envelope.energy_wh:g} Wh")

    def _breach(self, what: str, why: str = "envelope breached") -> None:
        """Open everything first, explain afterwards."""
        if self.breach:
            return
        self.breach = what
        results = self._outputs_off_now()
        self._event("mark", "breach", detail=what)
        failed = "; ".join(str(result) for result in results if not result.done)
        raise SafetyError(f"{why}: {what}; outputs were switched off{': ' + failed if failed else ''}")

    def _open_blindly(self, channel: str, problem: BenchError) -> None:
        if self.breach:
            return
        self.breach = f"{channel} could not be watched: {problem}"
        results = self._outputs_off_now(blind=True)
        failed = [str(result) for result in results if not result.done]
        self._event("mark", "blind", detail="; ".join([self.breach, *failed]))

    def _outputs_off_now(self, *, blind: bool = False) -> list[StepResult]:
        self._acting()
        results = switch_off(self._clock, self._power, self._disconnect, blind=blind)
        if self.guardian is not None:
            self.guardian.opened()
        return results

    def _acting(self) -> None:
        if self.guardian is not None:
            self.guardian.acting()

    # -- provocations ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def provoke(self, what: str, abort_after_s: float) -> Iterator[None]:
        """Arm the abort of a provocation: after `abort_after_s` the outputs go off, and the trace is marked.

        The pure judgement over the trace then says *fail*. During a provocation the reference is sampled fast.
        """
        self.aborted = None
        at_s = self._clock.now() + abort_after_s
        abort = self._clock.at(at_s, lambda: self._abort(what))
        fast = self._clock.every(FAST_S, self._fast)
        self._provoking = True
        try:
            yield
        finally:
            self._provoking = False
            abort.cancel()
            fast.cancel()

    def _abort(self, what: str) -> None:
        self.aborted = what
        now_s = self._clock.now()
        self._traces.mark(now_s, "abort", what)
        results = self._outputs_off_now()
        self._event("mark", "abort", detail=what)
        failed = [str(result) for result in results if not result.done]
        if failed:
            raise SafetyError(f"abort of {what}: {'; '.join(failed)}")

    # -- the way out -------------------------------------------------------------------------------------------

    def make_safe(self, reason: str) -> SafeReport:
        """Take the way out; never raises, the report says whether the bench is safe.

        Whoever calls it does so inside `bench.shield.shielded`, so that no signal interrupts it.
        """
        self.stop_watch()
        report = take_way_out(self._clock, self._power, self._disconnect, self._dut, self._reference, self._acting)
        self._event("safe", f"made safe ({reason}): {report.text}", safe=report.safe, lines=report.lines())
        return report

    def _event(self, kind: Any, text: str, **data: object) -> None:
        self._observers.event(Event(kind, self._clock.now(), text, dict(data)))


def _count_alarms(instrument: PowerInstrument) -> float:
    return float(len(instrument.get_alarms()))
