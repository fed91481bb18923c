"""What the driver of the EA PSI 9000 says, word for word (programming guide "ModBus & SCPI")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import (
    HasOvercurrentProtection,
    HasOvervoltageProtection,
    Identity,
    Ratings,
    Supply,
)
from instruments.supplies.ea_psi_9000 import EaPsi9000

_: type[Supply] = EaPsi9000
_v: type[HasOvervoltageProtection] = EaPsi9000
_c: type[HasOvercurrentProtection] = EaPsi9000

Conversation = Callable[..., Any]

IDN = ("*IDN?", "EA Elektro-Automatik GmbH&Co.KG, PSI 9080-340 3U, 1240210002, V2.14 04.01.2019 V2.28, user")
OPENING = (
    IDN,
    ("SYST:NOM:VOLT?", "80.00V"),
    ("SYST:NOM:CURR?", "340.0A"),
    ("SYST:NOM:POW?", "10000W"),
)
GOOD = (("STAT:QUES:COND?", "1024"), ("SYST:ERR?", '0,"No error"'))
CONTROL = (
    ("STAT:QUES:COND?", "0"),
    ("SYST:ERR?", '0,"No error"'),
    ("SYST:LOCK ON", None),
    *GOOD,
    ("SYST:LOCK:OWN?", "REMOTE"),
    ("POW 10000.000", None),
    *GOOD,
    ("POW?", "10000W"),
)
RELEASE = (("SYST:LOCK OFF", None),)


def test_opening_reads_who_it_is_and_its_ratings_and_changes_nothing(conversation: Conversation) -> None:
    with conversation(EaPsi9000, *OPENING, IDN) as supply:
        assert supply.identify() == Identity(
            "EA Elektro-Automatik GmbH&Co.KG", "PSI 9080-340 3U", "1240210002", "V2.14 04.01.2019 V2.28, user"
        )
        assert supply.get_ratings() == Ratings(Range(0.0, 80.0, "V"), Range(0.0, 340.0, "A"), None, 10000.0)


def test_taking_control_asks_who_owns_it_and_frees_the_power_limit(conversation: Conversation) -> None:
    with conversation(EaPsi9000, *OPENING, *CONTROL, *RELEASE) as supply:
        supply.take_control()


def test_control_that_is_not_given_is_an_error(conversation: Conversation) -> None:
    refused = (*CONTROL[:3], ("STAT:QUES:COND?", "512"), ("SYST:ERR?", '0,"No error"'), ("SYST:LOCK:OWN?", "LOCAL"))
    with conversation(EaPsi9000, *OPENING, *refused) as supply, pytest.raises(InstrumentError, match="LOCAL"):
        supply.take_control()


@pytest.mark.parametrize(
    ("method", "header", "value", "answer"),
    [
        ("set_voltage", "VOLT", 58.4, "58.40V"),
        ("set_current_limit", "CURR", 120.0, "120.0A"),
        ("set_overvoltage_protection", "VOLT:PROT", 60.0, "60.00V"),
        ("set_overcurrent_protection", "CURR:PROT", 150.0, "150.0A"),
        ("set_overpower_protection", "POW:PROT", 8580.0, "8580W"),
    ],
)
def test_a_setting_is_checked_for_errors_and_read_back(
    conversation: Conversation, method: str, header: str, value: float, answer: str
) -> None:
    steps = ((f"{header} {value:.3f}", None), *GOOD, (f"{header}?", answer), (f"{header}?", answer))
    getter = method.replace("set_", "get_")
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        getattr(supply, method)(value)
        assert getattr(supply, getter)() == pytest.approx(value)


def test_a_setting_that_takes_effect_late_is_asked_for_again(conversation: Conversation) -> None:
    steps = (("VOLT 50.000", None), *GOOD, ("VOLT?", "0.00V"), ("VOLT?", "50.00V"))
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        supply.set_voltage(50.0)


def test_a_setting_that_is_never_taken_is_an_error_with_both_values(conversation: Conversation) -> None:
    steps = (("VOLT 50.000", None), *GOOD, ("VOLT?", ("always", "48.00V")))
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        with pytest.raises(InstrumentError, match=r"VOLT is 48 V instead of 50 V, 0\.5 s after"):
            supply.set_voltage(50.0)


def test_a_refused_value_is_an_error_with_command_code_and_text(conversation: Conversation) -> None:
    refused = (
        ("CURR 120.000", None),
        ("STAT:QUES:COND?", "1024"),
        ("SYST:ERR?", '-222,"Data out of range"'),
        ("SYST:ERR?", '0,"No error"'),
    )
    with conversation(EaPsi9000, *OPENING, *refused) as supply:
        with pytest.raises(InstrumentError, match=r"CURR 120\.000.*-222 Data out of range"):
            supply.set_current_limit(120.0)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("set_voltage", 80.1),
        ("set_voltage", -0.1),
        ("set_current_limit", 340.1),
        ("set_current_limit", float("nan")),
        ("set_overvoltage_protection", 88.1),
        ("set_overcurrent_protection", 374.1),
    ],
)
def test_beyond_the_rating_nothing_is_sent(conversation: Conversation, method: str, value: float) -> None:
    with conversation(EaPsi9000, *OPENING) as supply, pytest.raises(OutOfRange):
        getattr(supply, method)(value)


def test_switching_on_asks_until_the_output_is_on(conversation: Conversation) -> None:
    steps = (("STAT:QUES:COND?", "1024"), ("OUTP ON", None), *GOOD, ("OUTP?", "OFF"), ("OUTP?", "ON"), ("OUTP?", "ON"))
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        supply.output_on()
        assert supply.is_output_on()


def test_switching_on_is_refused_while_an_alarm_is_latched(conversation: Conversation) -> None:
    with conversation(EaPsi9000, *OPENING, ("STAT:QUES:COND?", "1026"), ("STAT:QUES:COND?", "1024")) as supply:
        for _ in range(2):
            with pytest.raises(InstrumentError, match=r"overcurrent.*clear_alarms"):
                supply.output_on()


def test_switching_off_needs_no_earlier_state(conversation: Conversation) -> None:
    off = (
        ("SYST:LOCK ON", None),
        ("OUTP OFF", None),
        ("OUTP?", "ON"),
        ("OUTP?", "OFF"),
        ("STAT:QUES:COND?", "1024"),
        ("SYST:ERR?", '-221,"Settings conflict"'),
        ("SYST:ERR?", '0,"No error"'),
    )
    with conversation(EaPsi9000, *OPENING, *off, *RELEASE) as supply:
        supply.output_off()


def test_measuring_is_one_question_each(conversation: Conversation) -> None:
    steps = (("MEAS:VOLT?", "52.31V"), ("MEAS:CURR?", "100.1A"))
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        assert supply.measure_voltage() == pytest.approx(52.31)
        assert supply.measure_current() == pytest.approx(100.1)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [("100.1V", "unit"), ("NaN", "not a number"), ("", "not a number"), ("9.9E37", "overload")],
)
def test_an_answer_that_is_no_current_is_an_error(conversation: Conversation, answer: str, complaint: str) -> None:
    with conversation(EaPsi9000, *OPENING, ("MEAS:CURR?", answer)) as supply:
        with pytest.raises(InstrumentError, match=complaint):
            supply.measure_current()


@pytest.mark.parametrize(
    ("conditions", "operation", "regulation"),
    [
        ("3072", "256", "CV"),
        ("3072", "512", "CC"),
        ("3072", "1024", "CP"),
        ("3072", "2048", "CR"),
    ],
)
def test_regulation_is_read_from_the_operation_register(
    conversation: Conversation, conditions: str, operation: str, regulation: str
) -> None:
    steps = (("STAT:QUES:COND?", conditions), ("STAT:OPER:COND?", operation))
    with conversation(EaPsi9000, *OPENING, *steps) as supply:
        assert supply.get_regulation() == regulation


def test_with_the_output_off_nothing_regulates(conversation: Conversation) -> None:
    with conversation(EaPsi9000, *OPENING, ("STAT:QUES:COND?", "1024")) as supply:
        assert supply.get_regulation() == "OFF"


def test_an_alarm_stays_although_reading_errors_has_acknowledged_it(conversation: Conversation) -> None:
    steps = (
        ("CURR 10.000", None),
        ("STAT:QUES:COND?", "1025"),
        ("SYST:ERR?", '0,"No error"'),
        ("CURR?", "10.0A"),
        ("STAT:QUES:COND?", "1024"),
    )
    with conversation(EaPsi9000, *OPENING, *CONTROL, *steps, *RELEASE) as supply:
        supply.take_control()
        supply.set_current_limit(10.0)
        assert supply.get_alarms() == ("overvoltage",)


def test_clearing_switches_off_first_and_looks_again_afterwards(conversation: Conversation) -> None:
    clearing = (
        ("SYST:LOCK ON", None),
        ("OUTP OFF", None),
        ("OUTP?", "OFF"),
        ("STAT:QUES:COND?", "1026"),
        ("SYST:ERR?", '0,"No error"'),
        ("SYST:ERR?", '0,"No error"'),
        ("STAT:QUES:COND?", "1024"),
        ("OUTP?", "OFF"),
        ("STAT:QUES:COND?", "1024"),
    )
    with conversation(EaPsi9000, *OPENING, *clearing, *RELEASE) as supply:
        supply.clear_alarms()
        assert supply.get_alarms() == ()


def test_an_alarm_whose_cause_is_still_there_is_not_cleared(conversation: Conversation) -> None:
    clearing = (
        ("SYST:LOCK ON", None),
        ("OUTP OFF", None),
        ("OUTP?", "OFF"),
        ("STAT:QUES:COND?", "1025"),
        ("SYST:ERR?", '0,"No error"'),
        ("SYST:ERR?", '0,"No error"'),
        ("STAT:QUES:COND?", "1025"),
    )
    with conversation(EaPsi9000, *OPENING, *clearing, *RELEASE) as supply:
        with pytest.raises(InstrumentError, match="overvoltage"):
            supply.clear_alarms()


def test_an_output_that_returns_with_the_clearing_is_an_error(conversation: Conversation) -> None:
    clearing = (
        ("SYST:LOCK ON", None),
        ("OUTP OFF", None),
        ("OUTP?", "OFF"),
        ("STAT:QUES:COND?", "1025"),
        ("SYST:ERR?", '0,"No error"'),
        ("SYST:ERR?", '0,"No error"'),
        ("STAT:QUES:COND?", "3072"),
        ("OUTP?", "ON"),
    )
    with conversation(EaPsi9000, *OPENING, *clearing, *RELEASE) as supply:
        with pytest.raises(InstrumentError, match="came back on"):
            supply.clear_alarms()


def test_lost_remote_control_is_an_error_where_alarms_are_polled(conversation: Conversation) -> None:
    with conversation(EaPsi9000, *OPENING, *CONTROL, ("STAT:QUES:COND?", "512"), *RELEASE) as supply:
        supply.take_control()
        with pytest.raises(InstrumentError, match="lost remote control"):
            supply.get_alarms()


def test_another_model_is_refused_with_both_names(conversation: Conversation) -> None:
    stranger = ("*IDN?", "EA Elektro-Automatik GmbH&Co.KG, EL 9080-340, 1240210002, V2.14")
    with pytest.raises(InstrumentError, match=r"EL 9080-340.*EA PSI 9000"):
        with conversation(EaPsi9000, stranger):
            pass
