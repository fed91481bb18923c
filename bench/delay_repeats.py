"""Delays provoked again and again, with random phase: what is recorded, and by which parameters it is judged.

A BMS samples on a grid of its own, so its delay depends on where in that grid the stimulus falls. Before each repeat
the bench waits for a part of the longest period of the BMS, drawn from the seed of the test.
"""

from __future__ import annotations

import random
from typing import Any

from bench.budgets import averaging_s
from bench.clock_offset import ClockOffset
from bench.letting_go import MARGIN
from bench.planning import sample_s
from bench.profile import Profile
from bench.protection import Protection
from bench.provoking import Provocation
from bench.provoking.demands import stimulus_of
from bench.search_plan import TripsSpent, allowed_trips
from bench.stand import Stand
from bench.stand_probe import StandProbe, asked_of
from bench.timing import trip_delay
from bench.verdict import abort_after_s

REPEATS = 10  # as many as the metrology reference asks for at least (7.4)
AFTER_TRIP_S = 1.5  # recorded after the current's end, for flags and switch reports


def repeats_allowed(stand: Stand, protection: Protection, wanted: int = REPEATS) -> int:
    """Return how often a trip may be repeated so that the BMS does not lock itself.

    Raises:
        TripsSpent: not once.
    """
    left = allowed_trips(protection.lockout_count, stand.trips.spent.get(protection.name, 0))
    if left == 0:
        raise TripsSpent(
            f"{protection.name} locks after {protection.lockout_count} trips and no more may be provoked: power-cycle "
            "the BMS or reset its counter first"
        )
    forgets = protection.lockout_window_s is not None  # then it is only a matter of waiting
    return wanted if left is None or forgets else min(wanted, left)


def repeat_trips(stand: Stand, provocation: Provocation, level: float, count: int) -> list[dict[str, float]]:
    """Provoke a trip `count` times at a level, each at another phase, each from a confirmed release.

    One that the bench had to abort is the last: it has failed.

    Raises:
        NotReleased: it did not release between two of them.
    """
    protection = provocation.protection
    probe = StandProbe(stand, protection, provocation, asked_of(stand, provocation))
    chance = random.Random(f"{stand.seed}/{protection.name}/{provocation.place}/phase")
    gap_s = sample_s(protection)
    abort_s = abort_after_s(protection, trip_delay(gap_s, gap_s).expanded)
    windows: list[dict[str, float]] = []
    for number in range(count):
        if number:
            probe.release()
            _let_forget(stand, probe)
        stand.clock.sleep(chance.uniform(0.0, phase_s(stand.profile, protection)))
        windows.append(probe.trip(level, abort_s, AFTER_TRIP_S))
        if stand.guard.aborted:
            stand.note(f"{protection.name}: no trip, ended by the bench; it is not repeated")
            break
    return windows


def _let_forget(stand: Stand, probe: StandProbe) -> None:
    """Wait until the BMS has forgotten its oldest trip, where one more would lock it and it forgets."""
    protection = probe.protection
    window_s = protection.lockout_window_s
    probe.forget_old_trips()
    if (
        window_s is None
        or allowed_trips(protection.lockout_count, stand.trips.spent[protection.name])
        or not probe.tripped_s
    ):
        return
    stand.progress(f"{protection.name}: waiting until the BMS has forgotten a trip, at most {window_s:.0f} s")
    stand.clock.sleep_until(probe.tripped_s[0] + MARGIN * window_s + 1.0)


def phase_s(profile: Profile, protection: Protection) -> float:
    """Return over which time a phase is drawn: the longest period of sampling and of what messages tell, in seconds."""
    told = [row["period_s"] for row in told_by(profile, protection)]
    return max(profile.behaviour.sample_s, *told) if told else profile.behaviour.sample_s


def told_by(profile: Profile, protection: Protection) -> list[dict[str, Any]]:
    """Return what messages tell of a trip, as `bench.delay_judgements.Told`: its flag, and the switches it opens."""
    rows: list[dict[str, Any]] = []
    if protection.flag is not None:
        window = protection.flag_delay_s
        rows.append(
            {
                "what": f"flag {protection.flag}",
                "signal": protection.flag,
                "rises": True,
                "period_s": profile.signals[protection.flag].period_s,
                "min_s": window.min if window else None,
                "max_s": window.max if window else None,
            }
        )
    signals = [f"switch_{name}" for name in protection.opens]
    closed = getattr(profile.operation, "closed", None)
    for signal in dict.fromkeys([*signals, *([closed] if closed else [])]):
        if signal in profile.signals:
            period_s = profile.signals[signal].period_s
            rows.append({"what": f"report of {signal}", "signal": signal, "rises": False, "period_s": period_s})
    return rows


def trip_parameters(stand: Stand, provocation: Provocation, level: float, offset: ClockOffset) -> dict[str, Any]:
    """Return the parameters of `delay_parts` and `repeated_delays` that do not depend on a window."""
    protection, asked = provocation.protection, asked_of(stand, provocation)
    window = protection.delay_at(level)
    reference_a = level if provocation.channel == "reference_current" else asked.flow_a
    common = {
        "protection": protection.name,
        "direction": asked.direction,
        "delay_min_s": window.min,
        "delay_max_s": window.max,
        "zero_a": stand.reference.off_limit_a,
        "reference_u_a": stand.reference.current_uncertainty(reference_a),
        "role": asked.role,
        "averaging_s": averaging_s(stand.definition),
        "told": told_by(stand.profile, protection),
        "clock_offset_s": offset.limit_s,
        "clock_correction_s": offset.correction_s,
    }
    demand = protection.about.further(protection.threshold_si, protection.tolerance_si)
    if provocation.channel == "reference_current":
        more: dict[str, Any] = {
            "threshold_a": protection.threshold_si,
            "must_trip_a": level,
            "demand_a": demand,
            "other_flags": list(asked.other_flags),
        }
    else:
        more = {
            **stimulus_of(provocation, level),
            "flow_a": asked.flow_a,
            "other_flags": list(asked.other_flags),
        }
    return {**common, **more}
