"""What every driver with a watchdog promises, in simulated time against its virtual face; and EA's exact words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.errors import InstrumentError, OutOfRange
from bench.guard import WATCH_S
from bench.roles import Dialogue, HasWatchdog
from instruments import catalogue
from instruments.loads.ea_el_9000 import EaEl9000
from instruments.supplies.ea_psi_9000 import EaPsi9000
from instruments.virtual.instruments import start_instrument

_: type[HasWatchdog] = EaPsi9000
_e: type[HasWatchdog] = EaEl9000

FACTS = {facts.name: facts for facts in catalogue.scan()}
WITH_ONE = sorted(name for name, facts in FACTS.items() if facts.watchdog)
POWER = [name for name in WITH_ONE if FACTS[name].role in ("supply", "load", "bidirectional")]
SWITCHES = [name for name in WITH_ONE if FACTS[name].role == "switch"]
PERIOD_S = 1.0


@pytest.fixture(params=POWER)
def driving(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One driver that has a watchdog, its output on at 20 A."""
    facts = FACTS[request.param]
    with start_instrument(facts.name) as face:
        driver = catalogue.load(facts.folder, facts.name).open(
            "dut", face.address, clock=face.clock, record=lambda dialogue: None
        )
        driver.take_control()
        if facts.role == "load":
            driver.set_current(20.0)
        else:
            driver.set_voltage(58.0)
            driver.set_current_limit(20.0)
        driver.output_on()
        yield driver
        driver.close()


def test_it_is_known_which_power_instruments_have_none() -> None:
    power = {name for name, facts in FACTS.items() if facts.role in ("supply", "load", "bidirectional")}
    assert POWER == ["ea_el_9000", "ea_psi_9000"]
    assert power - set(POWER) == {"ea_psb_9000"}
    assert SWITCHES == ["icpdas_m7000"]


def test_fed_with_the_watch_it_does_nothing(driving: Any) -> None:
    assert not driving.is_watchdog_armed()
    driving.arm_watchdog(PERIOD_S)
    assert driving.is_watchdog_armed()
    for _ in range(30):
        driving.clock.sleep(WATCH_S)
        driving.measure_voltage()
    assert driving.is_output_on()


def test_a_period_of_three_watches_is_within_its_range(driving: Any) -> None:
    assert PERIOD_S >= 3 * WATCH_S
    driving.arm_watchdog(PERIOD_S)


def test_starved_it_switches_the_output_off(driving: Any) -> None:
    driving.arm_watchdog(PERIOD_S)
    driving.clock.sleep(1.5 * PERIOD_S)
    assert not driving.is_output_on()
    with pytest.raises(InstrumentError, match="lost remote control"):
        driving.get_alarms()


def test_disarmed_it_leaves_the_output_alone(driving: Any) -> None:
    driving.arm_watchdog(PERIOD_S)
    driving.disarm_watchdog()
    assert not driving.is_watchdog_armed()
    driving.clock.sleep(3 * PERIOD_S)
    assert driving.is_output_on()


def test_one_that_was_left_armed_is_recognised_by_the_next(driving: Any) -> None:
    driving.arm_watchdog(PERIOD_S)
    address = driving.link.transport.address
    driving.link.transport.close()  # as the socket of a process that died
    driving.clock.sleep(3.5)
    following = type(driving).open(
        "next", f"tcp:{address.host}:{address.port}", clock=driving.clock, record=lambda dialogue: None
    )
    assert not following.is_output_on()
    assert following.is_watchdog_armed()
    following.take_control()
    following.disarm_watchdog()
    assert not following.is_watchdog_armed()
    following.close()


@pytest.mark.parametrize("period_s", [0.0, 0.5, 1.5, 36001.0, -1.0, float("nan"), float("inf")])
def test_a_period_that_it_does_not_have_is_refused(driving: Any, period_s: float) -> None:
    with pytest.raises(OutOfRange):
        driving.arm_watchdog(period_s)
    assert not driving.is_watchdog_armed()


# --- switches ------------------------------------------------------------------------------------------------


@pytest.fixture(params=SWITCHES)
def closed(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """One switch that has a watchdog, its contact closed, and the face that it talks to."""
    facts = FACTS[request.param]
    driver_class = catalogue.load(facts.folder, facts.name)
    with start_instrument(facts.name) as face:
        driver = driver_class.open(
            "dut",
            face.address,
            clock=face.clock,
            record=lambda dialogue: None,
            options=getattr(driver_class, "example_options", {}),
        )
        driver.close_contact()
        face.clock.sleep(0.1)
        assert face.circuit.disconnect.conducts
        yield driver, face
        driver.close()


def test_fed_with_the_watch_a_switch_stays_closed(closed: tuple[Any, Any]) -> None:
    driver, face = closed
    assert not driver.is_watchdog_armed()
    driver.arm_watchdog(PERIOD_S)
    assert driver.is_watchdog_armed()
    for _ in range(30):
        face.clock.sleep(WATCH_S)
        assert driver.is_closed()
    assert face.circuit.disconnect.conducts


def test_starved_a_switch_opens_by_itself_and_is_not_believed_closed(closed: tuple[Any, Any]) -> None:
    driver, face = closed
    driver.arm_watchdog(PERIOD_S)
    face.clock.sleep(1.5 * PERIOD_S)
    assert not face.circuit.disconnect.conducts
    with pytest.raises(InstrumentError):
        driver.close_contact()
    assert not face.circuit.disconnect.conducts
    driver.open_contact()
    assert not driver.is_closed()


def test_disarmed_a_switch_stays_closed_in_silence(closed: tuple[Any, Any]) -> None:
    driver, face = closed
    driver.arm_watchdog(PERIOD_S)
    driver.disarm_watchdog()
    assert not driver.is_watchdog_armed()
    face.clock.sleep(3 * PERIOD_S)
    assert driver.is_closed()
    assert face.circuit.disconnect.conducts


@pytest.mark.parametrize("period_s", [0.0, 26.0, -1.0, float("nan"), float("inf")])
def test_a_period_that_a_switch_does_not_have_is_refused(closed: tuple[Any, Any], period_s: float) -> None:
    driver, _face = closed
    with pytest.raises(OutOfRange):
        driver.arm_watchdog(period_s)
    assert not driver.is_watchdog_armed()


def test_a_watchdog_that_does_nothing_is_believed_until_it_is_tried(closed: tuple[Any, Any]) -> None:
    driver, face = closed
    driver.arm_watchdog(PERIOD_S)
    face.fault("watchdog_dead")
    face.clock.sleep(3 * PERIOD_S)
    assert driver.is_watchdog_armed()
    assert face.circuit.disconnect.conducts


# --- EA's words ----------------------------------------------------------------------------------------------


class Said:
    """Answers as an EA does, and keeps what it was told; `deaf` names a setting that it does not take."""

    def __init__(self, deaf: str = "") -> None:
        self.said: list[str] = []
        self.settings = {"POW:STAG:AFT:REM": "AUTO", "SYST:COMM:MON:TIM": "5", "SYST:COMM:MON:ACT": "OFF"}
        self._deaf = deaf

    def write(self, command: str) -> None:
        self.said.append(command)
        header, _, value = command.partition(" ")
        if header != self._deaf:
            self.settings[header] = value

    def query(self, command: str, **more: object) -> str:
        self.said.append(command)
        if command == "SYST:ERR?":
            return '0,"No error"'
        return "1024" if command == "STAT:QUES:COND?" else self.settings[command.removesuffix("?")]


@pytest.fixture
def psi(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A PSI whose conversation is replaced, once it is open, by `Said`."""
    with start_instrument("ea_psi_9000") as face:
        kept: list[Dialogue] = []
        driver = EaPsi9000.open("dut", face.address, clock=face.clock, record=kept.append)
        yield driver
        driver.close()


def listen(driver: Any, monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    monkeypatch.setattr(driver.link.transport, "write", said.write)
    monkeypatch.setattr(driver.link.transport, "query", said.query)


CHECKED = ["STAT:QUES:COND?", "SYST:ERR?"]


def test_arming_says_what_happens_after_remote_before_it_switches_on(psi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Said()
    with monkeypatch.context() as patch:
        listen(psi, patch, said)
        psi.arm_watchdog(2.0)
    assert said.said == [
        *("POW:STAG:AFT:REM OFF", *CHECKED, "POW:STAG:AFT:REM?"),
        *("SYST:COMM:MON:TIM 2", *CHECKED, "SYST:COMM:MON:TIM?"),
        *("SYST:COMM:MON:ACT ON", *CHECKED, "SYST:COMM:MON:ACT?"),
    ]


@pytest.mark.parametrize("deaf", ["POW:STAG:AFT:REM", "SYST:COMM:MON:TIM", "SYST:COMM:MON:ACT"])
def test_a_setting_that_was_not_taken_is_an_error(psi: Any, monkeypatch: pytest.MonkeyPatch, deaf: str) -> None:
    with monkeypatch.context() as patch:
        listen(psi, patch, Said(deaf))
        with pytest.raises(InstrumentError, match=deaf):
            psi.arm_watchdog(2.0)
