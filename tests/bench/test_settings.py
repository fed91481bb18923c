"""Settings of a profile: one conversion each way, nothing rounded to fit, mistakes named by their path."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import DefinitionError, OutOfRange
from bench.loading import read_toml, validate
from bench.moved_promises import moved_row, promised, require_sound
from bench.profile import PROFILES, Profile, load_profile
from bench.quantities import Direction
from bench.settings import Setting

SEPLOS = load_profile(PROFILES / "seplos_v3.toml")


def with_setting(name: str, **changes: Any) -> Profile:
    """Load the profile with one setting changed; None takes a key away."""
    data = read_toml(PROFILES / "seplos_v3.toml")
    section = {**data["settings"][name], **changes}
    data["settings"][name] = {key: value for key, value in section.items() if value is not None}
    return validate(Profile, data, "seplos_v3.toml")


@pytest.mark.parametrize(
    ("name", "count", "value"),
    [
        # What a live 200 A unit of this family held, by its register numbers.
        ("charge_overcurrent", 210, 210.0),
        ("discharge_overcurrent", -210, 210.0),
        ("discharge_overcurrent_alarm_release", -203, 203.0),
        ("cell_overvoltage", 3650, 3.65),
        ("charge_overcurrent_delay", 100, 10.0),
        ("overcurrent_release_delay", 600, 60.0),
        ("charge_overtemperature", 3281, 55.0),
        ("overcurrent_lock_after", 5, 5.0),
    ],
)
def test_a_count_and_its_value_are_each_others_inverse(name: str, count: int, value: float) -> None:
    setting, limits = SEPLOS.settings[name], SEPLOS.limited_direction(name)
    assert setting.inside(count, limits) == pytest.approx(value, abs=1e-12)
    assert setting.count(setting.inside(count, limits), limits) == count


def test_a_limit_on_the_wrong_side_of_zero_reads_as_no_magnitude() -> None:
    """What a positive limit of discharge does is not documented: it is shown, not turned."""
    assert SEPLOS.settings["discharge_overcurrent"].inside(210, Direction.DISCHARGE) == -210.0


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("charge_overcurrent", 60.5, "no whole number of steps of 1 A"),
        ("charge_overcurrent", 151.0, "outside what may be written, 5 to 150 A"),
        ("charge_overcurrent", -60.0, "outside what may be written"),
        ("charge_overcurrent", float("nan"), "outside what may be written"),
        ("cell_overvoltage", 3.6505, "no whole number of steps of 1 mV"),
        ("charge_overcurrent_delay", 0.05, "outside"),
    ],
)
def test_what_may_not_be_written_is_refused_and_not_rounded(name: str, value: float, why: str) -> None:
    with pytest.raises(OutOfRange, match=why):
        SEPLOS.settings[name].allow(value, SEPLOS.limited_direction(name))


def test_a_register_cannot_hold_what_it_cannot_hold() -> None:
    setting = Setting(link="modbus", address=1, type="uint16", unit="A", positive_means="magnitude", range=(0.0, 10.0))
    with pytest.raises(OutOfRange, match="70000 counts, which uint16 cannot hold"):
        setting.count(70000.0, None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"link": "modbos"}, r"settings\.charge_overcurrent\.link: 'modbos' is not a link; did you mean 'modbus'"),
        ({"moves": "charge_overcurent_1.threshold"}, r"no protection; did you mean 'charge_overcurrent_1'"),
        ({"moves": "charge_overcurrent_1.treshold"}, r"nothing that can be moved; did you mean 'threshold'"),
        ({"moves": "discharge_overcurrent_1.threshold"}, r"is moved by settings\.|cannot be for both"),
        ({"moves": "charge_overcurrent_1.release.value"}, r"promises no release\.value"),
        ({"moves": "cell_overvoltage_1.delay_s"}, r"'A' does not measure a time"),
        ({"positive_means": None}, "positive_means is missing"),
        ({"moves": None}, r"'charge' needs moves = an over-current protection"),
        ({"range": [10.0, 10.0]}, "is empty"),
        ({"range": [-10.0, 10.0]}, "a magnitude"),
        ({"range": [10.0, 40000.0]}, r"40000 counts, which int16 cannot hold"),
        ({"range": [10.5, 100.0]}, r"no whole number of steps"),
        ({"unit": "amps"}, "did you mean 'A'"),
        ({"scale": 0.0}, "scale 0"),
        ({"address": 0x1316}, r"is that of settings\.charge_overcurrent_alarm"),
        ({"write_function": 5}, "write_function"),
    ],
)
def test_a_mistake_in_a_setting_is_named_before_anything_is_opened(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        with_setting("charge_overcurrent", **changes)


def test_settings_over_can_are_refused() -> None:
    data = read_toml(PROFILES / "foxbms_2.toml")
    data["identity"] = {"serial": {"link": "can", "address": 1, "words": 4}}
    with pytest.raises(DefinitionError, match=r"identity\.serial\.link: 'can' is a can_dbc link"):
        validate(Profile, data, "foxbms_2.toml")


def test_a_profile_without_identity_and_settings_is_a_good_one() -> None:
    foxbms = load_profile(PROFILES / "foxbms_2.toml")
    assert foxbms.settings == {}
    assert foxbms.identity.serial is None


# --- promises that follow -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("charge_overcurrent_1", "threshold", 60.0),
        ("charge_overcurrent_1", "delay_s", 5.0),
        ("charge_overcurrent_1", "release.after_s", 30.0),
        ("charge_overcurrent_1", "lockout_count", 3.0),
        ("cell_overvoltage_1", "release.value", 3.35),
    ],
)
def test_a_moved_row_promises_what_it_was_moved_to_and_else_the_same(name: str, key: str, value: float) -> None:
    row = SEPLOS.protection(name)
    moved = moved_row(row, key, value)
    assert promised(moved, key) == pytest.approx(value)
    others = [other for other in ("threshold", "delay_s", "release.after_s", "lockout_count") if other != key]
    assert [promised(moved, other) for other in others] == [promised(row, other) for other in others]
    require_sound(moved)


def test_a_delay_keeps_the_width_of_its_window() -> None:
    moved = moved_row(SEPLOS.protection("charge_overcurrent_1"), "delay_s", 5.0)
    assert (moved.delay_s.min, moved.delay_s.max) == pytest.approx((4.0, 6.0))


def test_a_release_beyond_its_threshold_is_no_sound_row() -> None:
    moved = moved_row(SEPLOS.protection("cell_overvoltage_1"), "threshold", 3.35)
    with pytest.raises(DefinitionError, match=r"cell_overvoltage_1 would contradict itself: release\.value 3\.4 lies"):
        require_sound(moved)
