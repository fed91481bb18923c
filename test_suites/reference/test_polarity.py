"""Reference first, polarity before power: the bench proves itself before it judges a product."""

from __future__ import annotations

import pytest

from bench.polarity import check_polarity


@pytest.mark.case(id="REF-POLARITY", function="reference", severity="blocker")
def test_meter_instruments_and_voltage_agree_on_the_direction(stand, expect):
    """Meter, instruments and terminal voltage agree on the direction of a small current."""
    for step in check_polarity(stand):
        expect("bench_agrees", witness=step.instrument, **step.as_parameters())


@pytest.mark.case(id="REF-ZERO", function="reference", severity="critical")
def test_the_reference_reads_zero_at_rest(stand, expect):
    """With the pack connected and nothing driven the reference shows no current."""
    begin_s = stand.clock.now()
    stand.clock.sleep(3.0)
    expect(
        "reference_zero",
        begin_s=begin_s,
        end_s=stand.clock.now(),
        limit_a=stand.reference.off_limit_a,
        reference_u_a=stand.reference.current_uncertainty(0.0),
    )
