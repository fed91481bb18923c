"""A suite that cannot fail proves nothing: each defect turns the test meant for it red, for the right reason."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

BMS = ("foxbms_2", "seplos_v3")


@dataclass(frozen=True)
class Kill:
    """A defect, the tests meant to catch it, and what their reason must say."""

    defect: str
    path: str
    select: str
    caught_by: str
    reason: str
    only: str = ""  # the BMS to which it means something, where it is not both


SIGN = "current_sign/test_sign.py"
KILLS = (
    Kill(
        "inverted_sign",
        "current_sign/test_sign.py",
        "direction and 10pct",
        "current_is_reported",
        r"sign inverted.*M01",
    ),
    Kill(
        "unsigned_negative",
        "current_sign/test_sign.py",
        "direction and 10pct",
        "current_is_reported",
        r"as unsigned.*M02",
    ),
    Kill(
        "magnitude_only",
        "current_sign/test_sign.py",
        "direction and 10pct",
        "current_is_reported",
        r"sign inverted|M17",
    ),
    Kill(
        "large_offset",
        "current_sign/test_sign.py",
        "reported_as_none",
        "reported_as_none",
        r"at rest: a zero error.*M23",
    ),
    Kill("swapped_flags", "protections", "trips", "trips_in_time", r"rose instead|swapped"),
    Kill("frozen_current", SIGN, "direction and 10pct", "current_is_reported", r"frozen|M27"),
    Kill(
        "dead_charge_protection",
        "protections",
        "trips and charge_over",
        "trips_in_time",
        r"no trip at .*bench ended it",
    ),
    Kill("dead_discharge_protection", "protections", "trips", "discharge_overcurrent", r"no trip at .*bench ended it"),
    Kill("trips_late", "protections", "trips", "trips_in_time", r"trip delay.*too late|no trip at"),
    Kill("trips_early", "protections", "quiet or inside", "stays_closed", r"trips too early"),
    # The flag of over-current in the direction that does not flow is no excuse for an early trip.
    Kill("trips_early,swapped_flags", "protections", "quiet or inside", "stays_closed", r"trips too early"),
    Kill("wrong_switch", "protections", "trips", "trips_in_time", r"no trip at|wrong switch"),
    Kill("opens_but_conducts", "protections", "trips", "trips_in_time", r"no trip at .*bench ended it"),
    Kill("dead_charge_protection", "protections", "releases", "releases_as", r"no trip at .*bench ended it"),
    Kill("never_releases", "protections", "releases", "releases_as", r"never releases"),
    Kill("saturates_early", "current_sign", "saturates", "saturates", r"off by"),
    Kill("counter_inverted", SIGN, "counters", "counters_and_soc", r"lost or inverted its sign"),
    Kill("wide_dead_band", "current_sign", "small_currents", "small_currents", r"dead band.*larger than declared"),
    Kill("delayed_value", "current_sign", "reversal", "reversal", r"follows the reversal"),
    Kill("opens_all_switches", "protections", "trips", "trips_in_time", r"should not have|wrong switch", "seplos_v3"),
    Kill("releases_at_once", "protections", "releases", "releases_as", r"s after the trip", "seplos_v3"),
    Kill("swapped_shunt_wires", "protections", "trips", "trips_in_time", r"rose instead|flags of charge|no trip at"),
)


@pytest.mark.parametrize("bms", BMS)
def test_every_broken_bms_is_caught_for_the_right_reason(run_suite, bms):
    rows, wrong = [], []
    for kill in (kill for kill in KILLS if kill.only in ("", bms)):
        run = run_suite((kill.path,), bms=bms, defect=kill.defect, select=kill.select)
        failed = run.failed()
        right = [
            name
            for name, reason in failed.items()
            if kill.caught_by in name and re.search(kill.reason, reason, re.DOTALL)
        ]
        rows.append(f"{kill.defect:<26} {kill.path:<28} {len(right)} of {len(run.outcomes)} red for the right reason")
        if not right or run.status != 1:
            wrong.append(f"{kill.defect}: exit {run.status}, {run.outcomes}, {run.reasons}")
    print(f"\nkill matrix, {bms}")
    print("\n".join(rows))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("defect", ["inverted_sign", "dead_discharge_protection"])
def test_a_defect_is_caught_on_the_bidirectional_bench_too(run_suite, defect):
    kill = next(one for one in KILLS if one.defect == defect)
    run = run_suite((kill.path,), bms="seplos_v3", defect=defect, select=kill.select, bench="virtual_bidirectional")
    assert run.status == 1
    assert any(re.search(kill.reason, reason, re.DOTALL) for reason in run.failed().values())
