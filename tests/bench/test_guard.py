"""The guard between tests and instruments, on a bench of fakes: refuse before sending, open first, explain after."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.errors import InstrumentTimeout, NotDue, OutOfRange, SafetyError
from bench.quantities import Direction

# -- setpoints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "setter", "value", "words"),
    [
        ("supply", "set_voltage", 60.1, "supply: 60.1 V is outside the envelope of bench virtual, 0 to 60 V"),
        ("supply", "set_voltage", -1.0, "supply: -1 V is outside"),
        ("supply", "set_voltage", math.nan, "supply: nan V is outside"),
        ("supply", "set_current_limit", 130.5, "supply: 130.5 A charge is outside the envelope of bench virtual"),
        ("supply", "set_current_limit", -1.0, "supply: -1 A charge is outside"),
        ("load", "set_current", 131.0, "load: 131 A discharge is outside the envelope of bench virtual, 0 to 130 A"),
        ("load", "set_current", math.nan, "load: nan A discharge is outside"),
    ],
)
def test_a_setpoint_outside_the_envelope_is_refused_before_anything_is_sent(
    table: Any, role: str, setter: str, value: float, words: str
) -> None:
    with pytest.raises(OutOfRange) as caught:
        getattr(getattr(table.stand, role), setter)(value)
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith("nothing was sent")
    assert table.power[role].calls == []


def test_a_setpoint_inside_the_envelope_is_sent_as_it_is(table: Any) -> None:
    table.stand.supply.set_voltage(60.0)
    table.stand.supply.set_current_limit(130.0)
    table.stand.load.set_current(0.0)
    assert table.power["supply"].calls == [("set_voltage", 60.0), ("set_current_limit", 130.0)]
    assert table.power["load"].calls == [("set_current", 0.0)]


@pytest.mark.parametrize("setter", ["set_source_current", "set_sink_current"])
def test_both_quadrants_of_a_bidirectional_supply_have_their_limit(two_quadrant: Any, setter: str) -> None:
    with pytest.raises(OutOfRange, match="outside the envelope"):
        getattr(two_quadrant.stand.bidirectional, setter)(130.1)
    getattr(two_quadrant.stand.bidirectional, setter)(5.0)
    assert two_quadrant.power["bidirectional"].calls == [(setter, 5.0)]


@pytest.mark.parametrize("name", ["set_overcurrent_protection", "clear_alarms", "take_control", "set_unheard_of"])
def test_what_the_guard_does_not_know_is_not_for_tests(table: Any, name: str) -> None:
    table.power["supply"].set_unheard_of = lambda value: None
    with pytest.raises(SafetyError, match=rf"supply.{name} belongs to the guard"):
        getattr(table.stand.supply, name)
    assert table.power["supply"].calls == []


def test_measuring_passes_through(table: Any) -> None:
    assert table.stand.supply.measure_voltage() == 53.0
    assert table.stand.supply.name == "charger"


def test_a_second_driver_is_refused(table: Any) -> None:
    table.stand.load.output_on()
    with pytest.raises(SafetyError, match="supply: load is still on; only one of source and sink may drive"):
        table.stand.supply.output_on()
    assert not table.power["supply"].on
    table.stand.load.output_off()
    table.stand.supply.output_on()
    assert table.power["supply"].on


# -- the instruments' own protections ------------------------------------------------------------------------------


def test_protections_are_programmed_a_tenth_beyond_the_envelope(table: Any) -> None:
    said = table.guard.program_protections()
    # 60 V x 1.03 and 130 A x 1.10
    assert table.power["supply"].calls == [
        ("set_overvoltage_protection", pytest.approx(61.8)),
        ("set_overcurrent_protection", pytest.approx(143.0)),
    ]
    assert said[1] == "supply: over-current 143.0 A charge"
    assert said[3] == "load: over-current 143.0 A discharge"


def test_both_quadrants_are_programmed(two_quadrant: Any) -> None:
    two_quadrant.guard.program_protections()
    assert dict(two_quadrant.power["bidirectional"].calls) == pytest.approx(
        {
            "set_overvoltage_protection": 61.8,
            "set_overcurrent_protection": 143.0,
            "set_sink_overcurrent_protection": 143.0,
        }
    )


# -- the watch -----------------------------------------------------------------------------------------------------


def breached(table: Any, seconds: float = 1.0) -> str:
    with pytest.raises(SafetyError) as caught:
        table.clock.sleep(seconds)
    return str(caught.value)


def test_a_quiet_bench_is_recorded_ten_times_a_second(table: Any) -> None:
    table.watched().clock.sleep(1.05)
    assert len(table.traces["reference_current"]) == 10
    assert table.traces["pack_side_voltage"].values == [53.0] * 10
    assert set(table.traces.channels) >= {"output.supply", "alarm.load", "voltage.supply", "link.can"}
    assert table.guard.breach is None


def test_alarms_are_counted(table: Any) -> None:
    table.power["load"].alarms = ("overcurrent", "overvoltage")
    table.watched().clock.sleep(1.0)
    assert table.traces["alarm.load"].values[-1] == 2.0


@pytest.mark.parametrize(
    ("stray_a", "limit"),
    [(137.0, "the envelope allows 136.5 A charge"), (-137.0, "the envelope allows 136.5 A discharge")],
)
def test_a_current_beyond_the_envelope_switches_off_first_and_raises_then(
    table: Any, stray_a: float, limit: str
) -> None:
    table.power["supply"].on = table.power["load"].on = True
    table.watched().stray_a = stray_a
    text = breached(table)
    assert text.startswith("envelope breached: ")
    assert limit in text
    assert "outputs were switched off" in text
    assert not table.power["supply"].on
    assert not table.power["load"].on
    assert table.clock.now() == pytest.approx(0.1)


def test_currents_up_to_a_twentieth_beyond_the_envelope_are_the_instruments_overshoot(table: Any) -> None:
    table.watched().stray_a = 136.0
    table.clock.sleep(1.0)
    assert table.guard.breach is None


@pytest.mark.parametrize(
    ("rest_v", "words"), [(60.1, "pack at 60.10 V"), (37.9, "pack at 37.90 V"), (-53.0, "pack at -53.00 V")]
)
def test_a_voltage_outside_the_envelope_is_a_breach(table: Any, rest_v: float, words: str) -> None:
    table.rest_v = rest_v
    assert words in breached(table.watched())


def test_a_reading_that_is_no_number_is_no_reading_and_opens_everything(table: Any) -> None:
    table.power["supply"].on = True
    table.watched().stuck_a = math.nan
    with pytest.raises(OutOfRange, match="reference_current: nan is not a finite number"):
        table.clock.sleep(1.0)
    assert not table.power["supply"].on
    assert not table.contact.closed


def test_power_and_energy_have_their_limits(make_table: Any) -> None:
    from bench.definition import find_definition, load_definition

    definition = load_definition(find_definition("virtual"))
    weak = definition.envelope.model_copy(update={"max_w": 1000.0})
    table = make_table(definition.model_copy(update={"envelope": weak})).watched()
    table.stray_a = 19.0  # 19 A x 53.38 V = 1014 W
    assert "1014 W, the envelope allows 1000 W" in breached(table)

    short = definition.envelope.model_copy(update={"energy_wh": 2.0})
    table = make_table(definition.model_copy(update={"envelope": short})).watched()
    table.stray_a = -100.0  # 100 A x 51 V: 2 Wh after 1.41 s, and 0.1 s until the first sample
    said = breached(table, 10.0)
    assert "Wh in this test, allowed are 2 Wh" in said
    assert 2.0 < float(said.partition(" Wh in this test")[0].split()[-1]) < 2.3
    assert table.clock.now() == pytest.approx(1.6, abs=0.11)


def test_after_a_breach_nothing_is_switched_on_again(table: Any) -> None:
    table.watched().stray_a = 140.0
    breached(table)
    table.stray_a = 0.0
    with pytest.raises(SafetyError, match="not switched on after a breach"):
        table.stand.supply.output_on()
    assert not table.power["supply"].on


def test_an_output_that_does_not_obey_is_named_and_the_disconnect_opens(table: Any) -> None:
    table.power["supply"].on = table.power["load"].on = True
    table.power["supply"].fails["output_off"] = InstrumentTimeout("charger: no answer")
    table.watched().stray_a = 140.0
    text = breached(table)
    assert "charger: no answer" in text
    assert not table.power["load"].on
    assert not table.contact.closed


def test_a_guard_that_cannot_see_opens_everything(table: Any) -> None:
    table.power["supply"].on = True
    table.watched().meter_fails = InstrumentTimeout("shunt_meter: no answer")
    with pytest.raises(InstrumentTimeout):
        table.clock.sleep(1.0)
    assert not table.power["supply"].on
    assert not table.contact.closed
    assert "could not be watched" in str(table.guard.breach)


def test_a_reading_that_is_not_due_is_left_to_the_next_tick(table: Any) -> None:
    table.watched().meter_fails = NotDue("spacing")
    table.clock.sleep(0.25)
    assert "reference_current" not in table.traces
    table.meter_fails = None
    table.clock.sleep(0.25)
    assert len(table.traces["reference_current"]) >= 2


def test_a_watch_without_a_witness_is_refused(table: Any) -> None:
    table.guard.start_watch()
    with pytest.raises(SafetyError, match="no reference to watch"):
        table.clock.sleep(0.2)


def test_the_watch_ends_when_it_is_told(table: Any) -> None:
    table.watched().clock.sleep(0.5)
    table.guard.stop_watch()
    table.stray_a = 1000.0
    table.clock.sleep(5.0)
    assert len(table.traces["reference_current"]) == 5


# -- provocations --------------------------------------------------------------------------------------------------


def test_a_provocation_is_ended_and_marked_after_its_time(table: Any) -> None:
    table.watched()
    table.stand.load.output_on()
    with table.guard.provoke("discharge_1", 2.0):
        table.clock.sleep(5.0)
    assert not table.power["load"].on
    assert table.guard.aborted == "discharge_1"
    assert [(mark.at_s, mark.name, mark.detail) for mark in table.traces.marks] == [(2.0, "abort", "discharge_1")]


def test_a_provocation_that_ends_in_time_is_not_aborted(table: Any) -> None:
    table.watched()
    table.stand.load.output_on()
    with table.guard.provoke("discharge_1", 2.0):
        table.clock.sleep(1.9)
    table.clock.sleep(5.0)
    assert table.power["load"].on
    assert table.guard.aborted is None
    assert table.traces.marks == []


def test_during_a_provocation_the_reference_is_sampled_fast(table: Any) -> None:
    table.watched()
    with table.guard.provoke("discharge_1", 9.0):
        table.clock.sleep(1.0)
    instants = table.traces["reference_current"].at_s
    assert len(instants) == 50
    assert instants == sorted(set(instants))


def test_after_an_abort_nothing_is_switched_on_until_a_new_provocation_begins(table: Any) -> None:
    table.watched()
    with table.guard.provoke("discharge_1", 1.0):
        table.clock.sleep(1.5)
        with pytest.raises(SafetyError, match="load: not switched on after the abort of discharge_1"):
            table.stand.load.output_on()
    with table.guard.provoke("charge_1", 1.0):
        table.stand.supply.output_on()
    assert table.power["supply"].on


def test_an_abort_that_an_instrument_does_not_obey_raises(table: Any) -> None:
    table.watched()
    table.power["load"].on = True
    table.power["load"].fails["output_off"] = InstrumentTimeout("sink: no answer")
    with (
        pytest.raises(SafetyError, match=r"abort of discharge_1: .*sink: no answer"),
        table.guard.provoke("discharge_1", 1.0),
    ):
        table.clock.sleep(3.0)
    assert not table.contact.closed


# -- the way out ---------------------------------------------------------------------------------------------------


def test_the_way_out_has_its_stages_in_order_and_measures_the_end(table: Any) -> None:
    table.watched()
    table.power["supply"].on, table.power["supply"].settings["set_current_limit"] = True, 20.0
    report = table.guard.make_safe("end of test")
    assert report.safe
    stages = list(dict.fromkeys(step.stage for step in report.steps))
    assert stages == ["current to zero", "BMS asked to open", "outputs off", "disconnect open", "measured"]
    assert all(step.done for step in report.steps)
    assert report.failed == ()
    assert [name for name, _ in table.power["supply"].calls] == ["set_current_limit", "output_off"]
    assert table.link.requests == [{"RequestMode": 0.0}]
    assert not table.contact.closed
    # by hand: rectangles of 3.5 uV (the meter's range) and 1 uV (thermo-electric) over 0.5 mOhm are 7 and 2 mA; 95.45 %
    # of their sum lie within 9 - sqrt(0.0455 x 4 x 7 x 2) = 7.40 mA
    assert report.text == "current +0.0000 A ± 0.0074 A (measured)"
    assert report.current_a == 0.0


def test_every_step_has_its_chance_when_one_fails(table: Any) -> None:
    table.watched()
    supply, load = table.power["supply"], table.power["load"]
    supply.on = load.on = True
    for name in ("set_current_limit", "output_off"):
        supply.fails[name] = InstrumentTimeout("charger: no answer")
    table.link.on_request = lambda values: (_ for _ in ()).throw(OSError("adapter gone"))
    report = table.guard.make_safe("after a failure")
    assert not load.on
    assert not table.contact.closed
    failed = {(step.stage, step.step): step.text for step in report.steps if not step.done}
    assert failed == {
        ("current to zero", "supply"): "InstrumentTimeout: charger: no answer",
        ("BMS asked to open", "bms"): "OSError: adapter gone",
        ("outputs off", "supply"): "InstrumentTimeout: charger: no answer",
    }
    assert [step.step for step in report.failed] == ["supply", "supply"]


def test_both_quadrants_go_to_zero_although_the_first_refuses(two_quadrant: Any) -> None:
    part = two_quadrant.watched().power["bidirectional"]
    part.fails["set_source_current"] = InstrumentTimeout("no answer")
    two_quadrant.guard.make_safe("end")
    assert ("set_sink_current", 0.0) in part.calls


def test_a_bench_whose_current_remains_is_not_safe(table: Any) -> None:
    table.watched().stray_a = -0.4
    report = table.guard.make_safe("end")
    assert not report.safe
    assert report.current_a == pytest.approx(-0.4)
    assert report.text == "current still -0.400 A after 2 s, not off"


def test_a_current_that_dies_away_within_two_seconds_is_off(table: Any) -> None:
    table.watched().stray_a = 5.0
    table.clock.at(1.0, lambda: setattr(table, "stray_a", 0.0))
    assert table.guard.make_safe("end").safe


@pytest.mark.parametrize("problem", [InstrumentTimeout("shunt_meter: no answer"), OSError("gone"), ValueError("odd")])
def test_a_current_that_cannot_be_measured_is_not_off(table: Any, problem: Exception) -> None:
    table.watched().meter_fails = problem
    report = table.guard.make_safe("end")
    assert not report.safe
    assert report.current_a is None
    assert str(problem) in report.text


def test_what_off_means_is_a_thousandth_of_the_range(table: Any) -> None:
    assert table.reference.off_limit_a == pytest.approx(0.2)
    table.watched().stray_a = 0.19
    assert table.guard.make_safe("end").safe


def test_before_the_reference_is_open_the_outputs_are_asked(table: Any) -> None:
    report = table.guard.make_safe("early")
    assert report.safe
    assert report.current_a is None
    assert "asked, not measured" in report.text
    table.power["load"].fails["output_off"] = InstrumentTimeout("no answer")
    assert not table.guard.make_safe("early").safe


def test_a_bench_without_a_disconnect_says_so(table: Any) -> None:
    table.guard._disconnect = None
    lines = table.watched().guard.make_safe("end").lines()
    assert any(line.startswith("disconnect open") and "this bench has none" in line for line in lines)


def test_the_way_out_is_told_to_whoever_watches(table: Any) -> None:
    table.watched().guard.make_safe("end of test")
    table.stand.observers.drain()
    [told] = [event for event in table.events if event.kind == "safe"]
    assert told.text.startswith("made safe (end of test): current")
    assert told.data["safe"] is True


def test_limits_have_a_direction(table: Any) -> None:
    assert table.guard.limit_a(Direction.CHARGE) == table.guard.limit_a(Direction.DISCHARGE) == 130.0
