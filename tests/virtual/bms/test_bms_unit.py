"""A healthy unit is healthy by construction, whatever its seed."""

from __future__ import annotations

import pytest

from instruments.virtual.bms_unit import make_unit

SEEDS = range(60)


@pytest.mark.parametrize(("name", "reading_pct", "constant_a"), [("foxbms_2", 1.0, 0.2), ("seplos_v3", 1.0, 0.3)])
def test_current_errors_use_at_most_sixty_percent_of_the_promise(profiles, name, reading_pct, constant_a):
    for seed in SEEDS:
        unit = make_unit(profiles[name], seed)
        for true_a in (-120.0, -10.0, 0.0, 10.0, 120.0):
            error_a = abs(unit.gain * true_a + unit.offset_a - true_a) + 4.0 * unit.noise_a
            assert error_a <= 0.6 * (reading_pct / 100.0 * abs(true_a) + constant_a), (seed, true_a)


@pytest.mark.parametrize("name", ["foxbms_2", "seplos_v3"])
def test_threshold_and_measuring_error_together_stay_within_seventy_percent_of_the_tolerance(profiles, name):
    for seed in SEEDS:
        unit = make_unit(profiles[name], seed)
        for row in unit.protections:
            declared = row.row
            if declared.about.quantity != "current":
                continue
            turn = 1.0 if declared.kind.startswith("charge") else -1.0
            # the true magnitude at which the measured value just reaches this unit's threshold, noise against us
            for noise_a in (-4.0 * unit.noise_a, 4.0 * unit.noise_a):
                true_a = (row.threshold_si - turn * unit.offset_a - noise_a) / unit.gain
                assert abs(true_a - declared.threshold) <= 0.705 * declared.tolerance, (seed, declared.name)


@pytest.mark.parametrize("name", ["foxbms_2", "seplos_v3"])
def test_cell_thresholds_stay_within_seventy_percent_of_the_tolerance(profiles, name):
    for seed in SEEDS:
        unit = make_unit(profiles[name], seed)
        worst_v = max(abs(offset_v) for offset_v in unit.cell_offsets_v) + unit.cell_noise_v
        for row in unit.protections:
            if row.row.kind.startswith("cell"):
                assert abs(row.threshold_si - row.row.threshold) + worst_v <= 0.7 * 0.010 + 1e-12


@pytest.mark.parametrize("name", ["foxbms_2", "seplos_v3"])
def test_every_delay_lies_in_the_middle_half_of_its_window_whatever_the_phase_of_the_sampling(profiles, name):
    for seed in SEEDS:
        for row in make_unit(profiles[name], seed).protections:
            window = row.row.delay_s
            quarter_s = (window.max - window.min) / 4.0
            half_period_s = row.period_s / 2.0
            assert window.min + quarter_s <= row.delay_s - half_period_s + 1e-9, (seed, row.row.name)
            assert row.delay_s + half_period_s <= window.max - quarter_s + 1e-9, (seed, row.row.name)
            flag = row.row.flag_delay_s
            if flag is not None:
                assert flag.min < row.flag_delay_s - half_period_s
                assert row.flag_delay_s + half_period_s < flag.max


def test_units_differ_by_seed_and_are_the_same_for_the_same_seed(profiles):
    profile = profiles["foxbms_2"]
    assert make_unit(profile, 3) == make_unit(profile, 3)
    assert len({make_unit(profile, seed).gain for seed in SEEDS}) == len(SEEDS)
    assert len({make_unit(profile, seed).protections[0].threshold_si for seed in SEEDS}) == len(SEEDS)


def test_a_window_far_below_the_sampling_period_is_met_by_a_faster_comparator(profiles):
    profile = profiles["seplos_v3"]
    row = profile.protection("charge_overcurrent_1").model_copy(
        update={"delay_s": profile.protections[0].delay_s.model_copy(update={"min": 0.010, "max": 0.030})}
    )
    profile = profile.model_copy(update={"protections": (row,)})
    for seed in SEEDS:
        (unit,) = make_unit(profile, seed).protections
        assert unit.period_s <= 0.005
        assert unit.delay_s - unit.period_s / 2 >= 0.015 and unit.delay_s + unit.period_s / 2 <= 0.025
