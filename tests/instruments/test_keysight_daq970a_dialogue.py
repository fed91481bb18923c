"""What the driver of the Keysight DAQ970A says, word for word, and which readings it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError
from bench.roles import CellMonitor, Identity
from instruments.cell_monitors.keysight_daq970a import KeysightDaq970a

_: type[CellMonitor] = KeysightDaq970a

Conversation = Callable[..., Any]

IDN = ("*IDN?", "Keysight Technologies,DAQ970A,MY58000123,A.03.01-01.00-01.00-00.52-02-01")
GOOD = ("SYST:ERR?", '+0,"No error"')


def told(*commands: str) -> tuple[tuple[str, Any], ...]:
    """Commands, each with the question whether it was taken."""
    return tuple(step for command in commands for step in ((command, None), GOOD))


FORMAT = (
    *("FORM:READ:UNIT ON", "FORM:READ:CHAN ON", "FORM:READ:TIME OFF", "FORM:READ:ALAR OFF"),
    *("TRIG:SOUR IMM", "TRIG:COUN 1"),
)
CONFIGURED = told(
    "CONF:VOLT:DC 10,(@101:103)", "CONF:TEMP TC,K,(@117,119)", "ROUT:SCAN (@117,119)", "UNIT:TEMP C", *FORMAT
)
SCAN_CELLS, SCAN_SENSORS = told("ROUT:SCAN (@101:103)"), told("ROUT:SCAN (@117,119)")
VOLTS = "+3.30120000E+00 VDC,101,+3.30240000E+00 VDC,102,+3.30360000E+00 VDC,103"
DEGREES = "+2.51000000E+01 C,117,-4.00000000E+00 C,119"


@pytest.fixture
def daq(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with three cells and two thermocouples; options replace theirs."""

    def open_daq(*steps: tuple[str, Any], **options: object) -> Any:
        settings = {"cells": [101, 102, 103], "sensors": {"cell_1": 117, "busbar": 119}, **options}
        return conversation(KeysightDaq970a, IDN, *steps, options=settings)

    return open_daq


def test_opening_asks_only_who_it_is(daq: Conversation) -> None:
    with daq(IDN) as monitor:
        assert monitor.identify() == Identity(
            "Keysight Technologies", "DAQ970A", "MY58000123", "A.03.01-01.00-01.00-00.52-02-01"
        )


def test_channels_are_configured_once_and_the_scan_list_changes_only_where_it_must(daq: Conversation) -> None:
    steps = (
        *CONFIGURED,
        *SCAN_CELLS,
        ("READ?", VOLTS),
        ("READ?", VOLTS),
        *SCAN_SENSORS,
        ("READ?", DEGREES),
        ("READ?", DEGREES),
        *SCAN_CELLS,
        ("READ?", VOLTS),
    )
    with daq(*steps) as monitor:
        for _ in range(2):
            assert monitor.measure_cell_voltages() == pytest.approx((3.3012, 3.3024, 3.3036))
        for _ in range(2):
            assert monitor.measure_temperatures() == pytest.approx({"cell_1": 25.1, "busbar": -4.0})
        monitor.measure_cell_voltages()


def test_temperatures_asked_first_need_no_second_scan_list(daq: Conversation) -> None:
    with daq(*CONFIGURED, ("READ?", DEGREES)) as monitor:
        assert monitor.measure_temperatures()["busbar"] == pytest.approx(-4.0)


def test_cells_wired_in_another_order_keep_their_own_voltages(daq: Conversation) -> None:
    configured = told("CONF:VOLT:DC 10,(@101:102,201)", *FORMAT, "ROUT:SCAN (@101:102,201)")
    answer = "+3.10000000E+00 V,101,+3.20000000E+00 V,102,+3.30000000E+00 V,201"
    with daq(*configured, ("READ?", answer), cells=[201, 101, 102], sensors={}) as monitor:
        assert monitor.measure_cell_voltages() == pytest.approx((3.3, 3.1, 3.2))


def test_without_sensors_there_is_nothing_to_measure_and_nothing_is_said(daq: Conversation) -> None:
    with daq(sensors={}) as monitor:
        assert monitor.measure_temperatures() == {}


def test_another_thermocouple_is_told(daq: Conversation) -> None:
    configured = [("CONF:TEMP TC,T,(@117,119)", None) if "TC,K" in step[0] else step for step in CONFIGURED]
    with daq(*configured, ("READ?", DEGREES), thermocouple="T") as monitor:
        monitor.measure_temperatures()


@pytest.mark.parametrize("open_one", ["+9.90000000E+37 C", "+9.90000000E+37", "-9.90000000E+37 C", "+9.91000000E+37 C"])
def test_an_open_thermocouple_is_an_error_that_names_channel_and_sensor(daq: Conversation, open_one: str) -> None:
    with daq(*CONFIGURED, ("READ?", f"+2.51000000E+01 C,117,{open_one},119")) as monitor:
        with pytest.raises(InstrumentError, match=r"channel 119 \(sensor busbar\): .*an open thermocouple"):
            monitor.measure_temperatures()


def test_an_overload_is_an_error_that_names_channel_and_cell(daq: Conversation) -> None:
    answer = VOLTS.replace("+3.30240000E+00", "+9.90000000E+37")
    with daq(*CONFIGURED, *SCAN_CELLS, ("READ?", answer)) as monitor:
        with pytest.raises(InstrumentError, match=r"channel 102 \(cell 2\): .*more than 10 V, or an open wire"):
            monitor.measure_cell_voltages()


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "+3.3012E+00 VDC,101,+3.3024E+00 VDC,102",  # one cell is missing
        f"{VOLTS},+3.30000000E+00 VDC,104",
        "+3.3012E+00 VDC,101,+3.3036E+00 VDC,103,+3.3024E+00 VDC,102",
        "+3.3012E+00 VDC,101,+3.3024E+00 VDC,102,+3.3036E+00 VDC,104",
        "+3.3012E+00 VDC,+3.3024E+00 VDC,+3.3036E+00 VDC",  # channels are not shown
        "+3.3012E+00 VDC,0.017,101,+3.3024E+00 VDC,0.034,102,+3.3036E+00 VDC,0.051,103",
        f"{VOLTS},",
    ],
)
def test_other_readings_than_asked_for_are_an_error_and_everything_is_told_again(
    daq: Conversation, answer: str
) -> None:
    steps = (*CONFIGURED, *SCAN_CELLS, ("READ?", answer), *CONFIGURED, *SCAN_CELLS, ("READ?", VOLTS))
    with daq(*steps) as monitor:
        with pytest.raises(InstrumentError, match=r"expected 3 readings .* of \(@101:103\)"):
            monitor.measure_cell_voltages()
        assert len(monitor.measure_cell_voltages()) == 3


@pytest.mark.parametrize(
    ("reading", "complaint"),
    [
        ("+3.30240000E+00 C", "carries the unit 'C', expected VDC"),
        ("+3.30240000E+03 mV", "carries the unit 'mV', expected VDC"),
        ("+3.30240000E+00", "carries the unit '', expected VDC"),
        ("NAN VDC", "is not a number"),
        ("INF VDC", "is not a number"),
        (" ", "is not a number"),
    ],
)
def test_another_unit_or_no_number_is_an_error(daq: Conversation, reading: str, complaint: str) -> None:
    answer = VOLTS.replace("+3.30240000E+00 VDC", reading)
    with daq(*CONFIGURED, *SCAN_CELLS, ("READ?", answer)) as monitor:
        with pytest.raises(InstrumentError, match=rf"channel 102 \(cell 2\): .*{complaint}"):
            monitor.measure_cell_voltages()


def test_degrees_fahrenheit_are_not_taken_for_celsius(daq: Conversation) -> None:
    with daq(*CONFIGURED, ("READ?", DEGREES.replace(" C", " F"))) as monitor:
        with pytest.raises(InstrumentError, match=r"sensor cell_1\): .*unit 'F', expected C"):
            monitor.measure_temperatures()


def test_a_refused_configuration_is_an_error_and_is_tried_again(daq: Conversation) -> None:
    refused = (("CONF:VOLT:DC 10,(@101:103)", None), ("SYST:ERR?", '+222,"Channel list: slot empty"'), GOOD)
    with daq(*refused, *CONFIGURED, *SCAN_CELLS, ("READ?", VOLTS)) as monitor:
        with pytest.raises(InstrumentError, match="slot empty"):
            monitor.measure_cell_voltages()
        monitor.measure_cell_voltages()


def test_a_power_cycle_is_told_and_the_channels_are_configured_again(daq: Conversation) -> None:
    steps = (
        *(*CONFIGURED, *SCAN_CELLS, ("READ?", VOLTS), ("READ?", ("close",))),
        *(IDN, ("FORM:READ:UNIT?", "0"), *CONFIGURED, *SCAN_CELLS, ("READ?", VOLTS)),
    )
    with daq(*steps) as monitor:
        monitor.measure_cell_voltages()
        with pytest.raises(InstrumentError):
            monitor.measure_cell_voltages()
        with pytest.raises(InstrumentError, match="settings with it"):
            monitor.measure_cell_voltages()
        assert len(monitor.measure_cell_voltages()) == 3


def test_after_a_lost_connection_alone_it_goes_on_as_it_was(daq: Conversation) -> None:
    steps = (
        *(*CONFIGURED, *SCAN_CELLS, ("READ?", VOLTS), ("READ?", ("close",)), IDN),
        *(("FORM:READ:UNIT?", "1"), ("FORM:READ:CHAN?", "1"), ("READ?", VOLTS)),
    )
    with daq(*steps) as monitor:
        monitor.measure_cell_voltages()
        with pytest.raises(InstrumentError):
            monitor.measure_cell_voltages()
        assert len(monitor.measure_cell_voltages()) == 3


def test_another_instrument_is_refused(conversation: Conversation) -> None:
    stranger = ("*IDN?", "Keysight Technologies,34465A,MY60012345,A.02.16")
    with pytest.raises(InstrumentError, match=r"34465A.*Keysight DAQ970A"):
        with conversation(KeysightDaq970a, stranger, options={"cells": [101]}):
            pass


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "'cells' must list"),
        ({"cells": []}, "'cells' must list"),
        ({"cells": 101}, "'cells' must list"),
        ({"cells": [101, 100]}, r"cells\[1\]: 100 is not a channel"),
        ({"cells": [141]}, "141 is not a channel"),
        ({"cells": [401]}, "401 is not a channel"),
        ({"cells": ["101"]}, "'101' is not a channel"),
        ({"cells": [True]}, "True is not a channel"),
        ({"cells": [101, 102, 101]}, r"cells\[2\]: channel 101 is already used by cells\[0\]"),
        ({"cells": [101], "sensors": {"cell_1": 101}}, r"cell_1: channel 101 is already used by cells\[0\]"),
        ({"cells": [101], "sensors": {"cell_1": 1.5}}, r"cell_1: 1\.5 is not a channel"),
        ({"cells": [101], "sensors": [117]}, "'sensors' must name"),
        ({"cells": [101], "thermocouple": "X"}, "one of B, E, J, K"),
        ({"cells": [101], "sensor": {}}, "did you mean 'sensors'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_said(
    conversation: Conversation, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(DefinitionError, match=complaint):
        with conversation(KeysightDaq970a, options=options):
            pass
