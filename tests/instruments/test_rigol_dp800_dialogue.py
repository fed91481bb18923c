"""What the driver of the Rigol DP800 says, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.clock import wait_until
from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import HasOvercurrentProtection, HasOvervoltageProtection, Identity, Ratings, Supply
from instruments.auxiliary import rigol_dp800
from instruments.auxiliary.rigol_dp800 import RigolDp800

_: type[Supply] = RigolDp800
__: type[HasOvervoltageProtection] = RigolDp800
___: type[HasOvercurrentProtection] = RigolDp800

Conversation = Callable[..., Any]
Steps = tuple[tuple[str, Any], ...]

IDN = ("*IDN?", "RIGOL TECHNOLOGIES,DP832A,DP8A123456789,00.01.16")
GOOD = ("SYST:ERR?", '0,"No error"')
NOT_TRIPPED: Steps = ((":OUTP:OVP:QUES? CH2", "NO"), (":OUTP:OCP:QUES? CH2", "NO"))
SWITCHED_OFF: Steps = ((":OUTP CH2,OFF", None), (":OUTP? CH2", "OFF"), GOOD)


def told(*commands: str) -> Steps:
    """Commands, each with the question whether it was taken."""
    return tuple(step for command in commands for step in ((command, None), GOOD))


SWITCHED_ON: Steps = (*NOT_TRIPPED, *told(":OUTP CH2,ON"), (":OUTP? CH2", "ON"))


@pytest.fixture
def supply(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A conversation with channel 2 of a DP832A, without its pauses; `take_control` asks for errors once."""
    monkeypatch.setattr(rigol_dp800, "_SPACING_S", 0.0)

    def open_supply(*steps: tuple[str, Any]) -> Any:
        return conversation(RigolDp800, IDN, *steps, options={"channel": 2})

    return open_supply


def test_opening_asks_only_who_it_is_and_knows_its_ratings(supply: Conversation) -> None:
    with supply(IDN) as aux:
        assert aux.identify() == Identity("RIGOL TECHNOLOGIES", "DP832A", "DP8A123456789", "00.01.16")
        assert aux.get_ratings() == Ratings(Range(0.0, 30.0, "V"), Range(0.0, 3.0, "A"), None, 90.0)


@pytest.mark.parametrize(
    ("model", "channel", "rated_v", "rated_a"),
    [("DP821", 1, 60.0, 1.0), ("DP821A", 2, 8.0, 10.0), ("DP831", 2, 30.0, 2.0), ("DP832", 3, 5.0, 3.0)],
)
def test_each_model_has_its_own_channels(
    conversation: Conversation, model: str, channel: int, rated_v: float, rated_a: float
) -> None:
    identity = ("*IDN?", f"RIGOL TECHNOLOGIES,{model},DP8A123456789,00.01.16")
    with conversation(RigolDp800, identity, options={"channel": channel}) as aux:
        ratings = aux.get_ratings()
        assert (ratings.voltage_v.high, ratings.source_current_a.high) == (rated_v, rated_a)


@pytest.mark.parametrize(("model", "channel"), [("DP832A", 4), ("DP831A", 3), ("DP821", 3), ("DP832", 0)])
def test_a_channel_that_it_does_not_have_or_that_is_negative_is_refused(
    conversation: Conversation, model: str, channel: int
) -> None:
    identity = ("*IDN?", f"RIGOL TECHNOLOGIES,{model},DP8A123456789,00.01.16")
    with pytest.raises(DefinitionError, match=rf"option 'channel' is {channel}, but {model} has .1, 2"):
        with conversation(RigolDp800, identity, options={"channel": channel}):
            pass


@pytest.mark.parametrize("model", ["DP811A", "DP932U", "DL3021"])
def test_another_model_is_refused(conversation: Conversation, model: str) -> None:
    with pytest.raises(InstrumentError, match=model):
        with conversation(RigolDp800, ("*IDN?", f"RIGOL TECHNOLOGIES,{model},X1,00.01"), options={"channel": 1}):
            pass


@pytest.mark.parametrize("options", [{}, {"channel": "1"}, {"channel": True}, {"chanel": 1}])
def test_a_channel_must_be_named(conversation: Conversation, options: dict[str, object]) -> None:
    steps = () if options else (IDN,)
    with pytest.raises(DefinitionError, match="channel"):
        with conversation(RigolDp800, *steps, options=options):
            pass


def test_settings_are_told_to_its_own_channel_and_read_back(supply: Conversation) -> None:
    steps = (
        *(GOOD, *told(":SOUR2:VOLT 12.0000"), (":SOUR2:VOLT?", "12.000")),
        *(*told(":SOUR2:CURR 0.5000"), (":SOUR2:CURR?", "0.5000")),
        *((":SOUR2:VOLT?", "12.000"), (":SOUR2:CURR?", "0.5000")),
    )
    with supply(*steps) as aux:
        aux.take_control()
        aux.set_voltage(12.0)
        aux.set_current_limit(0.5)
        assert aux.get_voltage() == 12.0
        assert aux.get_current_limit() == 0.5


def test_a_model_of_coarse_resolution_is_believed(supply: Conversation) -> None:
    with supply(GOOD, *told(":SOUR2:VOLT 12.3450"), (":SOUR2:VOLT?", "12.34")) as aux:
        aux.take_control()
        aux.set_voltage(12.345)


def test_what_others_left_in_the_error_queue_is_not_blamed_on_the_first_setting(supply: Conversation) -> None:
    left = ("SYST:ERR?", '-113,"Undefined header; keyword cannot be found"')
    with supply(left, GOOD, *told(":SOUR2:VOLT 5.0000"), (":SOUR2:VOLT?", "5.000")) as aux:
        aux.take_control()
        aux.set_voltage(5.0)


def test_a_value_that_was_ignored_is_an_error(supply: Conversation) -> None:
    with supply(GOOD, *told(":SOUR2:VOLT 12.0000"), (":SOUR2:VOLT?", "5.000")) as aux:
        aux.take_control()
        with pytest.raises(InstrumentError, match=r":SOUR2:VOLT\? says 5 V instead of 12 V"):
            aux.set_voltage(12.0)


def test_a_refused_command_is_an_error_with_its_text(supply: Conversation) -> None:
    refused = ((":SOUR2:CURR 1.0000", None), ("SYST:ERR?", '-222,"Data out of range"'), GOOD)
    with supply(GOOD, *refused) as aux:
        aux.take_control()
        with pytest.raises(InstrumentError, match="-222 Data out of range"):
            aux.set_current_limit(1.0)


def test_more_than_the_rating_is_refused_although_it_would_take_it(supply: Conversation) -> None:
    with supply(GOOD) as aux:
        aux.take_control()
        for voltage_v in (30.5, -0.1, float("nan")):
            with pytest.raises(OutOfRange):
                aux.set_voltage(voltage_v)
        for current_a in (3.1, -0.1, float("nan")):
            with pytest.raises(OutOfRange):
                aux.set_current_limit(current_a)
        with pytest.raises(OutOfRange):
            aux.set_overvoltage_protection(31.6)
        with pytest.raises(OutOfRange):
            aux.set_overcurrent_protection(3.2)


def test_without_control_nothing_is_set_or_switched_on(supply: Conversation) -> None:
    with supply() as aux:
        for call in (
            lambda: aux.set_voltage(5.0),
            lambda: aux.set_current_limit(1.0),
            lambda: aux.set_overvoltage_protection(6.0),
            lambda: aux.set_overcurrent_protection(1.0),
            aux.output_on,
        ):
            with pytest.raises(InstrumentError, match="take_control first"):
                call()


def test_the_output_is_told_and_asked(supply: Conversation) -> None:
    with supply(GOOD, *SWITCHED_ON, *SWITCHED_OFF) as aux:
        aux.take_control()
        aux.output_on()
        aux.output_off()


def test_switching_off_needs_no_control_and_leaves_no_error_behind(supply: Conversation) -> None:
    steps = (
        (":OUTP CH2,OFF", None),
        (":OUTP? CH2", "ON"),
        (":OUTP? CH2", "OFF"),
        ("SYST:ERR?", '-221,"Conflict"'),
        GOOD,
    )
    with supply(*steps) as aux:
        aux.output_off()


def test_an_output_that_stays_on_is_an_error(supply: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rigol_dp800, "_EXECUTION_S", 0.1)
    with supply((":OUTP CH2,OFF", None), (":OUTP? CH2", ("always", "ON"))) as aux:
        with pytest.raises(InstrumentError, match="CH2 is still on"):
            aux.output_off()


def test_an_output_that_stays_on_after_a_callback_told_it_off_reaches_the_sleeper(
    supply: Conversation, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigol_dp800, "_EXECUTION_S", 0.1)
    with supply((":OUTP CH2,OFF", None), (":OUTP? CH2", "ON"), GOOD, (":OUTP? CH2", "ON")) as aux:
        clock.at(clock.now() + 0.01, aux.output_off)
        with pytest.raises(InstrumentError, match="CH2 is still on"):
            wait_until(clock, lambda: False, timeout_s=10.0)


def test_a_latched_trip_is_named_and_keeps_the_output_off(supply: Conversation) -> None:
    tripped = ((":OUTP:OVP:QUES? CH2", "YES"), (":OUTP:OCP:QUES? CH2", "YES"))
    with supply(GOOD, *tripped, *tripped) as aux:
        aux.take_control()
        assert aux.get_alarms() == ("overvoltage", "overcurrent")
        with pytest.raises(InstrumentError, match="clear_alarms first"):
            aux.output_on()


@pytest.mark.parametrize("answer", ["", "1", "maybe"])
def test_an_unknown_answer_about_a_trip_is_an_error(supply: Conversation, answer: str) -> None:
    with supply((":OUTP:OVP:QUES? CH2", answer)) as aux, pytest.raises(InstrumentError, match="neither YES nor NO"):
        aux.get_alarms()


def test_trips_are_cleared_with_the_output_off_and_it_must_stay_off(supply: Conversation) -> None:
    cleared = told(":OUTP:OVP:CLEAR CH2", ":OUTP:OCP:CLEAR CH2")
    with supply(*SWITCHED_OFF, *cleared, (":OUTP? CH2", "OFF"), *NOT_TRIPPED) as aux:
        aux.clear_alarms()


def test_an_output_that_comes_back_by_clearing_is_an_error(supply: Conversation) -> None:
    cleared = told(":OUTP:OVP:CLEAR CH2", ":OUTP:OCP:CLEAR CH2")
    with supply(*SWITCHED_OFF, *cleared, (":OUTP? CH2", "ON")) as aux:
        with pytest.raises(InstrumentError, match="came back on"):
            aux.clear_alarms()


def test_a_trip_whose_cause_stays_is_an_error(supply: Conversation) -> None:
    cleared = told(":OUTP:OVP:CLEAR CH2", ":OUTP:OCP:CLEAR CH2")
    still = ((":OUTP? CH2", "OFF"), (":OUTP:OVP:QUES? CH2", "YES"), (":OUTP:OCP:QUES? CH2", "NO"))
    with (
        supply(*SWITCHED_OFF, *cleared, *still) as aux,
        pytest.raises(InstrumentError, match="its cause is still there"),
    ):
        aux.clear_alarms()


def test_a_protection_is_set_switched_on_and_both_are_read_back(supply: Conversation) -> None:
    steps = (
        *(GOOD, *told(":OUTP:OVP:VAL CH2,15.0000"), (":OUTP:OVP:VAL? CH2", "15.000")),
        *(*told(":OUTP:OVP CH2,ON"), (":OUTP:OVP? CH2", "ON"), (":OUTP:OVP:VAL? CH2", "15.000")),
        *(*told(":OUTP:OCP:VAL CH2,1.2000"), (":OUTP:OCP:VAL? CH2", "1.2000")),
        *(*told(":OUTP:OCP CH2,ON"), (":OUTP:OCP? CH2", "ON"), (":OUTP:OCP:VAL? CH2", "1.2000")),
        *((":OUTP:OVP? CH2", "ON"), (":OUTP:OVP:VAL? CH2", "15.000")),
        *((":OUTP:OCP? CH2", "ON"), (":OUTP:OCP:VAL? CH2", "1.2000")),
    )
    with supply(*steps) as aux:
        aux.take_control()
        aux.set_overvoltage_protection(15.0)
        aux.set_overcurrent_protection(1.2)
        assert aux.get_overvoltage_protection() == 15.0
        assert aux.get_overcurrent_protection() == 1.2


def test_a_protection_that_is_switched_off_has_no_value(supply: Conversation) -> None:
    with supply((":OUTP:OVP? CH2", "OFF")) as aux, pytest.raises(InstrumentError, match=r"overvoltage .* switched off"):
        aux.get_overvoltage_protection()


def test_readings_are_of_its_own_channel(supply: Conversation) -> None:
    with supply((":MEAS:VOLT? CH2", "11.998"), (":MEAS:CURR? CH2", "0.0421")) as aux:
        assert aux.measure_voltage() == pytest.approx(11.998)
        assert aux.measure_current() == pytest.approx(0.0421)


@pytest.mark.parametrize("answer", ["", "9.9E37", "nan", "1,2", "0.04V"])
def test_a_missing_reading_is_an_error(supply: Conversation, answer: str) -> None:
    with supply((":MEAS:CURR? CH2", answer)) as aux, pytest.raises(InstrumentError, match="MEAS:CURR"):
        aux.measure_current()


def test_what_regulates_is_asked_only_of_an_output_that_is_on(supply: Conversation) -> None:
    steps = (
        *((":OUTP? CH2", "OFF"), (":OUTP? CH2", "ON"), (":OUTP:CVCC? CH2", "CV")),
        *((":OUTP? CH2", "ON"), (":OUTP:CVCC? CH2", "CC"), (":OUTP? CH2", "ON"), (":OUTP:CVCC? CH2", "UR")),
    )
    with supply(*steps) as aux:
        assert [aux.get_regulation() for _ in range(3)] == ["OFF", "CV", "CC"]
        with pytest.raises(InstrumentError, match="neither voltage nor current: UR"):
            aux.get_regulation()


def test_an_output_that_went_off_with_the_connection_is_said_once_and_control_is_gone(supply: Conversation) -> None:
    steps = (
        *(GOOD, *SWITCHED_ON, (":MEAS:VOLT? CH2", ("close",)), IDN, (":OUTP? CH2", "OFF")),
        (":MEAS:VOLT? CH2", "0.000"),
    )
    with supply(*steps) as aux:
        aux.take_control()
        aux.output_on()
        with pytest.raises(InstrumentError):
            aux.measure_voltage()
        with pytest.raises(InstrumentError, match="CH2 is still off; the connection was lost"):
            aux.measure_voltage()
        assert aux.measure_voltage() == 0.0
        with pytest.raises(InstrumentError, match="take_control first"):
            aux.output_on()


def test_another_voltage_after_a_lost_connection_is_said(supply: Conversation) -> None:
    steps = (
        *(GOOD, *told(":SOUR2:VOLT 12.0000"), (":SOUR2:VOLT?", "12.000"), (":OUTP? CH2", ("close",))),
        *(IDN, (":SOUR2:VOLT?", "0.000")),
    )
    with supply(*steps) as aux:
        aux.take_control()
        aux.set_voltage(12.0)
        with pytest.raises(InstrumentError):
            aux.is_output_on()
        with pytest.raises(InstrumentError, match="no longer 12 V"):
            aux.is_output_on()


def test_it_can_be_switched_off_after_a_silence_over_a_new_connection(supply: Conversation) -> None:
    with supply(GOOD, *SWITCHED_ON, (":MEAS:CURR? CH2", None), IDN, *SWITCHED_OFF) as aux:
        aux.take_control()
        aux.output_on()
        aux.link.transport.timeout_s = 0.3
        with pytest.raises(InstrumentError, match="no answer"):
            aux.measure_current()
        aux.link.transport.timeout_s = 5.0
        aux.output_off()
