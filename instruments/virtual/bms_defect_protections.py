"""Defects of what a BMS does: its over-current protections, their flags, switches, delays and releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.operation import AlwaysOn
from bench.profile import Profile
from bench.protection import Release
from instruments.virtual.bms_unit import UnitProtection
from instruments.virtual.defects import Defect, counterpart

Protect = Callable[[UnitProtection, Profile], UnitProtection]
_EVERY = ("charge_overcurrent", "discharge_overcurrent")


def _on(change: Protect, *kinds: str) -> Protect:
    """Apply a change to the protections (not warnings) of these kinds; both over-currents if none is named."""

    def protect(unit: UnitProtection, profile: Profile) -> UnitProtection:
        if unit.row.level != "protection" or unit.row.kind not in (kinds or _EVERY):
            return unit
        return change(unit, profile)

    return protect


def _needs(*kinds: str) -> Callable[[Profile], str | None]:
    def applies(profile: Profile) -> str | None:
        present = {row.kind for row in profile.protections if row.level == "protection"}
        missing = [kind for kind in (kinds or _EVERY) if kind not in present]
        if len(missing) == len(kinds or _EVERY):
            return f"it declares no protection of kind {' or '.join(missing)}"
        return None

    return applies


def _dead(unit: UnitProtection, profile: Profile) -> UnitProtection:
    return replace(unit, dead=True)


def _late(unit: UnitProtection, profile: Profile) -> UnitProtection:
    """A tenth of the longest delay too late, and 0.1 s: beyond any uncertainty, before the bench's abort."""
    wanted_s = 1.1 * unit.row.delay_s.max + 0.1
    if unit.curve:
        latest_s = (unit.row.delay_s.max, *(point.delay_s.max for point in unit.row.curve))
        curve = tuple((level, 1.1 * s + 0.1) for (level, _), s in zip(unit.curve, latest_s, strict=True))
        return replace(unit, curve=curve)
    return replace(unit, samples=unit.samples + max(1, round((wanted_s - unit.delay_s) / unit.period_s)))


def _early(unit: UnitProtection, profile: Profile) -> UnitProtection:
    """Below the level at which it must not trip, by a whole tolerance and 2 % of the threshold."""
    row = unit.row
    return replace(unit, threshold_si=0.98 * row.threshold_si - 2.0 * row.tolerance_si)


def _other_switch(unit: UnitProtection, profile: Profile) -> UnitProtection:
    if profile.bms.separate_switches:
        exchange = {"charge": "discharge", "discharge": "charge"}
        return replace(unit, opens=tuple(exchange.get(name, name) for name in unit.opens))
    return replace(unit, opens=("precharge",))


def _has_another_switch(profile: Profile) -> str | None:
    if not profile.bms.separate_switches and "precharge" not in profile.bms.switches:
        return "its only path has no other switch that could be opened instead"
    return _needs()(profile)


def _all_switches(unit: UnitProtection, profile: Profile) -> UnitProtection:
    return replace(unit, opens=profile.bms.switches)


def _separate(profile: Profile) -> str | None:
    return None if profile.bms.separate_switches else "it has one path for both directions"


def _blind(unit: UnitProtection, profile: Profile) -> UnitProtection:
    """One comparison of the magnitude serves both directions: same threshold, same sample, both flags."""
    row = unit.row
    window = row.flag_delay_s or row.delay_s
    middle_s = (window.min + window.max) / 2.0
    samples = max(1, int(middle_s / unit.period_s + 0.5))
    switch_s = max(0.0, unit.delay_s - (samples - 0.5) * unit.period_s)
    return replace(unit, both_directions=True, threshold_si=row.threshold_si, samples=samples, switch_s=switch_s)


def _flags_have_a_counterpart(profile: Profile) -> str | None:
    for row in profile.protections:
        other = counterpart(profile, row)
        if other is not None and row.flag and other.flag and row.flag != other.flag:
            return None
    return "it has no pair of over-current flags, one per direction"


def _hasty(unit: UnitProtection, profile: Profile) -> UnitProtection:
    row = unit.row.model_copy(update={"release": Release(kind="time", after_s=0.5), "latched": False})
    return replace(unit, row=row, release_late_s=0.0)


def _releases_by_itself(profile: Profile) -> str | None:
    if not isinstance(profile.operation, AlwaysOn):
        return "its switches close again only on request"
    return _needs()(profile)


def _has_lockout(profile: Profile) -> str | None:
    return None if any(row.lockout_count for row in profile.protections) else "it declares no lock-out"


def _flag_of_overcurrent(profile: Profile) -> str | None:
    flagged = any(row.flag for row in profile.protections if row.kind in _EVERY and row.level == "protection")
    return None if flagged else "its over-current protections have no flag"


PROTECTION_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "swapped_flags",
        "The flags of charge and discharge over-current are exchanged; the right switch opens.",
        ("M38",),
        ("protections",),
        "the flag of the other direction rose",
        applies_to=_flags_have_a_counterpart,
        swaps_flags=True,
    ),
    Defect(
        "dead_charge_protection",
        "Charge over-current never trips.",
        ("M37",),
        ("protections",),
        "did not trip at the must-trip level, the bench stopped the current itself",
        applies_to=_needs("charge_overcurrent"),
        protect=_on(_dead, "charge_overcurrent"),
    ),
    Defect(
        "dead_discharge_protection",
        "Discharge over-current never trips.",
        ("M37",),
        ("protections",),
        "did not trip at the must-trip level, the bench stopped the current itself",
        applies_to=_needs("discharge_overcurrent"),
        protect=_on(_dead, "discharge_overcurrent"),
    ),
    Defect(
        "dead_cell_overvoltage",
        "Cell over-voltage never trips.",
        (),
        ("protections",),
        "did not trip at the must-trip level, the bench stopped the stimulus itself",
        applies_to=_needs("cell_overvoltage"),
        protect=_on(_dead, "cell_overvoltage"),
    ),
    Defect(
        "dead_cell_undervoltage",
        "Cell under-voltage never trips.",
        (),
        ("protections",),
        "did not trip at the must-trip level, the bench stopped the stimulus itself",
        applies_to=_needs("cell_undervoltage"),
        protect=_on(_dead, "cell_undervoltage"),
    ),
    Defect(
        "trips_late",
        "Over-current trips a tenth of its longest delay and 0.1 s too late.",
        (),
        ("protections",),
        "trip delay above the longest one declared",
        applies_to=_needs(),
        protect=_on(_late),
    ),
    Defect(
        "trips_early",
        "Over-current trips far below its threshold.",
        (),
        ("protections",),
        "tripped at the must-not-trip level",
        applies_to=_needs(),
        protect=_on(_early),
    ),
    Defect(
        "wrong_switch",
        "Over-current opens the other direction's switch (with one path: only the precharge contactor).",
        ("M37",),
        ("protections",),
        "the switch that was to open did not open, the current went on",
        applies_to=_has_another_switch,
        protect=_on(_other_switch),
    ),
    Defect(
        "opens_all_switches",
        "Over-current of one direction opens the switches of both.",
        (),
        ("protections",),
        "the other direction's switch opened too",
        applies_to=_separate,
        protect=_on(_all_switches),
    ),
    Defect(
        "opens_but_conducts",
        "The switch welds when it opens under load: it is reported open, and the current goes on.",
        (),
        ("protections",),
        "reported open, but the current did not stop",
        applies_to=_needs(),
        protect=_on(lambda unit, profile: replace(unit, welds=True)),
    ),
    Defect(
        "never_releases",
        "After an over-current trip it stays tripped until the power is cycled.",
        (),
        ("protections",),
        "did not release although the cause was gone and the release condition met",
        applies_to=_needs(),
        protect=_on(lambda unit, profile: replace(unit, releases=False)),
    ),
    Defect(
        "releases_at_once",
        "After an over-current trip it closes again within half a second instead of waiting.",
        (),
        ("protections", "recovery"),
        "released before its time",
        applies_to=_releases_by_itself,
        protect=_on(_hasty),
    ),
    Defect(
        "no_lockout",
        "It counts no trips, and never locks.",
        (),
        ("recovery",),
        "released after the trip that was to lock it",
        applies_to=_has_lockout,
        protect=_on(lambda unit, profile: replace(unit, lockout_count=None)),
    ),
    Defect(
        "no_flag",
        "Over-current opens the switch without raising its flag.",
        ("M37",),
        ("protections",),
        "tripped without its flag",
        applies_to=_flag_of_overcurrent,
        protect=_on(lambda unit, profile: replace(unit, flags=False)),
    ),
    Defect(
        "blind_to_direction",
        "Over-current looks at the magnitude only: either direction trips both protections.",
        ("M38",),
        ("protections",),
        "the flag of the other direction rose too",
        applies_to=_needs(),
        protect=_on(_blind),
    ),
)
