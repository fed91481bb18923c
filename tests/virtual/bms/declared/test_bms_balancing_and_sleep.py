"""Which cells are bled, when, how much; when it sleeps and what wakes it; signals of both."""

from __future__ import annotations

from typing import Any

import pytest

BALANCING = {"begins_v": 3.40, "spread_v": 0.030, "current_a": 0.10, "current_tolerance_pct": 20.0, "while": "always"}


def balanced(rig_of: Any, **options: Any) -> Any:
    rig = rig_of(cells="emulated", balancing={**BALANCING, **options.pop("balancing", {})}, **options)
    rig.start()
    return rig


def cell(rig: Any, number: int, voltage_v: float) -> None:
    rig.circuit.dut.emulated.set(number, voltage_v=voltage_v)
    rig.sleep(2.1)


@pytest.mark.parametrize("seed", range(4))
def test_a_cell_that_stands_out_is_bled_with_the_declared_current_and_told(rig_of, seed):
    rig = balanced(rig_of, seed=seed)
    before_a = rig.circuit.dut.emulated.currents_a()[5]
    cell(rig, 6, 3.45)
    assert rig.circuit.dut.balancing == (6,) == rig.bms.truth.balancing
    bled_a = rig.circuit.dut.emulated.currents_a()[5] - before_a
    assert bled_a == pytest.approx(0.10 * 3.45 / 3.4, rel=0.13)
    assert rig.ask(7, 2, 200, 1) == b"\x01"
    assert rig.ask(7, 2, 206, 1) == b"\x01"
    assert rig.ask(7, 2, 201, 1) == b"\x00"


def test_it_is_bled_no_longer_once_it_has_come_down(rig_of):
    rig = balanced(rig_of)
    cell(rig, 6, 3.45)
    cell(rig, 6, 3.39)
    assert rig.circuit.dut.balancing == ()
    assert rig.ask(7, 2, 200, 1) == b"\x00"


def test_below_the_beginning_or_within_the_spread_nothing_is_bled(rig_of):
    rig = balanced(rig_of)
    cell(rig, 6, 3.38)
    assert rig.circuit.dut.balancing == ()
    for number in range(1, 17):
        rig.circuit.dut.emulated.set(number, voltage_v=3.43)
    cell(rig, 6, 3.45)
    assert rig.circuit.dut.balancing == ()


def test_while_charging_means_not_at_rest_and_not_while_discharging(rig_of):
    rig = balanced(rig_of, balancing={"while": "charging"})
    cell(rig, 6, 3.45)
    assert rig.circuit.dut.balancing == ()
    rig.circuit.knob_a = 10.0
    rig.sleep(2.0)
    assert rig.circuit.dut.balancing == (6,)
    rig.circuit.knob_a = -10.0
    rig.sleep(2.0)
    assert rig.circuit.dut.balancing == ()


def test_a_real_cell_loses_charge_by_it(rig_of):
    rig = rig_of(balancing={**BALANCING, "begins_v": 3.0, "spread_v": 0.001}, soc_pct=20.0)
    rig.start()
    rig.circuit.disconnect.set(closed=False)  # the bench's bleeders would draw from all
    rig.sleep(10.0)
    (bled, *_) = rig.circuit.dut.balancing
    before = rig.circuit.pack.states_of_charge_pct()
    rig.sleep(3600.0)
    lost = [a - b for a, b in zip(before, rig.circuit.pack.states_of_charge_pct(), strict=True)]
    assert lost[bled - 1] == pytest.approx(0.1, rel=0.2)  # an hour of 0.1 A of 100 Ah
    others = [lost[k] for k in range(16) if k + 1 not in rig.circuit.dut.balancing and k != bled - 1]
    assert max(others) < 0.11 and min(others) == pytest.approx(0.0, abs=1e-6)


def test_nothing_is_bled_without_power_or_while_a_wire_is_open(rig_of):
    fault = {
        "name": "wire",
        "kind": "open_sense_wire",
        "level": "warning",
        "within_s": {"min": 0.1, "max": 1.0},
        "flag": "wire",
        "release": {"kind": "time", "after_s": 1.0},
    }
    rig = balanced(rig_of, diagnoses=[fault])
    cell(rig, 6, 3.45)
    rig.circuit.dut.sense.open(12)
    rig.sleep(3.0)
    assert rig.bms.flag("wire") and rig.circuit.dut.balancing == ()
    rig.circuit.dut.sense.close(12)
    rig.sleep(4.0)
    assert rig.circuit.dut.balancing == (6,)
    rig.bms.power_off()
    assert rig.circuit.dut.balancing == ()


@pytest.mark.parametrize(
    ("bleed", "expected"),
    [
        (lambda cells, count: frozenset((c + 1) % count for c in cells), (7,)),
        (lambda cells, count: frozenset(), ()),
        (lambda cells, count: frozenset(range(count)), tuple(range(1, 17))),
    ],
)
def test_a_unit_may_bleed_others_none_or_all(rig_of, bleed, expected):
    rig = balanced(rig_of, hooks={"bleed": bleed})
    cell(rig, 6, 3.45)
    assert rig.circuit.dut.balancing == expected


def test_a_unit_may_bleed_twice_as_much(rig_of):
    rig = balanced(rig_of, hooks={"bleed_factor": 2.0})
    before_a = rig.circuit.dut.emulated.currents_a()[5]
    cell(rig, 6, 3.45)
    assert rig.circuit.dut.emulated.currents_a()[5] - before_a > 0.17


def test_the_told_spread_is_highest_less_lowest(rig_of):
    rig = balanced(rig_of)
    cell(rig, 2, 3.35)
    assert int.from_bytes(rig.ask(7, 4, 16, 1), "big") == pytest.approx(50, abs=4)


# -- sleep


def sleeper(rig_of: Any, *wakers: str, hooks: Any = None, **others: Any) -> Any:
    operation = {"sleep": {"after_s": 60.0, "wakes_by": list(wakers)}}
    rig = rig_of(operation=operation, hooks=hooks, **others)
    rig.start()
    return rig


def answers(rig: Any) -> bool:
    return bool(rig.feed("07 04 00 0A 00 02"))


def test_it_sleeps_after_its_time_with_its_links_silent_and_its_switches_as_they_were(rig_of):
    rig = sleeper(rig_of, "current")
    rig.sleep(57.0)
    assert not rig.bms.truth.asleep
    rig.sleep(2.0)
    assert rig.bms.truth.asleep
    assert rig.circuit.switches.charge_closed and rig.circuit.switches.discharge_closed
    assert not answers(rig) and not answers(rig)


def test_polls_and_currents_keep_it_awake(rig_of):
    rig = sleeper(rig_of, "current")
    for _ in range(100):
        assert answers(rig)
        rig.sleep(1.0)
    rig.discharge(5.0)
    rig.sleep(100.0)
    assert not rig.bms.truth.asleep


def test_a_current_wakes_it_and_it_protects_again(rig_of):
    over = {
        "name": "over",
        "kind": "discharge_overcurrent",
        "threshold": 100.0,
        "tolerance": 2.0,
        "delay_s": {"min": 0.5, "max": 1.0},
        "opens": ["discharge"],
        "release": {"kind": "time", "after_s": 5.0},
    }
    rig = sleeper(rig_of, "current", protections=[over])
    rig.sleep(70.0)
    assert rig.bms.truth.asleep
    rig.discharge(120.0)
    rig.sleep(2.0)
    assert not rig.bms.truth.asleep
    assert rig.bms.truth.tripped == ("over",)
    assert answers(rig)


def test_a_request_wakes_it_only_where_declared_and_the_first_is_not_answered(rig_of):
    rig = sleeper(rig_of, "request")
    rig.sleep(70.0)
    assert not answers(rig)
    assert answers(rig)
    rig.sleep(70.0)
    rig.discharge(5.0)
    rig.sleep(5.0)
    assert rig.bms.truth.asleep, "a current is no waker of this one"


def test_a_power_cycle_always_wakes(rig_of):
    rig = sleeper(rig_of, "power_cycle")
    rig.sleep(70.0)
    rig.bms.power_off()
    rig.start()
    assert not rig.bms.truth.asleep and answers(rig)


def test_a_unit_may_never_sleep_or_wake_by_nothing(rig_of):
    rig = sleeper(rig_of, "current", hooks={"never_sleeps": True})
    rig.sleep(200.0)
    assert not rig.bms.truth.asleep
    rig = sleeper(rig_of, "current", hooks={"wakes_by": frozenset()})
    rig.sleep(70.0)
    rig.discharge(5.0)
    rig.sleep(5.0)
    assert rig.bms.truth.asleep


def test_on_a_bus_it_falls_silent_and_a_request_wakes_it(contactors_of):
    rig = contactors_of(operation={"sleep": {"after_s": 5.0, "wakes_by": ["request"]}})
    rig.bms.power_on()
    rig.sleep(6.0)
    rig.frames.clear()
    rig.sleep(3.0)
    assert rig.frames == []
    rig.ask_mode(0)
    rig.sleep(1.0)
    assert rig.state == 5
    assert rig.frames
