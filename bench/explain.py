"""The everyday question: what does this number mean on this BMS? One sentence, with how we know it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from bench.errors import OutOfRange
from bench.profile import Profile
from bench.quantities import UNITS, Direction
from bench.signals import SignalBase

_NUMBER = re.compile(r"\s*([+\-−–]?)\s*(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?\s*([A-Za-z]*)\s*", re.IGNORECASE)
HOW = {
    "declared": "declared by the maker, not yet observed on this unit",
    "assumed": "assumed: nobody has declared or observed it",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the number means as a reading of some signals that share one convention."""

    signals: tuple[str, ...]
    positive_means: str
    provenance: str
    how: str
    direction: str  # charge, discharge, rest, or unknown
    current_a: float | None  # pack sign; None where the number has no direction
    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: one meaning, or several where the BMS's own signals disagree."""

    bms: str
    given: str
    meanings: tuple[Meaning, ...]

    def as_text(self) -> str:
        """Return the answer for people."""
        lines = []
        for meaning in self.meanings:
            lines.append(meaning.sentence)
            if meaning.next_step:
                lines.append(meaning.next_step)
        if len(self.meanings) > 1:
            lines.insert(0, f"The currents of {self.bms} do not share one convention; it depends on the signal:")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the answer for programs."""
        return {
            "bms": self.bms,
            "given": self.given,
            "meanings": [
                {
                    "signals": list(meaning.signals),
                    "positive_means": meaning.positive_means,
                    "provenance": meaning.provenance,
                    "direction": meaning.direction,
                    "current_a": meaning.current_a,
                    "sentence": meaning.sentence,
                    "next": meaning.next_step or None,
                }
                for meaning in self.meanings
            ],
        }


def parse_current(text: str) -> float:
    """Read a current as a person writes it: `-12.3`, `+5 A`, `−800mA`. Returns amperes, sign as written.

    Raises:
        OutOfRange: no number, not finite, or a unit that is no current; says what to write.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        hint = "; write the decimal mark as a point" if "," in text else ""
        raise OutOfRange(f"{text!r} is no current: write a number, perhaps with a unit, like -12.3 or -800mA{hint}")
    sign, digits, exponent, unit_name = match.groups()
    unit = next((unit for unit in UNITS.values() if unit.name == (unit_name or "A")), None)
    if unit is None or unit.quantity != "current":
        currents = ", ".join(unit.name for unit in UNITS.values() if unit.quantity == "current")
        raise OutOfRange(f"{text!r}: {unit_name!r} is no unit of current; write one of {currents}, or none for A")
    value = unit.to_si(float(digits + (exponent or ""))) * (-1.0 if sign in ("-", "−", "–") else 1.0)
    if not math.isfinite(value):
        raise OutOfRange(f"{text!r} is not a finite number")
    return value


def explain(profile: Profile, given_a: float) -> Explanation:
    """Say what a number that this BMS shows as a current means.

    `given_a` is in amperes with the BMS's own sign. Limits (magnitudes by declaration) are left out unless the BMS
    has no other current.
    """
    if not math.isfinite(given_a):
        raise OutOfRange(f"a current of {given_a!r} A means nothing")
    currents = {name: signal for name, signal in profile.signals.items() if signal.quantity == "current"}
    signed = {name: signal for name, signal in currents.items() if signal.positive_direction is not None}
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, signal in (signed or currents).items():
        key = (str(signal.positive_means), str(signal.provenance), _how(signal))
        groups.setdefault(key, []).append(name)
    shown = f"{_plain(given_a)} A"
    several = len(groups) > 1
    meanings = tuple(_meaning(profile, given_a, shown, tuple(names), several=several) for names in groups.values())
    return Explanation(profile.name, shown, meanings)


def _meaning(profile: Profile, given_a: float, shown: str, names: tuple[str, ...], *, several: bool) -> Meaning:
    signal = profile.signals[names[0]]
    how = _how(signal)
    where = f"{shown} from {profile.name}" + (f", {', '.join(names)}," if several else "")
    positive = signal.positive_direction
    rest_a = max([profile.behaviour.rest_current_a] + [_dead_band_a(profile.signals[name]) for name in names])
    current_a: float | None = None
    if positive is None:
        direction = "unknown"
        sentence = f"{where} is a magnitude: the number carries no direction ({how})."
    elif given_a == 0:
        direction, current_a = "rest", 0.0
        sentence = f"{where} means no current, whatever the sign; below {rest_a:g} A this BMS counts as resting."
        if not rest_a:
            sentence = f"{where} means no current, whatever the sign."
    else:
        current_a = given_a * positive.sign
        flow = Direction.CHARGE if current_a > 0 else Direction.DISCHARGE
        direction = flow.word
        verb = "means" if signal.provenance != "assumed" else "would mean"
        sentence = f"{where} {verb} {flow.verb} with {_plain(abs(given_a))} A; {how}."
        if abs(given_a) <= rest_a:
            sentence += f" That is within ±{rest_a:g} A, which this BMS counts as resting."
    if (beyond := _beyond(profile, names, given_a)) is not None:
        sentence += f" {beyond}"
    return Meaning(
        signals=names,
        positive_means=str(signal.positive_means),
        provenance=str(signal.provenance),
        how=how,
        direction=direction,
        current_a=current_a,
        sentence=sentence,
        next_step=_next_step(profile, signal),
    )


def _how(signal: SignalBase) -> str:
    if signal.provenance == "observed" and signal.observed is not None:
        seen = signal.observed
        firmware = f" with firmware {seen.firmware}" if seen.firmware else ""
        bench = f" on bench {seen.bench}" if seen.bench else ""
        return f"observed {seen.date}{firmware}{bench}"
    return HOW[str(signal.provenance)]


def _next_step(profile: Profile, signal: SignalBase) -> str:
    """Say what to do where the convention is not known well enough to act on."""
    if signal.provenance != "assumed":
        return ""
    return (
        "Until it is observed on your unit, do not act on it. Measure it with a known current:\n"
        f"    bmsbench run test_suites/current_sign --bench BENCH --bms {profile.name}\n"
        'then write positive_means, provenance = "observed" and observed = { date = ... } into the profile.'
    )


def _beyond(profile: Profile, names: tuple[str, ...], given_a: float) -> str | None:
    """Say so when no signal of the group can carry the number: it is then no reading of this BMS."""
    ranges = []
    for name in names:
        signal = profile.signals[name]
        if signal.range is None:
            return None
        low, high = (signal.about.to_si(end) for end in signal.range)
        if low <= given_a <= high:
            return None
        ranges.append(f"{name} {low:g} ... {high:g} A")
    return f"But it lies outside what the BMS can send ({'; '.join(ranges)}): was it decoded rightly?"


def _dead_band_a(signal: SignalBase) -> float:
    return abs(signal.about.to_si(signal.dead_band))


def _plain(value: float) -> str:
    """Write a number as people do: no exponent for everyday sizes, a real minus sign."""
    return f"{value:.10g}".replace("-", "−")
