"""A search budgeted before it starts: how many probes, of which how many may trip, and what that resolves.

A BMS may lock itself after a few trips, while values that do not trip cost time only. So where trips are scarce the
probes lie nearer to the quiet end: with t probes of which k may trip, C(t, 0) + ... + C(t, k) intervals can be told
apart. With as many trips as probes that is 2^t, and the search is a plain bisection (metrology reference 7.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.errors import Inconclusive

MOST_PROBES = 40
NOISE_STEPS = 5.0  # a bracket narrower than so many standard deviations of the BMS's noise tells nothing more
Approach = Literal["rising", "falling"]


class SearchProblem(Inconclusive):
    """The search did not find a threshold; the trials so far are kept in `trials`."""

    def __init__(self, text: str, trials: tuple[Trial, ...] = ()) -> None:
        super().__init__(text)
        self.trials = trials


class WrongWay(SearchProblem):
    """The bracket is the wrong way round: its quiet end lies beyond the other."""


class NeverTrips(SearchProblem):
    """It did not trip at the far end either: the threshold lies beyond, or there is none."""


class AlwaysTrips(SearchProblem):
    """It tripped at the quiet end already: the threshold lies nearer to the normal side."""


class TripsSpent(SearchProblem):
    """Too few trips, probes, time or energy are left for what was asked."""


class NotMonotonic(SearchProblem):
    """It tripped where it had not tripped before: noise, drift or memory are larger than the bracket."""


class NotReleased(SearchProblem):
    """It did not release between two probes; it may have locked itself."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One probe: whether the protection acted, and at which level, as the reference measured it (inside unit).

    `noise` is the standard deviation of the level within the trial; times are those of the recording.
    """

    tripped: bool
    level: float
    noise: float = 0.0
    begin_s: float = 0.0
    end_s: float = 0.0


def intervals(probes: int, trips: int | None) -> int:
    """Return how many intervals can be told apart with so many probes, of which at most `trips` may trip."""
    most = probes if trips is None else min(probes, trips)
    return sum(math.comb(probes, count) for count in range(most + 1))


def probes_for(span: float, step: float, trips: int | None = None) -> int | None:
    """Return the fewest probes that resolve a span to a step; None if no number does.

    ceil(log2(span / step)) where every probe may trip.
    """
    needed = span / step
    for count in range(MOST_PROBES + 1):
        if intervals(count, trips) >= needed * (1.0 - 1e-9):
            return count
    return None


def allowed_trips(lockout_count: int | None, spent: int) -> int | None:
    """Return how many more trips may be provoked so that none is the one that locks; None where nothing locks."""
    return None if lockout_count is None else max(0, lockout_count - 1 - spent)


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """A search budgeted before it starts. `quiet` and `beyond` are the ends of the bracket, in inside units.

    `first_trips`: trips spent on finding the bracket (a ramp, or the far end), before `probes` bisect it.
    """

    quiet: float
    beyond: float
    step: float
    probes: int
    trips: int | None
    first_trips: int = 1
    noise: float = 0.0  # standard deviation of the BMS's own reading

    @property
    def approach(self) -> Approach:
        """From which side the levels come: with filters and hysteresis the other one may give another value."""
        return "rising" if self.beyond > self.quiet else "falling"

    @property
    def span(self) -> float:
        """The width of the bracket."""
        return abs(self.beyond - self.quiet)

    @property
    def resolution(self) -> float:
        """The widest bracket that can be left at the end."""
        return max(self.span / intervals(self.probes, self.trips), min(self.step, self.span))

    @property
    def most_trips(self) -> int:
        """How many trips it may cost at worst."""
        return self.first_trips + (self.probes if self.trips is None else min(self.probes, self.trips))

    def words(self, unit: str) -> str:
        """Say what it costs and what it gives."""
        return (
            f"{self.approach} from {self.quiet:g} to {self.beyond:g} {unit}: {self.probes} probes, at most "
            f"{self.most_trips} trips, resolution {self.resolution:.3g} {unit}"
        )


def plan_search(
    quiet: float,
    beyond: float,
    step: float,
    *,
    above: bool,
    trips_left: int | None = None,
    probes_left: int = MOST_PROBES,
    coarsest: float | None = None,
    first_trips: int = 1,
    noise: float = 0.0,
) -> SearchPlan:
    """Budget a search before it starts: fewer probes, and a coarser resolution, where trips or time do not suffice.

    Args:
        quiet: the end that must not trip, in inside units.
        beyond: the end that must.
        step: the resolution that is wanted; never finer than the BMS's noise allows.
        above: whether the protection acts above its threshold.
        trips_left: how many trips may be provoked; None where nothing locks.
        probes_left: how many probes fit into time and energy.
        coarsest: the widest bracket that is still of use; None takes any.
        first_trips: trips that finding the bracket costs.
        noise: standard deviation of the BMS's own reading.

    Raises:
        WrongWay: the ends are the wrong way round.
        TripsSpent: not even the coarsest resolution is within reach, with the arithmetic.
    """
    sign = 1.0 if above else -1.0
    if not sign * (beyond - quiet) > 0.0 or not step > 0.0:
        raise WrongWay(
            f"a search from {quiet:g} to {beyond:g} in steps of {step:g} is the wrong way round for a protection that "
            f"acts {'above' if above else 'below'} its threshold"
        )
    step = max(step, NOISE_STEPS * noise)
    span = abs(beyond - quiet)
    if trips_left is not None and trips_left < first_trips:
        raise TripsSpent(
            f"finding the bracket costs {first_trips} trip{'s' if first_trips > 1 else ''}, {trips_left} may still be "
            "provoked before the BMS locks itself: power-cycle it or reset its counter first"
        )
    trips = None if trips_left is None else trips_left - first_trips
    needed = probes_for(span, step, trips)
    if needed is None:  # with no trip left nothing may be probed that could trip; else as many as there are
        needed = 0 if trips == 0 else MOST_PROBES
    plan = SearchPlan(quiet, beyond, step, min(probes_left, needed), trips, first_trips, noise)
    if coarsest is not None and plan.resolution > coarsest * (1.0 + 1e-9):
        wanted = probes_for(span, coarsest)
        raise TripsSpent(
            f"{span:.3g} to {coarsest:.3g} takes {wanted} probes that may each trip; {plan.probes} probes of which "
            f"{'any' if trips is None else trips} may trip leave {plan.resolution:.3g}: allow more trips (power-cycle "
            "the BMS, reset its counter), more time or energy, or a coarser resolution"
        )
    return plan
