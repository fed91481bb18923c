"""Modbus as frames on the wire: the EA family on both ports, the relay board, and an independent client."""

from __future__ import annotations

import struct

import pytest
from pymodbus.client import ModbusTcpClient

from bench.errors import DefinitionError
from instruments.virtual.modbus_face import with_crc

# written in the EA programming guide for address 1, Full compliance
REMOTE_ON, REMOTE_OFF = "01 05 01 92 FF 00 2C 2B", "01 05 01 92 00 00 6D DB"
DC_ON, ACKNOWLEDGE = "01 05 01 95 FF 00 9D EA", "01 05 01 9B FF 00 FC 29"
CURRENT_50_PCT = "01 06 01 F5 66 66 33 8E"
READ_STATE, READ_ACTUALS = "01 03 01 F9 00 02 15 C6", "01 03 01 FB 00 03 75 C6"


@pytest.fixture
def psb(raw_bench):
    """The RTU port of a PSB 9000, in Limited compliance as delivered."""
    raw_bench.instruments.add("psb", "ea_psb_9000")
    return raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))


@pytest.fixture
def full(psb):
    """The same in Full compliance, without remote control."""
    psb.rtu("00 05 01 92 FF 00", 6)
    psb.rtu("00 05 27 1D FF 00", 6)
    psb.rtu("00 05 01 92 00 00", 6)
    return psb


@pytest.fixture
def tcp(raw_bench):
    """The Modbus TCP port of a PSB 9000."""
    return raw_bench.connect(raw_bench.instruments.add("psb", "ea_psb_9000"))


def mbap(client, pdu: str, unit: int = 0, transaction: int = 7) -> str:
    """Exchange one Modbus TCP request and return the response PDU in hex."""
    data = bytes.fromhex(pdu)
    client.send(struct.pack(">HHHB", transaction, 0, len(data) + 1, unit) + data)
    header = client.receive(7)
    got, protocol, length, echoed = struct.unpack(">HHHB", header)
    assert (got, protocol, echoed) == (transaction, 0, unit)
    answer = client.receive(length - 1)
    client.clock.settle()
    return answer.hex(" ").upper()


def read(client, address: int, count: int) -> list[int]:
    answer = bytes.fromhex(mbap(client, f"03 {address:04X} {count:04X}"))
    assert answer[:2] == bytes((3, 2 * count)), answer.hex(" ")
    return list(struct.unpack(f">{count}H", answer[2:]))


def write(client, address: int, value: int) -> None:
    pdu = f"06 {address:04X} {value:04X}"
    assert mbap(client, pdu) == bytes.fromhex(pdu).hex(" ").upper()
    client.clock.sleep(0.01)


def coil(client, address: int, on: bool) -> None:
    pdu = f"05 {address:04X} {'FF00' if on else '0000'}"
    assert mbap(client, pdu) == bytes.fromhex(pdu).hex(" ").upper()
    client.clock.sleep(0.01)


def test_the_worked_frames_at_address_1_in_full_compliance(raw_bench, full) -> None:
    assert full.exchange(CURRENT_50_PCT, 5) == "01 86 07 03 A2"  # no remote control yet
    assert full.exchange(DC_ON, 5) == "01 85 07 03 52"
    for frame in (REMOTE_ON, CURRENT_50_PCT, DC_ON):
        assert full.exchange(frame, 8) == frame
    full.clock.sleep(0.01)
    assert raw_bench.circuit.bidirectional.on
    assert raw_bench.circuit.bidirectional.source_limit_a == pytest.approx(180.0, rel=2e-3)
    assert full.exchange(READ_STATE, 9)[:11] == "01 03 04 00"
    assert full.exchange(READ_ACTUALS, 11)[:8] == "01 03 06"
    assert full.exchange(ACKNOWLEDGE, 8) == ACKNOWLEDGE
    assert full.exchange(REMOTE_OFF, 8) == REMOTE_OFF


def test_the_worked_frame_at_address_0_in_limited_compliance(psb) -> None:
    frame = "00 05 01 92 FF 00 2D FA"
    assert psb.exchange(frame, 8) == frame
    assert psb.rtu("00 01 01 92 00 01", 5) == "00 01 02 FF 00"
    assert psb.rtu("00 01 01 95 00 01", 5) == "00 01 02 00 00"


def test_full_compliance_packs_bits_and_accepts_both_addresses(full) -> None:
    for address in ("00", "01"):
        assert full.rtu(f"{address} 01 01 92 00 01", 4) == f"{address} 01 01 00"


def test_another_address_is_answered_with_exception_2(psb) -> None:
    assert psb.rtu("01 03 01 F9 00 02", 3) == "01 83 02"
    assert psb.rtu("05 03 01 F9 00 02", 3) == "05 83 02"


def test_a_wrong_checksum_is_answered_with_exception_5(psb) -> None:
    psb.send(bytes.fromhex("00 05 01 92 FF 00 2D FB"))
    assert psb.receive(5)[:3].hex() == "008505"
    assert psb.rtu("00 01 01 92 00 01", 5) == "00 01 02 00 00"


def test_both_languages_share_one_port_and_one_state(psb) -> None:
    psb.rtu("00 05 01 92 FF 00", 6)
    psb.write("VOLT 40")
    assert psb.rtu("00 03 01 F4 00 01", 5) == "00 03 02 66 66"  # half of 80 V
    psb.rtu("00 06 01 F4 33 33", 6)
    psb.clock.sleep(0.01)
    assert psb.ask("VOLT?") == "20.00V"
    psb.send(b"VOLT?\n" + with_crc(bytes.fromhex("00 01 01 92 00 01")))
    assert psb.receive() == b"20.00V\n"
    assert psb.receive(7)[:5].hex() == "000102ff00"


def test_a_frame_that_arrives_in_pieces_is_answered_once(psb) -> None:
    for byte in bytes.fromhex("00 05 01 92 FF 00 2D FA"):
        psb.send(bytes([byte]))
        psb.clock.serve()
    assert psb.receive(8).hex(" ").upper() == "00 05 01 92 FF 00 2D FA"


def test_names_and_ratings_are_text_and_floats(tcp) -> None:
    def text(address: int) -> str:
        return b"".join(r.to_bytes(2, "big") for r in read(tcp, address, 20)).rstrip(b"\0").decode()

    assert text(1) == "PSB 9080-360 3U"
    assert text(21) == "EA Elektro-Automatik GmbH&Co.KG"
    assert text(151) == "VIRTUAL-PSB"
    registers = read(tcp, 121, 6)
    assert struct.unpack(">fff", struct.pack(">6H", *registers)) == (80.0, 360.0, 15000.0)


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("04 01FB 0003", 1),
        ("02 0000 0001", 1),
        ("03 01F8 0002", 2),
        ("03 01F9 0003", 2),  # 505 is 32 bits, 507 is 16
        ("03 01FA 0001", 2),  # the middle of an entry
        ("03 01F9 0001", 2),  # half an entry
        ("03 0079 0001", 2),  # half a float
        ("03 03E7 0001", 2),
        ("03 01FB 0000", 3),
        ("03 01FB 007E", 3),
        ("01 0192 0002", 3),
        ("01 0193 0001", 2),
        ("05 0192 0001", 3),
        ("06 01FB 0000", 2),  # an actual value
        ("10 01F4 0001 02 0000", 1),  # set values take function 06 only
        ("06", 3),
    ],
)
def test_requests_that_do_not_fit_are_refused(tcp, pdu: str, code: int) -> None:
    coil(tcp, 402, True)
    assert mbap(tcp, pdu) == f"{0x80 | int(pdu[:2], 16):02X} {code:02X}"


def test_the_unit_id_on_modbus_tcp_is_0_or_1(tcp) -> None:
    assert mbap(tcp, "03 01F4 0001", unit=1) == "03 02 00 00"
    assert mbap(tcp, "03 01F4 0001", unit=2) == "83 02"


def test_a_header_that_is_not_modbus_ends_the_connection(tcp) -> None:
    tcp.send(b"*IDN?\r\n\r\n")
    assert tcp.closed_by_peer()


def test_100_percent_is_52428_and_limits_are_as_for_scpi(tcp) -> None:
    coil(tcp, 402, True)
    for address, raw in ((500, 0xCCCC), (500, 0xD0E5), (501, 0x28F6), (499, 0x7AE2), (550, 0xE147), (569, 0xE147)):
        write(tcp, address, raw)
        assert read(tcp, address, 1)[0] == pytest.approx(raw, abs=1)
    for address, raw in ((500, 0xD0E7), (501, 0xFFFF), (553, 0xE149)):
        assert mbap(tcp, f"06 {address:04X} {raw:04X}") == "86 03"


def test_only_every_second_count_is_kept(tcp) -> None:
    coil(tcp, 402, True)
    write(tcp, 500, 31457)
    assert read(tcp, 500, 1)[0] in (31456, 31458)


def test_actual_values_are_unsigned_and_bit_12_says_which_way(raw_bench, tcp) -> None:
    rest_v = raw_bench.circuit.pack_side_v()
    coil(tcp, 402, True)
    write(tcp, 500, round((rest_v - 3) / 80 * 52428))
    write(tcp, 499, round(40 / 360 * 52428))
    write(tcp, 501, round(25 / 360 * 52428))
    coil(tcp, 405, True)
    tcp.clock.sleep(0.05)
    state = int.from_bytes(struct.pack(">2H", *read(tcp, 505, 2)), "big")
    voltage, current, power = read(tcp, 507, 3)
    assert raw_bench.circuit.pack_current_a() == pytest.approx(-40.0, rel=0.002)
    assert current / 52428 * 360 == pytest.approx(40.0, abs=0.72)
    assert power / 52428 * 15000 == pytest.approx(voltage / 52428 * 80 * 40, rel=0.03)
    assert state & 0x1F == 0x12  # location: Modbus TCP
    assert (state >> 7 & 1, state >> 9 & 3, state >> 11 & 1, state >> 12 & 1) == (1, 0b10, 1, 1)
    write(tcp, 500, round((rest_v + 3) / 80 * 52428))
    tcp.clock.sleep(0.05)
    state = int.from_bytes(struct.pack(">2H", *read(tcp, 505, 2)), "big")
    assert state >> 12 & 1 == 0
    assert read(tcp, 508, 1)[0] / 52428 * 360 == pytest.approx(25.0, abs=0.72)


def test_a_silent_modbus_socket_is_closed_after_five_simulated_seconds(raw_bench, tcp) -> None:
    tcp.clock.sleep(4.9)
    assert read(tcp, 500, 1) == [0]
    assert raw_bench.connect(raw_bench.instruments.address("psb")).closed_by_peer()  # one client at a time
    tcp.clock.sleep(5.1)
    assert tcp.closed_by_peer()


def test_limits_and_supervision_have_their_registers(raw_bench, tcp) -> None:
    coil(tcp, 402, True)
    write(tcp, 9002, round(50 / 360 * 52428))  # source current at most 50 A
    assert mbap(tcp, f"06 01F5 {round(60 / 360 * 52428):04X}") == "86 03"
    write(tcp, 501, round(50 / 360 * 52428))
    assert mbap(tcp, f"06 232A {round(40 / 360 * 52428):04X}") == "86 03"  # below the present set value
    write(tcp, 561, round(53 / 80 * 52428))  # over-voltage detection, as an alarm
    write(tcp, 562, 3)
    assert mbap(tcp, "06 0232 0004") == "86 03"
    assert read(tcp, 561, 2) == [round(53 / 80 * 52428), 3]
    write(tcp, 500, 0xCCCC)
    coil(tcp, 405, True)
    tcp.clock.sleep(0.1)
    raw_bench.circuit.switches.set(charge=False, discharge=False)
    tcp.clock.sleep(0.1)
    assert raw_bench.circuit.bidirectional.on is False
    assert read(tcp, 505, 1 + 1)[0] >> (25 - 16) & 1


def test_what_happens_after_remote_is_a_coil(raw_bench, tcp) -> None:
    coil(tcp, 402, True)
    coil(tcp, 425, False)
    coil(tcp, 405, True)
    assert raw_bench.circuit.bidirectional.on
    coil(tcp, 402, False)
    assert not raw_bench.circuit.bidirectional.on


def test_one_interface_keeps_the_other_out(raw_bench, tcp) -> None:
    coil(tcp, 402, True)
    scpi = raw_bench.connect(raw_bench.instruments.address("psb", "scpi"))
    assert scpi.ask("SYST:LOCK:OWN?") == "REMOTE"
    scpi.write("VOLT 30")
    assert scpi.ask("SYST:ERR?").startswith("-221,")
    assert scpi.rtu("00 06 01 F4 33 33", 3) == "00 86 07"
    assert scpi.rtu("00 05 01 92 FF 00", 3) == "00 85 07"
    coil(tcp, 402, False)
    assert scpi.rtu("00 05 01 92 FF 00", 6) == "00 05 01 92 FF 00"


def test_a_unit_in_local_answers_17(raw_bench, tcp) -> None:
    coil(tcp, 402, True)
    raw_bench.instruments.fault("psb", "remote_lost")
    assert mbap(tcp, "06 01F4 1000") == "86 17"


def test_the_user_text_is_written_with_function_16(tcp) -> None:
    coil(tcp, 402, True)
    assert mbap(tcp, "10 00AB 0002 04" + b"rack".hex()) == "10 00 AB 00 02"
    assert read(tcp, 171, 20)[:3] == [0x7261, 0x636B, 0]


def test_an_independent_client_agrees(raw_bench) -> None:
    address = raw_bench.instruments.add("psb", "ea_psb_9000")
    client = ModbusTcpClient("127.0.0.1", port=int(address.rsplit(":", 1)[1]), timeout=3.0, retries=0)
    assert client.connect()
    try:
        assert client.write_register(500, 1000, device_id=0).exception_code == 7
        assert not client.write_coil(402, True, device_id=0).isError()
        assert not client.write_register(500, 31458, device_id=0).isError()
        raw_bench.clock.sleep(0.01)
        assert client.read_holding_registers(500, count=1, device_id=0).registers == [31458]
        floats = client.read_holding_registers(121, count=6, device_id=0).registers
        assert client.convert_from_registers(floats, client.DATATYPE.FLOAT32) == [80.0, 360.0, 15000.0]
        assert client.read_coils(402, count=1, device_id=0).bits[0] is True
        assert client.read_coils(405, count=1, device_id=0).bits[0] is False
    finally:
        client.close()


class TestRelayBoard:
    """The Waveshare board; its first relay closes the bench's disconnect."""

    @pytest.fixture
    def board(self, raw_bench):
        return raw_bench.add("relays", "waveshare_modbus_relay", channel=1)

    def test_it_starts_released_and_opens_the_path(self, raw_bench, board) -> None:
        assert raw_bench.circuit.disconnect.closed is False
        assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 00"

    def test_the_maker_s_frames(self, raw_bench, board) -> None:
        for frame, closed in (("01 05 00 00 FF 00 8C 3A", True), ("01 05 00 00 00 00 CD CA", False)):
            assert board.exchange(frame, 8) == frame
            board.clock.sleep(0.02)
            assert raw_bench.circuit.disconnect.closed is closed
        assert board.exchange("01 0F 00 00 00 08 01 55 3E AA", 8)[:17] == "01 0F 00 00 00 08"
        assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 55"
        assert board.rtu("01 01 00 02 00 03", 4) == "01 01 01 05"
        assert board.rtu("01 02 00 00 00 08", 4) == "01 02 01 00"
        all_on = "01 05 00 FF FF 00 BC 0A"
        assert board.exchange(all_on, 8) == all_on
        assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 FF"

    def test_the_contact_needs_10_to_20_milliseconds(self, raw_bench, board) -> None:
        board.send(bytes.fromhex("01 05 00 00 FF 00 8C 3A"))
        board.clock.sleep(0.0099)
        assert raw_bench.circuit.disconnect.closed is False
        board.clock.sleep(0.0102)
        assert raw_bench.circuit.disconnect.closed is True

    def test_a_flash_ends_by_itself(self, raw_bench, board) -> None:
        flash = "01 05 02 00 00 07 8D B0"
        assert board.exchange(flash, 8) == flash
        board.clock.sleep(0.69)
        assert raw_bench.circuit.disconnect.closed is True
        board.clock.sleep(0.05)
        assert raw_bench.circuit.disconnect.closed is False

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            ("03 00 00 00 08", 1),
            ("05 00 08 FF 00", 2),
            ("05 00 00 12 34", 3),
            ("01 00 04 00 08", 2),
            ("01 00 00 00 09", 3),
        ],
    )
    def test_requests_that_do_not_fit_are_refused(self, board, request_: str, code: int) -> None:
        function = int(request_[:2], 16) | 0x80
        assert board.rtu(f"01 {request_}", 3) == f"01 {function:02X} {code:02X}"

    @pytest.mark.parametrize("frame", ["02 05 00 00 FF 00 8C 09", "01 05 00 00 FF 00 8C 3B"])
    def test_another_address_or_a_wrong_checksum_stays_silent(self, raw_bench, board, frame: str) -> None:
        board.send(bytes.fromhex(frame))
        assert board.quiet()
        assert board.clock.is_silent(board.port)
        board.clock.sleep(0.1)
        assert raw_bench.circuit.disconnect.closed is False

    def test_a_normally_closed_contact_opens_when_energised(self, raw_bench) -> None:
        board = raw_bench.add("relays", "waveshare_modbus_relay", channel=8, contact="normally_closed")
        assert raw_bench.circuit.disconnect.closed is True
        board.rtu("01 05 00 07 FF 00", 6)
        board.clock.sleep(0.02)
        assert raw_bench.circuit.disconnect.closed is False

    def test_it_keeps_its_state_when_the_controller_disappears(self, raw_bench, board) -> None:
        board.rtu("01 05 00 00 FF 00", 6)
        board.sock.close()
        board.clock.sleep(3600.0)
        assert raw_bench.circuit.disconnect.closed is True

    def test_without_power_all_relays_fall(self, raw_bench, board) -> None:
        board.rtu("01 05 00 00 FF 00", 6)
        board.clock.sleep(0.02)
        assert raw_bench.circuit.disconnect.closed is True
        raw_bench.instruments.fault("relays", "power_cycle")
        assert raw_bench.circuit.disconnect.closed is False
        again = raw_bench.connect(raw_bench.instruments.address("relays"))
        assert again.rtu("01 01 00 00 00 08", 4) == "01 01 01 00"

    @pytest.mark.parametrize(
        ("options", "message"),
        [({}, "channel = None"), ({"channel": 9}, "channel = 9"), ({"channel": 1, "contact": "maybe"}, "'maybe'"),
         ({"channel": 1, "unit": 0}, "unit = 0")],
    )  # fmt: skip
    def test_a_wrong_option_is_named(self, raw_bench, options: dict, message: str) -> None:
        with pytest.raises(DefinitionError, match=message):
            raw_bench.instruments.add("relays", "waveshare_modbus_relay", options)
