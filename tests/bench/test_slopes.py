"""A bench whose envelope declares a slope: currents are ramped up in small steps, and fall at once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from bench import stimulus
from bench.clock import ClockMisuse
from bench.definition import find_definition, load_definition
from bench.errors import OutOfRange
from bench.quantities import Direction
from bench.slopes import SLOPE_STEP_S, raise_to, rise_s

SETTERS = ("set_current_limit", "set_current", "set_source_current", "set_sink_current")


@pytest.fixture(params=["virtual", "virtual_bidirectional"])
def make_sloped(request: pytest.FixtureRequest, make_table: Any) -> Any:
    """Make a bench of fakes with a slope; it writes down when each current was set."""

    def make(slope_a_per_s: float) -> Any:
        definition = load_definition(find_definition(request.param))
        envelope = definition.envelope.model_copy(update={"slope_a_per_s": slope_a_per_s})
        table = make_table(
            definition.model_copy(update={"envelope": envelope}), bidirectional=request.param != "virtual"
        )
        table.set_at = []
        for part in table.power.values():
            for name in SETTERS:
                if getattr(part, name, None) is not None:
                    setattr(part, name, watched(table, getattr(part, name)))
        return table

    return make


def watched(table: Any, setter: Any) -> Any:
    def set_a(current_a: float) -> None:
        setter(current_a)
        table.set_at.append((table.clock.now(), sum(part.drives_a for part in table.power.values())))

    return set_a


def steepest_a_per_s(table: Any) -> float:
    """The fastest rise of the magnitude that was set."""
    rises = [
        (abs(later_a) - abs(before_a)) / max(1e-9, later_s - before_s)
        for (before_s, before_a), (later_s, later_a) in pairwise(table.set_at)
        if abs(later_a) > abs(before_a)
    ]
    return max(rises)


@pytest.mark.parametrize("way", [1.0, -1.0])
@pytest.mark.parametrize("slope", [0.5, 100.0])
def test_a_current_rises_as_declared_and_falls_at_once(make_sloped: Any, way: float, slope: float) -> None:
    table = make_sloped(slope)
    level_a = 0.2 * slope
    commanded_s = stimulus.force(table.stand, way * level_a)
    assert table.current_a() == pytest.approx(way * level_a)
    assert steepest_a_per_s(table) <= slope * 1.000001
    assert commanded_s == table.clock.now() == pytest.approx(0.2, abs=SLOPE_STEP_S)
    assert rise_s(table.stand, way * level_a) == pytest.approx(0.2)
    stimulus.force(table.stand, way * level_a / 2)
    assert table.current_a() == pytest.approx(way * level_a / 2)
    assert table.clock.now() == commanded_s


def test_a_higher_level_is_reached_from_the_one_before_and_not_from_zero(make_sloped: Any) -> None:
    table = make_sloped(100.0)
    stimulus.force(table.stand, 20.0)
    since_s = table.clock.now()
    table.set_at.clear()
    stimulus.force(table.stand, 50.0)
    assert min(current_a for _, current_a in table.set_at) > 19.9
    assert table.clock.now() - since_s == pytest.approx(0.31, abs=SLOPE_STEP_S)


def test_a_reversal_begins_at_zero(make_sloped: Any) -> None:
    table = make_sloped(100.0)
    stimulus.force(table.stand, 20.0)
    table.set_at.clear()
    stimulus.force(table.stand, -20.0)
    assert table.current_a() == pytest.approx(-20.0)
    assert abs(table.set_at[0][1]) < 1e-9
    assert steepest_a_per_s(table) <= 100.0001


@pytest.mark.parametrize("block", [stimulus.holding, stimulus.stepping])
def test_every_stimulus_keeps_the_slope(make_sloped: Any, block: Any) -> None:
    table = make_sloped(100.0)
    with block(table.stand, -30.0):
        assert table.current_a() == pytest.approx(-30.0)
    assert table.current_a() == 0.0
    assert steepest_a_per_s(table) <= 100.0001


def test_a_step_hands_out_when_its_level_was_commanded(make_sloped: Any) -> None:
    table = make_sloped(100.0)
    with stimulus.stepping(table.stand, 30.0) as at_s:
        assert at_s == table.clock.now() >= 0.3


def test_a_ramp_slower_than_the_slope_keeps_its_length_and_a_faster_one_lasts_longer(make_sloped: Any) -> None:
    table = make_sloped(10.0)
    stimulus.ramp(table.stand, 1.0, 5.0, duration_s=4.0, step_s=0.5)
    assert table.clock.now() == pytest.approx(4.5, abs=0.15)
    stimulus.release(table.stand)
    since_s = table.clock.now()
    stimulus.ramp(table.stand, 1.0, 21.0, duration_s=0.5, step_s=0.1)
    assert table.clock.now() - since_s >= 2.0
    assert table.current_a() == pytest.approx(21.0)
    assert steepest_a_per_s(table) <= 10.0001


def test_the_abort_of_a_provocation_ends_a_slope_where_it_is(make_sloped: Any) -> None:
    table = make_sloped(10.0).watched()
    with table.guard.provoke("charge_1", 1.0):
        stimulus.force(table.stand, 50.0)
        assert table.clock.now() < 1.2
        assert table.current_a() == 0.0
    table.stand.observers.drain()
    assert "on the way to 50.000 A, at 10 A/s, the abort of charge_1 came first" in [one.text for one in table.events]
    assert max(abs(current_a) for _, current_a in table.set_at) < 12.0


def test_a_step_that_comes_late_is_not_made_up_for(make_sloped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_sloped(10.0)
    plain, pauses = table.clock.sleep, [0]

    def late(seconds: float) -> None:
        pauses[0] += 1
        plain(seconds + (1.0 if pauses[0] == 3 else 0.0))

    monkeypatch.setattr(table.clock, "sleep", late)
    stimulus.force(table.stand, 2.0)
    levels = [abs(current_a) for _, current_a in table.set_at]
    assert levels[-1] == pytest.approx(2.0)
    assert max(later - before for before, later in pairwise(levels)) == pytest.approx(10.0 * SLOPE_STEP_S)


def test_nothing_sleeps_inside_a_callback(make_sloped: Any) -> None:
    table = make_sloped(10.0)
    table.clock.at(0.1, lambda: stimulus.force(table.stand, 5.0))
    with pytest.raises(ClockMisuse):
        table.clock.sleep(0.2)
    assert table.current_a() == 0.0


def test_what_the_envelope_does_not_allow_is_not_begun(make_sloped: Any) -> None:
    table = make_sloped(100.0)
    with pytest.raises(OutOfRange):
        stimulus.force(table.stand, 131.0)
    assert table.set_at == []


def test_without_a_slope_a_current_is_set_in_one_step(table: Any) -> None:
    raise_to(table.stand, table.stand.load.set_current, table.stand.load.get_current, 20.0)
    assert table.power["load"].calls == [("set_current", 20.0)]
    assert table.clock.now() == rise_s(table.stand, 20.0) == 0.0
    assert stimulus.largest_current_a(table.stand, Direction.CHARGE) == 130.0
