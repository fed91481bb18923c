"""What the driver of the EA EL 9000 says, word for word (programming guide "ModBus & SCPI")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import HasOvercurrentProtection, Load, Ratings
from instruments.loads.ea_el_9000 import EaEl9000

_: type[Load] = EaEl9000
_c: type[HasOvercurrentProtection] = EaEl9000

Conversation = Callable[..., Any]

IDN = ("*IDN?", "EA Elektro-Automatik GmbH&Co.KG, EL 9080-340, 1240210002, V2.14 V1.6.5")
OPENING = (IDN, ("SYST:NOM:VOLT?", "80V"), ("SYST:NOM:CURR?", "340A"), ("SYST:NOM:POW?", "7.2kW"))
GOOD = (("STAT:QUES:COND?", "1024"), ("SYST:ERR?", '0,"No error"'))
OFF = (
    ("SYST:LOCK ON", None),
    ("INP OFF", None),
    ("INP?", "OFF"),
    *GOOD,
)


def test_ratings_are_those_of_a_sink(conversation: Conversation) -> None:
    with conversation(EaEl9000, *OPENING, IDN) as load:
        assert load.get_ratings() == Ratings(Range(0.0, 80.0, "V"), None, Range(0.0, 340.0, "A"), 7200.0)
        assert load.identify().model == "EL 9080-340"


def test_taking_control_lets_the_current_decide(conversation: Conversation) -> None:
    control = (
        ("STAT:QUES:COND?", "0"),
        ("SYST:ERR?", '-221,"Settings conflict"'),  # left behind by somebody else
        ("SYST:ERR?", '0,"No error"'),
        ("SYST:LOCK ON", None),
        *GOOD,
        ("SYST:LOCK:OWN?", "REMOTE"),
        ("VOLT 0.000", None),
        *GOOD,
        ("VOLT?", "0.00V"),
        ("POW 7200.000", None),
        *GOOD,
        ("POW?", "7200W"),
    )
    with conversation(EaEl9000, *OPENING, *control, ("SYST:LOCK OFF", None)) as load:
        load.take_control()


def test_the_current_is_set_as_a_magnitude_and_read_back(conversation: Conversation) -> None:
    steps = (("CURR 120.000", None), *GOOD, ("CURR?", "120.0A"), ("CURR?", "120.0A"))
    with conversation(EaEl9000, *OPENING, *steps) as load:
        load.set_current(120.0)
        assert load.get_current() == pytest.approx(120.0)


def test_the_trip_current_is_set_and_read_back(conversation: Conversation) -> None:
    steps = (("CURR:PROT 150.000", None), *GOOD, ("CURR:PROT?", "150.0A"), ("CURR:PROT?", "150.0A"))
    with conversation(EaEl9000, *OPENING, *steps) as load:
        load.set_overcurrent_protection(150.0)
        assert load.get_overcurrent_protection() == pytest.approx(150.0)


def test_the_trip_power_is_set_and_read_back(conversation: Conversation) -> None:
    steps = (("POW:PROT 7200.000", None), *GOOD, ("POW:PROT?", "7200W"), ("POW:PROT?", "7200W"))
    with conversation(EaEl9000, *OPENING, *steps) as load:
        load.set_overpower_protection(7200.0)
        assert load.get_overpower_protection() == pytest.approx(7200.0)


@pytest.mark.parametrize(("method", "value"), [("set_current", -1.0), ("set_current", 341.0)])
def test_beyond_the_rating_nothing_is_sent(conversation: Conversation, method: str, value: float) -> None:
    with conversation(EaEl9000, *OPENING) as load, pytest.raises(OutOfRange):
        getattr(load, method)(value)


def test_what_the_load_calls_positive_discharges_the_pack(conversation: Conversation) -> None:
    steps = (("MEAS:CURR?", "100.1A"), ("MEAS:VOLT?", "51.20V"), ("MEAS:CURR?", "0.0A"))
    with conversation(EaEl9000, *OPENING, *steps) as load:
        assert load.measure_current() == pytest.approx(-100.1)
        assert load.measure_voltage() == pytest.approx(51.2)
        assert str(load.measure_current()) == "0.0"  # not a negative zero


def test_the_input_is_switched_and_asked(conversation: Conversation) -> None:
    steps = (("STAT:QUES:COND?", "1024"), ("INP ON", None), *GOOD, ("INP?", "ON"), ("INP?", "ON"))
    with conversation(EaEl9000, *OPENING, *steps, *OFF, ("SYST:LOCK OFF", None)) as load:
        load.output_on()
        assert load.is_output_on()
        load.output_off()


def test_regulation_and_alarms_come_from_the_status_registers(conversation: Conversation) -> None:
    steps = (("STAT:QUES:COND?", "3072"), ("STAT:OPER:COND?", "4608"), ("STAT:QUES:COND?", "1030"))
    with conversation(EaEl9000, *OPENING, *steps) as load:
        assert load.get_regulation() == "CC"
        assert load.get_alarms() == ("overcurrent", "overpower")


def test_clearing_waits_for_the_recovery_after_a_power_fail(conversation: Conversation, clock: Any) -> None:
    failed = (("STAT:QUES:COND?", "9216"),)
    clearing = (*OFF, ("SYST:ERR?", '0,"No error"'), ("STAT:QUES:COND?", "1024"), ("INP?", "OFF"))
    with conversation(EaEl9000, *OPENING, *failed, *clearing, ("SYST:LOCK OFF", None)) as load:
        assert load.get_alarms() == ("power_fail",)
        begin_s = clock.now()
        load.clear_alarms()
        assert clock.now() - begin_s >= 2.0


def test_a_supply_is_refused(conversation: Conversation) -> None:
    stranger = ("*IDN?", "EA Elektro-Automatik GmbH&Co.KG, PSI 9080-340, 1240210002, V2.14")
    with pytest.raises(InstrumentError, match=r"PSI 9080-340.*EA EL 9000"), conversation(EaEl9000, stranger):
        pass
