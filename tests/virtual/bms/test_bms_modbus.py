"""The virtual BMS as a Modbus unit: frames typed by hand, checksums worked out bit by bit in the test."""

from __future__ import annotations

import socket

import pytest

from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bms_modbus import crc16, make_modbus_session_factory
from instruments.virtual.server import FaceServer


@pytest.fixture
def seplos(make_rig):
    """A unit that measures without error, switches closed."""
    rig = make_rig("seplos_v3", perfect=True)
    rig.start()
    return rig


def with_current(rig, true_a):
    rig.circuit.knob_a = true_a
    rig.sleep(0.2)
    return rig


@pytest.mark.parametrize(
    ("true_a", "words"), [(-1.37, "FF 77"), (1.37, "00 89"), (0.0, "00 00"), (-100.0, "D8 F0"), (100.0, "27 10")]
)
def test_pack_current_is_charge_positive_in_sixteen_bits_of_ten_milliamperes(seplos, true_a, words):
    assert with_current(seplos, true_a).feed("01 04 10 01 00 01") == f"01 04 02 {words}"


@pytest.mark.parametrize(
    ("true_a", "words"),
    [
        (-1.37, "FF F3 FF FF"),
        (1.37, "00 0D 00 00"),
        (-1.30, "FF F3 FF FF"),
        (-0.05, "00 00 00 00"),
        (100.0, "03 E8 00 00"),
    ],
)
def test_system_current_is_low_word_first_and_cut_toward_zero(seplos, true_a, words):
    assert with_current(seplos, true_a).feed("00 04 20 02 00 02") == f"00 04 04 {words}"


def test_a_current_beyond_sixteen_bits_saturates(seplos):
    assert with_current(seplos, -400.0).feed("01 04 10 01 00 01") == "01 04 02 80 00"
    assert with_current(seplos, 400.0).feed("01 04 10 01 00 01") == "01 04 02 7F FF"


def test_one_request_reads_a_block_and_places_between_known_ones_read_zero(seplos):
    words = seplos.ask(1, 4, 0x1000, 14)
    assert len(words) == 28
    volts = int.from_bytes(words[0:2], "big") * 0.01
    assert volts == pytest.approx(seplos.circuit.pack.terminal_v(0.0), abs=0.05)
    assert words[6:10] == bytes(4), "0x1003 and 0x1004 are not in the profile"
    kelvin = int.from_bytes(words[24:26], "big") * 0.1
    assert kelvin == pytest.approx(298.15, abs=3.0)
    highest_mv = int.from_bytes(words[20:22], "big")
    assert highest_mv / 1000.0 == pytest.approx(max(seplos.circuit.pack.cell_voltages_v(0.0)), abs=0.003)


def test_bits_come_least_significant_first(seplos):
    assert seplos.ask(0, 1, 0x2238, 2) == bytes([0b11]), "both switches closed"
    assert seplos.ask(0, 1, 0x2220, 10) == bytes(2), "two bytes for ten bits"


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("01 04 1F 00 00 01", "01 84 02"),  # no such register
        ("01 04 10 0D 00 02", "01 84 02"),  # runs over the end
        ("00 04 10 00 00 01", "00 84 02"),  # a register of the other unit id
        ("01 03 10 00 00 01", "01 83 02"),  # holding registers: it has none
        ("01 06 10 00 00 01", "01 86 01"),  # writing is not in this unit's words
        ("01 10 10 00 00 01 02 00 05", "01 90 01"),
        ("01 04 10 00 00 00", "01 84 03"),
        ("01 04 10 00 00 7E", "01 84 03"),  # 126 registers
    ],
)
def test_what_it_does_not_know_is_an_exception(seplos, request_hex, reply_hex):
    assert seplos.feed(request_hex) == reply_hex


def test_another_units_request_and_a_wrong_checksum_get_silence(seplos):
    with_current(seplos, 0.0)
    assert seplos.feed("05 04 10 00 00 01") == ""
    assert seplos.wire.silences == 1
    assert seplos.session.feed(bytes.fromhex("01 04 10 01 00 01 00 00")) == b""
    assert seplos.wire.silences == 2
    assert seplos.feed("01 04 10 01 00 01") == "01 04 02 00 00", "and then it answers again"


def test_frames_in_pieces_and_glued_frames_are_understood(seplos):
    body = bytes.fromhex("01 04 10 01 00 01")
    frame = body + crc16(body).to_bytes(2, "little")
    assert seplos.session.feed(frame[:3]) == b""
    whole = seplos.session.feed(frame[3:])
    assert len(whole) == 7
    assert seplos.session.feed(frame + frame) == whole + whole


def test_a_unit_without_power_is_silent(seplos):
    seplos.bms.power_off()
    assert seplos.feed("01 04 10 01 00 01") == ""
    assert seplos.wire.silences == 1


def test_an_answer_takes_as_long_as_its_bytes_on_the_line(seplos):
    seplos.feed("01 04 10 01 00 01")
    # 8 bytes there, 7 back, 10 bits each at 19200 baud, and 5 ms of thinking
    assert seplos.wire.owed_s == pytest.approx(15 * 10 / 19200 + 0.005)


def test_the_checksum_is_the_one_of_the_specification():
    assert crc16(bytes.fromhex("01 04 10 01 00 01")).to_bytes(2, "little").hex() == "64ca"
    assert crc16(b"123456789") == 0x4B37


def test_over_a_real_socket_it_answers_before_time_moves(make_rig, profiles):
    rig = make_rig("seplos_v3")
    server = FaceServer(rig.clock)
    try:
        port = server.listen("bms", make_modbus_session_factory(rig.bms))
        rig.bms.power_on()
        with socket.create_connection(("127.0.0.1", port), timeout=5.0) as client:
            body = bytes.fromhex("01 04 10 05 00 01")
            client.sendall(body + crc16(body).to_bytes(2, "little"))
            rig.clock.serve()
            reply = client.recv(64)
        assert reply[:3] == bytes.fromhex("01 04 02")
        assert int.from_bytes(reply[3:5], "big") * 0.1 == pytest.approx(50.0, abs=1.5)
    finally:
        server.close()


def test_over_modbus_tcp_the_same_registers_come_with_a_header(make_rig, profiles):
    plain = profiles["seplos_v3"]
    link = plain.links["modbus"].model_copy(update={"framing": "tcp"})
    rig = make_rig(plain.model_copy(update={"links": {"modbus": link}}), perfect=True)
    rig.start()
    with_current(rig, -1.37)
    ask = bytes.fromhex("12 34 00 00 00 06 01 04 10 01 00 01")
    assert rig.session.feed(ask[:9]) == b""
    assert rig.session.feed(ask[9:]).hex(" ").upper() == "12 34 00 00 00 05 01 04 02 FF 77"
    assert rig.session.feed(bytes.fromhex("00 01 00 00 00 06 01 04 1F 00 00 01")).hex() == "00010000000301" + "8402"


def test_two_signals_on_one_register_are_refused(make_rig, profiles):
    plain = profiles["seplos_v3"]
    signals = dict(plain.signals)
    signals["soc"] = signals["soc"].model_copy(update={"address": 0x1001})
    with pytest.raises(DefinitionError, match="0x1001 is taken"):
        make_rig(plain.model_copy(update={"signals": signals}))


def test_a_profile_without_a_modbus_link_has_no_registers(make_rig):
    rig = make_rig("foxbms_2")
    with pytest.raises(DefinitionError, match="no Modbus link"):
        make_modbus_session_factory(rig.bms)
    assert isinstance(rig.clock, SimulatedClock)
