"""Emulated cells on their wires: who holds, who limits, who floats, and what the BMS sees of it."""

from __future__ import annotations

import pytest

from instruments.virtual.emulated_cells import EmulatedCells
from instruments.virtual.sense_wires import INPUT_OHM, WIRE_OHM, SenseWires

SET_V = [3.1, 3.2, 3.3, 3.4]


@pytest.fixture
def stack() -> EmulatedCells:
    cells = EmulatedCells(SenseWires(4))
    for cell, voltage_v in enumerate(SET_V, 1):
        cells.set(cell, on=True, voltage_v=voltage_v, source_limit_a=0.1)
    return cells


def test_off_there_is_nothing() -> None:
    stack = EmulatedCells(SenseWires(4))
    assert stack.cells_v() == [0.0] * 4
    assert stack.cells_seen_v() == [0.0] * 4


def test_every_channel_holds_its_voltage_and_gives_what_the_inputs_draw(stack: EmulatedCells) -> None:
    assert stack.cells_v() == SET_V
    assert stack.cells_seen_v() == pytest.approx(SET_V, abs=1e-4)
    assert stack.currents_a() == pytest.approx([v / INPUT_OHM for v in SET_V], rel=1e-3)
    assert stack.limited() == ()


def test_one_cell_moves_and_its_neighbours_do_not(stack: EmulatedCells) -> None:
    before = stack.cells_seen_v()
    stack.set(2, voltage_v=3.65)
    after = stack.cells_seen_v()
    assert after[1] - before[1] == pytest.approx(0.45, abs=1e-4)
    for k in (0, 2, 3):
        assert after[k] == pytest.approx(before[k], abs=2 * WIRE_OHM / INPUT_OHM)


def test_beyond_its_limit_a_channel_becomes_a_current(stack: EmulatedCells) -> None:
    stack.wires.bridge(3, 5.0)  # asks for 3.3 / 25 = 132 mA
    assert stack.limited() == (3,)
    assert stack.currents_a()[2] == pytest.approx(0.1, rel=1e-9)
    assert stack.cells_v()[2] == pytest.approx(0.1 * (5.0 + 2 * WIRE_OHM), rel=1e-3)
    assert stack.cells_seen_v()[2] == pytest.approx(0.1 * 5.0, rel=1e-3)
    stack.set(3, source_limit_a=0.2)
    assert stack.limited() == ()
    assert stack.cells_v()[2] == 3.3


def test_an_interrupted_channel_reads_nothing_and_lets_the_others_be(stack: EmulatedCells) -> None:
    stack.set(2, connection="open")
    assert stack.currents_a()[1] == pytest.approx(0.0, abs=1e-15)
    assert stack.cells_seen_v() == pytest.approx([3.1, 0.0, 3.3, 3.4], abs=1e-4)


def test_a_shorted_channel_reads_nothing_and_a_reversed_one_its_negative(stack: EmulatedCells) -> None:
    stack.set(1, connection="short")
    stack.set(4, connection="reversed")
    assert stack.cells_v() == [0.0, 3.2, 3.3, -3.4]
    assert stack.cells_seen_v() == pytest.approx([0.0, 3.2, 3.3, -3.4], abs=2e-4)


def test_an_open_wire_over_an_open_channel_leaves_both_at_the_divider(stack: EmulatedCells) -> None:
    """Cell 2 floats, wire 2 is open: inputs 1 and 3 lie over cells 2 and 3, where cell 2 brings nothing."""
    stack.set(2, connection="open")
    stack.wires.open(2)
    seen = stack.cells_seen_v()
    assert seen[1] == pytest.approx(seen[2], abs=1e-9)
    assert stack.currents_a()[1] == pytest.approx(0.0, abs=1e-12)


def test_a_channel_that_cannot_take_current_is_lifted_by_a_reversed_neighbour(stack: EmulatedCells) -> None:
    """Bridges over cells 2 and 3 with wire 2 open: channel 3, reversed, drives 0.1 V backwards through channel 2."""
    stack.set(3, connection="reversed")
    stack.wires.bridge(2, 100.0)
    stack.wires.bridge(3, 100.0)
    stack.wires.open(2)
    stack.set(2, sink_limit_a=0.1)
    assert stack.currents_a()[1] == pytest.approx((3.2 - 3.3) / (200.0 + 2 * WIRE_OHM), rel=0.01)
    stack.set(2, sink_limit_a=0.0)
    assert stack.limited() == (2,)
    assert stack.currents_a()[1] == pytest.approx(0.0, abs=1e-12)
    assert stack.cells_v()[1] == pytest.approx(3.3, abs=1e-3)


def test_what_is_no_magnitude_is_refused(stack: EmulatedCells) -> None:
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not a finite magnitude"):
            stack.set(1, voltage_v=value)
    assert stack.cells_v() == SET_V
