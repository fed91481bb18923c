"""What a wrong current reading looks like: the catalogue of misreadings, fitted to pairs (true, read).

The classes M01 to M41 are those of the catalogue in docs/misreadings.md. Several classes may fit a few points; the
text says what would tell them apart. A diagnosis is a hint for the reader, never a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Pair = tuple[float, float]  # true current and reading, both in pack sign, amperes


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A class of misreading that fits."""

    classes: tuple[str, ...]
    text: str


def diagnose(pairs: Sequence[Pair], tolerance_a: float, bits: Sequence[int] = (15, 16, 17, 18, 32)) -> list[Diagnosis]:
    """Return the misreadings that fit all pairs within the tolerance, the likeliest first; empty if none fits.

    `tolerance_a` is what reading and reference may differ by. `bits` are field widths tried for unsigned readings.
    """
    moved = [(t, r) for t, r in pairs if abs(t) > 2 * tolerance_a]
    if not moved:
        return _at_zero(pairs, tolerance_a)
    found: list[Diagnosis] = []
    if _all(moved, lambda t: -t, tolerance_a):
        text = "magnitude fits, sign inverted: the convention or the shunt wires; raw bits would tell which"
        found.append(Diagnosis(("M01", "M05"), text))
    negative = [(t, r) for t, r in moved if r > 0 > t or t > 0 > r]
    if negative and _all(negative, abs, tolerance_a) and not _all(moved, lambda t: -t, tolerance_a):
        found.append(Diagnosis(("M17",), "magnitude fits, direction lost: the absolute value is reported"))
    for count in bits:
        for step in (0.001, 0.01, 0.1):
            span = (1 << count) * step
            wrapped = [(t, r) for t, r in moved if abs(abs(r - t) - span) <= tolerance_a]
            if wrapped and len(wrapped) == len([p for p in moved if abs(p[0] - p[1]) > tolerance_a]):
                text = f"off by {span:g} A = 2^{count} x {step:g} A: a negative number read as unsigned"
                found.append(Diagnosis(("M02", "M34"), text))
    if all(abs(r) <= tolerance_a for _, r in moved):
        directions = {t > 0 for t, _ in moved}
        text = "reads zero although current flows: frozen, one direction clipped or only one field decoded"
        found.append(Diagnosis(("M27", "M16", "M31") if len(directions) == 1 else ("M27",), text))
    else:
        found.extend(_scale(moved, tolerance_a))
    offsets = [r - t for t, r in pairs]
    if not found and max(offsets) - min(offsets) <= 2 * tolerance_a and len(offsets) > 1:
        mean = sum(offsets) / len(offsets)
        found.append(Diagnosis(("M23", "M08"), f"all readings are off by about {mean:+.2f} A: an offset"))
    if not found and len(moved) == 1:
        t, r = moved[0]
        text = f"off by {r - t:+.2f} A, factor {r / t:.3f}: a second level would tell offset, gain and frozen apart"
        found.append(Diagnosis(("M21", "M23", "M27"), text))
    return found


def _at_zero(pairs: Sequence[Pair], tolerance_a: float) -> list[Diagnosis]:
    offsets = [r - t for t, r in pairs]
    if not offsets or all(abs(offset) <= tolerance_a for offset in offsets):
        return []
    mean = sum(offsets) / len(offsets)
    text = f"reads {mean:+.2f} A at rest: a zero error, or an encoding offset that was not subtracted"
    return [Diagnosis(("M23", "M07", "M08"), text)]


def _all(pairs: Sequence[Pair], model: Callable[[float], float], tolerance_a: float) -> bool:
    return all(abs(r - model(t)) <= tolerance_a for t, r in pairs)


def _scale(moved: Sequence[Pair], tolerance_a: float) -> list[Diagnosis]:
    found: list[Diagnosis] = []
    for exponent in (-3, -2, -1, 1, 2, 3):
        factor = 10.0**exponent
        if all(abs(r - factor * t) <= tolerance_a * max(1.0, factor) and abs(r) > 0 for t, r in moved):
            found.append(Diagnosis(("M20",), f"scale wrong by a factor of {factor:g}"))
    return found


def in_one_line(diagnoses: Sequence[Diagnosis]) -> str:
    """Write diagnoses as a hint: `looks like: … (M01, M05)`; empty if there are none."""
    if not diagnoses:
        return ""
    parts = [f"{d.text} ({', '.join(d.classes)})" for d in diagnoses[:2]]
    return "looks like: " + "; or ".join(parts)
