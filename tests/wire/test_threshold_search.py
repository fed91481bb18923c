"""A threshold searched on the virtual bench: the interval holds what the unit really does, no trip is overspent."""

from __future__ import annotations

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import Inconclusive
from bench.judgements import judge
from bench.profile import find_profile, load_profile
from bench.provoking import provocation_for
from bench.search_plan import TripsSpent
from bench.threshold_search import search_threshold
from bench.verdict import DecisionRule, Verdict
from instruments.stand import open_stand
from instruments.virtual.bench import derived_seed
from instruments.virtual.bms_unit import make_unit

SEEDS = (1, 2, 3)


def true_threshold(profile_name: str, name: str, seed: int) -> float:
    """Where this unit really acts, as a magnitude of the real current: its threshold behind its measuring errors."""
    profile = load_profile(find_profile(profile_name))
    unit = make_unit(profile, derived_seed(seed, "bms"))
    row = next(row for row in unit.protections if row.row.name == name)
    sign = row.row.about.direction.sign
    return sign * (sign * row.threshold_si - unit.offset_a) / unit.gain


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["charge_overcurrent_msl", "discharge_overcurrent_msl"])
def test_the_interval_holds_where_the_unit_really_acts(name: str, seed: int) -> None:
    profile = load_profile(find_profile("foxbms_2"))
    with open_stand(load_definition(find_definition("virtual")), profile, seed=seed) as stand:
        searched = search_threshold(stand, provocation_for(stand, profile.protection(name), "pack"))
        [found] = judge("threshold_search", stand.traces, DecisionRule(), searched.parameters)
    assert found.verdict is Verdict.PASS
    assert found.value.value == pytest.approx(true_threshold("foxbms_2", name, seed), abs=found.value.expanded)
    assert found.value.expanded < 0.15


def test_a_lock_out_of_five_costs_at_most_four_trips_and_the_counter_spent_before_counts() -> None:
    profile = load_profile(find_profile("seplos_v3"))
    row = profile.protection("charge_overcurrent_1")
    with open_stand(load_definition(find_definition("virtual")), profile, seed=2) as stand:
        stand.trips.spent[row.name] = 1
        searched = search_threshold(stand, provocation_for(stand, row, "pack"))
        assert stand.trips.spent[row.name] <= 4
        [found] = judge("threshold_search", stand.traces, DecisionRule(), searched.parameters)
        assert found.verdict is Verdict.PASS
        true_a = true_threshold("seplos_v3", row.name, 2)
        # A threshold at the very edge of its bracket lies just outside of U, which covers 95 %, not all.
        assert found.value.value == pytest.approx(true_a, abs=1.2 * found.value.expanded)


def test_without_trips_left_nothing_is_energised() -> None:
    profile = load_profile(find_profile("seplos_v3"))
    row = profile.protection("charge_overcurrent_1")
    with open_stand(load_definition(find_definition("virtual")), profile, seed=2) as stand:
        stand.trips.spent[row.name] = 4
        before = len(stand.traces["output.supply"])
        with pytest.raises(TripsSpent, match="0 may still be provoked"):
            search_threshold(stand, provocation_for(stand, row, "pack"))
        assert stand.traces["output.supply"].always(lambda value: value < 0.5)
        assert len(stand.traces["output.supply"]) == before


@pytest.mark.parametrize(
    ("defect", "words"), [("dead_charge_protection", "does not act even at"), ("trips_early", "acts already at")]
)
def test_a_unit_that_never_acts_or_far_too_early_fails_by_the_side_that_was_seen(defect: str, words: str) -> None:
    profile = load_profile(find_profile("foxbms_2"))
    row = profile.protection("charge_overcurrent_msl")
    with open_stand(load_definition(find_definition("virtual")), profile, seed=1, defects=(defect,)) as stand:
        searched = search_threshold(stand, provocation_for(stand, row, "pack"))
        [found] = judge("threshold_search", stand.traces, DecisionRule(), searched.parameters)
    assert found.verdict is Verdict.FAIL
    assert words in found.name


def test_what_cannot_be_provoked_here_is_said_before() -> None:
    profile = load_profile(find_profile("foxbms_2"))
    with open_stand(load_definition(find_definition("virtual")), profile) as stand:
        provocation = provocation_for(stand, profile.protection("cell_overvoltage_msl"), "cell_1")
        with pytest.raises(Inconclusive, match="needs emulated cells"):
            search_threshold(stand, provocation)
