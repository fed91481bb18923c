"""The threshold of a protection, found on an open bench: a ramp finds it roughly, a bisection finds it.

What is done is fixed beforehand (`bench.search_plan`): never more trips than leave the BMS unlocked, never more energy
or time than the guard has left. What was found is judged afterwards from the traces alone (`bench.search_judgements`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench import stimulus
from bench.answers import Asked, answer, end_gap_s
from bench.errors import Inconclusive
from bench.guard import FAST_S, WATCH_S
from bench.letting_go import can_power_cycle, confirm_release, let_go, power_cycle
from bench.procedures import excusing_flags, role_of
from bench.protection import Protection
from bench.provoking import Provocation
from bench.search import Found, bisect
from bench.search_plan import (
    MOST_PROBES,
    AlwaysTrips,
    SearchPlan,
    Trial,
    TripsSpent,
    allowed_trips,
    plan_search,
)
from bench.slopes import rise_s
from bench.stand import Stand
from bench.verdict import ABORT_FACTOR

STEPS_OF_TOLERANCE = 20  # the resolution that is wanted: the tolerance in so many steps ...
STEPS_OF_U = 5  # ... but no finer than the reference's own uncertainty in so many
FAR = 2.0  # tolerances beyond the threshold, where the search ends if nothing acted before
RAMP_OVERSHOOT = 0.5  # of the tolerance, by which a ramp goes on during the longest delay
HOLDS = 3.0  # of the longest delay and one sample (metrology reference 7.3)
LEAST_HOLD_S = 1.0
AFTER_END_S = 0.5  # recorded after the current's end, to see who ended it
START_S = 2.0  # allowed for a source to reach its level
FLOW_A = 10.0  # that shows an end where the stimulus is a voltage or a temperature
RISE_FACTOR = 3.0


@dataclass(slots=True)
class StandProbe:
    """Probes a protection on an open bench: see `bench.search.Probe`."""

    stand: Stand
    protection: Protection
    provocation: Provocation
    asked: Asked
    windows: list[dict[str, float]] = field(default_factory=list)
    begin_s: float = 0.0
    end_s: float = 0.0
    _tripped: bool = False
    _offset: float = 0.0  # by how much the reference showed more than was asked for

    @property
    def is_current(self) -> bool:
        """Whether the stimulus is the current itself."""
        return self.protection.about.quantity == "current"

    @property
    def hold_s(self) -> float:
        """How long a level is held: three times the longest delay and a sample, filters included."""
        behaviour = self.stand.profile.behaviour
        longest_s = self.protection.delay_s.max + self.protection.filter_s + behaviour.sample_s
        return max(LEAST_HOLD_S, HOLDS * longest_s)

    def at(self, level: float) -> Trial:
        """Hold a level from the normal side; the current's end, or that of the hold, ends it."""
        self.stand.progress(f"{self.protection.name}: {level:.4g} {self.protection.unit_si} for {self.hold_s:.1f} s")
        with self._provoked(level, ABORT_FACTOR * (self.hold_s + START_S)) as begin_s:
            self._step(level - self._offset)
            self._wait(self.hold_s)
        trial = self._answer(begin_s)
        if self.protection.about.quantity != "temperature":  # a ladder's steps are no offset
            self._offset += trial.level - level
        return trial

    def ramp(self, begin: float, end: float, slope_per_s: float) -> Trial:
        """Move from one level to another at a slope until the current ends; hold the last level as a probe does."""
        lasts_s = abs(end - begin) / slope_per_s
        sign = 1.0 if end > begin else -1.0
        step_s = FAST_S if self.is_current else WATCH_S
        self.stand.progress(
            f"{self.protection.name}: ramp from {begin:.4g} to {end:.4g} {self.protection.unit_si} in {lasts_s:.0f} s"
        )
        with self._provoked(end, ABORT_FACTOR * (lasts_s + self.hold_s + START_S)) as begin_s:
            self._step(begin - self._offset)
            start_s, ended = self.stand.clock.now(), False
            while not ended and (since_s := self.stand.clock.now() - start_s) < lasts_s:
                self._move(begin + sign * slope_per_s * since_s - self._offset)
                self.stand.clock.sleep(step_s)
                ended = self._has_ended()
            ended = ended or self._wait(self.hold_s)
        return self._answer(begin_s, slope_per_s=sign * slope_per_s if ended else 0.0)

    def trip(self, level: float, abort_s: float, after_s: float) -> dict[str, float]:
        """Provoke a trip at a level, aborted by the guard if none comes; return the window, to be judged.

        Recorded for `after_s` after the end of the current.
        """
        self.stand.progress(
            f"{self.protection.name}: {level:.4g} {self.protection.unit_si}, abort after {abort_s:.1f} s"
        )
        with self._provoked(level, abort_s, after_s) as begin_s:
            self._step(level)
            self._wait(abort_s + START_S)
        self._tripped = not self.stand.guard.aborted
        return {"begin_s": begin_s, "end_s": self.end_s}

    def release(self) -> None:
        """Let the protection go as declared after a trip, and see that current flows again."""
        stand = self.stand
        if not self._tripped:
            stand.clock.sleep(self.protection.delay_s.max)  # whatever it counted may run down
            return
        self._tripped = False
        let_go(stand, self.protection, stand.clock.now())
        confirm_release(stand, self.protection.about.direction)

    # -- one window ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _provoked(self, level: float, abort_s: float, after_s: float = AFTER_END_S) -> Iterator[float]:
        """Arm abort and trip budget around one window, and bring everything back to normal after it."""
        stand, protection = self.stand, self.protection
        way = protection.about.direction
        flows_a = level if self.is_current else self.asked.flow_a
        stand.trips.spend(protection)
        abort_s += RISE_FACTOR * rise_s(stand, flows_a)
        self.begin_s = stand.clock.now()
        try:
            with stand.guard.provoke(protection.name, abort_s, level_a=flows_a):
                if not self.is_current:
                    self.provocation.normal()
                    stimulus.force(stand, way.sign * self.asked.flow_a)
                    stimulus.settle(stand, way.sign * self.asked.flow_a)
                    self.begin_s = stand.clock.now()
                yield self.begin_s
            stand.clock.sleep(after_s)  # no longer under the abort, which would count what has ended already
            self.end_s = stand.clock.now()
        finally:
            if not self.is_current:
                self.provocation.normal()
            stimulus.release(stand)

    def _step(self, level: float) -> None:
        self.provocation.step(level)

    def _move(self, level: float) -> None:
        if self.is_current:
            stimulus.force_quietly(self.stand, self.protection.about.direction.sign * level)
        else:
            self.provocation.step(level)

    def _wait(self, seconds: float) -> bool:
        """Wait for the current's end, at most so long; say whether it came."""
        until_s = self.stand.clock.now() + seconds
        while self.stand.clock.now() < until_s:
            self.stand.clock.sleep(min(WATCH_S, max(until_s - self.stand.clock.now(), 1e-3)))
            if self._has_ended():
                return True
        return False

    def _has_ended(self) -> bool:
        """Whether the newest samples show that the current, once it flowed, flows no more. Only ends the waiting."""
        trace = self.stand.traces["reference_current"]
        sign = self.protection.about.direction.sign
        flowed_a = max(
            (sign * value for value in trace.between(self.begin_s, self.stand.clock.now()).values), default=0.0
        )
        least_a = 0.5 * (self.protection.threshold_si if self.is_current else self.asked.flow_a)
        return flowed_a > least_a and sign * trace.values[-1] < 0.1 * flowed_a

    def _answer(self, begin_s: float, *, slope_per_s: float = 0.0) -> Trial:
        self.stand.observers.drain()
        trial = answer(self.stand.traces, self.asked, begin_s, self.end_s, slope_per_s=slope_per_s)
        self.windows.append({"begin_s": begin_s, "end_s": self.end_s, "slope_per_s": slope_per_s})
        self._tripped = trial.tripped
        if not trial.tripped:
            refund(self.stand, self.protection)
        return trial


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that was made: what to judge it by, and in words what it cost and why it went no further."""

    parameters: dict[str, Any]
    plan: SearchPlan | None
    found: Found | None
    words: str


def search_threshold(stand: Stand, provocation: Provocation) -> Searched:
    """Search the threshold of a protection at one place; judge it with `expect("threshold_search", **parameters)`.

    A protection that acts at the quiet end already, or not at all up to the far end, is a result too.

    Raises:
        TripsSpent: not enough trips, energy or time are left for a useful resolution; nothing was provoked.
        SearchProblem: it did not release, or answers contradict each other.
        Inconclusive: the bench cannot provoke it, or did not reach what it should.
    """
    protection = provocation.protection
    reason = provocation.refusal()
    if reason is None and not protection.tolerance_si > 0.0:
        reason = f"{protection.name} declares no tolerance: no bench can show that a threshold is exactly right"
    if reason is not None:
        raise Inconclusive(reason)
    quiet, beyond = bracket_of(stand, provocation)
    step = step_of(provocation)
    probe = StandProbe(stand, protection, provocation, asked_of(stand, provocation))
    _require_affordable(stand, probe, quiet, beyond, step)
    first = probe.at(quiet)
    noise = noise_of(stand, protection, first)
    if first.tripped:
        return _searched(stand, probe, None, None, noise, f"it acted at its quiet end, {first.level:.4g}")
    probe.release()
    slope = RAMP_OVERSHOOT * protection.tolerance_si / _longest_s(stand, protection)
    last = probe.ramp(quiet, beyond, slope)
    if not last.tripped:
        return _searched(stand, probe, None, None, noise, f"it did not act up to its far end, {last.level:.4g}")
    gap_s = end_gap_s(stand.traces, probe.asked, last.begin_s, last.end_s)
    probe.release()
    sign = 1.0 if beyond > quiet else -1.0
    near = last.level - sign * (slope * (_longest_s(stand, protection) + gap_s) + 2.0 * step)
    near = max(quiet, near) if sign > 0 else min(quiet, near)
    plan = _plan(stand, probe, near, last.level, step, noise)
    stand.note(f"{protection.name}: {plan.words(protection.unit_si)}")
    try:
        found = bisect(probe, plan, far_end=last)
    except AlwaysTrips as problem:
        # It acted earlier on a hold than on the ramp, whose bracket took the declared delay at its word.
        probe.release()
        at = problem.trials[-1]
        if not sign * (at.level - quiet) > 0.0:
            raise
        plan = _plan(stand, probe, quiet, at.level, step, noise)
        found = bisect(probe, plan, far_end=at)
    return _searched(stand, probe, plan, found, noise, found.stopped)


def bracket_of(stand: Stand, provocation: Provocation) -> tuple[float, float]:
    """Return the ends of a search: the must-not-trip level, and well beyond the tolerance as far as the bench goes.

    Raises:
        Inconclusive: not even the must-trip level is within reach.
    """
    protection, levels = provocation.protection, provocation.levels()
    far = protection.about.further(protection.threshold_si, FAR * protection.tolerance_si)
    if protection.about.beyond(levels.must_trip, far):
        far = levels.must_trip
    if protection.about.quantity == "current":
        largest_a = stimulus.largest_current_a(stand, protection.about.direction)
        far = min(far, 0.99 * largest_a)
    if protection.about.beyond(levels.must_trip, far):
        raise Inconclusive(
            f"{protection.name} must act at {levels.must_trip:.4g} {protection.unit_si}, this bench may go to {far:.4g}"
        )
    return levels.must_not_trip, far


def step_of(provocation: Provocation) -> float:
    """Return the resolution that is wanted, in the inside unit: no finer than the reference can use."""
    protection = provocation.protection
    return max(protection.tolerance_si / STEPS_OF_TOLERANCE, provocation.expanded(protection.threshold_si) / STEPS_OF_U)


def asked_of(stand: Stand, provocation: Provocation) -> Asked:
    """Return what all windows of a search have in common."""
    protection = provocation.protection
    about = protection.about
    return Asked(
        channel=provocation.channel,
        above=about.above,
        direction=about.direction.word,
        role=role_of(stand, about.direction),
        other_flags=tuple(excusing_flags(stand.profile, protection)),
        flow_a=0.0 if about.quantity == "current" else FLOW_A,
    )


def noise_of(stand: Stand, protection: Protection, hold: Trial) -> float:
    """Return the spread of the BMS's own reading of what the protection watches, over a hold; 0 if it tells nothing."""
    about = protection.about
    name = "pack_current" if about.quantity == "current" else about.observable
    channel = f"bms.{name}"
    if channel not in stand.traces or about.difference or hold.tripped:
        return 0.0
    whole = stand.traces[channel].between(hold.begin_s, hold.end_s)
    settled = whole.between(hold.begin_s + (hold.end_s - hold.begin_s) / 3.0, hold.end_s)
    return settled.spread() if len(settled) > 2 else 0.0


def _longest_s(stand: Stand, protection: Protection) -> float:
    return protection.delay_s.max + protection.filter_s + stand.profile.behaviour.sample_s


def _trips_left(stand: Stand, protection: Protection) -> int | None:
    return allowed_trips(protection.lockout_count, stand.trips.spent.get(protection.name, 0))


def _require_affordable(stand: Stand, probe: StandProbe, quiet: float, beyond: float, step: float) -> None:
    """See before anything is energised that the search can end with a resolution of use; forget trips if that helps."""
    try:
        _plan(stand, probe, quiet, beyond, step, 0.0)
    except TripsSpent:
        if not can_power_cycle(stand) or not stand.trips.spent.get(probe.protection.name):
            raise
        power_cycle(stand)
        _plan(stand, probe, quiet, beyond, step, 0.0)


def _plan(stand: Stand, probe: StandProbe, quiet: float, beyond: float, step: float, noise: float) -> SearchPlan:
    spent_already = bool(probe.windows)  # the ramp's trip is behind us
    return plan_search(
        quiet,
        beyond,
        step,
        above=probe.protection.about.above,
        trips_left=_trips_left(stand, probe.protection),
        probes_left=_probes_left(stand, probe, beyond),
        coarsest=probe.protection.tolerance_si,
        first_trips=0 if spent_already else 1,
        noise=noise,
    )


def _probes_left(stand: Stand, probe: StandProbe, beyond: float) -> int:
    """Return how many holds fit into what the guard has left of energy and time under power."""
    level_a = abs(beyond) if probe.is_current else probe.asked.flow_a
    one_s = ABORT_FACTOR * (probe.hold_s + START_S)
    count = 0
    stand.guard.require_stoppable(probe.protection.name, level_a=level_a, lasts_s=one_s)
    with contextlib.suppress(Inconclusive):
        for count in range(1, MOST_PROBES + 1):
            stand.guard.require_stoppable(probe.protection.name, level_a=level_a, lasts_s=(count + 1) * one_s)
    return count


def _searched(
    stand: Stand, probe: StandProbe, plan: SearchPlan | None, found: Found | None, noise: float, why: str
) -> Searched:
    protection, asked = probe.protection, probe.asked
    budget = reference_budget(stand, probe.provocation)
    trips = sum(1 for window in probe.windows if answer(stand.traces, asked, **window).tripped)
    parameters: dict[str, Any] = {
        "protection": protection.name,
        "channel": asked.channel,
        "above": asked.above,
        "direction": asked.direction,
        "role": asked.role,
        "other_flags": list(asked.other_flags),
        "flow_a": asked.flow_a,
        "unit": protection.unit_si,
        "threshold": protection.threshold_si,
        "tolerance": protection.tolerance_si,
        "probes": [dict(window) for window in probe.windows],
        "reference_standard": budget[0],
        "reference_rectangles": list(budget[1]),
        "noise": noise,
        "hold_s": probe.hold_s,
    }
    words = f"{len(probe.windows)} probes, {trips} trips; {why}"
    stand.note(f"{protection.name}: {words}")
    return Searched(parameters, plan, found, words)


def reference_budget(stand: Stand, provocation: Provocation) -> tuple[float, tuple[float, ...]]:
    """Return what the reference's uncertainty at the threshold is made of: standard, and its largest rectangles."""
    protection = provocation.protection
    if provocation.channel == "reference_current":
        budget = stand.reference.current_budget(protection.threshold_si)
        return budget.standard, tuple(budget.rectangles)
    return provocation.expanded(protection.threshold_si) / 2.0, ()


def refund(stand: Stand, protection: Protection) -> None:
    """Give back a provocation that was budgeted for and did not trip: a lock-out counts trips."""
    stand.trips.spent[protection.name] -= 1
