"""Playing profiles on a bench of fakes: checked whole before the first ampere, in time, with an abort, and measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from bench import stimulus
from bench.definition import Definition, find_definition, load_definition
from bench.errors import Inconclusive, InstrumentTimeout, OutOfRange
from bench.profile import Profile, find_profile, load_profile
from bench.stimulus import CurrentProfile, PulseTrain, measure_transition
from bench.stimulus_checks import foresee, refusals
from bench.stimulus_excursion import excursion, open_circuit_v, steepest_cell_v_per_s
from bench.stimulus_profile import Point
from bench.traces import Mark, Traces


def profile(*points: tuple[float, float], between: Any = "held") -> CurrentProfile:
    return CurrentProfile("p", tuple(Point(*point) for point in points), between)


def virtual() -> Definition:
    return load_definition(find_definition("virtual"))


def with_envelope(definition: Definition, **changes: Any) -> Definition:
    return definition.model_copy(update={"envelope": definition.envelope.model_copy(update=changes)})


def foxbms() -> Profile:
    return load_profile(find_profile("foxbms_2"))


def sent(table: Any, role: str, name: str) -> list[float]:
    return [value for called, value in table.power[role].calls if called == name]


def told(table: Any, kind: str = "note") -> list[str]:
    return [event.text for event in table.events if event.kind == kind]


# -- what is foreseen ------------------------------------------------------------------------------------------------


def test_charge_time_and_energy_of_a_profile_by_hand() -> None:
    """36 A for 100 s are 1 Ah in; 72 A for 50 s are 1 Ah out; at most 60 V each, and a watch more at each edge."""
    found = foresee(virtual(), foxbms(), profile((0, 36), (100, 0), (200, -72), (250, 0)), soc_pct=50.0)
    assert found.charge_ah == {"charge": pytest.approx(1.0), "discharge": pytest.approx(1.0)}
    assert found.peak_a == {"charge": 36.0, "discharge": 72.0}
    assert found.most_wh == pytest.approx(120.0 + 60.0 * 72.0 * 4 * 0.1 / 3600.0)
    assert found.under_power_s == pytest.approx(150.0 + 0.4)
    assert found.quadrant_changes == 1
    assert found.beyond == ()
    assert found.cells is not None
    assert found.cells.soc_high_pct == pytest.approx(51.0)
    assert found.cells.soc_end_pct == pytest.approx(50.0)


def test_the_way_of_a_cell_by_hand() -> None:
    """100 A into 100 Ah for 36 s: one percent; 1 mohm of which 40 % at once and 60 % with 30 s."""
    found = excursion(foxbms(), profile((0, 100), (36, 0)), 50.0)
    rest_v, end_v = open_circuit_v("lfp", 50.0), open_circuit_v("lfp", 51.0)
    pair_v = 0.06 * (1.0 - math.exp(-36 / 30))
    assert found.cell_high_v == pytest.approx(end_v + 0.04 + pair_v)
    assert found.cautious_high_v == pytest.approx(end_v + 2.6 * (0.04 + pair_v))
    assert found.cell_low_v == pytest.approx(rest_v)
    down = excursion(foxbms(), profile((0, -100), (36, 0)), 50.0)
    assert down.cell_low_v < rest_v <= down.cell_high_v
    assert down.soc_end_pct == pytest.approx(49.0)


def test_open_circuit_voltages_between_and_beyond_the_table() -> None:
    assert open_circuit_v("lfp", 50.0) == 3.265
    assert open_circuit_v("lfp", 47.5) == pytest.approx((3.264 + 3.265) / 2)
    assert open_circuit_v("lfp", 102.0) == pytest.approx(3.392 + 0.2)
    assert open_circuit_v("lfp", -1.0) == pytest.approx(2.833 - 0.1)
    assert steepest_cell_v_per_s(foxbms(), -36.0) == pytest.approx(0.5 * 100 * 36 / 360000)


def test_what_it_would_provoke_is_named_and_short_pulses_are_not() -> None:
    """foxBMS trips within 0.45 to 1.05 s above 110 ± 3 A."""
    long = foresee(virtual(), foxbms(), profile((0, -120), (0.5, 0)))
    short = foresee(virtual(), foxbms(), profile((0, -120), (0.3, 0), (0.6, -120), (0.9, 0)))
    inside = foresee(virtual(), foxbms(), profile((0, -106), (60, 0)))
    assert (long.beyond, short.beyond, inside.beyond) == (("discharge_overcurrent_msl",), (), ())
    assert any("beyond the threshold of discharge_overcurrent_msl" in line for line in long.lines())


@pytest.mark.parametrize(
    ("points", "changes", "why"),
    [
        ([(0, 131), (1, 0)], {}, "131 A charge, envelope.charge_a allows 130 A"),
        ([(0, 5), (1, -131), (2, 0)], {}, "131 A discharge, envelope.discharge_a allows 130 A"),
        ([(0, 100), (1, 0)], {"max_w": 5000.0}, "100 A charge x 60 V = 6000 W, envelope.max_w allows 5000 W"),
        ([(0, 100), (3600, 0)], {"energy_wh": 900.0}, "6000.3 Wh at most, envelope.energy_wh allows 900 Wh"),
        ([(0, 1), (9000, 0)], {}, "9000.2 s under power, envelope.under_power_s allows 7200 s"),
        ([(0, 100), (1800, 0)], {}, "SOC from 80.0 % would go to 80.0 ... 130.0 %"),
        ([(0, 120), (10, 0)], {"max_v": 52.0}, "cells would go to about 3.30 ... 3.37 V, envelope and cells allow"),
        ([(0, 60), (1, 0)], {"slope_a_per_s": 50.0}, "it rises by 60 A; at envelope.slope_a_per_s = 50 A/s"),
    ],
)
def test_what_leaves_the_envelope_anywhere_is_refused_with_its_arithmetic(
    points: list[tuple[float, float]], changes: dict[str, Any], why: str
) -> None:
    definition, bms = with_envelope(virtual(), **changes), foxbms()
    found = profile(*points)
    texts = refusals(definition, bms, found, foresee(definition, bms, found, soc_pct=80.0))
    assert any(text.startswith(why) or why in text for text in texts), texts


def test_a_straight_rise_must_leave_time_for_the_answers_of_a_slope() -> None:
    definition, bms = with_envelope(virtual(), slope_a_per_s=30.0), foxbms()
    for lasts_s, fits in ((4.9, False), (5.1, True)):
        found = profile((0, 0), (lasts_s, 50), (lasts_s + 10, 0), between="straight")
        assert (refusals(definition, bms, found, foresee(definition, bms, found)) == []) is fits


def test_ratings_that_were_asked_count_too() -> None:
    found = profile((0, 20), (1, 0))
    foreseen = foresee(virtual(), foxbms(), found)
    assert refusals(virtual(), foxbms(), found, foreseen, {"charge": 10.0, "discharge": 10.0}) == [
        "20 A charge, the instruments can 10 A"
    ]


# -- playing ---------------------------------------------------------------------------------------------------------


def test_every_setting_is_made_at_its_instant_and_the_end_is_off(table: Any) -> None:
    table.watched().clock.sleep(0.25)
    played = stimulus.play(table.stand, profile((0, -10), (1, -20), (2.5, 0), (3, -5), (4, 0)))
    assert played.begin_s == 0.25
    assert [each.due_s for each in played.settings] == pytest.approx([0.25, 1.25, 2.75, 3.25, 4.25])
    assert played.late_s == 0.0
    assert played.complete
    assert sent(table, "load", "set_current")[:6] == [0.0, 0.0, 10.0, 20.0, 0.0, 5.0]
    assert not table.power["load"].on
    current = table.traces["reference_current"]
    assert current.at(1.0) == pytest.approx(-10.0)
    assert current.at(2.0) == pytest.approx(-20.0)
    assert current.at(3.1) == pytest.approx(0.0)


def test_a_setting_whose_driver_is_on_is_one_command(table: Any) -> None:
    """The load is switched on at zero before the train begins, so that no pulse is shorter than it should be."""
    stimulus.pulse_train(table.watched().stand, PulseTrain(-50.0, on_s=0.4, off_s=0.6, count=2))
    names = [name for name, _ in table.power["load"].calls]
    assert names[:7] == ["set_current", "output_on", *["set_current"] * 5][:7]
    assert sent(table, "load", "set_current")[2:6] == [50.0, 0.0, 50.0, 0.0]


def test_a_driver_that_tripped_itself_is_not_switched_on_again(table: Any) -> None:
    table.watched().clock.at(0.5, lambda: setattr(table.power["load"], "on", False))
    stimulus.play(table.stand, profile((0, -10), (1, -20), (2, -30), (3, 0)))
    assert [name for name, _ in table.power["load"].calls].count("output_on") == 1


@pytest.mark.parametrize(
    "points",
    [[(0, 10), (1, 131), (2, 0)], [(0, 10), (7300, 0)], [(0, 120), (1200, 0)]],
)
def test_nothing_is_sent_where_some_part_of_it_would_leave(table: Any, points: list[tuple[float, float]]) -> None:
    with pytest.raises((OutOfRange, Inconclusive), match="p"):
        stimulus.play(table.watched().stand, profile(*points))
    assert table.power["supply"].calls == table.power["load"].calls == []


def test_what_was_used_up_before_in_the_same_test_counts(table: Any) -> None:
    """Of 2000 Wh in a test two trains of 1100 Wh do not fit, and the second one is refused whole."""
    train = profile((0, 110), (600, 0))
    stimulus.play(table.watched().stand, train)
    with pytest.raises(Inconclusive, match=r"profile p: not provoked .* Wh of envelope.energy_wh = 2000 Wh are left"):
        stimulus.play(table.stand, train)


def test_without_a_measured_stop_latency_nothing_is_played(table: Any) -> None:
    table.guard.stop_latency_s = {}
    with pytest.raises(Inconclusive, match=r"safety.stop_latency of bench virtual is not declared"):
        stimulus.play(table.watched().stand, profile((0, 10), (1, 0)))
    assert table.power["supply"].calls == []


def test_a_setting_that_fails_lets_go_of_everything(table: Any) -> None:
    real = table.power["load"].set_current

    def refuse(current_a: float) -> None:
        if current_a == 20.0:
            raise InstrumentTimeout("sink: no answer")
        real(current_a)

    table.power["load"].set_current = refuse
    with pytest.raises(InstrumentTimeout):
        stimulus.play(table.watched().stand, profile((0, -10), (1, -20), (2, 0)))
    assert not table.power["load"].on


def test_an_abort_ends_it_and_nothing_is_switched_on_again(table: Any) -> None:
    played = stimulus.play(table.watched().stand, profile((0, -10), (1, -20), (2, 0)), abort_after_s=0.7)
    assert played.stopped_because == "the abort of p"
    assert [each.current_a for each in played.settings] == [-10.0]
    assert not table.power["load"].on
    assert table.traces.marked("abort") is not None
    assert any("ended after" in text for text in told(table))


def test_it_can_be_ended_once_something_has_happened(table: Any) -> None:
    played = stimulus.play(
        table.watched().stand,
        profile((0, -10), (1, -20), (2, -30), (3, 0)),
        stop_when=lambda: table.clock.now() >= 2.0,
    )
    assert not played.complete
    assert [each.current_a for each in played.settings] == [-10.0, -20.0]


def test_pulses_that_no_sample_could_show_are_refused(table: Any) -> None:
    with pytest.raises(Inconclusive, match=r"shorter than three samples of the reference .* a digitiser at the shunt"):
        stimulus.pulse_train(table.stand, PulseTrain(20.0, on_s=0.05, off_s=1.0, count=2))
    with pytest.raises(Inconclusive, match=r"pauses of 0\.05 s"):
        stimulus.pulse_train(table.stand, PulseTrain(20.0, on_s=0.5, off_s=0.05, count=2))
    assert table.power["supply"].calls == []


def test_a_straight_line_is_played_in_steps(table: Any) -> None:
    stimulus.play(table.watched().stand, profile((0, 0), (1, -10), (1.5, -10), (2, 0), between="straight"))
    levels = sent(table, "load", "set_current")
    assert levels[2:13] == pytest.approx([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert table.traces["reference_current"].at(0.58) == pytest.approx(-5.0)


def test_a_long_profile_is_not_sampled_fast_unless_asked(table: Any) -> None:
    stimulus.play(table.watched().stand, profile((0, -10), (70, 0)))
    slow = len(table.traces["reference_current"].between(10.0, 20.0))
    stimulus.play(table.stand, profile((0, -10), (70, 0)), fast=True)
    fast = len(table.traces["reference_current"].between(80.0, 90.0))
    assert slow == pytest.approx(101, abs=1)
    assert fast > 400


# -- changes of quadrant ---------------------------------------------------------------------------------------------


def test_a_change_of_quadrant_is_marked_described_and_measured(table: Any) -> None:
    played = stimulus.reverse(table.watched().stand, 20.0, -30.0)
    [found] = played.transitions
    assert (found.from_a, found.to_a) == pytest.approx((20.0, -30.0))
    assert found.overshoot_a == 0.0
    assert found.gap_s == pytest.approx(0.02)
    assert found.at_zero_s.value - found.at_zero_s.expanded <= 0.0 + 1e-9  # these fakes change at once
    mark = table.traces.marked("quadrant")
    assert mark is not None
    assert mark.detail == "+20.000 A to -30.000 A commanded, by charger and sink"
    assert any("the one that drives goes to zero and off" in text for text in told(table))
    assert any(text.startswith("quadrant changed: +20.00 A to -30.00 A") for text in told(table))


def test_a_bidirectional_supply_is_described_as_what_it_is(two_quadrant: Any) -> None:
    stimulus.reverse(two_quadrant.watched().stand, -20.0, 30.0)
    assert any("by source_sink: it stays on" in text for text in told(two_quadrant))
    assert [name for name, _ in two_quadrant.power["bidirectional"].calls].count("output_on") == 1


def test_a_rest_between_two_directions_prepares_the_other_driver(table: Any) -> None:
    table.watched()
    table.clock.at(2.5, lambda: seen.append(table.power["supply"].on))
    seen: list[bool] = []
    played = stimulus.play(table.stand, profile((0, -10), (1, 0), (3, 10), (4, 0)))
    assert seen == [True]
    assert len(played.transitions) == 1


Shape = Callable[[float], float]


def recorded(current: Shape, *, end_s: float = 8.0, step_s: float = 0.02) -> Traces:
    made = Traces()
    for index in range(round(end_s / step_s) + 1):
        made.sample("reference_current", index * step_s, current(index * step_s))
    return made


def test_time_at_zero_overshoot_and_settling_by_hand() -> None:
    """From 50 A: zero from 2.10 s to 2.50 s, then -60 A until 2.60 s, then -50 A."""

    def current(t: float) -> float:
        if t < 2.10 - 1e-9:
            return 50.0
        return 0.0 if t < 2.50 - 1e-9 else -60.0 if t < 2.60 - 1e-9 else -50.0

    found = measure_transition(recorded(current), Mark(2.0, "quadrant", "by hand"))
    assert found.how == "by hand"
    assert found.left_s == pytest.approx(0.10)
    assert found.at_zero_s.value == pytest.approx(0.40)
    assert found.at_zero_s.expanded == pytest.approx(0.02 * 2 / math.sqrt(6))
    assert found.arrived_s == pytest.approx(0.50)
    assert found.overshoot_a == pytest.approx(10.0)
    assert found.settled_s == pytest.approx(0.60)
    assert found.gap_s == pytest.approx(0.02)


@pytest.mark.parametrize("rests_s", [0.013, 0.05, 0.31, 1.0])
@pytest.mark.parametrize("begins_s", [2.003, 2.017])
def test_the_stated_interval_holds_the_time_at_zero(rests_s: float, begins_s: float) -> None:
    traces = recorded(lambda t: 40.0 if t < begins_s else 0.0 if t < begins_s + rests_s else -40.0)
    found = measure_transition(traces, Mark(2.0, "quadrant")).at_zero_s
    assert abs(found.value - rests_s) <= 0.02 + 1e-9  # the bound; U is the 95 % of it


def test_noise_is_no_overshoot() -> None:
    traces = recorded(lambda t: 20.0 if t < 2.0 else -20.0 + (0.1 if round(t * 50) % 2 else -0.1))
    assert measure_transition(traces, Mark(2.0, "quadrant")).overshoot_a == 0.0


def test_a_current_that_did_not_arrive_is_no_transition() -> None:
    with pytest.raises(Inconclusive, match="it did not arrive"):
        measure_transition(recorded(lambda t: 20.0 if t < 2.0 else 0.0), Mark(2.0, "quadrant"))
    with pytest.raises(Inconclusive, match="it did not arrive"):
        measure_transition(recorded(lambda t: 20.0), Mark(2.0, "quadrant"))
    with pytest.raises(Inconclusive):
        measure_transition(recorded(lambda t: 20.0, end_s=2.02), Mark(2.0, "quadrant"))


def test_a_change_from_rest_counts_from_the_command() -> None:
    found = measure_transition(recorded(lambda t: 0.0 if t < 2.2 - 1e-9 else -40.0), Mark(2.0, "quadrant"))
    assert found.left_s == 0.0
    assert found.at_zero_s.value == pytest.approx(0.19)
