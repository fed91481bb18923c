"""One cell and the pack against closed formulas."""

from __future__ import annotations

from itertools import pairwise
from math import exp

import pytest

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell, spread

FLAT = OcvCurve([0.0, 0.5, 1.0], [3.2, 3.3, 3.4])  # a straight line, so that a formula can be exact


def one_cell(**changes: float) -> Pack:
    values = {"capacity_ah": 100.0, "r0_ohm": 0.0004, "r1_ohm": 0.0006, "soc_pct": 50.0, **changes}
    return Pack([Cell(**values)], curve=FLAT)


# SciPy 1.17 PchipInterpolator on table lfp_a: state of charge, volts, volts per unit of state of charge.
SCIPY = [
    (0.01, 2.916120744186047, 8.029130232558138),
    (0.03, 3.056383348837209, 5.697055813953487),
    (0.07, 3.157168099438653, 0.9791523656776253),
    (0.2225, 3.2192879375, 0.2432805555555525),
    (0.489, 3.26472566, 0.020686666666673844),
    (0.635, 3.273568, 0.08563809523809475),
    (0.915, 3.3097329518072294, 0.06630923694779056),
    (0.96, 3.319650891566265, 0.9165445783132489),
    (0.99, 3.3695327228915666, 2.1777734939758986),
    (0.999, 3.389712015855422, 2.285711469879513),
]


@pytest.mark.parametrize(("soc", "voltage_v", "slope_v"), SCIPY)
def test_the_voltage_curve_is_the_one_scipy_draws(soc: float, voltage_v: float, slope_v: float) -> None:
    curve = OcvCurve.named("lfp_a")
    assert curve.volts([soc])[0] == pytest.approx(voltage_v, abs=1e-12)
    assert curve.slope_v(soc) == pytest.approx(slope_v, rel=1e-9)


@pytest.mark.parametrize("name", ["lfp_a", "lfp_b", "nmc_a", "nmc811_c", "lto_a"])
def test_the_voltage_curve_rises_everywhere_and_meets_its_table(name: str) -> None:
    curve = OcvCurve.named(name)
    volts = curve.volts([k / 5000 for k in range(-500, 5501)])
    assert all(b > a for a, b in pairwise(volts))
    assert curve.volts(curve.soc) == pytest.approx(curve.voltage_v, abs=1e-12)


def test_the_voltage_curve_is_steep_beyond_full_and_empty() -> None:
    """0.1 V per percent: 3.65 V is reached at 102.6 %, 2.50 V at -3.3 % (standards reference, section 8)."""
    assert OcvCurve.named("lfp_a").volts([1.0258, -0.0333]) == pytest.approx([3.65, 2.50], abs=1e-9)


def test_an_unknown_or_falling_table_is_refused() -> None:
    with pytest.raises(ValueError, match="lfp_a"):
        OcvCurve.named("lead")
    with pytest.raises(ValueError, match="must rise"):
        OcvCurve([0.0, 0.5, 1.0], [3.2, 3.1, 3.4])
    with pytest.raises(ValueError, match="must rise"):
        OcvCurve([0.0, 0.0, 1.0], [3.2, 3.3, 3.4])


@pytest.mark.parametrize("current_a", [50.0, -110.0])
@pytest.mark.parametrize("t", [0.001, 1.0, 29.9, 120.0])
def test_a_current_step_follows_the_rc_formula(current_a: float, t: float) -> None:
    """v = OCV(z0 + I t / C) + I R0 + I R1 (1 - exp(-t/tau)) while R hardly moves (50 % is its minimum)."""
    pack = one_cell()
    pack.advance(current_a, t)
    soc = 0.5 + current_a * t / 360_000.0
    steady = 0.0004 + 0.0006 * (1.0 - exp(-t / 30.0))
    heat_k = current_a**2 * 0.001 * t / 2000.0  # at most; Ea/(R T²) = 2.7 % per kelvin
    slack = abs(current_a) * steady * (0.03 * heat_k + 0.2 * (2.0 * (soc - 0.5)) ** 2) + 1e-9
    expected = 3.2 + 0.2 * soc + current_a * steady
    assert pack.cell_voltages_v(current_a)[0] == pytest.approx(expected, abs=slack)


def test_after_the_current_stops_the_polarisation_fades_with_30_seconds() -> None:
    pack = one_cell()
    pack.advance(100.0, 300.0)
    rested_v = 3.2 + 0.2 * pack.soc_pct() / 100.0
    start_v = pack.cell_voltages_v(0.0)[0] - rested_v
    assert start_v == pytest.approx(0.060, rel=0.05)
    pack.advance(0.0, 45.0)
    assert pack.cell_voltages_v(0.0)[0] - rested_v == pytest.approx(start_v * exp(-1.5), rel=1e-9)


def test_hours_of_current_count_exactly() -> None:
    """A discharge of 3 h at 12.5 A takes 37.5 Ah, whatever the stretches were."""
    pack = one_cell(soc_pct=90.0)
    pack.advance(-12.5, 3 * 3600.0)
    assert pack.soc_pct() == pytest.approx(52.5, abs=1e-9)
    assert pack.charge_ah() == pytest.approx(52.5, abs=1e-9)


def test_a_cell_warms_exponentially_to_its_balance() -> None:
    """Steady heat I² (R0 + R1) against 2.5 K/W with 5000 s; the resistance falls as it warms, hence the bounds."""
    pack = one_cell(soc_pct=80.0, capacity_ah=1e6)  # so large that its state of charge stands still
    pack.advance(110.0, 5000.0)
    rise_k = pack.temperatures_degc()[0] - 25.0
    edge = 1.0 + 0.2 * 0.36  # quadratic rise at 80 %
    cold_w = 110.0**2 * 0.001 * edge
    assert cold_w * exp(-0.027 * rise_k) * 2.5 * (1 - exp(-1.0)) < rise_k < cold_w * 2.5 * (1 - exp(-1.0))


def test_a_changed_ambient_is_followed_exponentially_and_not_before() -> None:
    pack = one_cell()
    pack.advance(0.0, 100.0)
    pack.ambient_degc = 65.0
    assert pack.temperatures_degc() == [25.0]
    pack.advance(0.0, 5000.0)
    assert pack.temperatures_degc()[0] == pytest.approx(65.0 - 40.0 * exp(-1.0), abs=1e-9)
    with pytest.raises(ValueError, match="not a temperature"):
        pack.ambient_degc = float("nan")


def test_cold_cells_have_the_arrhenius_resistance() -> None:
    warm, cold = one_cell(), Pack([Cell(100.0, 0.0004, 0.0006, 50.0)], curve=FLAT, ambient_degc=0.0)
    ratio = exp(20_000.0 / 8.314462618 * (1 / 273.15 - 1 / 298.15))
    drop_warm_v = warm.cell_voltages_v(100.0)[0] - warm.cell_voltages_v(0.0)[0]
    drop_cold_v = cold.cell_voltages_v(100.0)[0] - cold.cell_voltages_v(0.0)[0]
    assert drop_cold_v / drop_warm_v == pytest.approx(ratio, rel=1e-9)


def test_the_demonstration_pack_is_what_the_reference_describes() -> None:
    pack = Pack.demonstration(seed=7)
    volts = pack.cell_voltages_v(0.0)
    assert len(volts) == 16
    assert sum(volts) == pytest.approx(pack.terminal_v(0.0), abs=1e-9)
    assert pack.terminal_v(0.0) == pytest.approx(16 * 3.265, abs=0.05)
    # 110 A at 50 % moves a cell by 44 mV at once, 63 mV after 10 s, 110 mV steady (reference, section 8).
    rest_v = pack.terminal_v(0.0) / 16
    assert pack.terminal_v(110.0) / 16 - rest_v == pytest.approx(0.044, abs=0.002)
    pack.advance(110.0, 10.0)
    assert pack.terminal_v(110.0) / 16 - rest_v == pytest.approx(0.063, abs=0.003)


def test_cells_differ_and_a_seed_repeats_them() -> None:
    first, again, other = (Pack.demonstration(seed=s) for s in (1, 1, 2))
    assert first.cell_voltages_v(40.0) == again.cell_voltages_v(40.0)
    assert first.cell_voltages_v(40.0) != other.cell_voltages_v(40.0)
    assert len({cell.capacity_ah for cell in first.cells}) == 16
    capacity = [cell.capacity_ah for cell in first.cells]
    assert 97.0 < min(capacity) < 100.0 < max(capacity) < 103.0


def test_a_cell_is_the_same_in_a_larger_pack() -> None:
    small, large = Pack.demonstration(seed=3, cells=4), Pack.demonstration(seed=3, cells=20)
    assert small.cells == large.cells[:4]


def test_the_spread_is_normal_and_cut_at_two_sigma() -> None:
    draws = [spread(seed, cell, "capacity") for seed in range(100) for cell in range(20)]
    mean = sum(draws) / len(draws)
    assert max(abs(d) for d in draws) <= 2.0
    assert abs(mean) < 0.08
    assert sum(d * d for d in draws) / len(draws) == pytest.approx(0.774, abs=0.06)  # variance of the cut normal


def test_a_smaller_cell_has_the_larger_resistance() -> None:
    large, small = Pack.demonstration(seed=1), Pack.demonstration(seed=1, capacity_ah=50.0)
    assert small.r0_sum_ohm == pytest.approx(2.0 * large.r0_sum_ohm)
    assert small.cells[0].capacity_ah == pytest.approx(0.5 * large.cells[0].capacity_ah)


def test_an_over_charged_cell_relaxes_because_its_resistance_rose() -> None:
    """Five times R1 at full: after 50 A a cell at 100.5 % falls by far more than in the middle of its range."""
    full, middle = (Pack([Cell(100.0, 0.0004, 0.0006, z)], curve=OcvCurve.named("lfp_a")) for z in (99.0, 40.0))
    falls = []
    for pack in (full, middle):
        pack.advance(50.0, 108.0)
        high_v = pack.cell_voltages_v(0.0)[0]
        pack.advance(0.0, 300.0)
        falls.append(high_v - pack.cell_voltages_v(0.0)[0])
    assert falls[0] > 4.0 * falls[1]


def test_impossible_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity_ah"):
        one_cell(capacity_ah=0.0)
    with pytest.raises(ValueError, match="r1_ohm"):
        one_cell(r1_ohm=float("nan"))
    with pytest.raises(ValueError, match="at least one"):
        Pack([], curve=FLAT)
