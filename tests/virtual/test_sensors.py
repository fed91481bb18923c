"""Temperature sensors against the beta equation."""

from __future__ import annotations

from math import exp, inf, log

import pytest

from instruments.virtual.sensors import Sensors, Thermistor


def beta_degc(ohm: float, beta_k: float = 3435.0) -> float:
    return 1.0 / (1.0 / 298.15 + log(ohm / 10_000.0) / beta_k) - 273.15


@pytest.mark.parametrize("beta_k", [3435.0, 3950.0])
@pytest.mark.parametrize("ohm", [800.0, 3000.0, 10_000.0, 42_000.0, 150_000.0])
def test_a_resistance_is_shown_as_the_beta_equation_says(beta_k: float, ohm: float) -> None:
    ntc = Thermistor.beta(beta_k=beta_k)
    assert ntc.shown_degc(ohm) == pytest.approx(beta_degc(ohm, beta_k), abs=1e-9)
    assert ntc.ohm(ntc.shown_degc(ohm)) == pytest.approx(ohm, rel=1e-12)


def test_at_25_degrees_it_has_its_nominal_resistance() -> None:
    assert Thermistor.beta().ohm(25.0) == pytest.approx(10_000.0)
    assert Thermistor.beta(ohm_25=100_000.0).ohm(25.0) == pytest.approx(100_000.0)


def test_open_looks_as_cold_and_shorted_as_hot_as_it_can_say() -> None:
    ntc = Thermistor.beta()
    assert ntc.shown_degc(inf) == ntc.shown_degc(1e7) == -40.0
    assert ntc.shown_degc(0.0) == ntc.shown_degc(1.0) == 125.0


def test_a_table_is_met_in_its_rows_and_lies_between_them_elsewhere() -> None:
    ntc = Thermistor([(-20.0, 70_000.0), (0.0, 27_000.0), (25.0, 10_000.0), (60.0, 3_000.0)])
    for degc, ohm in ((0.0, 27_000.0), (25.0, 10_000.0)):
        assert ntc.ohm(degc) == pytest.approx(ohm)
        assert ntc.shown_degc(ohm) == pytest.approx(degc)
    middle_k = 2.0 / (1.0 / 273.15 + 1.0 / 298.15)  # ln R is linear in 1/T
    assert ntc.shown_degc((27_000.0 * 10_000.0) ** 0.5) == pytest.approx(middle_k - 273.15)
    assert (ntc.shown_degc(80_000.0), ntc.shown_degc(2_000.0)) == (-20.0, 60.0)


def test_a_table_that_does_not_fall_is_refused() -> None:
    with pytest.raises(ValueError, match="resistance falls"):
        Thermistor([(0.0, 10_000.0), (25.0, 27_000.0)])


def test_only_the_sensor_that_was_exchanged_reads_something_else() -> None:
    cells_degc = [25.1, 26.2, 27.3]
    sensors = Sensors(3)
    assert sensors.shown_degc(cells_degc) == cells_degc
    sensors.place(2, 4_000.0)
    assert sensors.shown_degc(cells_degc) == [25.1, pytest.approx(beta_degc(4_000.0)), 27.3]
    assert sensors.ohm(2, 26.2) == 4_000.0
    assert sensors.ohm(1, 25.1) == pytest.approx(10_000.0 * exp(3435.0 * (1 / 298.25 - 1 / 298.15)))
    sensors.place(3, inf)
    assert sensors.shown_degc(cells_degc)[2] == -40.0
    sensors.restore(2)
    sensors.restore(3)
    assert sensors.shown_degc(cells_degc) == cells_degc


def test_what_is_no_sensor_or_resistance_is_refused() -> None:
    sensors = Sensors(3)
    for sensor, ohm in ((4, 1.0), (0, 1.0), (1, -1.0), (1, float("nan"))):
        with pytest.raises(ValueError, match="temperature sensor"):
            sensors.place(sensor, ohm)
