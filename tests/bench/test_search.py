"""A threshold found by bisection: what the interval claims is true, trips are never overspent, and trouble has a name.

The comparator has a threshold that is drawn and so is known, a hysteresis, a debounce, and noise of three kinds: the
same all through a search (drift), new with each hold (slow), and new with each sample (fast). With fast noise a
debounce moves the level at which it just trips away from the comparator's own threshold: the interval must hold both,
so it is wider than either alone needs.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest

from bench.errors import Inconclusive
from bench.search import bisect
from bench.search_plan import (
    AlwaysTrips,
    NeverTrips,
    NotMonotonic,
    NotReleased,
    SearchPlan,
    Trial,
    TripsSpent,
    WrongWay,
    allowed_trips,
    intervals,
    plan_search,
    probes_for,
)
from bench.uncertainty import Budget, Contribution

SHORT, LONG = 300, 10_000
HELD_AT_LEAST, PADDED_AT_MOST = 0.94, 1.2
REFERENCE = Budget("A", (Contribution.within("reference", 0.03, "rectangular"), Contribution("shunt", 0.01)))


@dataclass
class Comparator:
    """A protection with a known threshold, and the reference that measures what is applied to it."""

    chance: random.Random
    threshold: float
    above: bool = True
    hysteresis: float = 2.0
    debounce: int = 10
    lockout_count: int | None = None
    drift: float = 0.0
    slow_noise: float = 0.0
    fast_noise: float = 0.0
    setting_step: float = 0.0
    reference_error: float = 0.0
    releases: bool = True
    tripped: bool = False
    trips: int = 0
    asked: list[float] = field(default_factory=list)

    @property
    def sign(self) -> float:
        return 1.0 if self.above else -1.0

    def at(self, level: float) -> Trial:
        assert not self.tripped, "probed without a confirmed release"
        self.asked.append(level)
        real = level - self.reference_error  # the stand aims at what the reference will show
        if self.setting_step:
            real = round(real / self.setting_step) * self.setting_step
        seems = real + self.drift + self.chance.gauss(0.0, self.slow_noise)
        count = 0
        for _ in range(3 * self.debounce):
            sample = seems + (self.chance.gauss(0.0, self.fast_noise) if self.fast_noise else 0.0)
            count = count + 1 if self.sign * (sample - self.threshold) > 0.0 else 0
            if count >= self.debounce:
                self.tripped, self.trips = True, self.trips + 1
                break
        return Trial(self.tripped, real + self.reference_error)

    def release(self) -> None:
        locked = self.lockout_count is not None and self.trips >= self.lockout_count
        if self.tripped and (locked or not self.releases):
            raise NotReleased("no current flows again")
        self.tripped = False


def just_trips(fast_noise: float, debounce: int) -> float:
    """How far beyond the threshold half of the holds trip, with noise in every sample: a run of `debounce` in a row."""

    def trips(shift: float) -> float:
        share = 0.5 * math.erfc(-shift / fast_noise / math.sqrt(2.0))
        runs = [1.0] + [0.0] * (debounce - 1)  # how likely a run of this length stands now, none having been enough
        for _ in range(3 * debounce):
            runs = [sum(runs) * (1.0 - share)] + [part * share for part in runs[:-1]]
        return 1.0 - sum(runs)

    low, high = -6.0 * fast_noise, 6.0 * fast_noise
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if trips(middle) < 0.5 else (low, middle)
    return low


# -- what is claimed -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    noise: float = 0.0
    kind: str = "none"  # drift, slow, fast, or fast with the level that it just trips at as the truth
    above: bool = True
    trips_left: int | None = None
    step: float = 0.1
    setting_step: float = 0.0


CASES = {
    "quiet": Case(),
    "below": Case(above=False),
    "coarse source": Case(setting_step=0.07),
    "few trips": Case(trips_left=4),
    "drift": Case(noise=0.05, kind="drift"),
    "slow noise": Case(noise=0.05, kind="slow"),
    "slow noise outweighs the bench": Case(noise=0.2, kind="slow"),
    "fast noise": Case(noise=0.05, kind="fast"),
    "fast noise, where it just trips": Case(noise=0.05, kind="fast, as held"),
    "fast noise, where it just trips, few trips": Case(noise=0.05, kind="fast, as held", trips_left=4),
    "little noise": Case(noise=0.005, kind="slow"),
}


def search(case: Case, seed: str) -> tuple[float, float, float] | None:
    """One search: error, U, and its number of trips; None where it said that it cannot tell."""
    chance = random.Random(seed)
    sign = 1.0 if case.above else -1.0
    threshold = 110.0 + chance.uniform(-2.5, 2.5)
    noises = {kind: case.noise if case.kind == kind else 0.0 for kind in ("drift", "slow", "fast")}
    noises["fast"] = case.noise if case.kind.startswith("fast") else 0.0
    comparator = Comparator(
        chance, threshold, case.above,
        lockout_count=None if case.trips_left is None else case.trips_left + 1,
        drift=chance.gauss(0.0, noises["drift"]), slow_noise=noises["slow"], fast_noise=noises["fast"],
        setting_step=case.setting_step,
        reference_error=chance.uniform(-0.03, 0.03) + chance.gauss(0.0, 0.01),
    )  # fmt: skip
    quiet, beyond = 110.0 - sign * 3.7, 110.0 + sign * 3.9
    plan = plan_search(quiet, beyond, case.step, above=case.above, trips_left=case.trips_left, noise=case.noise)
    try:
        found = bisect(comparator, plan)
    except NotMonotonic:
        return None
    assert comparator.trips <= plan.most_trips
    assert case.trips_left is None or comparator.trips <= case.trips_left
    value, _ = found.threshold(REFERENCE, noise=case.noise)
    truth = threshold + (sign * just_trips_cached(case.noise) if case.kind == "fast, as held" else 0.0)
    return value.value - truth, value.expanded, comparator.trips


_SHIFTS: dict[float, float] = {}


def just_trips_cached(fast_noise: float) -> float:
    if fast_noise not in _SHIFTS:
        _SHIFTS[fast_noise] = just_trips(fast_noise, 10)
    return _SHIFTS[fast_noise]


def figures(name: str, count: int) -> tuple[float, float, float]:
    """Return the share of intervals that held, U against the 95 % half-width of the errors, and the share undecided."""
    runs = [search(CASES[name], f"{name}/{index}") for index in range(count)]
    told = [run for run in runs if run is not None]
    shares = sorted(abs(error) / expanded for error, expanded, _ in told)
    held = sum(share <= 1.0 for share in shares) / len(shares)
    padded = 1.0 / shares[math.ceil(0.95 * len(shares)) - 1]
    undecided = 1.0 - len(told) / count
    print(f"\n{name}: {count} searches, {held:.2%} held, U / 95 % half-width {padded:.3f}, {undecided:.2%} undecided")
    return held, padded, undecided


def check(name: str, count: int) -> None:
    held, padded, undecided = figures(name, count)
    chance = 3.0 * math.sqrt(HELD_AT_LEAST * (1.0 - HELD_AT_LEAST) / count) if count < LONG else 0.0
    assert held >= HELD_AT_LEAST - chance
    most = 1.4 if CASES[name].kind.startswith("fast") else PADDED_AT_MOST
    assert padded <= (1.1 * most if count < LONG else most)
    assert undecided <= 0.01


@pytest.mark.parametrize("name", CASES)
def test_the_stated_interval_holds_and_is_not_padded(name: str) -> None:
    check(name, SHORT)


@pytest.mark.full
@pytest.mark.parametrize("name", CASES)
def test_the_stated_interval_holds_over_many_searches(name: str) -> None:
    check(name, LONG)


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_bisection_takes_the_probes_that_the_reference_counts() -> None:
    for span, step in ((0.100, 0.001), (6.0, 0.1), (1.0, 1.0), (8.0, 0.5), (3.0, 2.0)):
        assert probes_for(span, step) == math.ceil(math.log2(span / step))
    assert probes_for(0.100, 0.001) == 7


def test_with_few_trips_more_probes_tell_as_much_apart() -> None:
    assert intervals(7, None) == intervals(7, 7) == 128
    assert intervals(7, 3) == 1 + 7 + 21 + 35
    assert intervals(20, 1) == 21  # one trip: step by step from the quiet end
    assert probes_for(6.0, 0.1, 3) == 7
    assert probes_for(6.0, 0.1, 0) is None


@pytest.mark.parametrize(
    ("lockout_count", "spent", "left"), [(None, 100, None), (5, 0, 4), (5, 3, 1), (5, 4, 0), (5, 9, 0), (1, 0, 0)]
)
def test_the_trip_that_would_lock_is_never_spent(lockout_count: int | None, spent: int, left: int | None) -> None:
    assert allowed_trips(lockout_count, spent) == left


def test_a_lock_out_of_five_with_a_search_of_nine_trips_is_refused_before_it_starts() -> None:
    plan = plan_search(105.0, 115.0, 0.02, above=True, trips_left=None)
    assert plan.most_trips == 1 + 9
    with pytest.raises(TripsSpent, match="takes 9 probes that may each trip"):
        plan_search(105.0, 115.0, 0.02, above=True, trips_left=4, probes_left=9, coarsest=0.02)


def test_fewer_trips_or_less_time_give_a_coarser_resolution_that_is_told() -> None:
    plan = plan_search(107.0, 113.0, 0.1, above=True, trips_left=4, probes_left=4)
    assert plan.trips == 3
    assert plan.resolution == pytest.approx(6.0 / 15)
    assert plan.most_trips <= 4
    assert "at most 4 trips, resolution 0.4 A" in plan.words("A")


@pytest.mark.parametrize("left", [0, 1, 2])
def test_without_trips_to_spend_it_is_refused_or_not_bisected(left: int) -> None:
    if left == 0:
        with pytest.raises(TripsSpent, match="0 may still be"):
            plan_search(107.0, 113.0, 0.1, above=True, trips_left=left)
        return
    plan = plan_search(107.0, 113.0, 0.1, above=True, trips_left=left)
    assert plan.most_trips <= left
    assert plan.probes == (0 if left == 1 else 40)


@pytest.mark.parametrize("trips_left", [1, 2, 3, 4, 7, None])
@pytest.mark.parametrize("probes_left", [0, 2, 5, 12])
def test_the_worst_unit_costs_no_more_than_was_budgeted(trips_left: int | None, probes_left: int) -> None:
    """Wherever the threshold lies, the search ends within its trips and as fine as it was planned."""
    plan = plan_search(0.0, 10.0, 0.25, above=True, trips_left=trips_left, probes_left=probes_left)
    for index in range(101):
        threshold = 0.01 + 9.98 * index / 100
        comparator = Comparator(random.Random(index), threshold)
        found = bisect(comparator, plan)
        assert found.quiet <= threshold <= found.tripped
        assert found.width <= plan.resolution * (1.0 + 1e-9) + 1e-12
        assert found.trips == comparator.trips <= plan.most_trips
        assert trips_left is None or comparator.trips <= trips_left


# -- trouble -----------------------------------------------------------------------------------------------------------

PLAN = plan_search(107.0, 113.0, 0.1, above=True)


@pytest.mark.parametrize(("quiet", "beyond", "above"), [(113.0, 107.0, True), (107.0, 113.0, False), (5.0, 5.0, True)])
def test_a_bracket_the_wrong_way_round_is_refused(quiet: float, beyond: float, above: bool) -> None:
    with pytest.raises(WrongWay, match="wrong way round"):
        plan_search(quiet, beyond, 0.1, above=above)


def test_one_that_never_trips_is_named_with_the_level_that_was_held() -> None:
    with pytest.raises(NeverTrips, match="did not trip at 113") as caught:
        bisect(Comparator(random.Random(1), 200.0), PLAN)
    assert [trial.tripped for trial in caught.value.trials] == [False, False]


def test_one_that_always_trips_is_named_and_provoked_once() -> None:
    comparator = Comparator(random.Random(1), 50.0)
    with pytest.raises(AlwaysTrips, match="at 107 already"):
        bisect(comparator, PLAN)
    assert comparator.trips == 1


def test_one_that_locks_sooner_than_it_says_ends_the_search() -> None:
    with pytest.raises(NotReleased):
        bisect(Comparator(random.Random(1), 110.0, lockout_count=2), PLAN)


def test_one_that_does_not_release_ends_the_search_at_once() -> None:
    comparator = Comparator(random.Random(1), 110.0, releases=False)
    with pytest.raises(NotReleased):
        bisect(comparator, PLAN)
    assert comparator.trips == 1


class Wanderer(Comparator):
    """Its threshold falls with every trip."""

    def at(self, level: float) -> Trial:
        trial = super().at(level)
        if trial.tripped:
            self.threshold -= 0.4
        return trial


def test_answers_that_contradict_each_other_are_inconclusive() -> None:
    with pytest.raises(NotMonotonic, match="once more it did"):
        bisect(Wanderer(random.Random(1), 111.9), PLAN)


class Liar(Comparator):
    """Says that it applied something else."""

    def at(self, level: float) -> Trial:
        trial = super().at(level)
        return Trial(trial.tripped, trial.level - (4.0 if trial.tripped and len(self.asked) > 2 else 0.0))


def test_a_trip_below_a_level_that_did_not_trip_is_inconclusive() -> None:
    with pytest.raises(NotMonotonic, match="not in order"):
        bisect(Liar(random.Random(1), 110.9), PLAN)


def test_a_source_coarser_than_the_step_ends_the_search_with_what_is_proven() -> None:
    found = bisect(Comparator(random.Random(1), 110.3, setting_step=1.0), PLAN)
    assert (found.quiet, found.tripped) == (110.0, 111.0)
    assert found.stopped == "the source cannot be set any finer"


def test_all_that_goes_wrong_is_inconclusive_and_never_a_verdict() -> None:
    for problem in (WrongWay, NeverTrips, AlwaysTrips, TripsSpent, NotMonotonic, NotReleased):
        assert issubclass(problem, Inconclusive)


def test_the_direction_of_approach_is_stated() -> None:
    assert PLAN.approach == "rising"
    falling = plan_search(3.0, 2.0, 0.01, above=False)
    assert bisect(Comparator(random.Random(1), 2.5, above=False), falling).approach == "falling"


def test_the_far_end_that_a_ramp_has_shown_is_not_provoked_again() -> None:
    comparator = Comparator(random.Random(1), 110.0)
    plan = SearchPlan(109.0, 111.0, 0.1, 5, None)
    found = bisect(comparator, plan, far_end=Trial(True, 111.0))
    assert 111.0 not in comparator.asked
    assert found.quiet <= 110.0 <= found.tripped
    assert found.width <= 0.1
