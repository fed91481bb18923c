"""Which protections of a BMS a bench can provoke at all, told before anything is opened."""

from __future__ import annotations

from bench.definition import Definition
from bench.errors import DefinitionError
from bench.profile import Profile
from bench.quantities import Direction
from bench.stimulus import SETTLE_FLOOR_A
from bench.verdict import stimulus_levels


def needed_a(definition: Definition, profile: Profile) -> dict[str, tuple[Direction, float]]:
    """Return for each over-current protection that opens a switch the current that must trip it, in amperes."""
    accuracy = definition.reference_meter.accuracy.get("voltage")
    if accuracy is None:
        raise DefinitionError(
            f"{definition.source.name}, instruments.{definition.roles['reference_meter']}.accuracy.voltage: is "
            "missing; without it a reference has no uncertainty"
        )
    found = {}
    for row in profile.protections:
        if row.level != "protection" or not row.kind.endswith("overcurrent") or row.about.direction is None:
            continue
        budget = definition.topology.reference_shunt.budget(1.1 * row.threshold_si, accuracy)
        levels = stimulus_levels(row, budget.expanded, SETTLE_FLOOR_A)
        found[row.name] = (row.about.direction, levels.must_trip)
    return found


def unreachable(definition: Definition, profile: Profile) -> list[str]:
    """Return, a sentence each, which protections cannot be provoked inside the envelope; their tests are NOT TESTED."""
    envelope, found = definition.envelope, []
    for name, (direction, level_a) in needed_a(definition, profile).items():
        limit_a = envelope.current_a(direction)
        if level_a > limit_a:
            found.append(
                f"{name} must trip at {level_a:.1f} A, envelope.{direction.word}_a allows {limit_a:g} A: "
                "NOT TESTED here"
            )
            continue
        if level_a > envelope.max_w / envelope.max_v:
            found.append(
                f"{name} must trip at {level_a:.1f} A x {envelope.max_v:g} V = {level_a * envelope.max_v:.0f} W, "
                f"envelope.max_w allows {envelope.max_w:g} W: NOT TESTED here"
            )
    return found
