"""What a number means on a BMS, and how that is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import OutOfRange
from bench.explain import explain, parse_current
from bench.profile import Profile, find_profile, load_profile
from bench.signals import CanSignal

FOXBMS = load_profile(find_profile("foxbms_2"))
SEPLOS = load_profile(find_profile("seplos_v3"))


def with_current(profile: Profile, **fields: Any) -> Profile:
    """The profile with its currents replaced by one, changed as given."""
    current = profile.signals["pack_current"].model_copy(update=fields)
    others = {name: signal for name, signal in profile.signals.items() if signal.quantity != "current"}
    return profile.model_copy(update={"signals": {**others, "pack_current": current}})


def test_a_negative_number_is_charging_where_positive_means_discharge() -> None:
    answer = explain(FOXBMS, -12.3)
    assert answer.as_text() == (
        "−12.3 A from foxbms_2 means charging with 12.3 A; declared by the maker, not yet observed on this unit."
    )
    [meaning] = answer.meanings
    assert (meaning.current_a, meaning.direction) == (12.3, "charge")
    assert meaning.signals == ("pack_current", "string_current")


def test_the_same_number_is_discharging_where_positive_means_charge() -> None:
    assert "means discharging with 12.3 A" in explain(SEPLOS, -12.3).as_text()


def test_an_observed_sign_says_when_and_on_which_firmware() -> None:
    observed = FOXBMS.signals["pack_current"].model_validate(
        FOXBMS.signals["pack_current"].model_dump()
        | {"provenance": "observed", "observed": {"date": "2026-11-24", "firmware": "1.11.0", "bench": "lab-3"}}
    )
    profile = with_current(FOXBMS, provenance="observed", observed=observed.observed)
    text = explain(profile, 5.0).as_text()
    assert text == (
        "5 A from foxbms_2 means discharging with 5 A; observed 2026-11-24 with firmware 1.11.0 on bench lab-3."
    )


def test_an_assumed_sign_is_not_to_be_acted_on_and_says_what_to_do() -> None:
    text = explain(with_current(FOXBMS, provenance="assumed"), -12.3).as_text()
    assert "would mean charging with 12.3 A; assumed" in text
    assert "do not act on it" in text
    assert "bmsbench run test_suites/current_sign --bench BENCH --bms foxbms_2" in text


def test_signals_of_different_conventions_are_told_apart() -> None:
    other = FOXBMS.signals["string_current"].model_copy(update={"positive_means": "charge"})
    profile = FOXBMS.model_copy(update={"signals": {**FOXBMS.signals, "string_current": other}})
    answer = explain(profile, -12.3)
    assert {meaning.signals: meaning.current_a for meaning in answer.meanings} == {
        ("pack_current",): 12.3,
        ("string_current",): -12.3,
    }
    assert answer.as_text().startswith("The currents of foxbms_2 do not share one convention")
    assert "string_current, means discharging" in answer.as_text()


def test_limits_are_not_taken_for_the_current() -> None:
    assert all("limit" not in name for meaning in explain(FOXBMS, 1.0).meanings for name in meaning.signals)


def test_a_number_without_direction_is_said_to_have_none() -> None:
    [meaning] = explain(with_current(FOXBMS, positive_means="magnitude"), -12.3).meanings
    assert meaning.current_a is None
    assert "carries no direction" in meaning.sentence


def test_zero_is_a_statement_about_rest() -> None:
    [meaning] = explain(FOXBMS, 0.0).meanings
    assert meaning.direction == "rest"
    assert "means no current, whatever the sign; below 0.2 A this BMS counts as resting" in meaning.sentence


def test_a_small_number_is_told_to_count_as_rest() -> None:
    assert "within ±0.2 A" in explain(FOXBMS, -0.1).as_text()
    assert "within" not in explain(FOXBMS, -0.3).as_text()


def test_a_number_that_the_link_cannot_carry_is_doubted() -> None:
    assert "outside what the BMS can send (pack_current" in explain(FOXBMS, 65535.0).as_text()
    assert "outside" not in explain(FOXBMS, 1000.0).as_text()  # the string current has one bit more


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_means_nothing(value: float) -> None:
    with pytest.raises(OutOfRange):
        explain(FOXBMS, value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-12.3", -12.3),
        ("−12.3", -12.3),
        ("+5 A", 5.0),
        ("-800mA", -0.8),
        ("1.5kA", 1500.0),
        ("  .5 ", 0.5),
        ("-1e2", -100.0),
        ("- 3", -3.0),
    ],
)
def test_a_current_is_read_as_people_write_it(text: str, expected: float) -> None:
    assert parse_current(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-inf", "12,3", "12.3 V", "12.3 a", "--3", "0x10", "1e999", "A"])
def test_what_is_no_current_is_refused(text: str) -> None:
    with pytest.raises(OutOfRange):
        parse_current(text)


def test_a_decimal_comma_gets_a_hint() -> None:
    with pytest.raises(OutOfRange, match="decimal mark as a point"):
        parse_current("-12,3")


@given(st.floats(-1e6, 1e6, allow_nan=False).filter(lambda value: value != 0))
def test_turning_the_convention_turns_the_direction_and_nothing_else(given_a: float) -> None:
    [one] = explain(with_current(FOXBMS, positive_means="charge"), given_a).meanings
    [other] = explain(with_current(FOXBMS, positive_means="discharge"), given_a).meanings
    assert one.current_a == given_a
    assert other.current_a == -given_a
    assert {one.direction, other.direction} == {"charge", "discharge"}


def test_the_answer_for_programs_has_the_same_facts() -> None:
    data = explain(FOXBMS, -12.3).as_dict()
    assert data["meanings"][0]["current_a"] == 12.3
    assert data["meanings"][0]["provenance"] == "declared"
    assert isinstance(FOXBMS.signals["pack_current"], CanSignal)
