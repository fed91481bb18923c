"""What the driver of the NGI N83624 says, word for word (the maker's SCPI guide V20240130), and how slowly."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from bench.clock import wait_until
from bench.emulator_roles import CellEmulator
from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.roles import Dialogue, Identity
from instruments.cell_emulators import ngi_n83624
from instruments.cell_emulators.ngi_n83624 import NgiN83624

_: type[CellEmulator] = NgiN83624

Conversation = Callable[..., Any]

IDN = ("*IDN?", "NGI,N83624,0,V1.00\r")
SOURCES = (("OUTP1:MODE?", "0\r"), ("OUTP2:MODE?", "0\r"), ("OUTP3:MODE?", "0\r"))
OFF, ON, HIGH_RANGE_ON, TRIPPED = "0\r", "1\r", f"{1 + (1 << 16)}\r", f"{1 << 2}\r"


@pytest.fixture
def emulator(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A conversation with three cells on channels 1 to 3, without its pauses; options replace theirs."""
    monkeypatch.setattr(ngi_n83624, "_SPACING_S", 0.001)

    def open_emulator(*steps: tuple[str, Any], **options: object) -> Any:
        return conversation(NgiN83624, IDN, *steps, options={"channels": [1, 2, 3], **options})

    return open_emulator


@pytest.fixture
def controlled(emulator: Conversation) -> Callable[..., Any]:
    """The same, up to what follows `take_control`, which the test calls first."""

    def open_controlled(*steps: tuple[str, Any], **options: object) -> Any:
        return emulator(*SOURCES, *steps, **options)

    return open_controlled


def test_opening_asks_only_who_it_is_and_the_serial_number_is_the_definition_s(emulator: Conversation) -> None:
    with emulator(IDN, serial="NGI-7") as cells:
        assert cells.identify() == Identity("NGI", "N83624", "NGI-7", "V1.00")
        assert cells.cells == 3


def test_a_serial_number_that_it_does_know_is_its_own(emulator: Conversation) -> None:
    with emulator(("*IDN?", "NGI,N83624,22010007,V1.00\r"), serial="NGI-7") as cells:
        assert cells.identify().serial == "22010007"


def test_another_maker_s_instrument_is_refused(conversation: Conversation) -> None:
    stranger = ("*IDN?", "NGI,N69200,0,V1.00\r")
    with pytest.raises(InstrumentError, match="N69200"):
        with conversation(NgiN83624, stranger, options={"channels": [1]}):
            pass


@pytest.mark.parametrize("channels", [None, [], [0], [25], [1, 1], [1, "2"], [True], [1.0], 3])
def test_the_channels_of_the_cells_must_be_named(conversation: Conversation, channels: object) -> None:
    with pytest.raises(DefinitionError, match="channels"):
        with conversation(NgiN83624, options={} if channels is None else {"channels": channels}):
            pass


def test_a_misspelt_option_is_refused_with_the_nearest_one(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="did you mean 'channels'"):
        with conversation(NgiN83624, options={"chanels": [1]}):
            pass


def test_taking_control_makes_sources_of_channels_that_are_off(emulator: Conversation) -> None:
    steps = (
        *(SOURCES[0], ("OUTP2:MODE?", "1\r"), ("OUTP2:STAT?", OFF), ("OUTP2:MODE 0", None), ("OUTP2:MODE?", "0\r")),
        SOURCES[2],
    )
    with emulator(*steps) as cells:
        cells.take_control()


def test_a_channel_that_is_on_in_another_mode_stays_as_it_is(emulator: Conversation) -> None:
    with emulator(SOURCES[0], ("OUTP2:MODE?", "128\r"), ("OUTP2:STAT?", ON)) as cells:
        with pytest.raises(InstrumentError, match=r"channel 2 \(cell 2\) is on, but not as a source"):
            cells.take_control()
        with pytest.raises(InstrumentError, match="take_control first"):
            cells.outputs_on()


def test_a_channel_that_does_not_become_a_source_is_an_error(emulator: Conversation) -> None:
    refused = (("OUTP1:MODE?", "3\r"), ("OUTP1:STAT?", OFF), ("OUTP1:MODE 0", None), ("OUTP1:MODE?", "3\r"))
    with emulator(*refused) as cells, pytest.raises(InstrumentError, match="does not become a source"):
        cells.take_control()


def test_without_control_nothing_is_set_and_no_current_believed(emulator: Conversation) -> None:
    with emulator() as cells:
        for call in (
            lambda: cells.set_cell_voltage(1, 3.3),
            lambda: cells.set_cell_voltages((3.3, 3.3, 3.3)),
            lambda: cells.set_cell_current_limit(1.0),
            cells.outputs_on,
            cells.measure_cell_currents,
        ):
            with pytest.raises(InstrumentError, match="take_control first"):
                call()


def test_one_cell_is_set_on_its_own_channel_and_read_back(emulator: Conversation) -> None:
    modes = (("OUTP24:MODE?", "0\r"), ("OUTP7:MODE?", "0\r"))
    with emulator(*modes, ("SOUR7:VOLT 3.6501", None), ("SOUR7:VOLT?", "3.650\r"), channels=[24, 7]) as cells:
        cells.take_control()
        cells.set_cell_voltage(2, 3.65012)


def test_cells_of_equal_voltage_share_a_command_and_each_is_read_back(controlled: Conversation) -> None:
    steps = (
        *(("SOUR:VOLT 3.3000(@1,3)", None), ("SOUR2:VOLT 3.2950", None)),
        *(("SOUR1:VOLT?", "3.3\r"), ("SOUR2:VOLT?", "3.295\r"), ("SOUR3:VOLT?", "3.3\r")),
    )
    with controlled(*steps) as cells:
        cells.take_control()
        cells.set_cell_voltages((3.3, 3.295, 3.3))


@pytest.mark.parametrize("answer", ["3.2\r", "3.302\r", "6\r", "0\r"])
def test_a_voltage_that_was_not_taken_is_an_error_that_names_the_cell(controlled: Conversation, answer: str) -> None:
    with controlled(("SOUR2:VOLT 3.3000", None), ("SOUR2:VOLT?", answer)) as cells:
        cells.take_control()
        with pytest.raises(InstrumentError, match=r"channel 2 \(cell 2\): SOUR2:VOLT\? says .* V instead of 3\.3 V"):
            cells.set_cell_voltage(2, 3.3)


def test_the_current_limit_is_told_and_read_back_in_milliamperes(controlled: Conversation) -> None:
    limits = tuple((f"SOUR{channel}:OUTCURR?", "250\r") for channel in (1, 2, 3))
    with controlled(("SOUR:OUTCURR 250.000(@1,2,3)", None), *limits) as cells:
        cells.take_control()
        cells.set_cell_current_limit(0.25)


def test_a_limit_read_back_in_amperes_is_not_taken_for_the_same(controlled: Conversation) -> None:
    with controlled(("SOUR:OUTCURR 2000.000(@1,2,3)", None), ("SOUR1:OUTCURR?", "2\r")) as cells:
        cells.take_control()
        with pytest.raises(InstrumentError, match="says 2 mA instead of 2000 mA"):
            cells.set_cell_current_limit(2.0)


def test_what_it_cannot_do_is_refused_before_anything_is_sent(controlled: Conversation) -> None:
    with controlled() as cells:
        cells.take_control()
        for voltage_v in (-0.1, 6.001, float("nan")):
            with pytest.raises(OutOfRange):
                cells.set_cell_voltage(1, voltage_v)
            with pytest.raises(OutOfRange):
                cells.set_cell_voltages((3.3, 3.3, voltage_v))
        for cell in (0, 4, -1):
            with pytest.raises(OutOfRange, match="cells 1 to 3"):
                cells.set_cell_voltage(cell, 3.3)
        for current_a in (-0.1, 5.1, float("nan")):
            with pytest.raises(OutOfRange):
                cells.set_cell_current_limit(current_a)
        with pytest.raises(OutOfRange, match="2 voltages for 3 cells"):
            cells.set_cell_voltages((3.3, 3.3))


def test_the_ratings_printed_on_the_unit_are_the_limits(controlled: Conversation) -> None:
    with controlled(("SOUR1:VOLT 14.0000", None), ("SOUR1:VOLT?", "14\r"), rated_v=15.0, rated_a=1.0) as cells:
        cells.take_control()
        cells.set_cell_voltage(1, 14.0)
        with pytest.raises(OutOfRange):
            cells.set_cell_current_limit(1.5)


def test_outputs_are_told_together_and_asked_one_by_one(controlled: Conversation) -> None:
    steps = (
        ("OUTP:ONOFF 1(@1,2,3)", None),
        *(("OUTP1:STAT?", ON), ("OUTP2:STAT?", OFF), ("OUTP2:STAT?", ON), ("OUTP3:STAT?", HIGH_RANGE_ON)),
        ("OUTP:ONOFF 0(@1,2,3)", None),
        *(("OUTP1:STAT?", OFF), ("OUTP2:STAT?", ON), ("OUTP2:STAT?", OFF), ("OUTP3:STAT?", TRIPPED)),
    )
    with controlled(*steps) as cells:
        cells.take_control()
        cells.outputs_on()
        cells.outputs_off()


def test_a_channel_that_trips_while_switched_on_is_an_error_at_once(controlled: Conversation) -> None:
    with controlled(("OUTP:ONOFF 1(@1,2,3)", None), ("OUTP1:STAT?", ON), ("OUTP2:STAT?", TRIPPED)) as cells:
        cells.take_control()
        with pytest.raises(InstrumentError, match=r"channel 2 \(cell 2\) reports overcurrent"):
            cells.outputs_on()


def test_a_channel_that_stays_off_is_an_error(controlled: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngi_n83624, "_EXECUTION_S", 0.1)
    with controlled(("OUTP:ONOFF 1(@1,2,3)", None), ("OUTP1:STAT?", ("always", OFF))) as cells:
        cells.take_control()
        with pytest.raises(InstrumentError, match=r"channel 1 \(cell 1\) is off after it was told otherwise"):
            cells.outputs_on()


def test_switching_off_needs_no_control_and_a_stuck_channel_is_an_error(
    emulator: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngi_n83624, "_EXECUTION_S", 0.1)
    with emulator(("OUTP:ONOFF 0(@1,2,3)", None), ("OUTP1:STAT?", OFF), ("OUTP2:STAT?", ("always", ON))) as cells:
        with pytest.raises(InstrumentError, match=r"channel 2 \(cell 2\) is on after it was told otherwise"):
            cells.outputs_off()


def test_any_channel_that_is_on_counts(emulator: Conversation) -> None:
    steps = (
        *(("OUTP1:STAT?", OFF), ("OUTP2:STAT?", HIGH_RANGE_ON)),
        *(("OUTP1:STAT?", OFF), ("OUTP2:STAT?", TRIPPED), ("OUTP3:STAT?", OFF)),
    )
    with emulator(*steps) as cells:
        assert cells.are_outputs_on()
        assert not cells.are_outputs_on()


def test_inside_a_callback_they_are_told_at_once_and_asked_later(controlled: Conversation, clock: Any) -> None:
    steps = (
        ("OUTP:ONOFF 0(@1,2,3)", None),
        *(("OUTP1:STAT?", OFF), ("OUTP2:STAT?", OFF), ("OUTP3:STAT?", OFF)),
    )
    with controlled(*steps) as cells:
        cells.take_control()
        clock.at(clock.now() + 0.01, cells.outputs_off)
        trace = cells.link.transport.trace
        assert wait_until(clock, lambda: trace[-1].text == "0" and trace[-2].text == "OUTP3:STAT?", timeout_s=10.0)


def test_a_channel_that_stays_on_after_a_callback_told_it_off_reaches_the_sleeper(
    controlled: Conversation, clock: Any
) -> None:
    with controlled(("OUTP:ONOFF 0(@1,2,3)", None), ("OUTP1:STAT?", ON)) as cells:
        cells.take_control()
        clock.at(clock.now() + 0.01, cells.outputs_off)
        with pytest.raises(InstrumentError, match=r"cell 1\) is on"):
            wait_until(clock, lambda: False, timeout_s=10.0)


def test_cells_are_measured_together_in_the_order_of_the_cells(emulator: Conversation) -> None:
    with emulator(("MEAS:VOLT?(@3,1,2)", "3.3012,3.2998, 3.3\r"), channels=[3, 1, 2]) as cells:
        assert cells.measure_cell_voltages() == pytest.approx((3.3012, 3.2998, 3.3))


def test_currents_are_milliamperes_on_the_wire_and_amperes_here(controlled: Conversation) -> None:
    with controlled(("MEAS:CURR?(@1,2,3)", "1250.5,0.0,-0.8\r")) as cells:
        cells.take_control()
        assert cells.measure_cell_currents() == pytest.approx((1.2505, 0.0, -0.0008))


def test_a_current_below_zero_is_not_guessed_at(controlled: Conversation) -> None:
    with controlled(("MEAS:CURR?(@1,2,3)", "10.0,-480.0,10.0\r")) as cells:
        cells.take_control()
        with pytest.raises(InstrumentError, match=r"channel 2 \(cell 2\) reads -480 mA; .* not documented"):
            cells.measure_cell_currents()


@pytest.mark.parametrize(
    "answer", ["3.3,3.3\r", "3.3,3.3,3.3,3.3\r", "3.3,,3.3\r", "3.3,NAN,3.3\r", "3.3,9.9E37,3.3\r"]
)
def test_a_missing_voltage_is_an_error(emulator: Conversation, answer: str) -> None:
    with emulator(("MEAS:VOLT?(@1,2,3)", answer)) as cells, pytest.raises(InstrumentError, match="MEAS:VOLT"):
        cells.measure_cell_voltages()


def test_a_power_cycle_is_said_once_and_control_is_gone(controlled: Conversation) -> None:
    steps = (
        *(("SOUR1:VOLT 3.3000", None), ("SOUR1:VOLT?", "3.3\r")),
        *(("MEAS:VOLT?(@1,2,3)", ("close",)), IDN, ("SOUR1:VOLT?", "0\r"), ("MEAS:VOLT?(@1,2,3)", "0,0,0\r")),
    )
    with controlled(*steps) as cells:
        cells.take_control()
        cells.set_cell_voltage(1, 3.3)
        with pytest.raises(InstrumentError):
            cells.measure_cell_voltages()
        with pytest.raises(InstrumentError, match=r"says 0 V instead of 3\.3 V; the connection was lost"):
            cells.measure_cell_voltages()
        assert cells.measure_cell_voltages() == (0.0, 0.0, 0.0)
        with pytest.raises(InstrumentError, match="take_control first"):
            cells.outputs_on()


def test_it_can_be_switched_off_after_a_silence_over_a_new_connection(controlled: Conversation) -> None:
    steps = (
        *(("MEAS:VOLT?(@1,2,3)", None), IDN, ("OUTP:ONOFF 0(@1,2,3)", None)),
        *(("OUTP1:STAT?", OFF), ("OUTP2:STAT?", OFF), ("OUTP3:STAT?", OFF)),
    )
    with controlled(*steps) as cells:
        cells.take_control()
        cells.link.transport.timeout_s = 0.3
        with pytest.raises(InstrumentError, match="no answer"):
            cells.measure_cell_voltages()
        cells.link.transport.timeout_s = 5.0
        cells.outputs_off()


def test_a_quarter_of_a_second_lies_between_two_commands(conversation: Conversation, dialogue: list[Dialogue]) -> None:
    steps = (("OUTP1:MODE?", "0\r"), ("SOUR1:VOLT 3.3000", None), ("SOUR1:VOLT?", "3.3\r"))
    with conversation(NgiN83624, IDN, *steps, options={"channels": [1]}) as cells:
        cells.take_control()
        cells.set_cell_voltage(1, 3.3)
    sent_s = [each.at_s for each in dialogue if each.sent]
    assert len(sent_s) == 4
    assert all(later_s - earlier_s >= 0.25 for earlier_s, later_s in pairwise(sent_s))
