"""Judgements about what a BMS says of itself: states, and flags that must be so or must stay quiet."""

from __future__ import annotations

from bench.evidence import Measurement, fact
from bench.judgements import heard, judgement
from bench.traces import Traces
from bench.verdict import DecisionRule


@judgement
def state_flag(
    traces: Traces, rule: DecisionRule, *, signal: str, begin_s: float, end_s: float, expected: bool
) -> list[Measurement]:
    """A state flag (`charging`, `discharging`, a switch) holds its expected value all through a window."""
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    right = window.always(lambda value: (value >= 0.5) is expected)
    found = expected if right else not expected
    return [fact(f"{signal} is set", found, expected, rule=rule, source=f"bms.{signal}", at_s=begin_s)]


@judgement
def state_becomes(
    traces: Traces,
    rule: DecisionRule,
    *,
    signal: str,
    begin_s: float,
    end_s: float,
    codes: list[int],
    word: str,
) -> list[Measurement]:
    """A state signal takes one of these codes in a window, and keeps it until the end."""
    window = heard(traces, signal, begin_s, end_s)
    if isinstance(window, Measurement):
        return [window]
    last = round(window.values[-1])
    hint = "" if last in codes else f"its state is still {last}"
    return [
        fact(
            f"{signal} becomes {word}", last in codes, True, rule=rule, source=f"bms.{signal}", at_s=begin_s, hint=hint
        )
    ]


@judgement
def stays_quiet(
    traces: Traces, rule: DecisionRule, *, flags: list[str], begin_s: float, end_s: float
) -> list[Measurement]:
    """None of these flags ever rises in a window."""
    results: list[Measurement] = []
    for flag in flags:
        window = heard(traces, flag, begin_s, end_s)
        if isinstance(window, Measurement):
            results.append(window)
            continue
        rose = window.ever(lambda value: value >= 0.5)
        results.append(fact(f"{flag} rises", rose, False, rule=rule, source=f"bms.{flag}", at_s=begin_s))
    return results
