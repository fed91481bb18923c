"""Thresholds: each searched by ramp and bisection, and judged against its tolerance."""

from __future__ import annotations

import pytest

from bench.threshold_search import search_threshold

MEASURED = pytest.mark.protection_kinds()


@MEASURED
@pytest.mark.case(id="THR-SEARCH", function="threshold", severity="critical")
def test_its_threshold_lies_within_its_tolerance(stand, expect, provocation):
    """{provocation} acts within its tolerance, found by bisection from the normal side"""
    searched = search_threshold(stand, provocation)
    expect("threshold_search", **searched.parameters)
