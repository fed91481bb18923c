"""Finding a threshold by bisection, over a small protocol: it knows no bench, and serves any quantity alike.

The method is that of the metrology reference, section 7.3: the threshold lies between the last value that did not trip
and the first that did; each probe is held longer than the longest delay, and begins from a confirmed release. What it
may cost is budgeted before it starts (`bench.search_plan`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from bench.budgets import bracketed_threshold
from bench.search_plan import AlwaysTrips, Approach, NeverTrips, NotMonotonic, SearchPlan, Trial, intervals
from bench.uncertainty import Budget, Uncertain

NOISE_BACK = 3.0  # standard deviations of the BMS's noise by which the confirmed quiet level stays back, and ...
STEP_BACK = 1.0  # ... steps of the resolution: no source sets the same level twice, and not all noise is told


class Probe(Protocol):
    """Applies a level from the normal side, holds it, and tells whether the protection acted."""

    def at(self, level: float) -> Trial:
        """Hold a level, in inside units as the reference shows it, for longer than the longest delay."""

    def release(self) -> None:
        """Go back to the release condition and see that the protection has released.

        Raises:
            NotReleased: it has not.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """Between which levels the threshold lies. The quiet one is a result of its own: there it did not trip."""

    quiet: float
    tripped: float
    approach: Approach
    trials: tuple[Trial, ...]
    stopped: str  # why it went no further

    @property
    def width(self) -> float:
        """The width of what is left of the bracket."""
        return abs(self.tripped - self.quiet)

    @property
    def trips(self) -> int:
        """How many trips it cost."""
        return sum(trial.tripped for trial in self.trials)

    def threshold(self, reference: Budget, *, noise: float = 0.0) -> tuple[Uncertain, Budget]:
        """Return the middle of the bracket: u² = step² / 12 + noise² + u²(reference), with the budget."""
        return bracketed_threshold(self.quiet, self.tripped, reference, noise=noise)


@dataclass(slots=True)
class _Bracket:
    """The state of a search, in a coordinate that grows towards the trip."""

    sign: float
    noise: float
    quiet: float = -math.inf
    tripped: float = math.inf
    trials: list[Trial] = field(default_factory=list)

    def take(self, trial: Trial) -> None:
        """Note a trial.

        Raises:
            NotMonotonic: it contradicts an earlier one by more than the level's own scatter.
        """
        self.trials.append(trial)
        level = self.sign * trial.level
        apart = 3.0 * math.hypot(trial.noise, self.noise)
        if trial.tripped:
            wrong, did, did_not, other = level < self.quiet - apart, "tripped", "did not", self.quiet
        else:
            wrong, did, did_not, other = level > self.tripped + apart, "did not trip", "did", self.tripped
        if wrong:
            raise NotMonotonic(
                f"it {did} at {trial.level:.6g}, and at {self.sign * other:.6g} it {did_not}: its answers are not in "
                "order, so noise, drift or memory exceed the bracket",
                tuple(self.trials),
            )
        if trial.tripped:
            self.tripped = level
        else:
            self.quiet = level


def bisect(probe: Probe, plan: SearchPlan, *, far_end: Trial | None = None, confirm: bool = True) -> Found:
    """Find the threshold between the ends of a plan.

    The quiet end is probed first. The far end is probed too, unless `far_end` is the trial that tripped there (the end
    of a ramp). `confirm` holds the last quiet level once more at the end, where a trip could be afforded.

    Raises:
        AlwaysTrips, NeverTrips, NotMonotonic, NotReleased: each says so, with the trials so far.
    """
    sign = 1.0 if plan.beyond > plan.quiet else -1.0
    state = _Bracket(sign, plan.noise)
    first = probe.at(plan.quiet)
    state.take(first)
    if first.tripped:
        raise AlwaysTrips(f"it tripped at {first.level:.6g} already, the quiet end of the search", tuple(state.trials))
    probe.release()
    last = far_end if far_end is not None else probe.at(plan.beyond)
    state.take(last)
    if not last.tripped:
        raise NeverTrips(f"it did not trip at {last.level:.6g}, the far end of the search", tuple(state.trials))
    if far_end is None:
        probe.release()
    trips, stopped = plan.trips, ""
    for used in range(plan.probes):
        width = state.tripped - state.quiet
        if width <= plan.step:
            stopped = "the resolution is reached"
            break
        if trips == 0:
            stopped = "no more trips may be provoked"
            break
        left = plan.probes - used
        level = state.quiet + width * _share(width / plan.step, left, trips)
        trial = probe.at(sign * level)
        before = (state.quiet, state.tripped)
        state.take(trial)
        if trial.tripped and trips is not None:
            trips -= 1
        probe.release()
        if not before[0] < sign * trial.level < before[1]:
            stopped = "the source cannot be set any finer"
            state.quiet, state.tripped = before
            break
    if confirm and trips != 0:
        _confirm(probe, plan, state)
    return Found(
        sign * state.quiet,
        sign * state.tripped,
        plan.approach,
        tuple(state.trials),
        stopped or "all probes are used",
    )


def _confirm(probe: Probe, plan: SearchPlan, state: _Bracket) -> None:
    """Hold the last quiet level once more, as far back as the BMS's noise alone could make it trip.

    Raises:
        NotMonotonic: it trips this time.
    """
    level = state.sign * (state.quiet - NOISE_BACK * plan.noise - STEP_BACK * plan.step)
    again = probe.at(level)
    state.trials.append(again)
    probe.release()
    if again.tripped:
        raise NotMonotonic(
            f"at {state.sign * state.quiet:.6g} it did not trip, and held at {again.level:.6g} once more it did: "
            "noise, drift or memory exceed the bracket",
            tuple(state.trials),
        )


def _share(needed: float, probes: int, trips: int | None) -> float:
    """Where in the bracket to probe next, from its quiet end: the middle, or nearer to it where trips are scarce."""
    count = next((n for n in range(1, probes + 1) if intervals(n, trips) >= needed * (1.0 - 1e-9)), probes)
    return intervals(count - 1, None if trips is None else trips - 1) / intervals(count, trips)
