"""The ICP DAS relay board as frames on the wire: outputs, safe values, host watchdog, power."""

from __future__ import annotations

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.framer import FramerType

from bench.errors import DefinitionError

# The maker's number 261 is 260 = 0x0104 on the wire, 270 is 0x010D, 273 is 0x0110, 40489 is 488 = 0x01E8.
CLOSE, OPEN = "01 05 00 00 FF 00", "01 05 00 00 00 00"
OUTPUTS, ENABLED, STATUS, RESET = "01 01 00 00 00 05", "01 01 01 04 00 01", "01 01 01 0D 00 01", "01 01 01 10 00 01"
ENABLE, DISABLE, CLEAR = "01 05 01 04 FF 00", "01 05 01 04 00 00", "01 05 01 0D FF 00"
TIME_1_S = "01 06 01 E8 00 0A"


@pytest.fixture
def board(raw_bench):
    return raw_bench.add("relays", "icpdas_m7000", channel=1)


def bit(board, question: str) -> bool:
    answer = board.rtu(question, 4)
    assert answer[:8] == "01 01 01"
    return answer[9:] == "01"


def write(board, *commands: str) -> None:
    for command in commands:
        assert board.rtu(command, 6) == command


def conducts(raw_bench) -> bool:
    return bool(raw_bench.circuit.disconnect.conducts)


@pytest.fixture
def armed(board):
    """Closed, with a watchdog of 1 s."""
    write(board, CLOSE, TIME_1_S, ENABLE)
    board.clock.sleep(0.05)
    return board


def test_it_starts_released_with_everything_off(raw_bench, board) -> None:
    assert not conducts(raw_bench)
    assert board.rtu(OUTPUTS, 4) == "01 01 01 00"
    assert board.rtu("01 01 00 80 00 05", 4) == "01 01 01 00"
    assert board.rtu("01 01 00 A0 00 05", 4) == "01 01 01 00"
    assert not bit(board, ENABLED)
    assert not bit(board, STATUS)
    assert board.rtu("01 03 01 E8 00 01", 5) == "01 03 02 00 00"
    assert board.rtu("01 03 01 E4 00 01", 5) == "01 03 02 00 01"


def test_a_coil_moves_the_disconnect_within_20_milliseconds(raw_bench, board) -> None:
    write(board, CLOSE)
    board.clock.sleep(0.02)
    assert conducts(raw_bench)
    assert bit(board, OUTPUTS)
    write(board, OPEN)
    board.clock.sleep(0.02)
    assert not conducts(raw_bench)


def test_the_reset_flag_is_1_on_its_first_read_after_power_up(raw_bench, board) -> None:
    assert bit(board, RESET)
    assert not bit(board, RESET)
    raw_bench.instruments.fault("relays", "power_cycle")
    again = raw_bench.connect(raw_bench.instruments.address("relays"))
    assert bit(again, RESET)
    assert not bit(again, RESET)


def test_silence_opens_the_path_after_the_watchdog_s_time(raw_bench, armed) -> None:
    armed.clock.sleep(0.9)
    assert conducts(raw_bench)
    armed.clock.sleep(0.12)
    assert not conducts(raw_bench)
    assert not bit(armed, OUTPUTS)
    assert bit(armed, STATUS)
    assert armed.rtu("01 03 01 EB 00 01", 5) == "01 03 02 00 01"


def test_any_frame_to_the_board_feeds_the_watchdog(raw_bench, armed) -> None:
    for _ in range(5):
        armed.clock.sleep(0.9)
        bit(armed, STATUS)
    assert armed.rtu("01 02 00 00 00 01", 3) == "01 82 01"  # refused, and it counts
    armed.clock.sleep(0.9)
    assert conducts(raw_bench)
    assert not bit(armed, STATUS)


@pytest.mark.parametrize("frame", ["02 01 00 00 00 05 FC 3A", "01 01 00 00 00 05 FF FF"])
def test_another_address_or_a_wrong_checksum_does_not_feed_it(raw_bench, armed, frame: str) -> None:
    for _ in range(4):
        armed.send(bytes.fromhex(frame))
        armed.clock.sleep(0.3)
    assert armed.quiet()
    assert not conducts(raw_bench)


def test_after_a_time_out_outputs_are_locked_until_the_status_is_cleared(raw_bench, armed) -> None:
    armed.clock.sleep(2.0)
    write(armed, CLOSE)  # answered, and without effect
    armed.clock.sleep(0.1)
    assert not bit(armed, OUTPUTS)
    assert not conducts(raw_bench)
    write(armed, "01 05 01 0D 00 00")  # a 0 clears nothing
    assert bit(armed, STATUS)
    write(armed, CLEAR)
    assert not bit(armed, STATUS)
    assert not conducts(raw_bench), "clearing moves nothing"
    write(armed, CLOSE)
    armed.clock.sleep(0.1)
    assert conducts(raw_bench)
    armed.clock.sleep(1.0)
    assert not conducts(raw_bench), "it watches again from the clearing on"


def test_in_mode_1_a_command_clears_the_status(raw_bench, armed) -> None:
    write(armed, "01 05 01 03 FF 00")
    armed.clock.sleep(2.0)
    assert not conducts(raw_bench)
    write(armed, CLOSE)
    armed.clock.sleep(0.1)
    assert conducts(raw_bench)
    assert not bit(armed, STATUS)


def test_the_safe_value_decides_what_a_time_out_does(raw_bench, armed) -> None:
    write(armed, "01 05 00 80 FF 00", "01 05 00 83 FF 00")
    armed.clock.sleep(2.0)
    assert conducts(raw_bench)
    assert armed.rtu(OUTPUTS, 4) == "01 01 01 09"
    write(armed, OPEN)
    armed.clock.sleep(0.1)
    assert conducts(raw_bench), "locked to the safe value"


def test_disabled_it_never_expires_and_a_time_of_0_neither(raw_bench, armed) -> None:
    write(armed, DISABLE)
    armed.clock.sleep(60.0)
    write(armed, "01 06 01 E8 00 00", ENABLE)
    armed.clock.sleep(60.0)
    assert conducts(raw_bench)


def test_a_longer_time_set_while_it_runs_holds(raw_bench, armed) -> None:
    write(armed, "01 06 01 E8 00 FF")
    armed.clock.sleep(25.4)
    assert conducts(raw_bench)
    armed.clock.sleep(0.15)
    assert not conducts(raw_bench)


def test_a_watchdog_that_does_nothing_is_read_back_as_armed(raw_bench, armed) -> None:
    raw_bench.instruments.fault("relays", "watchdog_dead")
    armed.clock.sleep(60.0)
    assert conducts(raw_bench)
    assert bit(armed, ENABLED)
    assert armed.rtu("01 03 01 E8 00 01", 5) == "01 03 02 00 0A"
    raw_bench.instruments.fault("relays", "none")
    armed.clock.sleep(2.5)
    assert not conducts(raw_bench)


def test_a_welded_contact_conducts_though_the_safe_value_is_in_force(raw_bench, armed) -> None:
    raw_bench.instruments.fault("relays", "welded")
    armed.clock.sleep(2.0)
    assert conducts(raw_bench)
    assert not bit(armed, OUTPUTS)
    assert raw_bench.instruments.behaviour("relays").told_closed is False


def test_after_a_power_cycle_outputs_take_their_power_on_values(raw_bench, board) -> None:
    write(board, CLOSE, "01 05 00 A1 FF 00")
    raw_bench.instruments.fault("relays", "power_cycle")
    board = raw_bench.connect(raw_bench.instruments.address("relays"))
    board.clock.sleep(0.1)
    assert not conducts(raw_bench)
    assert board.rtu(OUTPUTS, 4) == "01 01 01 02"
    write(board, "01 05 00 A0 FF 00")
    raw_bench.instruments.fault("relays", "power_cycle")
    assert conducts(raw_bench)


def test_an_expired_status_outlives_a_power_cycle_and_so_do_the_safe_values(raw_bench, armed) -> None:
    write(armed, "01 05 00 A0 FF 00")  # the power-on value would close
    armed.clock.sleep(2.0)
    raw_bench.instruments.fault("relays", "power_cycle")
    assert not conducts(raw_bench)
    again = raw_bench.connect(raw_bench.instruments.address("relays"))
    assert bit(again, STATUS)
    assert bit(again, ENABLED)


def test_an_armed_watchdog_runs_on_after_a_power_cycle(raw_bench, armed) -> None:
    write(armed, "01 05 00 A0 FF 00")
    raw_bench.instruments.fault("relays", "power_cycle")
    armed.clock.sleep(0.9)
    assert conducts(raw_bench)
    armed.clock.sleep(0.15)
    assert not conducts(raw_bench)


def test_without_mains_every_relay_falls_and_power_on_values_come_with_the_mains(raw_bench, board) -> None:
    write(board, "01 05 00 A0 FF 00", CLOSE)
    board.clock.sleep(0.1)
    raw_bench.instruments.fault("relays", "mains_loss")
    assert not conducts(raw_bench)
    board.clock.sleep(5.0)
    assert not conducts(raw_bench)
    raw_bench.instruments.fault("relays", "none")
    assert conducts(raw_bench)


def test_a_reset_bench_has_a_board_as_delivered(raw_bench, armed) -> None:
    write(armed, "01 05 00 80 FF 00", "01 05 00 A0 FF 00")
    raw_bench.instruments.reset(2)
    raw_bench.clock.sleep(10.0)
    again = raw_bench.connect(raw_bench.instruments.address("relays"))
    assert not conducts(raw_bench)
    assert not any(bit(again, question) for question in (ENABLED, STATUS))
    assert again.rtu("01 01 00 80 00 05", 4) == "01 01 01 00"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("02 00 00 00 05", 1),
        ("04 01 E8 00 01", 1),
        ("01 00 00 00 06", 2),  # there is no output 6
        ("01 01 0D 00 00", 3),
        ("01 01 05 00 01", 2),
        ("03 01 E8 00 02", 2),
        ("05 00 05 FF 00", 2),
        ("05 00 00 12 34", 3),
        ("05 01 10 FF 00", 2),  # the reset flag is read only
        ("05 01 00 00 00", 3),  # DCON is not spoken here
        ("06 01 E8 01 00", 3),  # 25.6 s
        ("06 01 E4 00 02", 3),
        ("06 01 E9 00 01", 2),
    ],
)
def test_requests_that_do_not_fit_are_refused(board, request_: str, code: int) -> None:
    function = int(request_[:2], 16) | 0x80
    assert board.rtu(f"01 {request_}", 3) == f"01 {function:02X} {code:02X}"


def test_several_coils_are_written_at_once_or_not_at_all(raw_bench, board) -> None:
    assert board.rtu("01 0F 00 00 00 05 01 15", 6) == "01 0F 00 00 00 05"
    assert board.rtu(OUTPUTS, 4) == "01 01 01 15"
    assert board.rtu("01 0F 00 00 00 06 01 00", 3) == "01 8F 02"
    assert board.rtu(OUTPUTS, 4) == "01 01 01 15"


def test_writes_are_refused_by_exception_7_and_reads_are_not(raw_bench, board) -> None:
    raw_bench.instruments.fault("relays", "exception_7")
    assert board.rtu(CLOSE, 3) == "01 85 07"
    assert not bit(board, OUTPUTS)


def test_an_independent_client_agrees(raw_bench) -> None:
    address = raw_bench.instruments.add("relays", "icpdas_m7000", {"channel": 5, "unit": 7})
    port = int(address.rsplit(":", 1)[1])
    client = ModbusTcpClient("127.0.0.1", port=port, framer=FramerType.RTU, timeout=3.0, retries=0)
    assert client.connect()
    try:
        assert not client.write_register(488, 30, device_id=7).isError()
        assert not client.write_coils(128, [False] * 5, device_id=7).isError()
        assert not client.write_coil(260, True, device_id=7).isError()
        assert not client.write_coil(4, True, device_id=7).isError()
        assert client.read_holding_registers(488, count=1, device_id=7).registers == [30]
        assert client.read_coils(0, count=5, device_id=7).bits[:5] == [False] * 4 + [True]
        raw_bench.clock.sleep(0.1)
        assert conducts(raw_bench)
        raw_bench.clock.sleep(3.0)
        assert client.read_coils(269, count=1, device_id=7).bits[0] is True
        assert not conducts(raw_bench)
    finally:
        client.close()


def test_a_normally_closed_contact_is_closed_without_power(raw_bench) -> None:
    board = raw_bench.add("relays", "icpdas_m7000", channel=2, contact="normally_closed")
    assert conducts(raw_bench)
    board.rtu("01 05 00 01 FF 00", 6)
    board.clock.sleep(0.02)
    assert not conducts(raw_bench)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "channel = None"), ({"channel": 6}, "channel = 6"), ({"channel": 1, "contact": "maybe"}, "'maybe'"),
     ({"channel": 1, "unit": 0}, "unit = 0")],
)  # fmt: skip
def test_a_wrong_option_is_named(raw_bench, options: dict, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        raw_bench.instruments.add("relays", "icpdas_m7000", options)
