"""What the driver of the Keysight 34465A says, word for word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.roles import Identity, VoltageMeter
from instruments.meters.keysight_34465a import Keysight34465A

_: type[VoltageMeter] = Keysight34465A

Conversation = Callable[..., Any]

IDN = ("*IDN?", "Keysight Technologies,34465A,MY60012345,A.02.16-02.40-02.16-00.52-02-01")
GOOD = ("SYST:ERR?", '+0,"No error"')
RANGE = (
    ("CONF:VOLT:DC 0.1", None),
    GOOD,
    ("SENS:VOLT:ZERO:AUTO ON", None),
    GOOD,
    ("SENS:VOLT:DC:NPLC 10", None),
    GOOD,
    ("SENS:VOLT:DC:RANG?", "+1.00000000E-01"),
    ("SENS:VOLT:DC:NPLC?", "+1.00000000E+01"),
)


def test_opening_asks_only_who_it_is(conversation: Conversation) -> None:
    with conversation(Keysight34465A, IDN, IDN) as meter:
        assert meter.identify() == Identity(
            "Keysight Technologies", "34465A", "MY60012345", "A.02.16-02.40-02.16-00.52-02-01"
        )


def test_a_range_is_configured_with_everything_that_it_resets(conversation: Conversation) -> None:
    with conversation(Keysight34465A, IDN, *RANGE, ("READ?", "+1.49988503E-02")) as meter:
        meter.set_range(0.1)
        assert meter.measure_voltage() == pytest.approx(0.0149988503)


def test_integration_is_read_back_and_survives_a_new_range(conversation: Conversation) -> None:
    fast = (("SENS:VOLT:DC:NPLC 1", None), GOOD, ("SENS:VOLT:DC:NPLC?", "+1.00000000E+00"))
    hundred = (
        ("CONF:VOLT:DC 100", None),
        GOOD,
        ("SENS:VOLT:ZERO:AUTO OFF", None),
        GOOD,
        ("SENS:VOLT:DC:NPLC 1", None),
        GOOD,
        ("SENS:VOLT:DC:RANG?", "+1.00000000E+02"),
        ("SENS:VOLT:DC:NPLC?", "+1.00000000E+00"),
    )
    with conversation(Keysight34465A, IDN, *fast, *hundred, options={"auto_zero": False}) as meter:
        meter.set_integration(1.0)
        meter.set_range(100.0)


@pytest.mark.parametrize("answer", ["+9.90000000E+37", "-9.90000000E+37", "+9.91000000E+37", "NAN", "", "1,2"])
def test_overload_and_missing_readings_are_errors(conversation: Conversation, answer: str) -> None:
    with conversation(Keysight34465A, IDN, *RANGE, ("READ?", answer)) as meter:
        meter.set_range(0.1)
        with pytest.raises(InstrumentError, match="READ"):
            meter.measure_voltage()


def test_without_a_range_nothing_is_measured(conversation: Conversation) -> None:
    with conversation(Keysight34465A, IDN) as meter, pytest.raises(InstrumentError, match="set_range"):
        meter.measure_voltage()


def test_a_range_that_was_not_taken_is_an_error_and_leaves_no_range(conversation: Conversation) -> None:
    steps = (*RANGE[:6], ("SENS:VOLT:DC:RANG?", "+1.00000000E+01"))
    with conversation(Keysight34465A, IDN, *steps) as meter:
        with pytest.raises(InstrumentError, match=r"says 10, expected 0\.1"):
            meter.set_range(0.1)
        with pytest.raises(InstrumentError, match="set_range"):
            meter.measure_voltage()


def test_a_refused_integration_is_an_error_with_its_text(conversation: Conversation) -> None:
    steps = (("SENS:VOLT:DC:NPLC 100", None), ("SYST:ERR?", '-222,"Data out of range"'), GOOD)
    with conversation(Keysight34465A, IDN, *steps) as meter:
        with pytest.raises(InstrumentError, match="-222 Data out of range"):
            meter.set_integration(100.0)


def test_only_the_meters_own_ranges_and_integrations_are_sent(conversation: Conversation) -> None:
    with conversation(Keysight34465A, IDN) as meter:
        with pytest.raises(OutOfRange):
            meter.set_range(50.0)
        with pytest.raises(OutOfRange):
            meter.set_integration(3.0)


def test_another_maker_s_meter_is_refused(conversation: Conversation) -> None:
    stranger = ("*IDN?", "KEITHLEY INSTRUMENTS,MODEL DMM6500,04400001,1.7.0")
    with pytest.raises(InstrumentError, match="DMM6500"), conversation(Keysight34465A, stranger):
        pass


def test_a_misspelt_option_is_refused_with_the_nearest_one(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="did you mean 'auto_zero'"):
        with conversation(Keysight34465A, options={"autozero": False}):
            pass
