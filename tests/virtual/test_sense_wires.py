"""Sense wires against the voltage divider, Kirchhoff and dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from instruments.virtual.sense_wires import INPUT_OHM, WIRE_OHM, SenseWires

CELLS_V = [3.20, 3.25, 3.30, 3.35]


def exact(wires_ohm: list[float | None], nodes: list[int], across_s: list[float], cells_v: list[float]) -> list[float]:
    """Nodal analysis with a dense matrix; None is an open wire."""
    node_v = np.concatenate(([0.0], np.cumsum(cells_v)))
    n = len(wires_ohm)
    matrix, right = np.zeros((n, n)), np.zeros(n)
    for wire, ohm in enumerate(wires_ohm):
        if ohm is not None:
            matrix[wire, wire] += 1 / ohm
            right[wire] += node_v[nodes[wire]] / ohm
    for k, siemens in enumerate(across_s):
        matrix[k : k + 2, k : k + 2] += siemens * np.array([[1, -1], [-1, 1]])
    return list(np.diff(np.linalg.solve(matrix, right)))


@pytest.fixture
def wires() -> SenseWires:
    return SenseWires(4)


def test_whole_wires_show_the_cells_but_for_what_the_inputs_draw(wires: SenseWires) -> None:
    wires.set_wire(1, WIRE_OHM)  # touched, but as it was
    seen = wires.cells_seen_v(CELLS_V)
    assert seen == pytest.approx(CELLS_V, rel=2 * WIRE_OHM / INPUT_OHM)
    assert seen != CELLS_V
    assert seen == pytest.approx(exact([WIRE_OHM] * 5, [0, 1, 2, 3, 4], [1 / INPUT_OHM] * 4, CELLS_V), abs=1e-12)


def test_an_open_inner_wire_shares_two_cells_equally(wires: SenseWires) -> None:
    wires.open(2)
    seen = wires.cells_seen_v(CELLS_V)
    mean_v = (3.25 + 3.30) / 2
    assert seen == pytest.approx([3.20, mean_v, mean_v, 3.35], abs=1e-4)
    assert wires.open_wires == (2,)


def test_an_open_inner_wire_is_a_divider_of_the_two_inputs_beside_it() -> None:
    wires = SenseWires(4, wire_ohm=1e-6)
    wires.set_input(2, 3e6)
    wires.set_input(3, 1e6)
    wires.open(2)
    seen = wires.cells_seen_v(CELLS_V)
    assert seen[1] == pytest.approx((3.25 + 3.30) * 3e6 / 4e6, abs=1e-9)
    assert seen[2] == pytest.approx((3.25 + 3.30) * 1e6 / 4e6, abs=1e-9)


@pytest.mark.parametrize(("wire", "cell"), [(0, 0), (4, 3)])
def test_an_open_end_makes_the_cell_at_the_end_read_nothing(wires: SenseWires, wire: int, cell: int) -> None:
    wires.open(wire)
    seen = wires.cells_seen_v(CELLS_V)
    assert seen[cell] == pytest.approx(0.0, abs=1e-9)
    assert [v for k, v in enumerate(seen) if k != cell] == pytest.approx(
        [v for k, v in enumerate(CELLS_V) if k != cell], abs=1e-4
    )


def test_swapped_neighbours_read_a_sum_a_negative_and_a_sum(wires: SenseWires) -> None:
    wires.swap(1, 2)
    seen = wires.cells_seen_v(CELLS_V)
    assert seen == pytest.approx([3.20 + 3.25, -3.25, 3.25 + 3.30, 3.35], abs=2e-4)
    assert sum(seen) == pytest.approx(sum(CELLS_V), abs=2e-4)
    wires.swap(1, 2)
    assert wires.cells_seen_v(CELLS_V) == pytest.approx(CELLS_V, abs=1e-4)


def test_neighbours_bridged_by_a_resistance_are_divided_with_their_wires(wires: SenseWires) -> None:
    wires.bridge(2, 80.0)
    seen = wires.cells_seen_v(CELLS_V)
    current_a = 3.25 / (80.0 + 2 * WIRE_OHM)
    assert seen[1] == pytest.approx(80.0 * current_a, rel=1e-4)
    assert seen[0] == pytest.approx(3.20 + WIRE_OHM * current_a, rel=1e-4), "the neighbour gains what the wire drops"
    assert wires.cell_currents_a(CELLS_V)[1] == pytest.approx(current_a, rel=1e-3)


def test_any_harness_agrees_with_nodal_analysis(wires: SenseWires) -> None:
    wires.open(3)
    wires.swap(0, 2)
    wires.set_wire(1, 470.0)
    wires.bridge(4, 1e4)
    wires.set_input(1, 2e5)
    across = [1 / 2e5, 1e-6, 1e-6, 1e-6 + 1e-4]
    expected = exact([10.0, 470.0, 10.0, None, 10.0], [2, 1, 0, 3, 4], across, CELLS_V)
    assert wires.cells_seen_v(CELLS_V) == pytest.approx(expected, abs=1e-9)


def test_the_power_drawn_from_the_cells_is_what_wires_and_inputs_turn_into_heat(wires: SenseWires) -> None:
    wires.bridge(3, 50.0)
    wires.set_wire(2, 100.0)
    drawn_w = sum(v * i for v, i in zip(CELLS_V, wires.cell_currents_a(CELLS_V), strict=True))
    seen = wires.cells_seen_v(CELLS_V)
    inputs_w = sum(v * v * s for v, s in zip(seen, [1e-6, 1e-6, 1e-6 + 0.02, 1e-6], strict=True))
    current_a = 3.30 / (50.0 + 100.0 + WIRE_OHM)
    wires_w = current_a**2 * (100.0 + WIRE_OHM)
    assert drawn_w == pytest.approx(inputs_w + wires_w, rel=1e-4)


def test_with_every_wire_open_nothing_is_seen_and_repair_mends_everything(wires: SenseWires) -> None:
    for wire in range(5):
        wires.open(wire)
    assert wires.cells_seen_v(CELLS_V) == [0.0] * 4
    wires.close(2)
    assert wires.cells_seen_v(CELLS_V) == pytest.approx([0.0] * 4, abs=1e-9)
    wires.repair()
    assert not wires.touched
    assert wires.cells_seen_v(CELLS_V) == pytest.approx(CELLS_V, abs=1e-4)


def test_what_is_no_wire_cell_or_resistance_is_refused(wires: SenseWires) -> None:
    for call in (
        lambda: wires.open(5),
        lambda: wires.swap(0, -1),
        lambda: wires.bridge(0, 10.0),
        lambda: wires.set_wire(0, 0.0),
        lambda: wires.set_input(5, 1e6),
        lambda: wires.bridge(1, float("nan")),
    ):
        with pytest.raises(ValueError, match=r"there are|not a resistance"):
            call()
    assert not wires.touched
