"""What a run will take: simulated time, wall time, energy, and trips against the lock-out of each protection.

Estimates from the profile's own delays and releases, printed before a run so that nobody is surprised. They are told as
such, decide nothing, and are good to a factor of about two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.definition import Definition
from bench.diagnosis import Diagnosis
from bench.operation import StateRequest
from bench.planning import PROBE_A, plan_points
from bench.profile import Profile
from bench.protection import Protection, Release
from bench.search_plan import allowed_trips
from bench.stimulus_excursion import OCV_V, open_circuit_v

OPENING_S = 2.5  # opening a bench and bringing the BMS up, in its own time
SIMULATED_PER_WALL = 200.0  # seconds of simulated time in one of the wall
TEST_ON_THE_WALL_S = 0.08  # of a simulated test besides: opening, judging, writing
WALL_OPENING_S = 8.0  # of a test on real instruments
TRIP_AFTER_S = 3.0  # recorded after a trip, probes included
REPEATS = 10
SEARCH_PROBES = 7
UNKNOWN_S = 10.0
NOMINAL_CELL_V = 3.3
# Measured on the virtual bench, in seconds of its time, opening included.
FIXED_S = {
    "REF-POLARITY": 5.0, "REF-ZERO": 6.0, "CS-ZERO": 13.0, "CS-SIGN": 4.0, "CS-SIGN-POWER": 4.0,
    "CS-SIGN-COUNTERS": 30.0, "CS-SIGN-STATE": 3.0, "CS-DEAD": 44.0, "CS-RAMP": 44.0, "CS-REV": 7.0, "CS-SAT": 4.0,
}  # fmt: skip
FIXED_A = {
    "CS-DEAD": 0.05,
    "CS-RAMP": 0.5,
    "CS-SAT": 1.0,
    "CS-SIGN-COUNTERS": 0.5,
}  # mean, of the largest quiet current


@dataclass(frozen=True, slots=True)
class Work:
    """One test that is to be run: its case number, and the row that it is about, if any."""

    case: str
    row: Protection | Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one test takes."""

    seconds: float
    energy_wh: float = 0.0
    trips: int = 0
    known: bool = True


@dataclass(frozen=True, slots=True)
class Trips:
    """How often a protection will be provoked, in all and at most in one test, and after how many it locks."""

    total: int
    most: int
    lockout_count: int | None

    def text(self, name: str) -> str:
        """Say it in words."""
        locks = "" if self.lockout_count is None else f" (locks after {self.lockout_count})"
        return f"{name} {self.total}{locks}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take."""

    tests: int
    not_tested: int
    unknown: int  # tests whose cost is not known; they count with 10 s each
    seconds: float
    wall_s: float
    energy_wh: float
    trips: dict[str, Trips]

    def lines(self, *, simulated: bool) -> list[str]:
        """Return one or two lines for the screen."""
        of_bench = f"{worded_s(self.seconds)} of simulated time, " if simulated else ""
        text = f"{self.tests} tests, about {of_bench}{worded_s(self.wall_s)} on the wall, {self.energy_wh:.0f} Wh"
        if self.unknown:
            text += f" ({self.unknown} of them guessed)"
        provoked = [each.text(name) for name, each in self.trips.items() if each.lockout_count is not None]
        return [text, *([f"trips provoked: {', '.join(provoked)}"] if provoked else [])]


def worded_s(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 6000.0 else f"{seconds / 3600.0:.1f} h"


def estimate(
    definition: Definition, profile: Profile, works: Sequence[Work], *, workers: int = 1, seed: int = 1
) -> Estimate:
    """Say what a run will take.

    Args:
        definition: the bench.
        profile: the BMS.
        works: the tests that are to be run.
        workers: how many run at once.
        seed: of the run.
    """
    untestable = {point.row for point in plan_points(definition, profile, seed=seed) if not point.testable}
    costs = [
        Cost(0.0) if work.row is not None and work.row.name in untestable else cost_of(definition, profile, work)
        for work in works
    ]
    skipped = sum(work.row is not None and work.row.name in untestable for work in works)
    seconds = sum(cost.seconds for cost in costs)
    simulated = definition.bench.clock == "simulated"
    wall_s = seconds / SIMULATED_PER_WALL if simulated else seconds
    each_s = TEST_ON_THE_WALL_S if simulated else WALL_OPENING_S
    wall_s += each_s * (len(works) - skipped)
    provoked: dict[str, list[int]] = {}
    counts: dict[str, int | None] = {}
    for work, cost in zip(works, costs, strict=True):
        if isinstance(work.row, Protection) and cost.trips:
            provoked.setdefault(work.row.name, []).append(cost.trips)
            counts[work.row.name] = work.row.lockout_count
    trips = {name: Trips(sum(each), max(each), counts[name]) for name, each in provoked.items()}
    return Estimate(
        tests=len(works),
        not_tested=skipped,
        unknown=sum(not cost.known for cost in costs),
        seconds=seconds,
        wall_s=wall_s / max(1, workers),
        energy_wh=sum(cost.energy_wh for cost in costs),
        trips=trips,
    )


def cost_of(definition: Definition, profile: Profile, work: Work) -> Cost:
    """Return what one test takes, by its case number's last word; one that is not known counts with 10 s."""
    pack_v = profile.bms.cells * _cell_v(profile)
    if isinstance(work.row, Diagnosis):
        seconds = OPENING_S + work.row.within_s.max + TRIP_AFTER_S + _release_s(profile, work.row.release)
        return Cost(seconds, PROBE_A * pack_v * seconds / 3600.0)
    if work.row is None:
        seconds = FIXED_S.get(work.case, OPENING_S + UNKNOWN_S)
        current_a = FIXED_A.get(work.case, 0.3) * min(definition.envelope.charge_a, definition.envelope.discharge_a)
        flows_s = max(0.0, seconds - OPENING_S)
        return Cost(seconds, current_a * pack_v * flows_s / 3600.0, known=work.case in FIXED_S)
    return _cost_of_row(profile, work.case, work.row, pack_v)


def _cost_of_row(profile: Profile, case: str, row: Protection, pack_v: float) -> Cost:
    window = row.delay_at(row.about.further(row.threshold_si, 0.05 * abs(row.threshold_si)))
    trip_s = (window.min + window.max) / 2.0
    release_s = _release_s(profile, row.release)
    current_a = row.threshold_si if row.about.quantity == "current" and not row.about.fast else PROBE_A
    opens = row.level == "protection"
    left = allowed_trips(row.lockout_count, 0)

    def repeated(count: int) -> int:
        return count if left is None else min(count, left)

    words = case.split("-")
    known, trips = True, 1
    if "QUIET" in words:
        flows_s, rest_s, trips = 2.0 * row.delay_s.max, 1.0, 0
    elif "THRESHOLD" in words or "SEARCH" in words:
        trips = repeated(SEARCH_PROBES)
        flows_s = SEARCH_PROBES * 3.0 * (row.delay_s.max + profile.behaviour.sample_s)
        rest_s = trips * (release_s + TRIP_AFTER_S)
    elif "DELAY" in words or "REPEAT" in words:
        trips = repeated(REPEATS)
        flows_s, rest_s = trips * trip_s, trips * (release_s + TRIP_AFTER_S)
    elif "RELEASE" in words:
        flows_s, rest_s = trip_s, release_s + TRIP_AFTER_S
    elif "PULSE" in words or "PULSES" in words:
        flows_s, rest_s = 10.0 * row.delay_s.min, 10.0 * row.delay_s.min + TRIP_AFTER_S
    elif "TRIP" in words or "SELECT" in words:
        flows_s, rest_s = trip_s, 2.0 * TRIP_AFTER_S if "SELECT" in words else TRIP_AFTER_S
    else:
        flows_s, rest_s, known = trip_s, UNKNOWN_S, False
    wh = current_a * pack_v * flows_s / 3600.0
    return Cost(OPENING_S + flows_s + rest_s, wh, trips if opens else 0, known)


def _release_s(profile: Profile, release: Release) -> float:
    """Return how long a release takes as the suites ask for it: they first see that it does not come too early."""
    if release.kind == "time":
        return 1.1 * release.after_s + 2.0
    waits_s = profile.operation.reclose_wait_s if isinstance(profile.operation, StateRequest) else 0.0
    return {"command": 11.0 + max(1.0, waits_s), "value": 2.0, "action": 10.0}.get(release.kind, 2.0) + release.after_s


def _cell_v(profile: Profile) -> float:
    return open_circuit_v(profile.bms.chemistry, 50.0) if profile.bms.chemistry in OCV_V else NOMINAL_CELL_V
