"""Procedures: stimulate, wait, and say which window of the traces is to be judged. They judge nothing themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench import stimulus
from bench.clock import Clock
from bench.errors import Inconclusive
from bench.profile import Profile
from bench.protection import Protection
from bench.quantities import Direction
from bench.stand import Stand
from bench.verdict import StimulusLevels, sign_levels, stimulus_levels

SETTLE_PERIODS = 3  # update periods and filter time constants to wait before a window begins
WINDOW_PERIODS = 8
SHORTEST_WINDOW_S = 1.0
FILTERS = 3.0
FILTER_MEMORY = 2.0  # time constants of a first-order filter from one independent reading to the next
RIPPLE_A = stimulus.SETTLE_FLOOR_A  # how far a settled stimulus may be from its level; no part of the uncertainty


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the traces, with the uncertainty of the reference in it."""

    begin_s: float
    end_s: float
    reference_u_a: float
    reference: str
    reference_standard_a: float | None = None  # what the uncertainty is made of, see `bench.uncertainty.Budget`
    reference_rectangles_a: tuple[float, ...] = ()
    independent_s: float = 0.0  # after which a reading of the BMS is a new one, see `bench.uncertainty.effective_count`

    def times(self) -> dict[str, float]:
        """Return begin and end as parameters of a judgement."""
        return {"begin_s": self.begin_s, "end_s": self.end_s}

    def referred(self) -> dict[str, Any]:
        """Return begin, end and the reference as parameters of a judgement."""
        return {**self.times(), "reference_u_a": self.reference_u_a, "reference": self.reference}

    def budgeted(self) -> dict[str, Any]:
        """Return the same for a judgement that adds more to the reference's uncertainty."""
        parts = {
            "reference_standard_a": self.reference_standard_a,
            "reference_rectangles_a": list(self.reference_rectangles_a),
            "independent_s": self.independent_s,
        }
        return {**self.referred(), **parts}


def settle_time_s(profile: Profile, signals: tuple[str, ...]) -> float:
    """Return how long readings need to follow a step: update periods and filters of these signals."""
    period_s = max(profile.signals[name].period_s for name in signals)
    return SETTLE_PERIODS * period_s + FILTERS * profile.behaviour.filter_s


def watch(stand: Stand, signals: tuple[str, ...], *, at_least_s: float = 0.0) -> Window:
    """Let readings settle on the current that flows, then record a window long enough for the slowest of them."""
    profile = stand.profile
    stand.clock.sleep(settle_time_s(profile, signals))
    period_s = max(profile.signals[name].period_s for name in signals)
    begin_s = stand.clock.now()
    stand.clock.sleep(max(SHORTEST_WINDOW_S, WINDOW_PERIODS * period_s, at_least_s))
    budget = stand.reference.current_budget(stand.reference.current())
    return Window(
        begin_s,
        stand.clock.now(),
        budget.expanded,
        stand.reference.name,
        budget.standard,
        tuple(budget.rectangles),
        max(period_s, FILTER_MEMORY * profile.behaviour.filter_s),
    )


def set_accuracy_a(stand: Stand, direction: Direction) -> float:
    """Return the limit of error with which the bench sets a small current, in amperes."""
    role = "bidirectional" if stand.bidirectional is not None else ("supply" if direction.sign > 0 else "load")
    section = stand.definition.instruments[stand.definition.roles[role]]
    accuracy = section.accuracy.get("current")
    return 0.0 if accuracy is None else accuracy.half_width(0.0)


def overcurrent_rows(profile: Profile, direction: Direction) -> list[Protection]:
    """Return the over-current protections of a direction that open a switch, the lowest threshold first."""
    kind = f"{direction.word}_overcurrent"
    rows = [row for row in profile.protections if row.kind == kind and row.level == "protection"]
    return sorted(rows, key=lambda row: row.threshold_si)


def levels_of(stand: Stand, protection: Protection) -> StimulusLevels:
    """Return the stimulus levels of an over-current protection with this bench's uncertainty."""
    expanded = stand.reference.current_uncertainty(1.1 * protection.threshold_si)
    return stimulus_levels(protection, expanded, RIPPLE_A)


def largest_quiet_a(stand: Stand, direction: Direction) -> float:
    """Return the largest current that neither the BMS's protections nor its absolute maxima object to."""
    rows = overcurrent_rows(stand.profile, direction)
    absolute = stand.profile.absolute
    limit_a = absolute.charge_a if direction is Direction.CHARGE else absolute.discharge_a
    quiet_a = min([levels_of(stand, row).must_not_trip for row in rows] or [limit_a])
    return min(quiet_a, stimulus.largest_current_a(stand, direction))


def sign_current_a(stand: Stand, direction: Direction, magnitude: str) -> float:
    """Return the magnitude of a sign test: `smallest`, `10pct` or `80pct`, in amperes.

    The smallest is just above what dead band, zero error and the bench's own setting error leave undecided.

    Raises:
        Inconclusive: even 10 % of the range is not above that.
    """
    signal = stand.profile.signals["pack_current"]
    promised_a = signal.accuracy_si(0.0) or 0.0
    resolution_a = signal.accuracy.resolution * signal.about.factor if signal.accuracy else 0.0
    dead_a = signal.dead_band * signal.about.factor
    uncertain_a = 3 * stand.reference.current_uncertainty(0.0)
    floor_a = 1.2 * (promised_a + resolution_a + dead_a) + uncertain_a + set_accuracy_a(stand, direction)
    smallest, tenth, most = sign_levels(stand.profile.bms.measuring_range_a, largest_quiet_a(stand, direction), floor_a)
    if smallest >= tenth:
        raise Inconclusive(
            f"the smallest current with a sign worth judging is {smallest:.2f} A, 10 % of the range only {tenth:.2f} A"
        )
    return {"smallest": smallest, "10pct": tenth, "80pct": most}[magnitude]


def role_of(stand: Stand, direction: Direction) -> str:
    """Return the role that forces current in this direction."""
    if stand.bidirectional is not None:
        return "bidirectional"
    return "supply" if direction is Direction.CHARGE else "load"


def flags_but(profile: Profile, protection: Protection) -> list[str]:
    """Return the flags of all protections of another kind that open a switch."""
    rows = (row for row in profile.protections if row.kind != protection.kind and row.flag is not None)
    return sorted({str(row.flag) for row in rows} - {protection.flag or ""})


def excusing_flags(profile: Profile, protection: Protection) -> list[str]:
    """Return the flags of other protections that may rightly end this one's stimulus before it acts.

    Only one whose own stimulus can be exceeded excuses: over-current of the other direction cannot, since nothing
    flows that way, and a warning opens nothing.
    """
    rows = [row for row in profile.protections if row.level == "protection" and row.kind != protection.kind]
    ours = protection.about.direction
    able = (row for row in rows if row.about.quantity != "current" or row.about.direction is ours)
    return sorted({str(row.flag) for row in able if row.flag is not None} - {protection.flag or ""})


def rest(clock: Clock, seconds: float) -> None:
    """Wait with the bench as it is."""
    clock.sleep(seconds)
