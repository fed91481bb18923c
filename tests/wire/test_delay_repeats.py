"""Delays repeated on the virtual bench: what is found is what the unit does, and a lock-out bounds the repeats."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bench.clock_offset import measure_offset
from bench.definition import find_definition, load_definition
from bench.delay_repeats import repeat_trips, repeats_allowed, trip_parameters
from bench.judgements import judge
from bench.profile import find_profile, load_profile
from bench.protection import Protection
from bench.provoking import provocation_for
from bench.search_plan import TripsSpent
from bench.verdict import DecisionRule, Verdict
from instruments.stand import open_stand
from instruments.virtual.bench import derived_seed
from instruments.virtual.bms_unit import make_unit

DEFINITION = load_definition(find_definition("virtual"))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_mean_of_the_repeats_is_the_delay_of_that_unit(seed: int) -> None:
    profile = load_profile(find_profile("foxbms_2"))
    row = profile.protection("discharge_overcurrent_msl")
    with open_stand(DEFINITION, profile, seed=seed) as stand:
        provocation = provocation_for(stand, row, "pack")
        level_a = provocation.levels().must_trip
        offset, edges = measure_offset(stand)
        windows = repeat_trips(stand, provocation, level_a, 6)
        parameters = {"repeats": windows, **trip_parameters(stand, provocation, level_a, offset)}
        found = judge("repeated_delays", stand.traces, DecisionRule(), parameters)
        assert judge("common_edge", stand.traces, DecisionRule(), edges)[0].verdict is Verdict.PASS
    unit = make_unit(profile, derived_seed(seed, "bms"))
    true = next(one for one in unit.protections if one.row.name == row.name)
    mean = next(one for one in found if one.name == f"{row.name}: trip delay, mean of 6")
    assert len(windows) == 6
    assert all(one.verdict is Verdict.PASS for one in found)
    # The phase of its own sampling moves each delay by half a sample, that of the mean by less.
    assert mean.value.value == pytest.approx(true.delay_s, abs=mean.value.expanded + true.period_s / 2)


def test_a_lock_out_bounds_the_repeats() -> None:
    profile = load_profile(find_profile("seplos_v3"))
    row = profile.protection("charge_overcurrent_1")
    with open_stand(DEFINITION, profile, seed=1, bring_up=False) as stand:
        assert repeats_allowed(stand, row) == 4
        stand.trips.spent[row.name] = 3
        assert repeats_allowed(stand, row) == 1
        stand.trips.spent[row.name] = 4
        with pytest.raises(TripsSpent, match="locks after 5 trips"):
            repeats_allowed(stand, row)


def test_one_that_forgets_its_trips_is_waited_for() -> None:
    base = load_profile(find_profile("seplos_v3"))
    changes: dict[str, Any] = {"lockout_count": 2, "lockout_window_s": 300.0, "delay_s": {"min": 0.5, "max": 1.5}}
    rows = tuple(
        Protection.model_validate({**row.model_dump(exclude_unset=True), **changes})
        if row.name == "charge_overcurrent_1"
        else row
        for row in base.protections
    )
    profile = base.model_copy(update={"protections": rows})
    row = profile.protection("charge_overcurrent_1")
    with open_stand(DEFINITION, profile, seed=1) as stand:
        provocation = provocation_for(stand, row, "pack")
        assert repeats_allowed(stand, row, 3) == 3
        windows = repeat_trips(stand, provocation, provocation.levels().must_trip, 3)
    gaps_s = [later["begin_s"] - earlier["end_s"] for earlier, later in itertools.pairwise(windows)]
    assert len(windows) == 3
    assert all(gap_s > 300.0 for gap_s in gaps_s)
