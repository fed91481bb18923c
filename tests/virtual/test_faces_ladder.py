"""Resistors on relays, as raw frames, and what the BMS's sensors make of them."""

from __future__ import annotations

from math import inf, log
from typing import Any

import pytest

from bench.errors import DefinitionError

SENSORS = {
    "cell_1": {"sensor": 1, "relays": [1, 2, 3], "ohm": [1e3, 2.2e3, 4.7e3], "base_ohm": 1e3, "wiring": "series"},
    "cell_9": {"sensor": 9, "relays": [4, 5], "ohm": [1e4, 4.7e3], "open_relay": 7, "short_relay": 8},
}


@pytest.fixture
def board(raw_bench: Any) -> Any:
    return raw_bench.add("ladder", "resistor_ladder", sensors=SENSORS)


def beta_degc(ohm: float) -> float:
    return 1.0 / (1.0 / 298.15 + log(ohm / 10_000.0) / 3435.0) - 273.15


def pull(board: Any, bits: int) -> None:
    board.rtu(f"01 0F 00 00 00 08 01 {bits:02X}", 6)
    board.clock.sleep(0.05)


@pytest.mark.parametrize(
    ("bits", "ohm"), [(0b000, 1e3), (0b001, 2e3), (0b010, 3.2e3), (0b100, 5.7e3), (0b011, 4.2e3), (0b111, 8.9e3)]
)
def test_in_series_a_closed_relay_adds_its_resistor(raw_bench: Any, board: Any, bits: int, ohm: float) -> None:
    pull(board, bits)
    assert raw_bench.instruments.behaviour("ladder").resistance_ohm("cell_1") == pytest.approx(ohm)
    assert raw_bench.circuit.dut.sensors_degc()[0] == pytest.approx(beta_degc(ohm), abs=1e-6)


@pytest.mark.parametrize(("bits", "ohm"), [(0b01, 1e4), (0b10, 4.7e3), (0b11, 1e4 * 4.7e3 / 14.7e3)])
def test_in_parallel_a_closed_relay_lays_its_resistor_across(raw_bench: Any, board: Any, bits: int, ohm: float) -> None:
    pull(board, bits << 3)
    assert raw_bench.circuit.dut.sensors_degc()[8] == pytest.approx(beta_degc(ohm), abs=1e-6)


def test_open_and_short_show_the_ends_of_the_bms_s_table(raw_bench: Any, board: Any) -> None:
    behaviour = raw_bench.instruments.behaviour("ladder")
    assert behaviour.resistance_ohm("cell_9") == inf
    for bits, shown_degc in ((0b1001000, -40.0), (0b10001000, 125.0)):
        pull(board, bits)
        assert raw_bench.circuit.dut.sensors_degc()[8] == shown_degc


def test_sensors_without_a_ladder_keep_their_cells_temperature(raw_bench: Any, board: Any) -> None:
    pull(board, 0xFF)
    shown = raw_bench.circuit.dut.sensors_degc()
    true = raw_bench.circuit.pack.temperatures_degc()
    assert [shown[k] for k in range(16) if k not in (0, 8)] == [true[k] for k in range(16) if k not in (0, 8)]


def test_contacts_follow_within_twenty_milliseconds_each_in_its_own_time(raw_bench: Any, board: Any) -> None:
    board.rtu("01 0F 00 00 00 08 01 07", 6)
    behaviour = raw_bench.instruments.behaviour("ladder")
    assert behaviour.contacts == [False] * 8
    seen = []
    for _ in range(21):
        board.clock.sleep(0.001)
        seen.append(behaviour.resistance_ohm("cell_1"))
    assert seen[5] == 1e3
    assert seen[-1] == pytest.approx(8.9e3)
    assert any(1e3 < ohm < 8.8e3 for ohm in seen), "between the contacts lies a resistance that nobody asked for"


def test_without_mains_the_relays_fall(raw_bench: Any, board: Any) -> None:
    pull(board, 0b111)
    raw_bench.instruments.fault("ladder", "power_cycle")
    assert raw_bench.instruments.behaviour("ladder").resistance_ohm("cell_1") == 1e3


def test_stuck_contacts_stay_whatever_the_coils_say_and_are_free_again_later(raw_bench: Any, board: Any) -> None:
    pull(board, 0b001)
    raw_bench.instruments.fault("ladder", "stuck_output")
    pull(board, 0b111)
    assert board.rtu("01 01 00 00 00 08", 4) == "01 01 01 07"
    assert raw_bench.instruments.behaviour("ladder").resistance_ohm("cell_1") == 2e3
    raw_bench.instruments.fault("ladder", "none")
    assert raw_bench.instruments.behaviour("ladder").resistance_ohm("cell_1") == pytest.approx(8.9e3)


@pytest.mark.parametrize(
    ("sensors", "what"),
    [
        (None, "needs the option sensors"),
        ({"a": {"sensor": 17, "relays": [1], "ohm": [1e3]}}, "from 1 to 16"),
        ({"a": {"sensor": 1, "relays": [1, 2], "ohm": [1e3]}}, "of one length"),
        ({"a": {"sensor": 1, "relays": [9], "ohm": [1e3]}}, "from 1 to 8"),
        ({"a": {"sensor": 1, "relays": [1], "ohm": [0.0]}}, "not a resistor"),
        ({"a": {"sensor": 1, "relays": [1], "ohm": [1e3], "wiring": "star"}}, "series or parallel"),
        ({"a": {"sensor": 1, "relays": [1], "ohms": [1e3]}}, "keys among"),
        (
            {"a": {"sensor": 1, "relays": [1], "ohm": [1e3]}, "b": {"sensor": 2, "relays": [1], "ohm": [1e3]}},
            "taken by a",
        ),
    ],
)
def test_a_wiring_that_cannot_be_is_refused(raw_bench: Any, sensors: Any, what: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        raw_bench.add("ladder", "resistor_ladder", sensors=sensors)
