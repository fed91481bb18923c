"""Polarity before power, on a bench of fakes: agreement, and for each contradiction the wire to look at."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import Inconclusive, WiringError
from bench.polarity import check_polarity
from bench.quantities import Direction


def wrong(table: Any) -> str:
    with pytest.raises(WiringError) as caught:
        check_polarity(table.stand)
    assert not any(part.on for part in table.power.values())
    return str(caught.value)


@pytest.mark.parametrize("bench", ["table", "two_quadrant"])
def test_a_bench_that_is_wired_well_agrees_in_both_directions(request: pytest.FixtureRequest, bench: str) -> None:
    table = request.getfixturevalue(bench)
    charge, discharge = check_polarity(table.stand)
    assert (charge.direction, discharge.direction) == (Direction.CHARGE, Direction.DISCHARGE)
    # 2 A through 20 mOhm move the pack by 40 mV
    assert (charge.meter_a, charge.instrument_a, charge.voltage_change_v) == pytest.approx((2.0, 2.0, 0.04))
    assert (discharge.meter_a, discharge.voltage_change_v) == pytest.approx((-2.0, -0.04))
    assert not any(part.on for part in table.power.values())
    assert charge.as_parameters()["direction"] == "charge"


def test_a_stiff_pack_gets_a_larger_current(table: Any) -> None:
    table.pack_ohm = 0.00003  # 2 A move it by 0.06 mV, 5 A by 0.15 mV: 5 x the meter's 29 uV
    charge, _ = check_polarity(table.stand)
    assert charge.meter_a == pytest.approx(5.0)


def test_a_pack_that_does_not_move_is_inconclusive(table: Any) -> None:
    table.pack_ohm = 0.0
    with pytest.raises(Inconclusive, match="never moved by 5 x its noise"):
        check_polarity(table.stand)


def test_a_path_that_is_open_is_inconclusive(table: Any) -> None:
    table.path_closed = False
    for part in table.power.values():
        part.reads_sign = 0.0
    with pytest.raises(Inconclusive, match=r"do not flow .*is the BMS closed"):
        check_polarity(table.stand)


def test_reversed_sense_leads_of_the_shunt_are_named(table: Any) -> None:
    table.shunt_sign = -1.0
    text = wrong(table)
    assert "sense leads of the reference shunt at shunt_meter" in text
    assert "topology.reference_shunt.positive_means in virtual.toml" in text


def test_reversed_leads_of_the_pack_meter_are_named(table: Any) -> None:
    table.pack_sign = -1.0
    assert "although charger can only charge; look at the + and - leads of pack_meter" in wrong(table)


def test_an_instrument_that_reports_the_other_sign_is_named(table: Any) -> None:
    table.power["supply"].reads_sign = -1.0
    assert "charger reports a current of the other sign than meter and voltage" in wrong(table)


def test_a_bidirectional_supply_against_both_witnesses_is_wired_backwards(two_quadrant: Any) -> None:
    two_quadrant.shunt_sign = two_quadrant.pack_sign = -1.0
    assert "look at the + and - leads of source_sink and at the sign of its driver" in wrong(two_quadrant)


def test_a_wrong_shunt_value_is_named(table: Any) -> None:
    table.shunt_scale = 2.0
    text = wrong(table)
    assert "differ by more than 1.60 A" in text  # 1.5 A and 5 % of 2 A
    assert "topology.reference_shunt.ohm = 0.0005" in text
