"""Thresholds: each searched by ramp and bisection, and judged against its tolerance."""

from __future__ import annotations

import pytest

from bench.threshold_search import search_threshold


@pytest.mark.protection_kinds(quantity="current")
@pytest.mark.case(id="THR-CURRENT", function="threshold", severity="critical")
def test_the_threshold_of_a_current_lies_within_its_tolerance(provocation, stand, expect):
    """{provocation} acts within its tolerance, found by bisection from the normal side"""
    _judge(stand, expect, provocation)


@pytest.mark.protection_kinds(quantity="voltage", once=True)
@pytest.mark.case(id="THR-VOLTAGE", function="threshold", severity="critical")
def test_the_threshold_of_a_voltage_lies_within_its_tolerance(provocation, stand, expect):
    """{provocation} acts within its tolerance, found by bisection from the normal side"""
    _judge(stand, expect, provocation)


@pytest.mark.protection_kinds(quantity="temperature", once=True)
@pytest.mark.case(id="THR-TEMPERATURE", function="threshold", severity="critical")
def test_the_threshold_of_a_temperature_lies_within_its_tolerance(provocation, stand, expect):
    """{provocation} acts within its tolerance, found by bisection from the normal side"""
    _judge(stand, expect, provocation)


def _judge(stand, expect, provocation):
    searched = search_threshold(stand, provocation)
    expect("threshold_search", **searched.parameters)
