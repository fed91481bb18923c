"""What is to be connected on a bench, as a list to tick: worked out from its definition alone.

What the definition does not say and the list proposes is marked as a proposal; what must be known and is not
declared is marked as missing, and a sheet with gaps cannot be confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.definition import HIGH_VOLTAGE_V, Definition
from bench.definition_sections import CanBinding
from bench.errors import DefinitionError, WiringError

# Own rule, cautious on purpose, no clause of a standard: one copper lead in free air, a few metres, 30 degC.
CROSS_SECTIONS_MM2 = (
    0.75,
    1.0,
    1.5,
    2.5,
    4.0,
    6.0,
    10.0,
    16.0,
    25.0,
    35.0,
    50.0,
    70.0,
    95.0,
    120.0,
    150.0,
    185.0,
    240.0,
)
DENSITY_A_PER_MM2 = 4.0
DENSITY_THICK_A_PER_MM2 = 2.5  # a thick lead cools worse for its copper
THICK_FROM_MM2 = 70.0
SMALLEST_MM2 = 1.5
RULE = "4 A/mm2 up to 50 mm2, 2.5 A/mm2 above, copper in free air, next standard size"
METER_LEAD_MM2 = 0.75
METER_FUSE_A = 1.0
POWER_ROLES = ("supply", "load", "bidirectional")


@dataclass(frozen=True, slots=True)
class WiringItem:
    """One line to tick. `key` is stable; `missing`: the definition must say more before it can be ticked."""

    key: str
    group: str
    text: str
    proposal: bool = False
    missing: bool = False


def cross_section_mm2(current_a: float) -> float:
    """Return the proposed copper cross-section of a lead for a current, in mm2, by `RULE`.

    Raises:
        DefinitionError: not a current, or more than one lead carries by this rule.
    """
    if not 0.0 < current_a < float("inf"):
        raise DefinitionError(f"a lead for {current_a!r} A: must be above 0 and finite")
    for size_mm2 in CROSS_SECTIONS_MM2:
        density = DENSITY_THICK_A_PER_MM2 if size_mm2 >= THICK_FROM_MM2 else DENSITY_A_PER_MM2
        if size_mm2 >= SMALLEST_MM2 and current_a <= density * size_mm2:
            return size_mm2
    most_a = DENSITY_THICK_A_PER_MM2 * CROSS_SECTIONS_MM2[-1]
    raise DefinitionError(
        f"{current_a:g} A are more than the {most_a:g} A that one lead of {CROSS_SECTIONS_MM2[-1]:g} mm2 carries by "
        "the rule of this sheet; have parallel leads or bars dimensioned"
    )


def shunt_sides(definition: Definition) -> tuple[str, str]:
    """Return to which side of the shunt in the plus lead HI and LO of its meter go: a charging current comes from
    the instruments."""
    sides = ("instruments", "pack")
    return sides if definition.topology.reference_shunt.positive_means == "charge" else (sides[1], sides[0])


def wiring_items(definition: Definition) -> tuple[WiringItem, ...]:
    """Return every connection of a bench, and what must be seen at it, in the order of a walk along the current."""
    return (
        *_power(definition),
        *_disconnect(definition),
        *_shunt(definition),
        *_meters(definition),
        *_references(definition),
        *_links(definition),
        *_safety(definition),
    )


def require_complete(definition: Definition) -> tuple[WiringItem, ...]:
    """Return the list, if nothing in it is missing.

    Raises:
        WiringError: naming what the definition must say first.
    """
    items = wiring_items(definition)
    gaps = "; ".join(item.text for item in items if item.missing)
    if gaps:
        where = definition.source.name or definition.name
        raise WiringError(f"{where}: the wiring cannot be confirmed with gaps: {gaps}")
    return items


def _power(definition: Definition) -> list[WiringItem]:
    topology, items = definition.topology, []
    for role in POWER_ROLES:
        if role not in definition.roles:
            continue
        name = definition.roles[role]
        section = definition.instruments[name]
        text = f"{name} ({role}, {section.model or section.driver}, {section.address}): + to bus +, - to bus -"
        items.append(WiringItem(f"power.{name}", "power", text))
        sense = "no remote sense: its sense terminals linked to its own output terminals"
        if topology.remote_sense == "bench_side":
            sense = "sense + to bus +, sense - to bus -, on the bench's side of the disconnect, never at the pack"
        items.append(WiringItem(f"sense.{name}", "power", f"{name}: {sense}"))
    size, sized = lead_words(topology.wiring_a)
    text = f"bus + and bus - up to P+ and P-: {size} for {topology.wiring_a:g} A ({RULE})"
    items.append(WiringItem("leads", "power", text, proposal=sized, missing=not sized))
    text = (
        f"fuse {topology.fuse_a:g} A for direct current at {definition.envelope.max_v:g} V in the plus lead, at the "
        "pack's terminal: the pack drives the largest fault current"
    )
    items.append(WiringItem("fuse", "power", text, proposal=True))
    if topology.fuse_a > topology.wiring_a:
        text = f"fuse {topology.fuse_a:g} A is above the leads' {topology.wiring_a:g} A and does not protect them"
        items.append(WiringItem("fuse.above_leads", "power", text, missing=True))
    return items


def lead_words(current_a: float) -> tuple[str, bool]:
    """Return the proposed lead for a current in words, and False where the rule has none."""
    try:
        return f"one copper lead of {cross_section_mm2(current_a):g} mm2 each", True
    except DefinitionError as problem:
        return str(problem), False


def _disconnect(definition: Definition) -> list[WiringItem]:
    if "disconnect" not in definition.roles:
        return [WiringItem("disconnect", "disconnect", "this bench has none: outputs alone open the loop")]
    name = definition.roles["disconnect"]
    section = definition.instruments[name]
    channel = f", channel {section.options['channel']}" if "channel" in section.options else ""
    text = (
        f"{name}{channel}: in the plus lead between bus + and shunt, rated {definition.topology.disconnect_a:g} A; "
        f"it can break {max(definition.envelope.charge_a, definition.envelope.discharge_a):g} A direct current at "
        f"{definition.envelope.max_v:g} V (a relay board drives a contactor)"
    )
    return [WiringItem("disconnect", "disconnect", text)]


def _shunt(definition: Definition) -> list[WiringItem]:
    shunt, meter = definition.topology.reference_shunt, definition.roles["reference_meter"]
    hi, lo = shunt_sides(definition)
    return [
        WiringItem(
            "shunt.place",
            "shunt",
            f"reference shunt {shunt.ohm * 1e3:g} mOhm, {shunt.range_a:g} A: in the plus lead between disconnect and "
            "P+, the one branch common to source and sink",
            proposal=True,
        ),
        WiringItem(
            "shunt.orientation",
            "shunt",
            f"{meter}: HI to the sense terminal towards the {hi}, LO to the one towards the {lo}; positive means "
            f"{shunt.positive_means} (in the minus lead HI and LO change places)",
        ),
        WiringItem(
            "shunt.leads",
            "shunt",
            f"{meter}: twisted pair of {METER_LEAD_MM2:g} mm2 at the shunt's own sense terminals, each lead fused with "
            f"{METER_FUSE_A:g} A at the shunt",
            proposal=True,
        ),
    ]


def _meters(definition: Definition) -> list[WiringItem]:
    meter = definition.roles["pack_meter"]
    return [
        WiringItem(
            "pack_meter", "meters", f"{meter}: HI to B+, LO to B-, on the pack's side of the BMS's switch"
        ),
        WiringItem(
            "pack_meter.leads",
            "meters",
            f"{meter}: twisted pair of {METER_LEAD_MM2:g} mm2, each lead fused with {METER_FUSE_A:g} A at the pack",
            proposal=True,
        ),
    ]  # fmt: skip


def _references(definition: Definition) -> list[WiringItem]:
    items = []
    for part in [*definition.instruments, *definition.links]:
        reference = definition.topology.references.get(part)
        if reference is None:
            text = f"topology.references.{part}: not declared; find out whether {part} is isolated, at earth, B- or P-"
            items.append(WiringItem(f"reference.{part}", "references", text, missing=True))
        else:
            words = "isolated from everything" if reference == "isolated" else f"referred to {reference}"
            items.append(WiringItem(f"reference.{part}", "references", f"{part}: {words}"))
    return items


def _links(definition: Definition) -> list[WiringItem]:
    items = []
    for name, binding in definition.links.items():
        if isinstance(binding, CanBinding):
            text = (
                f"{name}: {binding.interface} {binding.channel}: CAN_H to CAN_H, CAN_L to CAN_L, 120 Ohm at both ends"
            )
        else:
            text = f"{name}: {binding.address}: A to A, B to B where it is serial"
        items.append(WiringItem(f"link.{name}", "links", text))
    return items


def _safety(definition: Definition) -> list[WiringItem]:
    envelope = definition.envelope
    limits = (
        f"the pack may see {envelope.min_v:g} to {envelope.max_v:g} V, {envelope.charge_a:g} A charge, "
        f"{envelope.discharge_a:g} A discharge, {envelope.max_w:g} W"
    )
    items = [
        WiringItem("interlock", "safety", f"interlock: {definition.interlock or 'none declared'}"),
        WiringItem("emergency_stop", "safety", f"emergency stop: {definition.emergency_stop or 'none declared'}"),
        WiringItem("envelope", "safety", limits),
    ]
    if envelope.max_v > HIGH_VOLTAGE_V or definition.topology.voltage_class == "high":
        text = (
            f"above {HIGH_VOLTAGE_V:g} V: covers fitted, nothing live can be touched, warning sign and light in place"
        )
        items.append(WiringItem("covers", "safety", text))
    return items
