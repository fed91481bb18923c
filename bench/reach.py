"""Which over-current protections of a BMS a bench can provoke at all, told before anything is opened."""

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
    """Return, a sentence each, which protections cannot be provoked here; their tests are NOT TESTED."""
    return [f"{text}: NOT TESTED here" for text in out_of_reach(definition, profile).values()]


def out_of_reach(definition: Definition, profile: Profile) -> dict[str, str]:
    """Return for each over-current protection that cannot be provoked here why not, a sentence that begins with it.

    Ratings are what the definition states of them; what an instrument announces itself is asked once it is open.
    """
    found = {}
    for name, (direction, level_a) in needed_a(definition, profile).items():
        if (why := _why_not(definition, direction, level_a)) is not None:
            found[name] = f"{name} must trip at {level_a:.1f} A{why}"
    return found


def _why_not(definition: Definition, direction: Direction, level_a: float) -> str | None:
    """Return why a level cannot be forced or seen, None if it can."""
    envelope = definition.envelope
    limit_a = envelope.current_a(direction)
    if level_a > limit_a:
        return f", envelope.{direction.word}_a allows {limit_a:g} A"
    if level_a > envelope.max_w / envelope.max_v:
        return f" x {envelope.max_v:g} V = {level_a * envelope.max_v:.0f} W, envelope.max_w allows {envelope.max_w:g} W"
    role = "bidirectional" if "bidirectional" in definition.roles else "supply" if direction.sign > 0 else "load"
    name = definition.roles.get(role)
    if name is None:
        return f", and roles.{role} is missing"
    accuracy = definition.instruments[name].accuracy.get("current")
    if accuracy is not None and 0.0 < accuracy.range < level_a:
        return f", {name} has a range of {accuracy.range:g} A (instruments.{name}.accuracy.current.range)"
    shunt = definition.topology.reference_shunt
    if level_a > shunt.range_a:
        return f", topology.reference_shunt.range_a is {shunt.range_a:g} A"
    measuring = definition.reference_meter.measuring
    if measuring is not None and level_a * shunt.ohm > measuring.range_v:
        meter = definition.roles["reference_meter"]
        return (
            f" x {shunt.ohm:g} ohm = {level_a * shunt.ohm:.3g} V at the shunt, {meter} measures up to "
            f"{measuring.range_v:g} V"
        )
    return None
