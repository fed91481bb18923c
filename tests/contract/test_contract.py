"""What any driver promises, whatever it speaks. New drivers are picked up from their folder.

Each is opened over a real socket against its virtual face, in simulated time. Drivers of a lab are picked up
too, from the folder that `BMSBENCH_LAB` names. A driver without a virtual face is skipped by name: then only
its exact-dialogue tests speak for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.emulator_roles import CellEmulator, TemperatureEmulator
from bench.errors import InstrumentError, InstrumentTimeout, OutOfRange
from bench.roles import (
    BidirectionalSupply,
    CellMonitor,
    Dialogue,
    HasOvercurrentProtection,
    HasOvervoltageProtection,
    Load,
    PowerInstrument,
    SafetyInput,
    Supply,
    Switch,
    VoltageMeter,
)
from instruments import catalogue
from instruments.virtual.instruments import start_instrument

LAB = Path(os.environ["BMSBENCH_LAB"]) / "drivers" if "BMSBENCH_LAB" in os.environ else None
DRIVERS = catalogue.scan(LAB)
ROLES: dict[str, type] = {
    "safety_input": SafetyInput,
    "cell_monitor": CellMonitor,
    "cell_emulator": CellEmulator,
    "sensor_emulator": TemperatureEmulator,
    "auxiliary_supply": Supply,
    "supply": Supply,
    "load": Load,
    "bidirectional": BidirectionalSupply,
    "voltage_meter": VoltageMeter,
    "switch": Switch,
}
TIMEOUT_S = 1.0
LEVEL_A = 20.0


class Opened:
    """One driver, opened against its virtual face."""

    def __init__(self, driver: Any, face: Any, dialogue: list[Dialogue]) -> None:
        self.driver = driver
        self.face = face
        self.clock = face.clock
        self.dialogue = dialogue

    def drive(self) -> None:
        """Let `LEVEL_A` flow, in the first direction that the instrument has."""
        driver = self.driver
        driver.take_control()
        if isinstance(driver, BidirectionalSupply):
            driver.set_voltage(58.0)
            driver.set_source_current(LEVEL_A)
        elif isinstance(driver, Supply):
            driver.set_voltage(58.0)
            driver.set_current_limit(LEVEL_A)
        else:
            driver.set_current(LEVEL_A)
        driver.output_on()
        self.clock.sleep(1.0)

    def settings(self) -> dict[str, float]:
        """Read everything back that can be set."""
        getters = (
            "get_voltage",
            "get_current",
            "get_current_limit",
            "get_source_current",
            "get_sink_current",
            "get_overvoltage_protection",
            "get_overcurrent_protection",
            "get_sink_overcurrent_protection",
        )
        return {name: getattr(self.driver, name)() for name in getters if hasattr(self.driver, name)}


@pytest.fixture
def start() -> Iterator[Callable[[Any], Opened]]:
    """Open drivers against their faces; everything is closed at the end."""
    with ExitStack() as stack:

        def open_driver(facts: catalogue.DriverFacts) -> Opened:
            try:
                face = stack.enter_context(start_instrument(facts.name))
            except LookupError as problem:
                pytest.skip(f"{facts.name}: {problem}")
            driver_class = catalogue.load(facts.folder, facts.name, LAB)
            dialogue: list[Dialogue] = []
            driver = driver_class.open(
                "dut",
                face.address,
                clock=face.clock,
                record=dialogue.append,
                timeout_s=TIMEOUT_S,
                options=getattr(driver_class, "example_options", {}),
            )
            stack.callback(driver.close)
            return Opened(driver, face, dialogue)

        yield open_driver


def _those(*roles: str) -> list[Any]:
    return [pytest.param(facts, id=facts.name) for facts in DRIVERS if facts.role in roles]


@pytest.fixture
def opened(request: pytest.FixtureRequest, start: Callable[[Any], Opened]) -> Opened:
    """The driver that the test is asked about."""
    return start(request.param)


any_driver = pytest.mark.parametrize("opened", _those(*ROLES), indirect=True)
any_power = pytest.mark.parametrize("opened", _those("supply", "load", "bidirectional"), indirect=True)
any_switch = pytest.mark.parametrize("opened", _those("switch"), indirect=True)
any_meter = pytest.mark.parametrize("opened", _those("voltage_meter"), indirect=True)


@any_driver
class TestEveryDriver:
    """Identity, silence, late answers."""

    def test_it_has_its_role(self, opened: Opened) -> None:
        assert isinstance(opened.driver, ROLES[opened.driver.role])

    def test_it_says_who_it_is(self, opened: Opened) -> None:
        identity = opened.driver.identify()
        assert identity.maker
        assert identity.model
        if opened.driver.models:  # otherwise the family has no identity, and says so in its driver
            assert identity.virtual, identity
            assert identity.serial == opened.face.serial

    def test_opening_it_only_asks(self, opened: Opened) -> None:
        sent = [each.text for each in opened.dialogue if each.sent]
        assert sent
        if opened.driver.transport == "scpi":
            assert all(text.endswith("?") for text in sent), sent
        else:
            start = 7 if opened.driver.transport == "modbus_tcp" else 1
            assert {bytes.fromhex(text)[start] for text in sent} <= {1, 2, 3, 4}

    def test_everything_said_is_recorded(self, opened: Opened) -> None:
        before = len(opened.dialogue)
        opened.driver.identify()
        assert [each.sent for each in opened.dialogue[before : before + 2]] == [True, False]
        assert all(each.instrument == "dut" for each in opened.dialogue)

    def test_silence_raises_within_the_deadline_and_the_next_question_is_answered(self, opened: Opened) -> None:
        opened.clock.sleep(1.0)
        opened.face.fault("silent")
        begin_s = opened.clock.now()
        with pytest.raises(InstrumentTimeout):
            opened.driver.identify()
        assert opened.clock.now() - begin_s <= TIMEOUT_S + 0.1
        opened.face.fault("none")
        assert opened.driver.identify().model

    def test_a_late_answer_never_answers_another_question(self, opened: Opened) -> None:
        before = opened.driver.identify()
        opened.face.fault("late_reply")
        with pytest.raises(InstrumentTimeout):
            opened.driver.identify()
        opened.face.fault("none")
        opened.clock.sleep(10.0)
        assert opened.driver.identify() == before

    def test_a_lost_connection_is_an_error_or_opened_again_but_never_a_wrong_answer(self, opened: Opened) -> None:
        before = opened.driver.identify()
        opened.face.fault("connection_reset")
        try:
            assert opened.driver.identify() == before
        except InstrumentError:
            opened.face.fault("none")
            assert opened.driver.identify() == before

    def test_an_idle_connection_is_opened_again(self, opened: Opened) -> None:
        before = opened.driver.identify()
        opened.clock.sleep(60.0)
        assert opened.driver.identify() == before


@pytest.mark.parametrize("facts", _those(*ROLES))
def test_an_instrument_of_another_model_is_refused(facts: catalogue.DriverFacts) -> None:
    """The face of any other family that speaks the same language stands at its address."""
    if not facts.models:
        pytest.skip(f"{facts.name}: the family has no identity that could be compared")
    others = [other for other in DRIVERS if other.transport == facts.transport and other.family != facts.family]
    if not others:
        pytest.skip(f"{facts.name}: no other family speaks {facts.transport}; its dialogue tests show the refusal")
    driver_class = catalogue.load(facts.folder, facts.name, LAB)
    with start_instrument(others[0].name) as face, pytest.raises(InstrumentError) as problem:
        driver_class.open(
            "dut",
            face.address,
            clock=face.clock,
            record=lambda _: None,
            timeout_s=TIMEOUT_S,
            options=getattr(driver_class, "example_options", {}),
        )
    assert face.model in str(problem.value)
    assert facts.family in str(problem.value)


@any_power
class TestEveryPowerInstrument:
    """Output, settings, limits, signs, trips, remote control, and that it can always be stopped."""

    def test_its_output_is_off_after_opening(self, opened: Opened) -> None:
        assert not opened.driver.is_output_on()

    def test_ratings_say_which_quadrants_it_has(self, opened: Opened) -> None:
        ratings = opened.driver.get_ratings()
        assert ratings.voltage_v.high > 0
        assert ratings.power_w > 0
        assert (ratings.source_current_a is not None) == (opened.driver.role != "load")
        assert (ratings.sink_current_a is not None) == (opened.driver.role != "supply")

    @pytest.mark.parametrize("share", [0.02, 0.317, 0.7])
    def test_what_is_set_is_read_back(self, opened: Opened, share: float) -> None:
        driver = opened.driver
        driver.take_control()
        ratings = driver.get_ratings()
        for name, before in opened.settings().items():
            assert before >= 0
            rated = ratings.voltage_v if "voltage" in name else ratings.source_current_a or ratings.sink_current_a
            value = round(share * rated.high, 1)
            getattr(driver, name.replace("get_", "set_"))(value)
            assert getattr(driver, name)() == pytest.approx(value, abs=rated.high / 5000)

    def test_beyond_the_rating_is_refused_and_changes_nothing(self, opened: Opened) -> None:
        driver = opened.driver
        driver.take_control()
        before = opened.settings()
        said = len([each for each in opened.dialogue if each.sent])
        for name in before:
            for value in (-1.0, 1e4, float("nan"), float("inf")):
                with pytest.raises(OutOfRange):
                    getattr(driver, name.replace("get_", "set_"))(value)
        assert len([each for each in opened.dialogue if each.sent]) == said
        assert opened.settings() == before

    def test_measuring_changes_no_setting(self, opened: Opened) -> None:
        opened.drive()
        before = opened.settings()
        for _ in range(3):
            opened.driver.measure_voltage()
            opened.driver.measure_current()
            opened.driver.get_regulation()
            opened.driver.get_alarms()
        assert opened.settings() == before
        assert opened.driver.is_output_on()

    def test_the_current_has_the_pack_s_sign(self, opened: Opened) -> None:
        driver = opened.driver
        opened.drive()
        expected_a = -LEVEL_A if driver.role == "load" else LEVEL_A
        assert driver.measure_current() == pytest.approx(expected_a, rel=0.02)
        assert driver.get_regulation() == "CC"
        if driver.role == "bidirectional":
            driver.set_source_current(0.0)
            driver.set_voltage(40.0)
            driver.set_sink_current(2 * LEVEL_A)
            opened.clock.sleep(1.0)
            assert driver.measure_current() == pytest.approx(-2 * LEVEL_A, rel=0.02)

    def test_with_the_output_off_nothing_flows_and_nothing_regulates(self, opened: Opened) -> None:
        opened.drive()
        opened.driver.output_off()
        opened.clock.sleep(1.0)
        assert opened.driver.get_regulation() == "OFF"
        assert abs(opened.driver.measure_current()) < 0.01 * LEVEL_A * 5

    def test_a_trip_is_latched_and_cleared_only_with_the_output_off(self, opened: Opened) -> None:
        driver = opened.driver
        overvoltage = isinstance(opened.driver, HasOvervoltageProtection)
        if not (overvoltage or isinstance(opened.driver, HasOvercurrentProtection)):
            pytest.skip(f"{type(driver).__name__} has no protection of its own")
        opened.drive()
        if overvoltage:
            expected = "overvoltage"
            driver.set_overvoltage_protection(45.0)
        else:
            expected = "overcurrent"
            driver.set_overcurrent_protection(LEVEL_A / 2)
        opened.clock.sleep(1.0)
        assert not driver.is_output_on()
        assert expected in driver.get_alarms()
        if overvoltage:
            driver.set_overvoltage_protection(65.0)
        else:
            driver.set_overcurrent_protection(300.0)
        opened.clock.sleep(1.0)
        assert expected in driver.get_alarms(), "it stays until it is cleared"
        with pytest.raises(InstrumentError):
            driver.output_on()
        assert not driver.is_output_on()
        driver.clear_alarms()
        assert not driver.is_output_on()
        assert driver.get_alarms() == ()
        driver.output_on()
        assert driver.is_output_on()

    def test_lost_remote_control_raises(self, opened: Opened) -> None:
        opened.drive()
        opened.face.fault("remote_lost")
        setter = "set_current" if opened.driver.role == "load" else "set_voltage"
        with pytest.raises(InstrumentError):
            getattr(opened.driver, setter)(30.0)
        with pytest.raises(InstrumentError):
            opened.driver.get_alarms()

    def test_without_control_nothing_can_be_set(self, opened: Opened) -> None:
        setter = "set_current" if opened.driver.role == "load" else "set_voltage"
        with pytest.raises(InstrumentError):
            getattr(opened.driver, setter)(30.0)

    def test_a_value_that_the_instrument_ignores_raises(self, opened: Opened) -> None:
        opened.driver.take_control()
        opened.face.fault("refuse_values")
        setter = "set_current" if opened.driver.role == "load" else "set_voltage"
        with pytest.raises(InstrumentError):
            getattr(opened.driver, setter)(30.0)

    def test_an_output_that_ignores_being_switched_off_raises(self, opened: Opened) -> None:
        opened.drive()
        opened.face.fault("stuck_output")
        with pytest.raises(InstrumentError):
            opened.driver.output_off()

    def test_it_can_be_stopped_after_a_silence(self, opened: Opened) -> None:
        opened.drive()
        opened.face.fault("silent")
        with pytest.raises(InstrumentTimeout):
            opened.driver.measure_current()
        opened.face.fault("none")
        opened.driver.output_off()
        assert not opened.driver.is_output_on()

    def test_it_can_be_stopped_after_a_power_cycle_and_says_that_there_was_one(self, opened: Opened) -> None:
        opened.drive()
        opened.face.fault("power_cycle")
        opened.clock.sleep(5.0)
        opened.face.fault("none")
        with pytest.raises(InstrumentError):
            opened.driver.measure_current()
        opened.driver.output_off()
        assert not opened.driver.is_output_on()

    def test_it_can_be_stopped_inside_a_callback(self, opened: Opened) -> None:
        opened.drive()
        opened.clock.at(opened.clock.now() + 0.0123, opened.driver.output_off)
        opened.clock.sleep(2.0)
        assert not opened.driver.is_output_on()

    def test_a_stop_inside_a_callback_that_does_not_work_reaches_the_sleeper(self, opened: Opened) -> None:
        opened.drive()
        opened.face.fault("stuck_output")
        opened.clock.at(opened.clock.now() + 0.1, opened.driver.output_off)
        with pytest.raises(InstrumentError):
            opened.clock.sleep(2.0)

    def test_it_can_be_watched_from_a_callback_while_it_is_used(self, opened: Opened) -> None:
        opened.drive()
        driver: PowerInstrument = opened.driver
        seen: list[tuple[float, float, bool, tuple[str, ...]]] = []
        opened.clock.every(
            0.1,
            lambda: seen.append(
                (driver.measure_voltage(), driver.measure_current(), driver.is_output_on(), driver.get_alarms())
            ),
        )
        opened.clock.sleep(2.05)
        assert len(seen) == 20
        assert all(on and not alarms for _, _, on, alarms in seen)
        assert all(abs(current_a) == pytest.approx(LEVEL_A, rel=0.02) for _, current_a, _, _ in seen)


@any_meter
class TestEveryVoltageMeter:
    """Ranges, overload, integration."""

    def test_it_measures_in_the_range_that_was_set(self, opened: Opened) -> None:
        opened.driver.set_range(100.0)
        assert 40.0 < abs(opened.driver.measure_voltage()) < 60.0

    def test_an_overload_is_an_error_and_no_number(self, opened: Opened) -> None:
        opened.driver.set_range(0.1)
        with pytest.raises(InstrumentError):
            opened.driver.measure_voltage()

    def test_a_longer_integration_takes_longer(self, opened: Opened) -> None:
        driver = opened.driver
        driver.set_range(100.0)
        took_s = {}
        for cycles in (1.0, 10.0):
            driver.set_integration(cycles)
            begin_s = opened.clock.now()
            driver.measure_voltage()
            took_s[cycles] = opened.clock.now() - begin_s
        assert took_s[10.0] > 5 * took_s[1.0] > 0

    def test_a_range_that_it_does_not_have_is_refused(self, opened: Opened) -> None:
        for range_v in (-1.0, 0.0, float("nan"), 1e6):
            with pytest.raises(OutOfRange):
                opened.driver.set_range(range_v)

    def test_a_power_cycle_is_not_overlooked(self, opened: Opened) -> None:
        opened.driver.set_range(100.0)
        opened.face.fault("power_cycle")
        opened.clock.sleep(5.0)
        opened.face.fault("none")
        with pytest.raises(InstrumentError):
            opened.driver.measure_voltage()


@any_switch
class TestEverySwitch:
    """Both ways, asked, and from any state."""

    def test_it_moves_both_ways_and_says_so(self, opened: Opened) -> None:
        opened.driver.close_contact()
        assert opened.driver.is_closed()
        opened.driver.open_contact()
        assert not opened.driver.is_closed()
        opened.driver.open_contact()
        assert not opened.driver.is_closed()

    def test_it_can_be_opened_after_a_silence(self, opened: Opened) -> None:
        opened.driver.close_contact()
        opened.face.fault("silent")
        with pytest.raises(InstrumentTimeout):
            opened.driver.is_closed()
        opened.face.fault("none")
        opened.driver.open_contact()
        assert not opened.driver.is_closed()

    def test_it_can_be_opened_inside_a_callback(self, opened: Opened) -> None:
        opened.driver.close_contact()
        opened.clock.at(opened.clock.now() + 0.1, opened.driver.open_contact)
        opened.clock.sleep(0.5)
        assert not opened.driver.is_closed()
