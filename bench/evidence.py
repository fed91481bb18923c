"""Evidence: measurements that were compared with something. Plain, frozen, and the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bench.quantities import digits_for, show
from bench.uncertainty import Uncertain
from bench.verdict import DecisionRule, Judgement, Limits, Verdict

SIGNED_UNITS = ("A", "W", "Ah", "Wh")  # a direction, so the sign is always written


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number that was compared with limits, or one yes/no fact (`value` 1 or 0, unit `1`)."""

    name: str
    value: Uncertain
    limits: Limits
    rule: DecisionRule = field(default_factory=DecisionRule)
    source: str = ""  # which instrument or link said so
    reference: str = ""  # the witness it was compared with
    at_s: float = 0.0
    hint: str = ""  # what a failure looks like
    requirements: tuple[str, ...] = ()
    doubt: str = ""  # why the bench itself may not judge, for instance an instrument out of calibration

    @property
    def judgement(self) -> Judgement:
        """The verdict with its probability, by the rule chosen before the test; inconclusive where there is doubt."""
        found = self.rule.judge(self.value, self.limits)
        if not self.doubt:
            return found
        return replace(found, verdict=Verdict.INCONCLUSIVE, text=f"{self.doubt} (as measured: {found.text})")

    @property
    def verdict(self) -> Verdict:
        """Pass, fail or inconclusive; a NaN was refused when the value was made."""
        return self.judgement.verdict

    def sentence(self) -> str:
        """Say value, expectation, uncertainty, reference and, on a failure, what it looks like."""
        if self.value.unit == "1" and self.value.expanded == 0:
            found = f"{self.name}: {'yes' if self.value.value else 'no'}"
            expected = "yes" if self.limits.low == 1 else "no"
            text = f"{found}, expected {expected}"
        else:
            unit = self.value.unit
            signed = unit in SIGNED_UNITS
            found = show(self.value.value, unit, self.value.expanded, signed=signed)
            expected = self.limits.text(digits_for(self.value.expanded), signed=signed)
            text = f"{self.name}: {found}, expected {expected} {unit}"
        if self.reference:
            text += f" (reference: {self.reference})"
        if self.verdict is not Verdict.PASS and self.hint:
            text += f"\n{self.hint}"
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return the measurement as plain data for JSON."""
        judgement = self.judgement
        return {
            "name": self.name,
            "value": self.value.value,
            "expanded_uncertainty": self.value.expanded,
            "unit": self.value.unit,
            "low": self.limits.low,
            "high": self.limits.high,
            "rule": self.rule.name,
            "verdict": judgement.verdict.value,
            "conformance": judgement.conformance,
            "how": judgement.text,
            "source": self.source,
            "reference": self.reference,
            "at_s": self.at_s,
            "hint": "" if judgement.verdict is Verdict.PASS else self.hint,
            "requirements": list(self.requirements),
        }


def fact(name: str, found: bool, expected: bool, **more: Any) -> Measurement:
    """Record a yes/no fact as a measurement."""
    value = Uncertain(1.0 if found else 0.0, 0.0, "1")
    limits = Limits(low=1.0) if expected else Limits(high=0.0)
    return Measurement(name=name, value=value, limits=limits, **more)
