"""Failed is the product, broken is the bench: by exception and phase."""

from __future__ import annotations

import unittest

import pytest

from bench.errors import BenchError, Inconclusive, InstrumentTimeout, LinkError, ProductFailure, SafetyError
from reports.classify import Outcome, classify, exit_status, merge

PASSED, FAILED, BROKEN = Outcome.PASSED, Outcome.FAILED, Outcome.BROKEN
INCONCLUSIVE, SKIPPED = Outcome.INCONCLUSIVE, Outcome.SKIPPED


@pytest.mark.parametrize(
    ("phase", "exception", "outcome"),
    [
        ("call", None, PASSED),
        ("call", AssertionError("wrong"), FAILED),
        ("call", ProductFailure("wrong"), FAILED),
        ("setup", AssertionError("a fixture asserts"), BROKEN),
        ("teardown", AssertionError("a fixture asserts"), BROKEN),
        ("call", InstrumentTimeout("silent"), BROKEN),
        ("call", LinkError("adapter gone"), BROKEN),
        ("teardown", SafetyError("output on"), BROKEN),
        ("call", OSError("disk"), BROKEN),
        ("call", KeyboardInterrupt(), BROKEN),
        ("call", Inconclusive("U is too large"), INCONCLUSIVE),
        ("setup", Inconclusive("calibration overdue"), INCONCLUSIVE),
        ("call", unittest.SkipTest("no digitiser"), SKIPPED),
        ("call", BenchError("bench"), BROKEN),
    ],
)
def test_an_exception_in_a_phase_has_one_meaning(phase, exception, outcome) -> None:
    assert classify(phase, exception) is outcome


def test_what_pytest_raises_for_skip_and_for_a_timeout_is_told_apart() -> None:
    with pytest.raises(pytest.skip.Exception) as skipped:
        pytest.skip("no digitiser")
    with pytest.raises(pytest.fail.Exception) as timed_out:
        pytest.fail("Timeout after 60 s")
    assert classify("setup", skipped.value) is SKIPPED
    assert classify("call", timed_out.value) is BROKEN


def test_a_group_is_what_its_worst_member_is() -> None:
    assert classify("call", ExceptionGroup("two", [AssertionError("a"), AssertionError("b")])) is FAILED
    assert classify("call", ExceptionGroup("two", [AssertionError("a"), OSError("b")])) is BROKEN


@pytest.mark.parametrize(
    ("phases", "outcome"),
    [
        ([PASSED, PASSED, PASSED], PASSED),
        ([PASSED, FAILED, PASSED], FAILED),
        ([PASSED, FAILED, BROKEN], BROKEN),
        ([PASSED, FAILED, INCONCLUSIVE], FAILED),
        ([PASSED, SKIPPED, PASSED], SKIPPED),
        ([SKIPPED, BROKEN], BROKEN),
        ([PASSED, INCONCLUSIVE, PASSED], INCONCLUSIVE),
    ],
)
def test_the_worst_phase_is_the_test_and_the_bench_is_worst(phases, outcome) -> None:
    assert merge(phases) is outcome


def test_a_test_without_a_phase_has_no_outcome() -> None:
    with pytest.raises(ValueError, match="was not run"):
        merge([])


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([PASSED], 0),
        ([PASSED, SKIPPED], 0),
        ([PASSED, FAILED], 1),
        ([PASSED, FAILED, INCONCLUSIVE], 1),
        ([FAILED, BROKEN, INCONCLUSIVE], 10),
        ([PASSED, INCONCLUSIVE], 11),
        ([SKIPPED, SKIPPED], 11),
        ([], 11),
    ],
)
def test_the_exit_status_says_whose_turn_it_is(outcomes, status) -> None:
    assert exit_status(outcomes) == status


def test_what_was_skipped_is_called_not_tested() -> None:
    assert SKIPPED.words == "NOT TESTED"
