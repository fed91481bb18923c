"""What each sample is compared with: the envelope of a test, the hard limits of cells, temperatures and their slope."""

from __future__ import annotations

import math

import pytest

from bench.definition import find_definition, load_definition
from bench.envelope import Envelope, SensorLimit
from bench.limits import CellLimits, SampleLimits
from bench.profile import Profile, find_profile, load_profile

ENVELOPE = load_definition(find_definition("virtual")).envelope


@pytest.fixture(scope="module")
def profile() -> Profile:
    """16 cells, upper limit 3.75 V, absolute 2.0 to 3.9 V."""
    return load_profile(find_profile("seplos_v3"))


def changed(**values: object) -> Envelope:
    return ENVELOPE.model_copy(update=values)


def test_time_under_power_counts_only_while_current_flows() -> None:
    limits = SampleLimits(changed(under_power_s=10.0), off_a=0.2)
    for step in range(300):  # 30 s with nothing but noise
        assert limits.check(step * 0.1, 0.1, 53.0) is None
    assert limits.under_power_s == 0.0
    said = [limits.check(30.0 + step * 0.1, -5.0, 53.0) for step in range(120)]
    # counted from the last sample without current on, 0.1 s before the first one with it
    assert [text is None for text in said].index(False) in (99, 100)
    assert said[100] == "10.1 s under power in this test, allowed are 10 s"


@pytest.mark.parametrize(
    ("allowed_wh", "said"),
    [
        (0.001, "0.002 Wh in this test, allowed are 0.001 Wh"),
        (0.0019999, "0.002 Wh in this test, allowed are 0.0019999 Wh"),
    ],
)
def test_what_is_beyond_its_limit_is_seen_to_be(allowed_wh: float, said: str) -> None:
    limits = SampleLimits(changed(energy_wh=allowed_wh, under_power_s=0.5), off_a=0.2)
    assert limits.check(0.0, 1.0, 50.0) is None
    assert limits.check(0.144, 1.0, 50.0) == said


@pytest.mark.parametrize(("span_s", "said"), [(1.0, "1 s"), (0.50001, "0.50001 s")])
def test_so_is_a_time(span_s: float, said: str) -> None:
    limits = SampleLimits(changed(under_power_s=0.5), off_a=0.2)
    limits.check(0.0, 1.0, 50.0)
    assert limits.check(span_s, 1.0, 50.0) == f"{said} under power in this test, allowed are 0.5 s"


def test_energy_is_never_counted_too_low_between_two_samples() -> None:
    limits = SampleLimits(ENVELOPE, off_a=0.2)
    limits.check(0.0, 0.0, 50.0)
    limits.check(36.0, 100.0, 50.0)  # when it began to flow in between is not known
    assert limits.energy_wh == pytest.approx(50.0)
    limits.check(72.0, 0.0, 50.0)
    assert limits.energy_wh == pytest.approx(100.0)


def test_a_provocation_must_fit_into_the_energy_and_time_that_are_left() -> None:
    limits = SampleLimits(changed(energy_wh=30.0, under_power_s=20.0), off_a=0.2)
    assert limits.refuse_longer(115.5, 15.0) is None  # 115.5 A x 60 V x 15 s = 28.9 Wh
    assert limits.refuse_longer(115.5, 16.0) == (
        "115.5 A x 60 V x 16.0 s = 30.8 Wh at most, but only 30.0 Wh of envelope.energy_wh = 30 Wh are "
        "left in this test"
    )
    assert limits.refuse_longer(1.0, 21.0) == (
        "21.0 s under power, but only 20.0 s of envelope.under_power_s = 20 s are left in this test"
    )


def cells_at(low_v: float, high_v: float = 3.3) -> list[float]:
    return [3.3] * 14 + [low_v, high_v]


def test_each_finding_names_its_cell_or_sensor_first(profile: Profile) -> None:
    def limits() -> CellLimits:
        return CellLimits(ENVELOPE, profile)

    said = [limits().check_voltages(0.0, cells_at(*cells)) for cells in ((1.9, 3.3), (3.3, 3.95), (math.nan, 3.3))]
    said.append(limits().check_voltages(0.0, [3.3]))
    said.append(limits().check_temperatures(0.0, {"top": 200.0}))
    first_words = [str(text).split()[:2] for text in said]
    assert first_words == [["cell", "15"], ["cell", "16"], ["cell", "15"], ["the", "cell"], ["sensor", "top"]]


def test_healthy_cells_are_quiet(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    assert all(limits.check_voltages(at_s, cells_at(2.6, 3.74)) is None for at_s in range(0, 600, 2))


def test_a_cell_beyond_103_percent_of_its_upper_limit_stops_at_once(profile: Profile) -> None:
    # 3.75 V x 1.03 = 3.8625 V; the absolute maximum is 3.9 V
    assert CellLimits(ENVELOPE, profile).check_voltages(0.0, cells_at(3.2, 3.862)) is None
    said = CellLimits(ENVELOPE, profile).check_voltages(0.0, cells_at(3.2, 3.864))
    assert said == ("cell 16 at 3.864 V; stopped at 3.863 V (upper limit 3.75 V x 1.03, at most the absolute maximum)")


def test_a_cell_above_its_upper_limit_stops_after_one_minute(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    assert all(limits.check_voltages(at_s, cells_at(3.2, 3.8)) is None for at_s in range(0, 61, 2))
    assert limits.check_voltages(62.0, cells_at(3.2, 3.8)) == "cell 16 at 3.800 V for 60 s, above its 3.75 V"


def test_the_minute_begins_anew_when_the_cell_came_back(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    for at_s in range(0, 60, 2):
        limits.check_voltages(at_s, cells_at(3.2, 3.8))
    limits.check_voltages(60.0, cells_at(3.2, 3.74))
    assert all(limits.check_voltages(at_s, cells_at(3.2, 3.8)) is None for at_s in range(62, 122, 2))


def test_a_cell_found_below_its_minimum_is_remembered_for_good(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    assert limits.check_voltages(0.0, cells_at(1.99)) == "cell 15 was found at 1.990 V, below its minimum of 2 V"
    assert limits.check_voltages(2.0, cells_at(2.5)) is None
    assert limits.too_low == "cell 15 was found at 1.990 V, below its minimum of 2 V"


@pytest.mark.parametrize("cells", [[3.3] * 15, [3.3] * 17, []])
def test_another_number_of_cells_is_no_look_at_the_pack(profile: Profile, cells: list[float]) -> None:
    assert "the BMS's profile declares 16" in str(CellLimits(ENVELOPE, profile).check_voltages(0.0, cells))


def test_a_reading_that_is_no_number_is_a_finding(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    assert limits.check_voltages(0.0, cells_at(math.nan)) == "cell 15 reads nan V"
    assert "sensor top at nan degC" in str(limits.check_temperatures(0.0, {"top": math.nan}))


def test_each_sensor_has_its_own_limits(profile: Profile) -> None:
    own = changed(max_degc=55.0, sensors={"shunt": SensorLimit(max_degc=90.0, min_degc=None)})
    limits = CellLimits(own, profile)
    assert limits.check_temperatures(0.0, {"cell_1": 54.9, "shunt": 89.0}) is None
    assert limits.check_temperatures(9.0, {"cell_1": 55.1, "shunt": 89.0}) == (
        "sensor cell_1 at 55.1 degC, the envelope allows 0 to 55 degC"
    )
    assert "sensor cell_1 at -0.1 degC" in str(limits.check_temperatures(9.0, {"cell_1": -0.1, "shunt": 89.0}))


def test_a_sensor_with_limits_that_is_not_measured_is_a_finding(profile: Profile) -> None:
    limits = CellLimits(changed(sensors={"shunt": SensorLimit(max_degc=90.0)}), profile)
    assert limits.check_temperatures(0.0, {"cell_1": 25.0}) == (
        "sensor 'shunt' of envelope.sensors is not measured; there are cell_1"
    )


def test_a_temperature_that_rises_too_fast_is_a_finding_long_before_its_limit(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)  # 1 K/s
    said = [limits.check_temperatures(at_s, {"cell_1": 25.0 + 1.2 * max(0, at_s - 10)}) for at_s in range(0, 30, 2)]
    assert said[:7] == [None] * 7  # it begins to rise at 10 s; only at 14 s was it above 1 K/s for 4 s
    found = next(text for text in said if text is not None)
    assert found.endswith("the envelope allows 1 K/s")
    assert limits.envelope.max_degc > 45.0


def test_noise_is_no_slope(profile: Profile) -> None:
    limits = CellLimits(ENVELOPE, profile)
    assert all(
        limits.check_temperatures(0.5 * step, {"cell_1": 25.0 + (1.5 if step % 2 else -1.5)}) is None
        for step in range(200)
    )
