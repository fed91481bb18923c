"""What `bmsbench plan` says: test points with their reasons, a run's estimate, a drive cycle; as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.definition import Definition
from bench.planning import plan_points
from bench.planning_costs import Work, cost_of, estimate, worded_s
from bench.profile import Profile
from bench.stimulus import CurrentProfile
from bench.stimulus_checks import foresee, refusals
from bmsbench.columns import paragraph, table


def survey(definition: Definition, profile: Profile, works: Sequence[Work], *, seed: int = 1) -> dict[str, Any]:
    """Return the plan of a run as plain data: rows, their tests and trips, the estimate."""
    rows = []
    for point in plan_points(definition, profile, seed=seed):
        own = [work for work in works if work.row is not None and work.row.name == point.row]
        costs = [cost_of(definition, profile, work) for work in own] if point.testable else []
        rows.append(
            {
                **asdict(point),
                "reasons": list(point.reasons),
                "unresolved": list(point.unresolved),
                "remarks": list(point.remarks),
                "testable": point.testable,
                "tests": len(own),
                "cases": list(dict.fromkeys(work.case for work in own)),
                "seconds": sum(cost.seconds for cost in costs),
                "energy_wh": sum(cost.energy_wh for cost in costs),
                "trips": sum(cost.trips for cost in costs),
                "trips_in_one_test": max((cost.trips for cost in costs), default=0),
            }
        )
    found = estimate(definition, profile, works, seed=seed)
    return {
        "bench": definition.name,
        "bms": profile.name,
        "simulated": definition.bench.simulated,
        "rows": rows,
        "estimate": {
            **asdict(found),
            "lines": found.lines(simulated=definition.bench.clock == "simulated"),
        },
    }


def as_text(report: dict[str, Any]) -> str:
    """Return the plan as a table of at most 80 columns on a pipe."""
    kind = "simulated" if report["simulated"] else "hardware"
    lines = [f"bench {report['bench']} ({kind}), BMS {report['bms']}: nothing is opened", ""]
    rows = [(row["row"], str(row["tests"]), _trips(row), _told(row)) for row in report["rows"]]
    lines += table(("row", "tests", "trips", "here"), rows) if rows else ["the profile declares no protection"]
    lines.append("")
    for text in report["estimate"]["lines"]:
        lines += paragraph("estimate" if not lines[-1] else "", text, 10)
    refused = sum(not row["testable"] for row in report["rows"])
    unresolved = sum(bool(row["unresolved"]) for row in report["rows"])
    lines.append(f"{refused} of {len(rows)} rows cannot be tested here" if refused else "every row can be tested here")
    if unresolved:
        lines.append(f"verdicts of {unresolved} rows cannot be resolved here")
    return "\n".join(lines)


def _trips(row: dict[str, Any]) -> str:
    locks = row["lockout_count"]
    return str(row["trips"]) if locks is None else f"{row['trips']} ({row['trips_in_one_test']} of {locks - 1})"


def _told(row: dict[str, Any]) -> str:
    if row["reasons"]:
        return f"NOT TESTED: {'; '.join(row['reasons'])}"
    unresolved = [f"INCONCLUSIVE: {text}" for text in row["unresolved"]]
    remarks = "; ".join([*unresolved, *row["remarks"]])
    about = f"about {worded_s(row['seconds'])}, {row['energy_wh']:.1f} Wh" if row["tests"] else "no test asks for it"
    return f"{about}; {remarks}" if remarks else about


def survey_cycle(
    definition: Definition, profile: Profile, current: CurrentProfile, soc_pct: float | None
) -> dict[str, Any]:
    """Return what a profile of current does on a bench and why it would be refused, as plain data."""
    foreseen = foresee(definition, profile, current, soc_pct=soc_pct, no_soc_because="give --soc to estimate them")
    return {
        "bench": definition.name,
        "bms": profile.name,
        "source": current.source,
        "foreseen": foreseen.as_dict(),
        "lines": foreseen.lines(),
        "refused": refusals(definition, profile, current, foreseen),
    }


def cycle_text(report: dict[str, Any]) -> str:
    """Return it as text."""
    lines = [f"bench {report['bench']}, BMS {report['bms']}: nothing is opened", *paragraph("", report["source"], 0)]
    for text in report["lines"]:
        lines += paragraph("", text, 2)
    for text in report["refused"]:
        lines += paragraph("REFUSED", text, 10)
    if not report["refused"]:
        lines.append("it stays inside: it can be played here")
    return "\n".join(lines)
