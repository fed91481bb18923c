"""Every kind watches its observable, and a unit of a product that declares everything is healthy by construction."""

from __future__ import annotations

from typing import Any

import pytest

from bench.kinds import KINDS
from bench.profile import PROFILES, load_profile
from instruments.virtual.bms_unit import make_unit
from instruments.virtual.sensors import Thermistor

SEEDS = range(40)
BASE: dict[str, Any] = {
    "name": "row",
    "delay_s": {"min": 0.5, "max": 1.5},
    "opens": ["charge", "discharge"],
    "release": {"kind": "time", "after_s": 5.0},
}
SENSORS = {"positions": ["cell_1", "mosfet", "cell_6"], "ohm_25": 10000.0, "beta_k": 3950.0}


def volts(*changes: tuple[int, float]) -> Any:
    def act(rig: Any) -> None:
        for cell in range(1, 17):
            rig.circuit.dut.emulated.set(cell, voltage_v=dict(changes).get(cell, dict(changes).get(0, 3.3)))

    return act


def degrees(*values_degc: float) -> Any:
    """Put resistors of these temperatures in the place of the sensors of cells 1 and 6."""

    def act(rig: Any) -> None:
        thermistor = Thermistor.beta(10_000.0, 3950.0)
        for cell, degc in zip((1, 2, 6), values_degc, strict=True):
            rig.circuit.dut.sensors.place(cell, thermistor.ohm(degc))

    return act


def amperes(current_a: float) -> Any:
    return lambda rig: setattr(rig.circuit, "knob_a", current_a)


# kind: threshold, tolerance, just within, just beyond
CASES: dict[str, tuple[float, float, Any, Any]] = {
    "charge_overcurrent": (100.0, 2.0, amperes(98.0), amperes(102.1)),
    "discharge_overcurrent": (100.0, 2.0, amperes(-98.0), amperes(-102.1)),
    "cell_overvoltage": (3.6, 0.01, volts((4, 3.59)), volts((4, 3.61))),
    "cell_undervoltage": (2.8, 0.01, volts((16, 2.81)), volts((16, 2.79))),
    "cell_voltage_spread": (0.3, 0.02, volts((4, 3.45), (9, 3.17)), volts((4, 3.45), (9, 3.13))),
    "pack_overvoltage": (56.0, 0.2, volts((0, 3.48)), volts((0, 3.52))),
    "pack_undervoltage": (48.0, 0.2, volts((0, 3.02)), volts((0, 2.98))),
    "charge_overtemperature": (50.0, 2.0, degrees(25.0, 25.0, 48.0), degrees(25.0, 25.0, 52.0)),
    "discharge_overtemperature": (50.0, 2.0, degrees(48.0, 25.0, 25.0), degrees(52.0, 25.0, 25.0)),
    "charge_undertemperature": (0.0, 2.0, degrees(25.0, 2.0, 25.0), degrees(25.0, -2.0, 25.0)),
    "discharge_undertemperature": (0.0, 2.0, degrees(25.0, 25.0, 2.0), degrees(25.0, 25.0, -2.0)),
    "temperature_spread": (20.0, 2.0, degrees(20.0, 30.0, 38.0), degrees(20.0, 30.0, 42.0)),
}


def test_every_kind_has_its_case_here_or_a_file_of_its_own():
    assert {*CASES, "short_circuit"} == set(KINDS)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kind", sorted(CASES))
def test_it_holds_within_its_tolerance_and_trips_beyond(rig_of, kind, seed):
    threshold, tolerance, within, beyond = CASES[kind]
    row = {**BASE, "kind": kind, "threshold": threshold, "tolerance": tolerance}
    rig = rig_of([row], seed=seed, cells="emulated", temperature_sensors=SENSORS)
    rig.start()
    within(rig)
    rig.sleep(5.0)
    assert rig.bms.truth.tripped == ()
    beyond(rig)
    assert 0.7 <= rig.until(lambda: not rig.circuit.switches.charge_closed, limit_s=3.0, step_s=0.01) <= 1.3
    assert rig.bms.truth.tripped == ("row",)


@pytest.mark.parametrize("seed", SEEDS)
def test_units_of_the_demonstration_product_stay_within_seventy_percent(seed):
    profile = load_profile(PROFILES / "bmsbench_16s.toml")
    unit = make_unit(profile, seed)
    worst_v = max(abs(offset_v) for offset_v in unit.cell_offsets_v) + unit.cell_noise_v
    worst_k = max(abs(offset_k) for offset_k in unit.temperature_offsets_k)
    for drawn in unit.protections:
        row = drawn.row
        error = {"voltage": worst_v, "temperature": worst_k}.get(row.about.quantity, 0.0)
        if row.about.quantity == "current":
            error = abs(unit.gain - 1.0) * row.threshold_si + abs(unit.offset_a) + 4.0 * unit.noise_a
        if row.about.observable == "pack_voltage":
            error = abs(unit.voltage_gain - 1.0) * row.threshold_si
        error *= 2.0 if row.about.difference else 1.0
        assert abs(drawn.threshold_si - row.threshold_si) + error <= 0.7 * row.tolerance_si + 1e-9, row.name
        window, half_s = row.delay_s, 0.5 * drawn.period_s
        if drawn.fast_s is not None or not drawn.opens:
            half_s = 0.0  # of a flag alone, only the mean
        quarter_s = 0.25 * (window.max - window.min)
        assert window.min + quarter_s - 1e-9 <= drawn.delay_s - half_s, row.name
        assert drawn.delay_s + half_s <= window.max - quarter_s + 1e-9, row.name
        for (level, delay_s), point in zip(drawn.curve[1:], row.curve, strict=True) if drawn.curve else ():
            assert level == point.at
            quarter_s = 0.25 * (point.delay_s.max - point.delay_s.min)
            assert point.delay_s.min + quarter_s <= delay_s <= point.delay_s.max - quarter_s
        promised = row.release.window_s
        if promised is not None and not row.latched and row.release.kind != "command":
            quarter_s = 0.25 * (promised.max - promised.min)
            held_s = row.release.after_s + drawn.release_late_s
            assert promised.min + quarter_s - 1e-9 <= held_s, row.name
            assert held_s + drawn.period_s <= promised.max - quarter_s + 1e-9, row.name
    for found in unit.diagnoses:
        window = found.row.within_s
        quarter_s = 0.2 * (window.max - window.min)
        assert window.min + quarter_s <= found.delay_s - 0.5 * found.period_s, found.row.name
        assert found.delay_s + found.switch_s + 0.5 * found.period_s <= window.max - quarter_s, found.row.name
