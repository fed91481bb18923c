"""Budgets of a bench against the worked example and against drawing; calibration that has run out."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest

from bench import budgets
from bench.definition import Definition, find_definition, load_definition
from bench.definition_sections import Measuring
from bench.errors import DefinitionError
from bench.judgements import CALIBRATION_GAPS, judge
from bench.timing import flag_delay, trip_delay
from bench.traces import Traces
from bench.uncertainty import Budget, Contribution, difference
from bench.verdict import DecisionRule, RuleName, Verdict

TODAY = datetime.date(2026, 11, 25)
YESTERDAY = TODAY - datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def virtual() -> Definition:
    return load_definition(find_definition("virtual"))


def due(definition: Definition, name: str, date: datetime.date | None) -> Definition:
    """Return the definition with another due date of one instrument, or of the shunt."""
    if name == "shunt":
        shunt = definition.topology.reference_shunt.model_copy(update={"calibration_due": date})
        return definition.model_copy(
            update={"topology": definition.topology.model_copy(update={"reference_shunt": shunt})}
        )
    section = definition.instruments[name].model_copy(update={"calibration_due": date})
    return definition.model_copy(update={"instruments": {**definition.instruments, name: section}})


# -- the worked example --------------------------------------------------------------------------------------------


def test_the_worked_budget_of_the_reference_current(virtual: Definition) -> None:
    """Metrology reference 6.3, 50 A in 0.5 mohm: its printed half-widths, contributions in mA, uc, U and percent."""
    budget = budgets.reference_current(virtual, 50.0).plus(Contribution("repeatability", 0.002))
    lines = {line.name: line for line in budget.contributions}
    printed = {
        "shunt calibration": ("normal", 0.1e-6, 5.0),
        "shunt temperature": ("rectangular", 0.1e-6, 5.8),
        "shunt drift": ("rectangular", 0.1e-6, 5.8),
        "meter": ("rectangular", 4.75e-6, 5.5),
        "thermo-electric voltage": ("rectangular", 1e-6, 1.2),
    }
    for name, (distribution, stated, milliamps) in printed.items():
        assert lines[name].distribution == distribution
        assert lines[name].stated == pytest.approx(stated)
        assert round(1000 * lines[name].standard, 1) == milliamps
    assert lines["meter"].sensitivity == pytest.approx(2000.0)
    assert lines["shunt drift"].sensitivity == pytest.approx(-100_000.0)
    assert round(1000 * budget.standard, 1) == 11.3
    assert (budget.coverage, round(1000 * budget.expanded)) == (2.0, 23)
    assert round(budgets.as_percent(budget, 50.0), 3) == 0.045


def test_a_small_current_is_the_meters_rectangle_and_needs_less_than_k_2(virtual: Definition) -> None:
    budget = budgets.reference_current(virtual, 0.0)
    assert budget.dominant == pytest.approx(0.007 / math.sqrt(3))  # 3.5 uV in 0.5 mohm
    assert 1.6 < budget.coverage < 1.85
    assert budgets.as_percent(budget, 0.0) == math.inf


def test_one_shunt_serves_two_readings(virtual: Definition) -> None:
    """The asymmetry of +50 A and -50 A keeps the zero errors only, their gain the shunt's and the meter's only."""
    plus, minus = (budgets.reference_current(virtual, current_a, apart=True) for current_a in (50.0, -50.0))
    zero = difference("A", plus, minus, 0.5, 0.5)
    gain = difference("A", plus, minus, 0.5, -0.5)
    volts_zero, volts_gain = math.hypot(3.5e-6, 1e-6) / math.sqrt(3), 1.25e-6 / math.sqrt(3)
    shunt_a = 50.0 * math.hypot(1e-4, 2e-4 / math.sqrt(3), 2e-4 / math.sqrt(3))
    assert zero.standard == pytest.approx(2000 * volts_zero, rel=1e-6)
    assert gain.standard == pytest.approx(math.hypot(shunt_a, 2000 * volts_gain), rel=1e-6)


def test_the_pack_voltage_is_one_rectangle(virtual: Definition) -> None:
    budget = budgets.pack_voltage(virtual, 53.0)
    assert budget.standard == pytest.approx(2.455e-3 / math.sqrt(3))
    assert budget.expanded == pytest.approx(0.9545 * 2.455e-3, rel=1e-4)


def test_a_reference_without_accuracy_has_no_budget(virtual: Definition) -> None:
    meter = virtual.instruments["shunt_meter"].model_copy(update={"accuracy": {}})
    bare = virtual.model_copy(update={"instruments": {**virtual.instruments, "shunt_meter": meter}})
    with pytest.raises(DefinitionError, match=r"shunt_meter\.accuracy\.voltage: is missing"):
        budgets.reference_current(bare, 1.0)


def test_the_average_of_the_meter_is_declared_or_follows_from_its_cycles(virtual: Definition) -> None:
    assert budgets.averaging_s(virtual) == 0.0  # nobody averages there
    virtual = virtual.model_copy(update={"bench": virtual.bench.model_copy(update={"simulated": False})})
    assert budgets.averaging_s(virtual) == 0.02
    meter = virtual.instruments["shunt_meter"]
    changed = {"integration_s": 0.0, "measuring": Measuring(range_v=0.1, power_line_cycles=10.0)}
    slow = virtual.model_copy(
        update={"instruments": {**virtual.instruments, "shunt_meter": meter.model_copy(update=changed)}}
    )
    assert budgets.averaging_s(slow) == pytest.approx(0.2)


# -- thresholds and times ------------------------------------------------------------------------------------------


def test_a_ramp_takes_its_overshoot_off_and_adds_its_spread() -> None:
    """Reference 7.3: r (td + Ts/2) with r = 2 A/s, td = 0.5 to 0.7 s, Ts = 0.1 s is 1.3 A."""
    found, budget = budgets.ramp_threshold(
        111.3, 2.0, Budget("A", (Contribution("reference", 0.02),)), delay_s=(0.5, 0.7), sample_s=0.1, gap_s=0.02
    )
    assert found.value == pytest.approx(110.0)
    variance = 0.2**2 / 12 + 0.1**2 / 12 + 0.02**2 / 12
    assert budget.standard == pytest.approx(math.sqrt(0.02**2 + 4.0 * variance))
    down, _ = budgets.ramp_threshold(2.8, -0.01, Budget("V"), delay_s=(1.0, 1.0), sample_s=0.0, gap_s=0.0)
    assert down.value == pytest.approx(2.81)  # a falling ramp undershoots


def test_a_fine_bracket_with_noise_is_no_better_than_the_noise() -> None:
    """Reference 7.3: with 1 mV noise a 0.8 mV bracket is not 0.23 mV; its own figure, 0.86 mV, has 0.83 mV noise."""
    found, budget = budgets.bracketed_threshold(3.6496, 3.6504, Budget("V"), noise=0.83e-3)
    assert found.value == pytest.approx(3.65)
    assert 1000 * budget.standard == pytest.approx(0.86, abs=0.005)
    _, silent = budgets.bracketed_threshold(3.6496, 3.6504, Budget("V"))
    assert 1000 * silent.standard == pytest.approx(0.23, abs=0.002)


def test_the_published_budget_of_a_time_behind_a_10_ms_message() -> None:
    """Reference 6.7: 0.5 ms edge, 0.2 ms stamp, 1 ms offset: uc = 3.0 ms, the 95 % half-width is 5.0 ms, not 5.9."""
    budget = flag_delay(0.0, 0.01, edge_s=0.5e-3, stamp_s=0.2e-3, clock_offset_s=1e-3)
    assert 1000 * budget.standard == pytest.approx(3.0, abs=0.06)
    assert 1000 * budget.expanded == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize(("period_s", "bound"), [(0.02, 0.01), (0.1, 0.05), (1.0, 0.5)])
def test_a_message_alone_is_known_better_than_its_bound(period_s: float, bound: float) -> None:
    assert flag_delay(0.0, period_s).expanded == pytest.approx(0.9545 * bound, rel=1e-4)


def test_averaging_cancels_in_a_delay_between_two_edges_but_for_the_share_at_which_they_are_seen() -> None:
    plain = trip_delay(0.02, 0.02)
    assert plain.expanded == pytest.approx(2 * math.sqrt(2) * 0.02 / math.sqrt(12))
    seen = trip_delay(0.02, 0.02, averaging_s=0.02, threshold_share=110.0 / 115.5)
    assert plain.expanded < seen.expanded < 1.01 * plain.expanded


# -- calibration ---------------------------------------------------------------------------------------------------


def test_a_calibration_that_holds_today_is_no_gap(virtual: Definition) -> None:
    assert budgets.calibration_gaps(virtual, TODAY) == {}
    assert budgets.calibration_gaps(due(virtual, "shunt_meter", TODAY), TODAY) == {}
    assert budgets.calibration_gaps(due(virtual, "shunt_meter", None), TODAY) == {}


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("shunt_meter", "reference_current"),
        ("shunt", "reference_current"),
        ("pack_meter", "pack_side_voltage"),
        ("sink", "voltage.load"),
        ("charger", "voltage.supply"),
    ],
)
def test_a_calibration_that_ran_out_yesterday_names_channel_instrument_and_date(
    virtual: Definition, name: str, channel: str
) -> None:
    gaps = budgets.calibration_gaps(due(virtual, name, YESTERDAY), TODAY)
    assert list(gaps) == [channel]
    assert name.split("_")[0] in gaps[channel]
    assert "calibration was due on 2026-11-24: calibrate it and measure again" in gaps[channel]


def test_a_relay_needs_no_calibration(virtual: Definition) -> None:
    assert budgets.calibration_gaps(due(virtual, "relays", YESTERDAY), TODAY) == {}


def recorded(read_a: float) -> Traces:
    made = Traces()
    for index in range(101):
        made.sample("reference_current", index / 10, 50.0)
        made.sample("bms.pack_current", index / 10, read_a)
    for at_s in range(11):
        made.sample("link.can", at_s, 1.0)
    return made


READING: dict[str, Any] = {
    "signal": "pack_current", "begin_s": 2.0, "end_s": 8.0, "accuracy": {"reading_pct": 1.0}, "reference_u_a": 0.02,
}  # fmt: skip


@pytest.mark.parametrize("rule", ["guarded", "simple", "binary"])
@pytest.mark.parametrize("read_a", [50.0, 55.0])
def test_verdicts_that_rest_on_it_are_inconclusive_whichever_way_they_fell(
    virtual: Definition, read_a: float, rule: RuleName
) -> None:
    gaps = budgets.calibration_gaps(due(virtual, "shunt_meter", YESTERDAY), TODAY)
    [plain] = judge("current_reading", recorded(read_a), DecisionRule(rule), READING)
    assert plain.verdict is (Verdict.PASS if read_a == 50.0 else Verdict.FAIL)
    [row] = judge("current_reading", recorded(read_a), DecisionRule(rule), {**READING, CALIBRATION_GAPS: gaps})
    assert row.verdict is Verdict.INCONCLUSIVE
    assert row.value == plain.value
    assert "shunt_meter, whose calibration was due on 2026-11-24" in row.as_dict()["how"]
    assert plain.judgement.text in row.as_dict()["how"]


def test_verdicts_that_ask_another_instrument_stand(virtual: Definition) -> None:
    gaps = budgets.calibration_gaps(due(virtual, "pack_meter", YESTERDAY), TODAY)
    [row] = judge("current_reading", recorded(50.0), DecisionRule(), {**READING, CALIBRATION_GAPS: gaps})
    assert row.verdict is Verdict.PASS


def test_a_bms_that_is_silent_has_failed_whoever_is_out_of_calibration(virtual: Definition) -> None:
    gaps = budgets.calibration_gaps(due(virtual, "shunt_meter", YESTERDAY), TODAY)
    mute = recorded(50.0)
    del mute.channels["bms.pack_current"]
    [row] = judge("current_reading", mute, DecisionRule(), {**READING, CALIBRATION_GAPS: gaps})
    assert row.verdict is Verdict.FAIL


def test_cells_and_sensors_are_named_by_pattern(virtual: Definition) -> None:
    guarded = load_definition(find_definition("virtual_guarded"))
    name = guarded.roles["cell_monitor"]
    assert set(budgets.calibration_gaps(due(guarded, name, YESTERDAY), TODAY)) == {"cell_[0-9]*", "degc.*"}


def test_a_setting_is_as_good_as_its_instrument_says(virtual: Definition) -> None:
    assert budgets.setting_error_a(virtual, "supply", 100.0) == pytest.approx(0.68)  # 0.2 % of 340 A
