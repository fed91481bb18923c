"""What the driver of the EA PSB 9000 says, byte for byte: worked frames of the guide (address 1), RTU on 5025.

Ratings of the conversations are those of the guide's worked scaling: 80 V, 1000 A, 30 kW.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import DefinitionError, InstrumentError, OutOfRange
from bench.quantities import Range
from bench.roles import (
    BidirectionalSupply,
    HasOvercurrentProtection,
    HasOvervoltageProtection,
    HasSinkOvercurrentProtection,
    Ratings,
)
from instruments.bidirectional.ea_psb_9000 import EaPsb9000

_: type[BidirectionalSupply] = EaPsb9000
_v: type[HasOvervoltageProtection] = EaPsb9000
_c: type[HasOvercurrentProtection] = EaPsb9000
_s: type[HasSinkOvercurrentProtection] = EaPsb9000

Conversation = Callable[..., Any]

RTU = {"framing": "rtu", "device_id": 1}


def crc(frame: str) -> str:
    """Append the checksum, computed bit by bit as the Modbus serial-line guide draws it."""
    register = 0xFFFF
    for byte in bytes.fromhex(frame):
        register ^= byte
        for _bit in range(8):
            register = register >> 1 ^ 0xA001 if register & 1 else register >> 1
    return f"{frame} {register & 0xFF:02x} {register >> 8:02x}"


def text(register: str, words: str) -> tuple[str, str]:
    """A read of 20 registers of text."""
    return crc(f"01 03 {register} 00 14"), crc("01 03 28 " + words.encode().ljust(40, b"\0").hex(" "))


def number(register: str, value: float) -> tuple[str, str]:
    """A read of a float, high word first."""
    return crc(f"01 03 {register} 00 02"), crc("01 03 04 " + struct.pack(">f", value).hex(" "))


def state(bits: int) -> tuple[str, str]:
    """The worked read of register 505 and an answer."""
    return "01 03 01 F9 00 02 15 C6", crc("01 03 04 " + bits.to_bytes(4, "big").hex(" "))


def setting(register: str, raw: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """A write with function 06 and its read-back."""
    write = crc(f"01 06 {register} {raw}")
    return (write, write), (crc(f"01 03 {register} 00 01"), crc(f"01 03 02 {raw}"))


def same(frame: str) -> tuple[str, str]:
    """A write that is answered with itself."""
    return frame, frame


REMOTE_ON = same("01 05 01 92 FF 00 2C 2B")
REMOTE_OFF = same("01 05 01 92 00 00 6D DB")
DC_ON = same("01 05 01 95 FF 00 9D EA")
DC_OFF = same(crc("01 05 01 95 00 00"))
ACKNOWLEDGE = same("01 05 01 9B FF 00 FC 29")
ACTUAL = "01 03 01 FB 00 03 75 C6"
REMOTE, ON, SINKS = 1 << 11, 1 << 7, 1 << 12

OPENING = (
    text("00 01", "PSB 9080-1000"),
    text("00 97", "2840560001"),
    number("00 79", 80.0),
    number("00 7B", 1000.0),
    number("00 7D", 30000.0),
)


@pytest.fixture
def psb(conversation: Conversation) -> Callable[..., Any]:
    """A conversation with a PSB after its opening."""
    return lambda *steps: conversation(EaPsb9000, *OPENING, *steps, lines=False, options=RTU)


def test_ratings_are_read_when_it_is_opened(psb: Conversation) -> None:
    names = (text("00 15", "EA Elektro-Automatik"), *OPENING[:2], text("00 BF", "V3.02"))
    with psb(*names) as supply:
        both = Range(0.0, 1000.0, "A")
        assert supply.get_ratings() == Ratings(Range(0.0, 80.0, "V"), both, both, 30000.0)
        assert str(supply.identify()) == "EA Elektro-Automatik PSB 9080-1000, serial 2840560001"


def test_over_modbus_tcp_the_same_words_have_the_other_frame(conversation: Conversation) -> None:
    def mbap(step: tuple[str, str], transaction: int) -> tuple[str, str]:
        frames = []
        for frame in step:
            body = bytes.fromhex(frame)[1:-2]
            frames.append((struct.pack(">HHHB", transaction, 0, len(body) + 1, 0) + body).hex(" "))
        return frames[0], frames[1]

    steps = [
        mbap(step, at)
        for at, step in enumerate((*OPENING, setting("01 F4", "7A E1")[0], setting("01 F4", "7A E1")[1]), 1)
    ]
    with conversation(EaPsb9000, *steps, lines=False) as supply:
        supply.set_voltage(48.0)


def test_taking_control_starts_both_quadrants_at_zero_when_the_output_is_off(psb: Conversation) -> None:
    steps = (
        REMOTE_ON,
        state(REMOTE),
        state(REMOTE),
        *setting("01 F3", "00 00"),
        *setting("01 F5", "00 00"),
        *setting("01 F2", "CC CC"),
        *setting("01 F6", "CC CC"),
        REMOTE_OFF,
    )
    with psb(*steps) as supply:
        supply.take_control()


def test_taking_control_of_a_running_output_leaves_its_currents(psb: Conversation) -> None:
    running = (REMOTE_ON, state(REMOTE | ON), state(REMOTE | ON))
    with psb(*running, *setting("01 F2", "CC CC"), *setting("01 F6", "CC CC"), REMOTE_OFF) as supply:
        supply.take_control()


@pytest.mark.parametrize(
    ("method", "value", "register", "raw"),
    [
        ("voltage", 48.0, "01 F4", "7A E1"),  # worked scaling: 48 V of 80 V
        ("source_current", 200.0, "01 F5", "28 F6"),  # worked scaling: 200 A of 1000 A
        ("source_current", 500.0, "01 F5", "66 66"),  # worked frame: 50 %
        ("sink_current", 200.0, "01 F3", "28 F6"),
        ("overvoltage_protection", 80.0, "02 26", "CC CC"),
        ("overcurrent_protection", 1100.0, "02 29", "E1 47"),  # worked scaling: 110 %
        ("sink_overcurrent_protection", 1100.0, "02 39", "E1 47"),
    ],
)
def test_a_setting_is_scaled_written_alone_and_read_back(
    psb: Conversation, method: str, value: float, register: str, raw: str
) -> None:
    write, read = setting(register, raw)
    with psb(write, read, read) as supply:
        getattr(supply, f"set_{method}")(value)
        assert getattr(supply, f"get_{method}")() == pytest.approx(value, abs=0.02)


def test_the_trip_power_goes_to_both_quadrants(psb: Conversation) -> None:
    """556 (0x22C) and 570 (0x23A), each written alone and read back; 15 kW of 30 kW are 0x6666."""
    (source, read_source), (sink, read_sink) = setting("02 2C", "66 66"), setting("02 3A", "66 66")
    with psb(source, read_source, sink, read_sink, read_source, read_sink) as supply:
        supply.set_overpower_protection(supply.nominal_w / 2.0)
        assert supply.get_overpower_protection() == pytest.approx(supply.nominal_w / 2.0, rel=1e-4)


def test_the_worked_frame_of_fifty_percent_is_what_is_sent(psb: Conversation) -> None:
    with psb(same("01 06 01 F5 66 66 33 8E"), setting("01 F5", "66 66")[1]) as supply:
        supply.set_source_current(500.0)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("set_voltage", 80.5),
        ("set_source_current", -1.0),
        ("set_sink_current", -200.0),
        ("set_sink_current", 1001.0),
        ("set_overvoltage_protection", 88.5),
        ("set_sink_overcurrent_protection", 1101.0),
        ("set_voltage", float("nan")),
    ],
)
def test_beyond_the_rating_nothing_is_sent(psb: Conversation, method: str, value: float) -> None:
    with psb() as supply, pytest.raises(OutOfRange):
        getattr(supply, method)(value)


def test_a_value_that_is_not_taken_is_an_error_with_both(psb: Conversation) -> None:
    write, _read = setting("01 F4", "7A E1")
    again = (crc("01 03 01 F4 00 01"), ("always", crc("01 03 02 66 66")))
    with (
        psb(write, again) as supply,
        pytest.raises(InstrumentError, match=r"voltage is 40 V instead of 48 V"),
    ):
        supply.set_voltage(48.0)


def test_the_worked_refusals_name_what_the_family_means_by_them(psb: Conversation) -> None:
    refused = (crc("01 06 01 F4 7A E1"), "01 86 07 03 A2"), (DC_ON[0], "01 85 07 03 52")
    with psb(refused[0], state(0), refused[1]) as supply:
        with pytest.raises(InstrumentError, match=r"exception 7 .*no remote control"):
            supply.set_voltage(48.0)
        with pytest.raises(InstrumentError, match=r"function 05 at 405.*exception 7 "):
            supply.output_on()


def test_local_at_the_panel_is_named(psb: Conversation) -> None:
    with (
        psb((REMOTE_ON[0], crc("01 85 17"))) as supply,
        pytest.raises(InstrumentError, match=r"exception 23 .*local"),
    ):
        supply.take_control()


def test_a_positive_reading_with_the_sink_bit_is_a_discharge(psb: Conversation) -> None:
    # The guide's worked reading: 508 = 0x28F6 with bit 12 set means -200.0 A.
    actual = (ACTUAL, crc("01 03 06 7A E1 28 F6 10 00"))
    with psb(state(REMOTE | ON | SINKS), actual, state(REMOTE | ON | SINKS)) as supply:
        assert supply.measure_current() == pytest.approx(-200.0, abs=0.02)


def test_without_the_sink_bit_it_is_a_charge(psb: Conversation) -> None:
    actual = (ACTUAL, crc("01 03 06 7A E1 28 F6 10 00"))
    with psb(state(REMOTE | ON), actual, state(REMOTE | ON)) as supply:
        assert supply.measure_current() == pytest.approx(200.0, abs=0.02)


def test_a_reading_during_which_the_direction_changed_is_taken_again(psb: Conversation) -> None:
    first = (ACTUAL, crc("01 03 06 7A E1 11 11 10 00"))
    second = (ACTUAL, crc("01 03 06 7A E1 28 F6 10 00"))
    steps = (state(REMOTE | ON), first, state(REMOTE | ON | SINKS), second, state(REMOTE | ON | SINKS))
    with psb(*steps) as supply:
        assert supply.measure_current() == pytest.approx(-200.0, abs=0.02)


def test_a_direction_that_never_rests_is_an_error_and_no_number(psb: Conversation) -> None:
    actual = (ACTUAL, crc("01 03 06 7A E1 00 05 10 00"))
    steps = (state(ON), actual, state(ON | SINKS), actual, state(ON), actual, state(SINKS | ON))
    with psb(*steps) as supply, pytest.raises(InstrumentError, match="changed during three readings"):
        supply.measure_current()


def test_the_voltage_is_one_register(psb: Conversation) -> None:
    with psb((crc("01 03 01 FB 00 01"), crc("01 03 02 7A E1"))) as supply:
        assert supply.measure_voltage() == pytest.approx(48.0, abs=0.002)


def test_the_output_is_switched_and_asked(psb: Conversation) -> None:
    on = (state(REMOTE), DC_ON, state(REMOTE), state(REMOTE | ON), state(REMOTE | ON))
    off = (REMOTE_ON, DC_OFF, state(REMOTE | ON), state(REMOTE))
    with psb(*on, *off, REMOTE_OFF) as supply:
        supply.output_on()
        assert supply.is_output_on()
        supply.output_off()


@pytest.mark.parametrize(
    ("bits", "regulation"),
    [(ON, "CV"), (ON | 1 << 9, "CR"), (ON | 2 << 9, "CC"), (ON | 3 << 9, "CP"), (2 << 9, "OFF")],
)
def test_regulation_is_bits_9_and_10(psb: Conversation, bits: int, regulation: str) -> None:
    with psb(state(bits)) as supply:
        assert supply.get_regulation() == regulation


def test_switching_on_is_refused_while_an_alarm_is_latched(psb: Conversation) -> None:
    with psb(state(REMOTE | 1 << 17)) as supply, pytest.raises(InstrumentError, match=r"overcurrent.*clear_alarms"):
        supply.output_on()


def test_alarms_are_named_and_stay_until_cleared(psb: Conversation) -> None:
    steps = (
        state(1 << 15 | 1 << 16 | 1 << 31),
        state(0),
        REMOTE_ON,
        DC_OFF,
        state(REMOTE | 1 << 16),
        ACKNOWLEDGE,
        state(REMOTE | 1 << 16),
        state(REMOTE),
        state(REMOTE),
        state(REMOTE),
        REMOTE_OFF,
    )
    with psb(*steps) as supply:
        assert supply.get_alarms() == ("overvoltage",)
        assert supply.get_alarms() == ("overvoltage",)
        supply.clear_alarms()
        assert supply.get_alarms() == ()


def test_lost_remote_control_is_an_error_where_alarms_are_polled(psb: Conversation) -> None:
    off = (REMOTE_ON, DC_OFF, state(REMOTE))
    with psb(*off, state(1), REMOTE_OFF) as supply:
        supply.output_off()
        with pytest.raises(InstrumentError, match="lost remote control"):
            supply.get_alarms()


def test_another_model_is_refused_before_anything_else_is_asked(conversation: Conversation) -> None:
    stranger = (text("00 01", "PSI 9080-340 3U"), text("00 97", "1"))
    with pytest.raises(InstrumentError, match=r"PSI 9080-340 3U.*EA PSB 9000"):
        with conversation(EaPsb9000, *stranger, lines=False, options=RTU):
            pass


def test_a_framing_that_does_not_exist_is_refused(conversation: Conversation) -> None:
    with pytest.raises(DefinitionError, match="'tcp' or 'rtu'"):
        with conversation(EaPsb9000, lines=False, options={"framing": "ascii"}):
            pass
