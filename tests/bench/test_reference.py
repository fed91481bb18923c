"""The reference: sign of the shunt, zero, and an uncertainty that must be declared."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import find_definition, load_definition
from bench.errors import DefinitionError, InstrumentError
from bench.reference import Reference
from bench.requirements import standard_of


class Meter:
    """Reads what it is told."""

    def __init__(self, volts: float) -> None:
        self.volts = volts

    def measure_voltage(self) -> float:
        return self.volts


def reference(shunt_v: float = 0.0, **update: Any) -> Reference:
    definition = load_definition(find_definition("virtual"))
    shunt = definition.topology.reference_shunt.model_copy(update=update)
    topology = definition.topology.model_copy(update={"reference_shunt": shunt})
    return Reference(definition.model_copy(update={"topology": topology}), Meter(shunt_v), Meter(53.0))  # type: ignore[arg-type]


def test_ten_millivolts_across_half_a_milliohm_are_twenty_amperes() -> None:
    assert reference(0.010).current() == pytest.approx(20.0)
    assert reference(0.010, positive_means="discharge").current() == pytest.approx(-20.0)
    assert reference().pack_voltage() == 53.0


def test_the_uncertainty_is_that_of_the_budget() -> None:
    """5.0, 5.8, 5.8, 5.5 and 1.2 mA at 50 A: 11.1 mA, twice that is 22.3 mA."""
    assert reference().current_uncertainty(50.0) == pytest.approx(0.0223, abs=2e-4)
    # 0.0035 % of 53 V and 0.0006 % of 100 V: ± 2.455 mV, a rectangle alone, of which 95.45 % are asked for
    assert reference().voltage_uncertainty(53.0) == pytest.approx(0.9545 * 2.455e-3, rel=1e-4)
    assert reference().current_budget(50.0).expanded == reference().current_uncertainty(50.0)


def test_a_zero_within_the_meters_specification_is_told() -> None:
    assert reference().check_zero([0.004, 0.006]) == pytest.approx(0.005)


def test_a_zero_beyond_it_names_what_to_look_at() -> None:
    with pytest.raises(InstrumentError, match=r"shunt_meter: reads \+0\.0500 A with the loop open, beyond"):
        reference().check_zero([0.05, 0.05, 0.05])


def test_a_meter_without_a_declared_accuracy_is_no_reference() -> None:
    definition = load_definition(find_definition("virtual"))
    meter = definition.instruments["shunt_meter"].model_copy(update={"accuracy": {}})
    blind = definition.model_copy(update={"instruments": {**definition.instruments, "shunt_meter": meter}})
    with pytest.raises(
        DefinitionError, match=r"virtual\.toml, instruments\.shunt_meter\.accuracy\.voltage: is missing"
    ):
        Reference(blind, Meter(0.0), Meter(0.0))  # type: ignore[arg-type]


def test_a_requirement_names_its_document_and_a_labs_own_prefix_stands_for_itself() -> None:
    assert standard_of("GB44240-8.4") == "GB 44240-2024"
    assert standard_of("ACME-12") == "ACME"
