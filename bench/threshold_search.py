"""The threshold of a protection, found on an open bench: a ramp finds it roughly, a bisection finds it.

What is done is fixed beforehand (`bench.search_plan`): never more trips than leave the BMS unlocked, never more energy
or time than the guard has left. What was found is judged afterwards from the traces alone (`bench.search_judgements`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from bench import stimulus
from bench.answers import answer, end_gap_s
from bench.errors import Inconclusive
from bench.letting_go import can_power_cycle, power_cycle
from bench.protection import Protection
from bench.provoking import Provocation
from bench.search import Found, bisect
from bench.search_plan import MOST_PROBES, AlwaysTrips, SearchPlan, Trial, TripsSpent, allowed_trips, plan_search
from bench.stand import Stand
from bench.stand_probe import AFTER_END_S, START_S, StandProbe, asked_of
from bench.verdict import ABORT_FACTOR

STEPS_OF_TOLERANCE = 10  # the resolution that is wanted: the tolerance in so many steps ...
STEPS_OF_U = 5  # ... but no finer than the reference's own uncertainty in so many
FAR = 2.0  # tolerances beyond the threshold, where the search ends if nothing acted before
RAMP_OVERSHOOT = 0.5  # of the tolerance, by which a ramp goes on during the longest delay


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
    noise = noise_of(stand, provocation, first)
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
    near = last.level - sign * (slope * (_longest_s(stand, protection) + gap_s) + probe.stair + 2.0 * step)
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


def noise_of(stand: Stand, provocation: Provocation, hold: Trial) -> float:
    """Return the spread of the BMS's own reading of what the protection watches, over a hold; 0 if it tells nothing.

    A reading that is filtered, or coarser than its noise, tells too little: the confirmed level stays back a step more.
    """
    about = provocation.protection.about
    if about.difference or hold.tripped:
        return 0.0
    for name in _readings_of(stand, provocation):
        if f"bms.{name}" not in stand.traces:
            continue
        begin_s = hold.begin_s + (hold.end_s - hold.begin_s) / 3.0
        held = stand.traces[f"bms.{name}"].between(begin_s, hold.end_s - AFTER_END_S)
        if len(held) > 2:
            return held.spread()
    return 0.0


def _readings_of(stand: Stand, provocation: Provocation) -> list[str]:
    """Return the signals that may tell what a protection watches, the best first."""
    about = provocation.protection.about
    if about.quantity == "current":
        return ["pack_current"]
    number = provocation.place.removeprefix("cell_")
    if about.quantity == "voltage":
        return [f"cell_voltage_{number.zfill(2)}", f"cell_voltage_{number}", about.observable]
    sensors = stand.profile.temperature_sensors
    own = dict(zip(sensors.positions, sensors.signals, strict=False)).get(provocation.place) if sensors else None
    return [*([own] if own else []), about.observable]


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
