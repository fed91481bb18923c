"""Whose turn it is: *failed* is the product, *broken* is the bench.

Frameworks do not give that for free: an assertion in a fixture is the bench's, a time-out that pytest reports
with `pytest.fail` is the bench's, and a bench error at teardown outranks a product failure, since it may mean
that an output was left on.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterable
from enum import Enum
from typing import Literal

from bench.errors import Inconclusive

Phase = Literal["setup", "call", "teardown"]


class Outcome(Enum):
    """What can become of a test."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"

    @property
    def words(self) -> str:
        """How reports name it: a skipped test was not tested."""
        return "NOT TESTED" if self is Outcome.SKIPPED else self.value.upper()


# The worst of a test's phases is what becomes of the test.
RANK = {
    Outcome.PASSED: 0,
    Outcome.SKIPPED: 1,
    Outcome.INCONCLUSIVE: 2,
    Outcome.FAILED: 3,
    Outcome.BROKEN: 4,
}

PRODUCT_FAILED, BENCH_BROKE, CANNOT_TELL = 1, 10, 11


def classify(phase: Phase, exception: BaseException | None) -> Outcome:
    """Return what an exception means in a phase of a test; None is a phase that went through.

    A group of exceptions is what the worst of its members is. An expected failure (`xfail`) is not looked at:
    it would hide a failed requirement.
    """
    if exception is None:
        return Outcome.PASSED
    if isinstance(exception, BaseExceptionGroup):
        return merge(classify(phase, member) for member in exception.exceptions)
    if _is_skip(exception):
        return Outcome.SKIPPED
    if isinstance(exception, Inconclusive):
        return Outcome.INCONCLUSIVE
    if isinstance(exception, AssertionError) and phase == "call":
        return Outcome.FAILED
    return Outcome.BROKEN


def merge(phases: Iterable[Outcome]) -> Outcome:
    """Return what becomes of a test with these phases: the worst, and the bench's trouble is worse than any.

    Raises:
        ValueError: no phase at all; that test was not run, which is not an outcome.
    """
    seen = list(phases)
    if not seen:
        raise ValueError("a test without a phase has no outcome: it was not run")
    return max(seen, key=RANK.__getitem__)


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """Return the exit status of a run: 0 judged and passed, 1 product failed, 10 bench broke, 11 cannot tell.

    10 wins over 1, and 1 over 11. Nothing judged at all, or only skips, is 11.
    """
    seen = set(outcomes)
    if Outcome.BROKEN in seen:
        return BENCH_BROKE
    if Outcome.FAILED in seen:
        return PRODUCT_FAILED
    if Outcome.INCONCLUSIVE in seen or Outcome.PASSED not in seen:
        return CANNOT_TELL
    return 0


def _is_skip(exception: BaseException) -> bool:
    # By name, so that reports can be made and read without importing pytest, whose class says it is a builtin.
    pytest_skip = any(
        part.__name__ == "Skipped" and part.__module__ in ("builtins", "_pytest.outcomes")
        for part in type(exception).__mro__
    )
    return pytest_skip or isinstance(exception, unittest.SkipTest)
