"""What `bmsbench uncertainty` says: budgets as plain data, and as tables."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from typing import Any

from bench import budgets
from bench.definition import Definition
from bench.guard import FAST_S
from bench.gum import tur
from bench.profile import Profile
from bench.protection import Protection
from bench.quantities import digits_for
from bench.threshold_search import RAMP_OVERSHOOT, STEPS_OF_TOLERANCE, STEPS_OF_U
from bench.timing import flag_delay, trip_delay
from bench.uncertainty import Budget
from bench.verdict import stimulus_levels
from bmsbench.columns import paragraph, table
from bmsbench.uncertainty_emulated import emulated_points, worded

SHARES = (0.0, 0.02, 0.1, 0.5, 0.8, 1.0)  # of the measuring range: test points of the current
SHOWN_SHARE = 0.5  # whose whole budget is shown unless others are asked for
GOOD_TUR, LEAST_TUR = 4.0, 1.0
NOT_MEASURED = "not stated: give the clock offset between instruments and bus (--clock-offset)"


def survey(
    definition: Definition,
    profile: Profile,
    *,
    today: str,
    currents_a: Sequence[float] = (),
    slope_a_per_s: float | None = None,
    clock_offset_s: float | None = None,
) -> dict[str, Any]:
    """Return all budgets of a bench for a BMS as plain data, in inside units.

    Raises:
        DefinitionError: a reference states no accuracy.
    """
    range_a = profile.bms.measuring_range_a
    shown_a = currents_a or [SHOWN_SHARE * range_a]
    if definition.bench.simulated and clock_offset_s is None:
        clock_offset_s = 0.0  # one clock
    points = [_current_point(definition, profile, share * range_a) for share in SHARES]
    points += [_current_point(definition, profile, current_a) for current_a in currents_a]
    points += _voltage_points(definition, profile)
    rows = [row for row in profile.protections if row.about.quantity == "current"]
    for row in rows:
        points += _thresholds(definition, profile, row, slope_a_per_s)
        points += _delays(definition, profile, row, clock_offset_s)
    others: list[str] = []
    shown: list[tuple[str, dict[str, Any]]] = []
    for row in profile.protections:
        if row in rows:
            continue
        more, whole = emulated_points(definition, profile, row)
        points += [_point(*one) for one in more]
        if whole is not None and row.about.quantity not in [quantity for quantity, _ in shown]:
            shown.append((row.about.quantity, _budget(f"{row.name}, {worded(row)}", whole, row.threshold_si)))
        if whole is None and row.level == "protection":
            others.append(row.name)
    return {
        "bench": definition.name,
        "bms": profile.name,
        "simulated": definition.bench.simulated,
        "coverage": "95.45 %",
        "budgets": [
            _budget(
                f"reference current {current_a:+.1f} A", budgets.reference_current(definition, current_a), current_a
            )
            for current_a in shown_a
        ]
        + [budget for _, budget in shown],
        "points": points,
        "unjudgeable": [f"{one['what']} {one['point']}".strip() for one in points if _refused(one)],
        "calibration": sorted(set(budgets.calibration_gaps(definition, datetime.date.fromisoformat(today)).values())),
        "no_budget": others,
    }


def _refused(point: dict[str, Any]) -> bool:
    return point["tur"] is not None and point["tur"] < LEAST_TUR


def _budget(what: str, budget: Budget, value: float) -> dict[str, Any]:
    return {
        "what": what,
        "unit": budget.unit,
        "lines": [
            {
                "contribution": line.name,
                "stated": line.stated,
                "stated_unit": line.stated_unit,
                "distribution": line.distribution,
                "sensitivity": line.sensitivity,
                "standard": line.standard,
                "dof": None if math.isinf(line.dof) else line.dof,
            }
            for line in budget.contributions
        ],
        "combined": budget.standard,
        "dof": None if math.isinf(budget.dof) else budget.dof,
        "k": budget.coverage,
        "expanded": budget.expanded,
        "percent": budgets.as_percent(budget, value) if value else None,
    }


def _point(what: str, point: str, budget: Budget, limits: str, ratio: float | None, note: str = "") -> dict[str, Any]:
    return {
        "what": what,
        "point": point,
        "unit": budget.unit,
        "expanded": budget.expanded,
        "k": budget.coverage,
        "limits": limits,
        "tur": ratio,
        "note": note,
    }


def _current_point(definition: Definition, profile: Profile, current_a: float) -> dict[str, Any]:
    signal = profile.signals["pack_current"]
    budget = budgets.reference_current(definition, current_a)
    promised_a = signal.accuracy_si(current_a)
    if promised_a is None:
        return _point("pack_current", f"{current_a:.1f} A", budget, "nothing is promised", None)
    ratio = tur(-promised_a, promised_a, 0.0, budget.expanded)
    return _point("pack_current", f"{current_a:.1f} A", budget, f"± {promised_a:.2f} A", ratio)


def _voltage_points(definition: Definition, profile: Profile) -> list[dict[str, Any]]:
    found = []
    signal = profile.signals.get("pack_voltage")
    for voltage_v in (definition.envelope.min_v, definition.envelope.max_v):
        budget = budgets.pack_voltage(definition, voltage_v)
        promised_v = None if signal is None else signal.accuracy_si(voltage_v)
        ratio = None if promised_v is None else tur(-promised_v, promised_v, 0.0, budget.expanded)
        limits = "nothing is promised" if promised_v is None else f"± {promised_v:.3f} V"
        found.append(_point("pack voltage", f"{voltage_v:.1f} V", budget, limits, ratio))
    return found


def _thresholds(
    definition: Definition, profile: Profile, row: Protection, slope_a_per_s: float | None
) -> list[dict[str, Any]]:
    level_a, tolerance_a = row.threshold_si, row.tolerance_si
    slope = RAMP_OVERSHOOT * tolerance_a / row.delay_s.max if slope_a_per_s is None else slope_a_per_s
    reference = budgets.reference_current(definition, level_a)
    limits = f"± {tolerance_a:.2f} A"
    _, ramp = budgets.ramp_threshold(
        level_a,
        slope,
        reference,
        delay_s=(row.delay_s.min, row.delay_s.max),
        sample_s=profile.behaviour.sample_s,
        gap_s=FAST_S,
    )
    step_a = max(tolerance_a / STEPS_OF_TOLERANCE, reference.expanded / STEPS_OF_U)
    _, searched = budgets.bracketed_threshold(level_a - step_a / 2.0, level_a + step_a / 2.0, reference)
    return [
        _point(row.name, f"threshold, {name}", budget, limits, tur(-tolerance_a, tolerance_a, 0.0, budget.expanded))
        for name, budget in (
            ("by steps", reference),
            (f"search to {step_a:.2g} A", searched),
            (f"ramp {slope:.2g} A/s", ramp),
        )
    ]


def _delays(
    definition: Definition, profile: Profile, row: Protection, clock_offset_s: float | None
) -> list[dict[str, Any]]:
    levels = stimulus_levels(row, budgets.reference_current(definition, row.threshold_si).expanded)
    averaging_s = budgets.averaging_s(definition)
    budget = trip_delay(FAST_S, FAST_S, averaging_s=averaging_s, threshold_share=row.threshold_si / levels.must_trip)
    low_s, high_s = row.delay_s.min, row.delay_s.max
    ratio = tur(low_s or None, high_s, 0.0, budget.expanded)
    found = []
    if row.level == "protection":
        found.append(_point(row.name, "delay to t_off", budget, f"{low_s:g} to {high_s:g} s", ratio))
    if row.flag is None:
        return found
    known = flag_delay(
        FAST_S, profile.signals[row.flag].period_s, averaging_s=averaging_s, clock_offset_s=clock_offset_s or 0.0
    )
    limits, ratio_f = "nothing is promised", None
    if row.flag_delay_s is not None:
        limits = f"{row.flag_delay_s.min:g} to {row.flag_delay_s.max:g} s"
        ratio_f = tur(row.flag_delay_s.min or None, row.flag_delay_s.max, 0.0, known.expanded)
    if clock_offset_s is None:
        found.append({**_point(row.name, "delay to t_flag", known, limits, None, NOT_MEASURED), "expanded": None})
    else:
        found.append(_point(row.name, "delay to t_flag", known, limits, ratio_f))
    return found


# -- text ----------------------------------------------------------------------------------------------------------


def as_text(report: dict[str, Any]) -> str:
    """Return the report as tables of at most 80 columns."""
    kind = "simulated" if report["simulated"] else "hardware"
    lines = [f"bench {report['bench']} ({kind}), BMS {report['bms']}: nothing is opened; U covers 95.45 %"]
    for budget in report["budgets"]:
        lines += ["", *_budget_text(budget)]
    rows: list[tuple[str, ...]] = []
    for one in report["points"]:
        if not rows or one["what"] not in [row[0] for row in rows]:
            rows.append((one["what"], "", "", "", ""))
        rows.append(_row(one))
    lines += ["", *table(("test point", "U", "k", "TUR", "promised by the BMS"), rows), ""]
    if report["no_budget"]:
        lines += paragraph("", f"without a budget here: {', '.join(report['no_budget'])}", 2)
    for gap in report["calibration"]:
        lines += paragraph("OVERDUE", f"{gap}; verdicts that ask it are inconclusive")
    refused = report["unjudgeable"]
    lines.append(f"{len(refused)} test points cannot be judged here" if refused else "every point can be judged here")
    return "\n".join(lines)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"  {one['point']}",
        "-" if one["expanded"] is None else f"{_figure(one['expanded'])} {one['unit']}",
        f"{one['k']:.2f}",
        "-" if one["tur"] is None else ("> 999" if one["tur"] > 999 else f"{one['tur']:.3g}"),
        one["limits"] + _remark(one),
    )


def _remark(point: dict[str, Any]) -> str:
    if point["note"]:
        return f"; {point['note']}"
    if _refused(point):
        return "; CANNOT BE JUDGED"
    return "; guard band" if point["tur"] is not None and point["tur"] < GOOD_TUR else ""


def _figure(value: float) -> str:
    return f"{value:.{digits_for(value)}f}"


def _budget_text(budget: dict[str, Any]) -> list[str]:
    rows = [
        (
            line["contribution"],
            "-" if line["stated"] is None else f"{line['stated']:.3g} {line['stated_unit']}",
            line["distribution"],
            f"{line['sensitivity']:.4g}",
            f"{line['standard']:.2g}",
            "inf" if line["dof"] is None else f"{line['dof']:g}",
        )
        for line in budget["lines"]
    ]
    unit = budget["unit"]
    percent = "" if budget["percent"] is None else f" = {budget['percent']:.3f} %"
    return [
        budget["what"],
        *table(("contribution", "limit or U", "distribution", "c", f"|c| u, {unit}", "dof"), rows),
        f"combined {budget['combined']:.2g} {unit}, k = {budget['k']:.2f}, U = {_figure(budget['expanded'])} {unit}"
        + percent,
    ]
