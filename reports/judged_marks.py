"""What the judgements of a test add to its plot: levels, instants and windows, from their stored parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.quantities import Direction
from reports.plot import Band, Level
from reports.stored import StoredJudgement

# Parameters that are a magnitude of current, in the direction that stands beside them.
LEVELS = {"threshold_a": "threshold", "must_trip_a": "must trip", "level_a": "level held"}
WINDOWS_SHOWN = 3


@dataclass(slots=True)
class JudgedMarks:
    """Levels in A and pack sign, marks (instant in s, name), and bands of time."""

    levels: list[Level] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)


def judged_marks(judgements: Sequence[StoredJudgement]) -> JudgedMarks:
    """Return what can be drawn of some judgements.

    A judged trip delay (a measurement in s) marks t0, t_off and the allowed window; other judgements show the
    window that they looked at.
    """
    found = JudgedMarks()
    for judgement in judgements:
        _add_levels(found, judgement)
        delays = [row for row in judgement.measurements if row.get("unit") == "s" and "trip delay" in str(row["name"])]
        for row in delays:
            t0_s, value_s = float(row["at_s"]), float(row["value"])
            found.marks += [(t0_s, "t0"), (t0_s + value_s, "t_off")]
            if row.get("high") is not None:
                low_s, high_s = float(row.get("low") or 0.0), float(row["high"])
                found.bands.append(Band(f"t_off allowed: {low_s:g} to {high_s:g} s", t0_s + low_s, t0_s + high_s))
    if not found.bands:
        windows = {
            (float(one.parameters["begin_s"]), float(one.parameters["end_s"]))
            for one in judgements
            if {"begin_s", "end_s"} <= one.parameters.keys()
        }
        found.bands += [Band("judged", begin_s, end_s) for begin_s, end_s in sorted(windows)[:WINDOWS_SHOWN]]
    return found


def _add_levels(found: JudgedMarks, judgement: StoredJudgement) -> None:
    word = judgement.parameters.get("direction")
    if word not in ("charge", "discharge"):
        return
    sign = Direction.of(str(word)).sign
    for key, name in LEVELS.items():
        value = judgement.parameters.get(key)
        if isinstance(value, (int, float)) and all(level.value != sign * value for level in found.levels):
            found.levels.append(Level(f"{name}: {sign * value:.4g} A", sign * value))
