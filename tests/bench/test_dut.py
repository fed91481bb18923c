"""The BMS under test as its profile declares it, over a link of which the test decides everything."""

from __future__ import annotations

from typing import Any

import pytest

from bench.clock import Clock
from bench.dut import Dut
from bench.errors import DefinitionError, Inconclusive, LinkError, Missing, ReadingError, Stale
from bench.observer import NullObserver
from bench.profile import find_profile, load_profile
from bench.roles import LinkHealth, Reading

STATES = {"standby": 5.0, "precharge": 6.0, "normal": 7.0, "error": 10.0}


def test_a_profile_whose_link_the_bench_lacks_is_refused(table: Any) -> None:
    with pytest.raises(DefinitionError, match="no link 'can' that profile foxbms_2 needs; did you mean 'can0'"):
        Dut(table.profile, {"can0": table.link}, table.clock, NullObserver())


def test_readings_are_recorded_as_they_arrive(table: Any) -> None:
    table.dut.start()
    table.link.hand_on(Reading("pack_current", -12.5, "A", 3.25))
    assert list(table.traces["bms.pack_current"]) == [(3.25, -12.5)]


def test_a_flag_that_is_active_low_has_been_turned_by_the_link_and_is_not_turned_again(table: Any) -> None:
    signal = table.profile.signals["overcurrent_charge"].model_copy(update={"active_low": True})
    profile = table.profile.model_copy(update={"signals": {**table.profile.signals, "overcurrent_charge": signal}})
    dut = Dut(profile, {"can": table.link}, table.clock, table)
    dut.start()
    table.link.values["overcurrent_charge"] = 1.0
    assert dut.flag("overcurrent_charge")
    table.link.hand_on(Reading("overcurrent_charge", 1.0, "1", 1.0))
    assert table.traces["bms.overcurrent_charge"].values == [1.0]


def test_an_unknown_signal_names_the_nearest(table: Any) -> None:
    with pytest.raises(DefinitionError, match="has no signal 'pack_curent'; did you mean 'pack_current'"):
        table.dut.read("pack_curent")
    assert not table.dut.has("pack_curent")
    assert table.dut.has("pack_current")


@pytest.mark.parametrize("problem", [Missing("never received"), Stale("2 s old")])
def test_a_reading_that_is_missing_or_stale_raises_and_is_not_replaced(table: Any, problem: Exception) -> None:
    table.link.values["pack_current"] = problem
    with pytest.raises(type(problem)):
        table.dut.read("pack_current")


@pytest.mark.parametrize(("value", "word"), [(7.0, "normal"), (10.0, "error"), (77.0, "unknown state 77")])
def test_a_state_is_a_word(table: Any, value: float, word: str) -> None:
    table.link.values["state"] = value
    assert table.dut.state() == word
    assert table.dut.switches_closed() == (word == "normal")


def follow_requests(table: Any, after_s: float = 0.5) -> None:
    """A BMS that goes to standby on mode 0 and to normal on mode 1, after a while."""

    def act(values: dict[str, float]) -> None:
        state = STATES["normal" if values["RequestMode"] == 1 else "standby"]
        table.clock.at(table.clock.now() + after_s, lambda: table.link.values.update(state=state))

    table.link.on_request = act


def test_bringing_up_requests_step_by_step_and_waits_for_each_state(table: Any) -> None:
    follow_requests(table)
    table.dut.bring_up()
    assert table.link.requests == [{"RequestMode": 0.0}, {"RequestMode": 1.0}]
    assert table.dut.state() == "normal"
    # twice half a second until it follows, and 0.2 s and 0.5 s that the profile demands between steps
    assert table.clock.now() == pytest.approx(1.7, abs=0.11)


def test_a_bms_that_is_heard_but_does_not_come_up_is_inconclusive(table: Any) -> None:
    table.link.values["state"] = STATES["error"]
    with pytest.raises(Inconclusive, match="foxbms_2 did not reach 'standby' within 5 s; its state is error"):
        table.dut.bring_up()


def test_a_silent_bms_on_a_link_that_is_not_proven_is_the_links_fault(table: Any) -> None:
    table.link.health = LinkHealth(False, "nobody acknowledges")
    with pytest.raises(LinkError, match="link can to foxbms_2: nobody acknowledges"):
        table.dut.bring_up()


def test_a_silent_bms_on_a_proven_link_says_so(table: Any) -> None:
    with pytest.raises(Inconclusive, match=r"its state is not readable \(state: never received\)"):
        table.dut.bring_up()


def test_opening_and_clearing_are_the_profiles_requests(table: Any) -> None:
    assert table.dut.ask_open() == "requested RequestMode = 0"
    table.dut.clear()
    assert table.link.requests == [{"RequestMode": 0.0}, {"RequestMode": 0.0, "ClearPersistentFlags": 1.0}]


def test_asking_for_operation_does_not_judge_whether_it_comes(table: Any) -> None:
    table.link.values["state"] = STATES["error"]
    table.dut.ask_operation()
    assert table.link.requests[-1] == {"RequestMode": 1.0}


def test_waiting_for_readings_ends_when_all_are_there(table: Any) -> None:
    table.link.values["pack_current"] = 1.0
    table.clock.at(0.4, lambda: table.link.values.update(pack_voltage=53.0))
    table.dut.wait_for_readings(("pack_current", "pack_voltage"), 2.0)
    assert table.clock.now() == pytest.approx(0.4, abs=0.06)


def test_waiting_for_readings_in_vain_is_the_bmss_or_the_links_fault(table: Any) -> None:
    with pytest.raises(Missing):
        table.dut.wait_for_readings(("pack_current",), 0.5)
    table.link.health = LinkHealth(False, "bus off")
    with pytest.raises(LinkError, match="bus off"):
        table.dut.wait_for_readings(("pack_current",), 0.5)


def test_closing_closes_the_links(table: Any) -> None:
    table.dut.close()
    assert table.link.closed


class TestAlwaysOn:
    """A BMS with separate switches that cannot be asked for anything."""

    @pytest.fixture
    def seplos(self, table: Any) -> Dut:
        assert isinstance(table.clock, Clock)
        return Dut(load_profile(find_profile("seplos_v3")), {"modbus": table.link}, table.clock, table)

    def test_it_is_on_while_both_switches_are_closed(self, seplos: Dut, table: Any) -> None:
        table.link.values |= {"switch_charge": 1.0, "switch_discharge": 1.0}
        assert seplos.state() == "on"
        seplos.bring_up()
        table.link.values["switch_charge"] = 0.0
        assert seplos.state() == "off"
        assert seplos.switch_states() == {"charge": False, "discharge": True}

    def test_that_it_has_no_open_command_is_named(self, seplos: Dut, table: Any) -> None:
        assert seplos.ask_open() == "seplos_v3 has no open command"
        seplos.clear()
        seplos.ask_operation()
        assert table.link.requests == []
        assert seplos.request_period_s == 0.0

    def test_without_a_signal_of_its_switches_nobody_knows(self, seplos: Dut) -> None:
        for name in ("switch_charge", "switch_discharge"):
            del seplos.profile.signals[name]
        with pytest.raises(Inconclusive, match="no signal that tells whether it is closed"):
            seplos.switches_closed()

    def test_one_that_tells_no_switch_counts_as_on_only_when_its_current_can_be_read(self, seplos: Dut) -> None:
        for name in ("switch_charge", "switch_discharge"):
            del seplos.profile.signals[name]
        with pytest.raises(ReadingError):
            seplos.state()
