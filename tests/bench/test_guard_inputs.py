"""The guard's further eyes: interlock and emergency stop, cells and temperatures, a disconnect that lies, slopes."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import find_definition, load_definition
from bench.envelope import Approach, StopLatency
from bench.errors import Inconclusive, InstrumentTimeout, OutOfRange, SafetyError

VIRTUAL = load_definition(find_definition("virtual"))


@pytest.fixture
def guarded(make_table: Any) -> Any:
    """A bench with interlock, emergency stop and its own eyes on the cells."""
    return make_table(VIRTUAL.model_copy(update={"interlock": "door contact K7"}), guarded=True)


def changed(make_table: Any, **values: Any) -> Any:
    return make_table(VIRTUAL.model_copy(update={"envelope": VIRTUAL.envelope.model_copy(update=values)}), guarded=True)


# -- interlock and emergency stop ----------------------------------------------------------------------------------


def test_an_open_interlock_keeps_outputs_off_and_the_disconnect_open(guarded: Any) -> None:
    guarded.inputs["interlock"].clear = guarded.contact.closed = False
    with pytest.raises(SafetyError) as caught:
        guarded.stand.supply.output_on()
    assert str(caught.value) == ("interlock (interlock) is open: supply was not switched on; look at: door contact K7")
    with pytest.raises(SafetyError, match=r"interlock .* is open: relays was not closed"):
        guarded.stand.disconnect.close_contact()
    assert not guarded.power["supply"].on
    assert not guarded.contact.closed


def test_a_pressed_emergency_stop_keeps_outputs_off(guarded: Any) -> None:
    guarded.inputs["emergency_stop"].clear = False
    with pytest.raises(SafetyError, match=r"emergency stop .* is open: load was not switched on"):
        guarded.stand.load.output_on()
    assert not guarded.power["load"].on


def test_the_loops_are_asked_anew_each_time(guarded: Any) -> None:
    guarded.stand.supply.output_on()
    guarded.stand.supply.output_off()
    guarded.stand.load.output_on()
    assert guarded.inputs["interlock"].asked == 2


@pytest.mark.parametrize("role", ["interlock", "emergency_stop"])
def test_a_loop_that_opens_opens_everything_at_once(guarded: Any, role: str) -> None:
    guarded.power["supply"].on = True
    guarded.watched().clock.sleep(1.0)
    guarded.inputs[role].clear = False
    with pytest.raises(SafetyError) as caught:
        guarded.clock.sleep(1.0)
    assert str(caught.value).startswith(f"{role.replace('_', ' ')}: {role} is open; look at")
    assert guarded.clock.now() == pytest.approx(1.1)
    assert not guarded.power["supply"].on
    assert not guarded.contact.closed


def test_a_loop_that_flickers_once_keeps_the_bench_off_for_the_rest_of_the_test(guarded: Any) -> None:
    guarded.watched().clock.sleep(0.95)
    guarded.inputs["interlock"].clear = False
    with pytest.raises(SafetyError):
        guarded.clock.sleep(0.1)
    guarded.inputs["interlock"].clear = True
    with pytest.raises(SafetyError, match="not switched on after a breach"):
        guarded.stand.supply.output_on()
    with pytest.raises(SafetyError, match="not closed after a breach"):
        guarded.stand.disconnect.close_contact()
    assert guarded.traces["clear.interlock"].values[-1] == 0.0


def test_a_loop_that_cannot_be_read_opens_everything(guarded: Any) -> None:
    guarded.power["load"].on = True
    guarded.watched().inputs["emergency_stop"].fails = InstrumentTimeout("estop: no answer")
    with pytest.raises(InstrumentTimeout):
        guarded.clock.sleep(1.0)
    assert not guarded.power["load"].on
    assert not guarded.contact.closed
    assert "clear.emergency_stop could not be watched" in str(guarded.guard.breach)


def test_opening_the_disconnect_is_never_refused(guarded: Any) -> None:
    guarded.inputs["interlock"].clear = False
    guarded.stand.disconnect.open_contact()
    assert not guarded.contact.closed
    with pytest.raises(SafetyError, match="belongs to the guard"):
        guarded.stand.disconnect.close()


# -- cells and temperatures ----------------------------------------------------------------------------------------


def test_cells_and_sensors_are_recorded(guarded: Any) -> None:
    guarded.watched().clock.sleep(4.5)
    assert guarded.traces["cell_16"].values == [3.3] * 3
    assert guarded.traces["degc.top"].at_s == pytest.approx([0.0, 2.0, 4.0])


def test_a_cell_outside_its_limits_is_found_before_anything_is_switched_on(guarded: Any) -> None:
    guarded.monitor.cells_v[3] = 3.95
    with pytest.raises(SafetyError, match=r"cells and temperatures: cell 4 at 3.950 V"):
        guarded.watched()
    with pytest.raises(SafetyError, match="not switched on"):
        guarded.stand.supply.output_on()


def test_a_sensor_that_gets_too_hot_opens_everything(guarded: Any) -> None:
    guarded.power["supply"].on = True
    guarded.watched().monitor.sensors["top"] = 60.5
    with pytest.raises(SafetyError, match=r"sensor top at 60.5 degC, the envelope allows 0 to 60 degC"):
        guarded.clock.sleep(3.0)
    assert not guarded.power["supply"].on
    assert not guarded.contact.closed


def test_a_cell_below_its_minimum_is_never_charged_again(guarded: Any) -> None:
    guarded.watched().monitor.cells_v[0] = 1.2
    with pytest.raises(SafetyError, match=r"cell 1 was found at 1.200 V"):
        guarded.clock.sleep(3.0)
    guarded.guard.breach = None  # whatever else may allow it
    with pytest.raises(SafetyError, match="such a cell is never charged again"):
        guarded.stand.supply.set_current_limit(1.0)
    guarded.stand.supply.set_current_limit(0.0)


def test_a_monitor_that_fails_opens_everything(guarded: Any) -> None:
    guarded.power["supply"].on = True
    guarded.watched().monitor.fails = InstrumentTimeout("scanner: no answer")
    with pytest.raises(InstrumentTimeout):
        guarded.clock.sleep(3.0)
    assert not guarded.power["supply"].on
    assert "cells could not be watched" in str(guarded.guard.breach)


# -- the disconnect ------------------------------------------------------------------------------------------------


def test_a_disconnect_that_reports_open_and_conducts_is_a_breach(table: Any) -> None:
    table.power["supply"].on, table.power["supply"].settings["set_current_limit"] = True, 20.0
    table.watched().clock.sleep(1.0)
    table.contact.closed = False  # the coil; the current goes on
    with pytest.raises(SafetyError) as caught:
        table.clock.sleep(2.0)
    assert "the disconnect does not disconnect: relays reports open while +20.0" in str(caught.value)
    assert not table.power["supply"].on


def test_an_open_disconnect_without_current_is_as_it_should_be(table: Any) -> None:
    table.contact.closed = False
    table.watched().clock.sleep(3.0)
    assert table.guard.breach is None


def test_after_a_breach_the_disconnect_opens_too(table: Any) -> None:
    table.watched().stray_a = 140.0
    with pytest.raises(SafetyError):
        table.clock.sleep(1.0)
    assert not table.contact.closed


# -- time under power, slopes, and the time to stop ----------------------------------------------------------------


def test_time_under_power_has_its_limit(make_table: Any) -> None:
    table = changed(make_table, under_power_s=5.0).watched()
    table.stray_a = 3.0
    with pytest.raises(SafetyError, match=r"5\.\d+ s under power in this test, allowed are 5 s"):
        table.clock.sleep(10.0)
    assert table.clock.now() == pytest.approx(5.1, abs=0.11)


def test_a_setting_that_rises_faster_than_the_slope_is_refused_and_falling_is_not(make_table: Any) -> None:
    table = changed(make_table, slope_a_per_s=10.0)
    supply = table.stand.supply
    supply.set_current_limit(0.0)
    table.clock.sleep(30.0)  # time in peace allows no step
    with pytest.raises(OutOfRange) as caught:
        supply.set_current_limit(1.1)
    assert str(caught.value) == (
        "supply: from 0 to 1.1 A charge in 0.1 s is faster than envelope.slope_a_per_s = 10 A/s on bench virtual; ramp "
        "it (nothing sent)"
    )
    assert table.power["supply"].calls == [("set_current_limit", 0.0)]
    supply.set_current_limit(1.0)
    table.clock.sleep(0.05)
    supply.set_current_limit(1.5)
    supply.set_current_limit(0.0)
    with pytest.raises(OutOfRange):
        supply.set_current_limit(1.0)  # from 0 A at once


def test_a_provocation_is_refused_with_the_arithmetic_before_anything_is_sent(table: Any) -> None:
    table.watched()
    fast = Approach("current, charge", "A", 130.0, 20.0, 136.5)  # 20 A/s x 0.5 s = 10 A of 6.5 A
    with (
        pytest.raises(Inconclusive, match=r"charge_1: not provoked on bench virtual: .*20 A/s x 0.5 s to stop = 10 A"),
        table.guard.provoke("charge_1", 2.0, fast),
    ):
        raise AssertionError("it was provoked")
    slow = Approach("current, charge", "A", 130.0, 10.0, 136.5)
    with table.guard.provoke("charge_1", 2.0, slow, level_a=115.0):
        pass


def test_a_provocation_longer_than_what_is_left_is_refused(make_table: Any) -> None:
    table = changed(make_table, energy_wh=1.0).watched()
    with (
        pytest.raises(Inconclusive, match=r"115.0 A x 60 V x 2.5 s = 4.8 Wh at most, but only 1.0 Wh"),
        table.guard.provoke("charge_1", 2.0, level_a=115.0),
    ):
        raise AssertionError("it was provoked")


def test_without_a_measured_stop_latency_nothing_is_provoked(make_table: Any) -> None:
    safety = VIRTUAL.safety.model_copy(update={"stop_latency": None})
    table = make_table(VIRTUAL.model_copy(update={"safety": safety})).watched()
    with (
        pytest.raises(Inconclusive, match=r"safety.stop_latency of bench virtual is not declared"),
        table.guard.provoke("charge_1", 2.0),
    ):
        raise AssertionError("it was provoked")


def test_every_abort_measures_how_long_stopping_took_and_the_longest_counts(make_table: Any) -> None:
    safety = VIRTUAL.safety.model_copy(update={"stop_latency": StopLatency(outputs_off_s=0.01, disconnect_s=0.5)})
    table = make_table(VIRTUAL.model_copy(update={"safety": safety})).watched()
    table.stray_a = 5.0
    table.clock.at(1.07, lambda: setattr(table, "stray_a", 0.0))  # the current needs 70 ms to end
    with table.guard.provoke("charge_1", 1.0):
        table.clock.sleep(2.0)
    table.stand.observers.drain()
    stopped = [event for event in table.events if event.text == "stopped"]
    assert [event.data["stopped_s"] for event in stopped] == [pytest.approx(0.08)]  # the next fast sample
    assert table.guard.stop_latency_s["outputs_off_s"] == pytest.approx(0.08)
    assert any("0.01 s is declared, 0.08 s were measured" in event.text for event in table.events)
    fast = Approach("current, charge", "A", 130.0, 100.0, 136.5)  # 100 A/s x 0.08 s = 8 A: no longer possible
    with pytest.raises(Inconclusive, match=r"100 A/s x 0.08 s"):
        table.guard.require_stoppable("charge_1", fast)


# -- what is too late, and what is not for tests -------------------------------------------------------------------


def test_an_output_that_was_switched_on_while_everything_was_opened_goes_off_again(table: Any) -> None:
    """The watch runs in another thread on the wall: its breach may fall between the check and the command."""
    plain = table.power["supply"].output_on

    def late() -> None:
        plain()
        table.guard.breach = "meanwhile"

    table.power["supply"].output_on = late
    with pytest.raises(SafetyError, match="supply: switched on and off again, since meanwhile: meanwhile"):
        table.stand.supply.output_on()
    assert not table.power["supply"].on


def test_a_contact_that_was_closed_while_everything_was_opened_opens_again(table: Any) -> None:
    table.contact.closed = False

    def late() -> None:
        table.contact.closed = True
        table.guard.breach = "meanwhile"

    table.contact.close_contact = late
    with pytest.raises(SafetyError, match="switched on and off again"):
        table.stand.disconnect.close_contact()
    assert not table.contact.closed


def test_after_a_breach_no_current_is_set_but_zero(table: Any) -> None:
    table.guard.breach = "the door was opened"
    with pytest.raises(SafetyError, match="5 A not set after a breach: the door was opened"):
        table.stand.load.set_current(5.0)
    table.stand.load.set_current(0.0)
    assert table.power["load"].calls == [("set_current", 0.0)]


@pytest.mark.parametrize("name", ["link", "disarm_watchdog", "output", "_driver_", "take_control", "set_power"])
def test_a_role_hands_out_nothing_but_what_it_is_for(table: Any, name: str) -> None:
    table.power["supply"].__dict__[name] = object()
    with pytest.raises(SafetyError, match=f"supply.{name} belongs to the guard"):
        getattr(table.stand.supply, name)
