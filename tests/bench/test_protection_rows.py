"""Rows of a profile beyond threshold and delay: curves, deratings, releases, diagnoses, sensors."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from bench.diagnosis import Diagnosis
from bench.errors import OutOfRange
from bench.kinds import KINDS, OBSERVABLES
from bench.protection import DelayWindow, Protection
from bench.thermistor import Curve, TemperatureSensors

ROW: dict[str, Any] = {
    "name": "discharge_overcurrent_1",
    "kind": "discharge_overcurrent",
    "threshold": 100.0,
    "tolerance": 2.0,
    "delay_s": {"min": 8.0, "max": 12.0},
    "opens": ["discharge"],
    "release": {"kind": "time", "after_s": 30.0},
}
CURVE = [
    {"at": 110.0, "delay_s": {"min": 6.0, "max": 9.0}},
    {"at": 130.0, "delay_s": {"min": 2.0, "max": 3.0}},
    {"at": 200.0, "delay_s": {"min": 0.2, "max": 0.4}},
]


def row(**changes: Any) -> Protection:
    return Protection.model_validate({**ROW, **changes})


def refused(**changes: Any) -> str:
    with pytest.raises(ValidationError) as problem:
        row(**changes)
    return str(problem.value)


def test_every_kind_watches_something_known_and_is_called_like_its_file() -> None:
    assert {"short_circuit", "cell_voltage_spread", "temperature_spread"} <= set(KINDS)
    assert len(KINDS) == 13
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.observable in OBSERVABLES


def test_an_inverse_time_curve_gives_the_window_of_its_points_and_between_them_the_wider_one() -> None:
    curved = row(curve=CURVE)
    assert curved.delay_at(130.0) == DelayWindow(min=2.0, max=3.0)
    assert curved.delay_at(120.0) == DelayWindow(min=2.0, max=9.0)
    assert curved.delay_at(105.0) == DelayWindow(min=6.0, max=12.0)
    assert curved.delay_at(400.0) == DelayWindow(min=0.0, max=0.4)
    assert row().delay_at(400.0) == DelayWindow(min=8.0, max=12.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curve": [{"at": 90.0, "delay_s": {"min": 1.0, "max": 2.0}}]}, "not beyond the threshold 100"),
        ({"curve": [CURVE[1], CURVE[0]]}, "smallest amplitude first"),
        ({"curve": [CURVE[0], {"at": 130.0, "delay_s": {"min": 6.0, "max": 9.5}}]}, "longer than that at 110"),
        ({"curve": [{"at": 110.0, "delay_s": {"min": 6.0, "max": 13.0}}]}, "longer than delay_s.max 12"),
        ({"lockout_window_s": 10.0}, "forgets what nobody counts"),
        ({"release": {"kind": "action"}}, "belong together"),
        ({"level": "warning"}, "opens nothing"),
        ({"level": "warning", "opens": []}, "cannot be seen"),
    ],
)
def test_rows_that_contradict_themselves_are_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refused(**changes)


def test_a_derating_falls_towards_the_threshold() -> None:
    fall = {"begins": 90.0, "ends": 99.0, "signal": "limit", "from_a": 50.0, "to_a": 10.0, "tolerance_a": 1.0}
    assert row(derating=fall).derating is not None
    assert "does not lie beyond" in refused(derating={**fall, "ends": 80.0})
    assert "is not below" in refused(derating={**fall, "to_a": 60.0})


def test_a_difference_of_temperatures_is_no_temperature() -> None:
    spread = row(kind="temperature_spread", threshold=15.0, tolerance=1.0, unit="K", opens=["charge"])
    assert spread.threshold_si == pytest.approx(15.0)
    assert spread.unit_si == "K"
    hot = row(kind="charge_overtemperature", threshold=328.15, tolerance=2.0, unit="K", opens=["charge"])
    assert hot.threshold_si == pytest.approx(55.0)


def test_a_release_value_has_the_tolerance_of_its_protection_unless_it_says_so() -> None:
    release = {"kind": "value", "value": 90.0}
    assert row(release=release).release_tolerance_si == 2.0
    assert row(release={**release, "tolerance": 0.5}).release_tolerance_si == 0.5


def test_a_diagnosis_must_be_seen_and_let_go() -> None:
    good = {
        "name": "open_wire",
        "kind": "open_sense_wire",
        "within_s": {"min": 0.0, "max": 5.0},
        "opens": ["charge"],
        "release": {"kind": "command"},
    }
    Diagnosis.model_validate(good)
    for change, message in (
        ({"opens": []}, "cannot be seen"),
        ({"level": "warning"}, "opens nothing"),
        ({"release": {"kind": "value", "value": 1.0}}, "means nothing for a fault"),
    ):
        with pytest.raises(ValidationError, match=message):
            Diagnosis.model_validate({**good, **change})


def test_the_curve_of_a_sensor_follows_the_formula_and_goes_both_ways() -> None:
    curve = TemperatureSensors(positions=("cell_1",), ohm_25=10_000.0, beta_k=3435.0).curve
    assert curve.ohm(25.0) == pytest.approx(10_000.0)
    expected = 10_000.0 * math.exp(3435.0 * (1 / 328.15 - 1 / 298.15))
    assert curve.ohm(55.0) == pytest.approx(expected)
    for degc in (-39.9, -10.0, 0.0, 25.0, 60.0, 124.9):
        assert curve.degc(curve.ohm(degc)) == pytest.approx(degc, abs=1e-6)
    assert curve.kelvin_per_share(25.0) == pytest.approx(298.15**2 / 3435.0, rel=1e-3)
    with pytest.raises(OutOfRange, match="outside the sensor's table"):
        curve.degc(1e9)


def test_a_table_goes_through_its_rows() -> None:
    curve = Curve(((-10.0, 40_000.0), (25.0, 10_000.0), (60.0, 3_000.0)))
    assert [curve.ohm(degc) for degc in (-10.0, 25.0, 60.0)] == pytest.approx([40_000.0, 10_000.0, 3_000.0])
    with pytest.raises(ValidationError, match="resistance falls"):
        TemperatureSensors(positions=("a",), table=((0.0, 1_000.0), (10.0, 2_000.0)))
    with pytest.raises(ValidationError, match="either ohm_25 and beta_k"):
        TemperatureSensors(positions=("a",), ohm_25=10_000.0)


def test_a_counter_of_the_other_direction_must_stand_still() -> None:
    from bench.judgements import judge
    from bench.traces import Traces
    from bench.verdict import DecisionRule, Verdict

    def judged(last: float) -> Verdict:
        traces = Traces()
        for at_s, value in ((0.0, 1.0), (1.0, 1.0), (2.0, last)):
            traces.sample("bms.charged_charge", at_s, value)
        window = {"begin_s": 0.0, "end_s": 2.0}
        found = judge(
            "counter_stands",
            traces,
            DecisionRule(),
            {"signal": "charged_charge", "direction": "discharge", "resolution": 0.001, **window},
        )
        return found[0].verdict

    assert judged(1.001) is Verdict.PASS
    assert judged(1.01) is Verdict.FAIL
