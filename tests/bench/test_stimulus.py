"""Stimuli and procedures on a bench of fakes: the order of commands, the way back, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench import procedures, stimulus
from bench.errors import Inconclusive, InstrumentError, InstrumentTimeout, OutOfRange, WiringError
from bench.quantities import Direction
from bench.stand import TripBudget

CHARGE, DISCHARGE = Direction.CHARGE, Direction.DISCHARGE


def names(table: Any, role: str) -> list[str]:
    return [name for name, _ in table.power[role].calls]


def test_charging_presets_the_voltage_and_zero_current_before_switching_on(table: Any) -> None:
    stimulus.force(table.stand, 20.0)
    assert table.power["supply"].calls == [
        ("set_voltage", 53.0),
        ("set_current_limit", 0.0),
        ("output_on", None),
        ("set_voltage", pytest.approx(59.4)),
        ("set_current_limit", 20.0),
    ]
    assert table.power["load"].calls == []
    assert table.current_a() == 20.0


def test_discharging_switches_the_load_on_at_zero_current(table: Any) -> None:
    stimulus.force(table.stand, -20.0)
    assert table.power["load"].calls == [("set_current", 0.0), ("output_on", None), ("set_current", 20.0)]
    assert table.current_a() == -20.0


def test_a_reversal_takes_one_driver_off_before_the_other_is_on(table: Any) -> None:
    stimulus.force(table.stand, 20.0)
    stimulus.force(table.stand, -20.0)
    assert names(table, "supply")[-2:] == ["set_current_limit", "output_off"]
    assert not table.power["supply"].on
    stimulus.force(table.stand, 20.0)
    assert not table.power["load"].on
    assert table.current_a() == 20.0


def test_a_bidirectional_supply_zeroes_the_opposite_quadrant_first(two_quadrant: Any) -> None:
    part = two_quadrant.power["bidirectional"]
    stimulus.force(two_quadrant.stand, 20.0)
    assert part.calls == [
        ("set_source_current", 0.0),
        ("set_sink_current", 0.0),
        ("set_voltage", 53.0),
        ("output_on", None),
        ("set_sink_current", 0.0),
        ("set_voltage", pytest.approx(59.4)),
        ("set_source_current", 20.0),
    ]
    part.calls.clear()
    stimulus.force(two_quadrant.stand, -30.0)
    assert part.calls == [("set_source_current", 0.0), ("set_voltage", 38.0), ("set_sink_current", 30.0)]
    assert two_quadrant.current_a() == -30.0


@pytest.mark.parametrize("current_a", [130.5, -131.0, 1e9, math.inf, math.nan])
def test_a_current_beyond_the_envelope_is_refused_before_anything_is_sent(table: Any, current_a: float) -> None:
    with pytest.raises(OutOfRange, match="can or may force"):
        stimulus.force(table.stand, current_a)
    assert table.power["supply"].calls == []
    assert table.power["load"].calls == []


def test_the_largest_current_is_the_smaller_of_envelope_and_rating(table: Any, two_quadrant: Any) -> None:
    assert stimulus.largest_current_a(table.stand, CHARGE) == 130.0
    assert stimulus.largest_current_a(two_quadrant.stand, DISCHARGE) == 130.0
    table.stand.load = table.stand.supply  # a one-quadrant source cannot sink
    with pytest.raises(InstrumentError, match="charger cannot discharge"):
        stimulus.largest_current_a(table.stand, DISCHARGE)


def test_a_bench_without_a_load_cannot_discharge(table: Any) -> None:
    table.stand.load = None
    with pytest.raises(InstrumentError, match="nothing that can discharge"):
        stimulus.force(table.stand, -5.0)


def test_a_reversed_terminal_voltage_is_a_swapped_lead(table: Any) -> None:
    table.power["supply"].terminal_v = -52.0
    with pytest.raises(WiringError, match=r"charger measures -52.00 V .*\+ and - of its power leads are swapped"):
        stimulus.force(table.stand, 5.0)
    assert not table.power["supply"].on


def test_a_few_millivolts_below_zero_at_an_open_terminal_are_zero(table: Any) -> None:
    table.power["supply"].terminal_v = -0.02
    stimulus.force(table.stand, 5.0)
    assert table.power["supply"].calls[0] == ("set_voltage", 0.0)


def test_a_terminal_above_what_may_be_set_is_not_switched_on(table: Any) -> None:
    table.power["supply"].terminal_v = 60.2
    with pytest.raises(InstrumentError, match=r"60.20 V at its terminals, above the 60.00 V of the envelope"):
        stimulus.force(table.stand, 5.0)
    assert not table.power["supply"].on


def test_zero_leaves_the_output_on_and_release_switches_it_off(table: Any) -> None:
    stimulus.force(table.stand, 20.0)
    stimulus.force(table.stand, 0.0)
    assert table.power["supply"].on
    assert table.current_a() == 0.0
    stimulus.release(table.stand)
    assert not table.power["supply"].on


def test_a_supply_that_refuses_does_not_keep_the_load_on(table: Any) -> None:
    table.power["load"].on = True
    table.power["supply"].fails["set_current_limit"] = InstrumentTimeout("charger: no answer")
    with pytest.raises(InstrumentTimeout, match="charger"):
        stimulus.release(table.stand)
    assert not table.power["load"].on
    assert "output_off" in names(table, "supply")


def test_holding_hands_out_the_settled_current_and_lets_go(table: Any) -> None:
    with stimulus.holding(table.stand, -20.0) as found_a:
        assert found_a == pytest.approx(-20.0)
        assert table.current_a() == -20.0
    assert table.current_a() == 0.0
    assert not table.power["load"].on


@pytest.mark.parametrize("block", [stimulus.holding, stimulus.stepping])
def test_a_block_that_fails_lets_go_too(table: Any, block: Any) -> None:
    with pytest.raises(KeyError), block(table.stand, 20.0):
        raise KeyError("test")
    assert not table.power["supply"].on


@pytest.mark.parametrize("block", [stimulus.holding, stimulus.stepping])
def test_a_setting_that_fails_after_the_output_is_on_lets_go(table: Any, block: Any) -> None:
    real = table.power["supply"].set_current_limit

    def refuse(current_a: float) -> None:
        if current_a > 0:
            raise InstrumentTimeout("charger: no answer")
        real(current_a)

    table.power["supply"].set_current_limit = refuse
    with pytest.raises(InstrumentTimeout), block(table.stand, 20.0):
        pass
    assert "output_on" in names(table, "supply")
    assert not table.power["supply"].on


def test_a_current_that_does_not_settle_says_what_limits(table: Any) -> None:
    table.path_closed = False
    table.power["load"].alarms = ("undervoltage",)
    with pytest.raises(Inconclusive) as caught, stimulus.holding(table.stand, -20.0):
        pass
    text = str(caught.value)
    assert text.startswith("-20.000 A was forced, the reference shows +0.000 A after 3 s")
    assert "sink is in CC; its alarms: undervoltage" in text
    assert not table.power["load"].on


def test_a_reversed_shunt_is_suspected_where_the_magnitude_fits(table: Any) -> None:
    table.shunt_sign = -1.0
    with pytest.raises(Inconclusive, match="sign inverted: check the sense leads of the reference shunt"):
        with stimulus.holding(table.stand, 20.0):
            pass


def test_a_step_hands_out_when_it_was_commanded(table: Any) -> None:
    table.clock.sleep(1.5)
    with stimulus.stepping(table.stand, 20.0) as at_s:
        assert at_s == 1.5
        assert table.current_a() == 20.0
    assert table.current_a() == 0.0


def test_the_end_of_a_current_is_waited_for(table: Any) -> None:
    table.watched().clock.sleep(0.15)
    with stimulus.stepping(table.stand, -20.0):
        table.clock.at(2.0, lambda: setattr(table, "path_closed", False))
        took_s = stimulus.wait_for_end(table.stand, DISCHARGE, 20.0, timeout_s=10.0)
    assert took_s == pytest.approx(1.9, abs=0.11)


def test_an_end_that_does_not_come_ends_the_waiting(table: Any) -> None:
    table.watched()
    with stimulus.stepping(table.stand, -20.0):
        table.clock.sleep(0.2)
        assert stimulus.wait_for_end(table.stand, DISCHARGE, 20.0, timeout_s=1.0) is None


def test_a_current_that_never_rose_is_not_waited_for_long(table: Any) -> None:
    table.watched().clock.sleep(0.2)
    begin_s = table.clock.now()
    assert stimulus.wait_for_end(table.stand, DISCHARGE, 20.0, timeout_s=100.0) is None
    assert table.clock.now() - begin_s < 4.0


def test_a_ramp_keeps_its_grid_and_ends_where_it_should(table: Any) -> None:
    stimulus.ramp(table.stand, 1.0, 5.0, duration_s=4.0, step_s=1.0)
    limits = [value for name, value in table.power["supply"].calls if name == "set_current_limit"]
    assert limits == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert table.clock.now() == 5.0
    assert table.power["supply"].on


def test_a_ramp_through_zero_changes_the_driver(table: Any) -> None:
    stimulus.ramp(table.stand, -1.0, 1.0, duration_s=2.0, step_s=1.0)
    assert not table.power["load"].on
    assert table.current_a() == 1.0


# -- procedures ----------------------------------------------------------------------------------------------------


def test_levels_have_the_uncertainty_of_the_bench(table: Any) -> None:
    row = table.profile.protection("charge_overcurrent_msl")
    levels = procedures.levels_of(table.stand, row)
    u_a = table.reference.current_uncertainty(121.0)
    assert levels.must_not_trip == pytest.approx(110.0 - 3.0 - u_a - 0.15)
    # 1.05 x 110 beats 113 + U; a settled stimulus may still be 0.15 A off, on either side
    assert levels.must_trip == pytest.approx(115.5 + 0.15)


def test_the_largest_quiet_current_is_that_of_the_lowest_protection(table: Any) -> None:
    row = table.profile.protection("discharge_overcurrent_msl")
    quiet_a = procedures.largest_quiet_a(table.stand, DISCHARGE)
    assert quiet_a == procedures.levels_of(table.stand, row).must_not_trip
    assert procedures.overcurrent_rows(table.profile, DISCHARGE) == [row]


def test_sign_currents_are_ordered_and_a_coarse_bench_cannot_judge_the_smallest(table: Any) -> None:
    smallest, tenth, most = (
        procedures.sign_current_a(table.stand, CHARGE, word) for word in ("smallest", "10pct", "80pct")
    )
    assert 0.2 < smallest < tenth < most
    assert most == pytest.approx(8 * tenth)
    signal = table.profile.signals["pack_current"].model_copy(update={"dead_band": 12.0})
    table.stand.profile = table.profile.model_copy(
        update={"signals": {**table.profile.signals, "pack_current": signal}}
    )
    with pytest.raises(Inconclusive, match="smallest current with a sign worth judging"):
        procedures.sign_current_a(table.stand, CHARGE, "smallest")


def test_a_window_begins_after_the_readings_have_settled(table: Any) -> None:
    window = procedures.watch(table.stand, ("pack_current",), at_least_s=2.0)
    assert (window.begin_s, window.end_s) == pytest.approx((0.3, 2.3))
    assert window.referred()["reference"] == "shunt_meter"
    assert window.times() == {"begin_s": window.begin_s, "end_s": window.end_s}


def test_roles_and_other_flags_are_named(table: Any, two_quadrant: Any) -> None:
    assert [procedures.role_of(table.stand, way) for way in Direction] == ["supply", "load"]
    assert procedures.role_of(two_quadrant.stand, CHARGE) == "bidirectional"
    flags = procedures.flags_but(table.profile, table.profile.protection("charge_overcurrent_msl"))
    assert "overcurrent_charge" not in flags
    assert {"overcurrent_discharge", "undervoltage"} <= set(flags)


def test_only_a_protection_whose_stimulus_can_be_exceeded_excuses_an_early_trip(table: Any) -> None:
    flags = procedures.excusing_flags(table.profile, table.profile.protection("charge_overcurrent_msl"))
    assert "overcurrent_discharge" not in flags  # nothing flows that way
    assert {"overvoltage", "overtemperature_charge"} <= set(flags)


def test_a_trip_that_could_lock_the_bms_out_is_not_provoked(table: Any) -> None:
    row = table.profile.protection("charge_overcurrent_msl").model_copy(update={"lockout_count": 3})
    budget = TripBudget()
    budget.spend(row)
    budget.spend(row)
    with pytest.raises(Inconclusive, match="provoked 2 times and locks after 3"):
        budget.spend(row)
