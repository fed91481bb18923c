"""What a profile of current will do, and whether it may: told from its data, before the first ampere.

Largest currents each way, charge and energy each way, time under power, slope, and where the cells go, against
envelope, ratings, absolute maxima and what is left of the guard's energy and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bench.definition import Definition
from bench.errors import Inconclusive, InstrumentError, OutOfRange, ReadingError
from bench.guard import WATCH_S
from bench.profile import Profile
from bench.quantities import Direction
from bench.stand import Stand
from bench.stimulus_drive import largest_current_a
from bench.stimulus_excursion import Excursion, excursion, known_chemistry
from bench.stimulus_profile import CurrentProfile, Segment

RISE_FACTOR = 3.0  # how much longer than declared a slope may last, since each of its steps waits for an answer
SOC = "soc"  # the signal that tells the state of charge, as profiles call it


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a profile of current does, from its data. Per direction by its word: `charge`, `discharge`."""

    name: str
    duration_s: float
    under_power_s: float
    peak_a: dict[str, float]
    charge_ah: dict[str, float]
    most_wh: float  # at most, both directions together, as the guard counts it
    settings: int
    quadrant_changes: int
    beyond: tuple[str, ...]  # protections whose threshold it exceeds for longer than their shortest delay
    cells: Excursion | None
    no_cells_because: str = ""

    def lines(self) -> list[str]:
        """Return it for the lab book or a screen."""
        each = ", ".join(
            f"{word} at most {self.peak_a[word]:.1f} A and {self.charge_ah[word]:.3f} Ah" for word in self.peak_a
        )
        lines = [
            f"{self.name}: {self.duration_s:g} s, {self.under_power_s:g} s of it under power, {each}",
            f"at most {self.most_wh:.1f} Wh; {self.settings} settings, {self.quadrant_changes} changes of quadrant",
            f"estimated: {self.cells}" if self.cells else f"cells not estimated: {self.no_cells_because}",
        ]
        if self.beyond:
            lines.append(f"beyond the threshold of {', '.join(self.beyond)} for longer than its shortest delay")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def foresee(
    definition: Definition,
    profile: Profile,
    current: CurrentProfile,
    *,
    soc_pct: float | None = None,
    no_soc_because: str = "nobody said at which SOC it begins",
) -> Foreseen:
    """Say what a profile of current does; nothing is opened.

    Args:
        definition: the bench; its largest voltage bounds the energy.
        profile: the BMS, with its protections and cells.
        current: what is to be played.
        soc_pct: where the cells begin, in percent; None: their way is not estimated.
        no_soc_because: why it is not known.
    """
    parts = [part for segment in current.segments() for part in segment.parts()]
    charge_ah, most_a = {each.word: 0.0 for each in Direction}, 0.0
    edges, signs, under_power_s, last_a = 0, [], 0.0, 0.0
    for part in parts:
        mean_a = (part.begin_a + part.end_a) / 2.0
        most_a = max(most_a, abs(part.begin_a), abs(part.end_a))
        edges += part.begin_a != last_a
        last_a = part.end_a
        if mean_a == 0.0:
            continue
        way = Direction.CHARGE if mean_a > 0 else Direction.DISCHARGE
        charge_ah[way.word] += abs(mean_a) * part.lasts_s / 3600.0
        under_power_s += part.lasts_s
        signs.append(way)
    edges += last_a != 0.0
    max_v = definition.envelope.max_v
    # The guard counts the larger of two samples: around each edge it may count one watch too much.
    most_wh = max_v * (sum(charge_ah.values()) + most_a * edges * WATCH_S / 3600.0)
    estimable = soc_pct is not None and known_chemistry(profile)
    why = no_soc_because if soc_pct is None else f"no table for chemistry {profile.bms.chemistry!r}"
    return Foreseen(
        name=current.name,
        duration_s=current.duration_s,
        under_power_s=under_power_s + edges * WATCH_S,
        peak_a={each.word: current.peak_a(each) for each in Direction},
        charge_ah=charge_ah,
        most_wh=most_wh,
        settings=len(current.points),
        quadrant_changes=sum(one is not other for one, other in pairwise(signs)),
        beyond=_beyond(profile, parts),
        cells=excursion(profile, current, soc_pct) if estimable and soc_pct is not None else None,
        no_cells_because="" if estimable else why,
    )


def _beyond(profile: Profile, parts: list[Segment]) -> tuple[str, ...]:
    """Return the over-current protections whose threshold is exceeded in one go for their shortest delay."""
    found = []
    for row in profile.protections:
        if row.about.quantity != "current" or row.level != "protection":
            continue
        least_a, way = row.threshold_si - row.tolerance_si, row.about.direction
        lasted_s, longest_s = 0.0, 0.0
        for part in parts:
            over = max(part.begin_a * way.sign, part.end_a * way.sign) > least_a
            lasted_s = lasted_s + part.lasts_s if over else 0.0
            longest_s = max(longest_s, lasted_s)
        if longest_s > 0.0 and longest_s >= min([row.delay_s.min, *(point.delay_s.min for point in row.curve)]):
            found.append(row.name)
    return tuple(found)


def refusals(
    definition: Definition,
    profile: Profile,
    current: CurrentProfile,
    foreseen: Foreseen,
    largest_a: Mapping[str, float] | None = None,
) -> list[str]:
    """Return, a sentence each, why a bench may not play a profile of current; nothing is opened.

    `largest_a`: what the instruments can, per direction by its word, where they have been asked.
    """
    envelope, found = definition.envelope, []
    for way in Direction:
        peak_a = foreseen.peak_a[way.word]
        limit_a = envelope.current_a(way)
        if peak_a > limit_a:
            found.append(f"{peak_a:g} A {way.word}, envelope.{way.word}_a allows {limit_a:g} A")
        elif peak_a * envelope.max_v > envelope.max_w:
            found.append(
                f"{peak_a:g} A {way.word} x {envelope.max_v:g} V = {peak_a * envelope.max_v:.0f} W, envelope.max_w "
                f"allows {envelope.max_w:g} W"
            )
        elif largest_a is not None and peak_a > largest_a[way.word]:
            found.append(f"{peak_a:g} A {way.word}, the instruments can {largest_a[way.word]:g} A")
    if foreseen.most_wh > envelope.energy_wh:
        found.append(
            f"{foreseen.most_wh:.1f} Wh at most, envelope.energy_wh allows {envelope.energy_wh:g} Wh in one test"
        )
    if foreseen.under_power_s > envelope.under_power_s:
        found.append(
            f"{foreseen.under_power_s:g} s under power, envelope.under_power_s allows {envelope.under_power_s:g} s in "
            "one test"
        )
    found += _too_steep(definition, current)
    if foreseen.cells is not None:
        found += _cells_leave(definition, profile, foreseen.cells)
    return found


def _too_steep(definition: Definition, current: CurrentProfile) -> list[str]:
    """Return why `envelope.slope_a_per_s` does not allow a profile; a fall is always allowed."""
    slope = definition.envelope.slope_a_per_s
    if slope is None:
        return []
    last_a = 0.0
    for part in (part for segment in current.segments() for part in segment.parts()):
        same = last_a * part.begin_a > 0
        rise_a = abs(part.begin_a) - (abs(last_a) if same else 0.0)
        needs_s = RISE_FACTOR * rise_a / slope
        if needs_s > part.lasts_s:
            return [
                f"at {part.begin_s:g} s it rises by {rise_a:g} A; at envelope.slope_a_per_s = {slope:g} A/s that may "
                f"take {needs_s:.2f} s, but the stretch lasts {part.lasts_s:.2f} s"
            ]
        steep = (abs(part.end_a) - abs(part.begin_a)) / part.lasts_s
        if RISE_FACTOR * steep > slope:
            return [
                f"at {part.begin_s:g} s it rises with {steep:.3g} A/s; with steps that wait for an answer "
                f"{slope / RISE_FACTOR:.3g} A/s can be kept (envelope.slope_a_per_s = {slope:g} A/s)"
            ]
        last_a = part.end_a
    return []


def _cells_leave(definition: Definition, profile: Profile, cells: Excursion) -> list[str]:
    envelope, number, found = definition.envelope, profile.bms.cells, []
    if cells.soc_low_pct < 0.0 or cells.soc_high_pct > 100.0:
        found.append(
            f"SOC from {cells.soc_begin_pct:.1f} % would go to {cells.soc_low_pct:.1f} ... {cells.soc_high_pct:.1f} %; "
            "begin elsewhere, or scale it down"
        )
    low_v = max(envelope.min_v / number, profile.absolute.cell_low_v)
    high_v = min(envelope.max_v / number, profile.bms.upper_limit_cell_v)
    if cells.cell_low_v < low_v or cells.cell_high_v > high_v:
        found.append(
            f"cells would go to about {cells.cell_low_v:.2f} ... {cells.cell_high_v:.2f} V, envelope and cells allow "
            f"{low_v:.2f} to {high_v:.2f} V"
        )
    return found


def begin_soc(stand: Stand) -> tuple[float | None, str]:
    """Return at which SOC the pack stands as the BMS says, in percent, or None and why. Good enough to plan with."""
    if SOC not in stand.profile.signals:
        return None, f"{stand.profile.name} tells no SOC"
    try:
        return stand.dut.read(SOC), ""
    except ReadingError as problem:
        return None, str(problem)


def require_playable(stand: Stand, current: CurrentProfile, *, soc_pct: float | None = None) -> Foreseen:
    """See, before the first ampere, that the whole of a profile stays inside; return what is foreseen.

    Raises:
        OutOfRange: it leaves the envelope, or what the instruments can; with all reasons.
        Inconclusive: it cannot be stopped in time, or too little energy or time is left in this test.
    """
    why = ""
    if soc_pct is None:
        soc_pct, why = begin_soc(stand)
    foreseen = foresee(stand.definition, stand.profile, current, soc_pct=soc_pct, no_soc_because=why)
    largest = {}
    for way in Direction:
        try:
            largest[way.word] = largest_current_a(stand, way)
        except InstrumentError:
            largest[way.word] = 0.0  # nothing here can force that way
    found = refusals(stand.definition, stand.profile, current, foreseen, largest)
    if found:
        raise OutOfRange(
            f"profile {current.name} is not played on bench {stand.definition.name}: {'; '.join(found)} (nothing was "
            "sent)"
        )
    if foreseen.under_power_s > 0.0:
        mean_a = foreseen.most_wh / stand.definition.envelope.max_v * 3600.0 / foreseen.under_power_s
        stand.guard.require_stoppable(f"profile {current.name}", level_a=mean_a, lasts_s=foreseen.under_power_s)
    return foreseen


def require_seen(train_s: float, fast_s: float, what: str) -> None:
    """See that a pulse is long enough for the reference: three samples at least.

    Raises:
        Inconclusive: it is not, so nobody could say that it was there.
    """
    if train_s < 3.0 * fast_s:
        raise Inconclusive(
            f"{what}: {train_s:g} s is shorter than three samples of the reference ({fast_s:g} s each); longer pulses, "
            "or a digitiser at the shunt"
        )
