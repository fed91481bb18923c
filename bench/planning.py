"""The test planner: which protections and diagnoses of a BMS this bench can test at all, and why not the others.

From the two files alone; nothing is opened. What is found here makes tests NOT TESTED or inconclusive later; told
before the run, it says what would be needed. How long a run takes is in `bench.planning_costs`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.budgets import averaging_s, reference_current
from bench.definition import Definition
from bench.diagnosis import Diagnosis
from bench.emulation import SHORT_CIRCUIT, not_there, not_tolerated
from bench.errors import BenchError
from bench.guard import FAST_S
from bench.gum import tur
from bench.profile import Profile
from bench.protection import Protection
from bench.provoking import places_of, refusal_for
from bench.provoking.accuracy import cell_budget, sensor_budget
from bench.rise import Rise
from bench.stimulus_approach import relaxes_by_v
from bench.timing import trip_delay
from bench.uncertainty import Budget, Contribution

LEAST_TUR = 1.0
SLOPE_LASTS = 2.0  # times as long as declared: each of its steps of 20 ms waits about as long again for an answer
CELL_LOOK_S = 0.25  # emulators take about four questions a second
SENSOR_LOOK_S = 0.1
PROBE_A = 10.0  # flows while a voltage or a temperature is provoked
NORMAL_DEGC = 25.0
# Which faults the fault inserter must be able to insert for a diagnosis: any of these, by how their names begin.
FAULTS: dict[str, tuple[str, ...]] = {
    "open_sense_wire": ("open_sense_wire_",),
    "swapped_sense_wires": ("swapped_sense_wires_",),
    "current_sensor_open": ("shunt_open",),
    "current_sensor_reversed": ("shunt_sense_reversed",),
    "welded_switch": ("welded_",),
    "stuck_open_switch": ("stuck_open_",),
    "switch_feedback": ("feedback_inverted_",),
    "precharge_failed": ("precharge_open", "bus_capacitor"),
}


@dataclass(frozen=True, slots=True)
class Point:
    """What can be said of one row of a profile on a bench.

    `reasons` keep it from being tested at all, `unresolved` make verdicts of its threshold or its delay inconclusive,
    `remarks` are good to know.
    """

    row: str
    kind: str
    level: str
    reasons: tuple[str, ...]
    unresolved: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    lockout_count: int | None = None

    @property
    def testable(self) -> bool:
        """True when nothing known beforehand keeps it from being tested."""
        return not self.reasons


def plan_points(definition: Definition, profile: Profile, *, seed: int = 1) -> tuple[Point, ...]:
    """Return every protection and diagnosis of a BMS, and what this bench cannot do about each."""
    rows = [_protection(definition, profile, row, seed) for row in profile.protections]
    return (*rows, *(_diagnosis(definition, profile, row) for row in profile.diagnoses))


def refusals(definition: Definition, profile: Profile, *, seed: int = 1) -> list[str]:
    """Return, a sentence each, what is not tested on this bench; rows with one reason in one sentence."""
    found: dict[tuple[str, str], list[str]] = {}
    for point in plan_points(definition, profile, seed=seed):
        for reason in point.reasons[:1]:
            found.setdefault(("NOT TESTED here", reason), []).append(point.row)
        for reason in point.unresolved:
            found.setdefault(("INCONCLUSIVE here", reason), []).append(point.row)
    return [f"{what}: {', '.join(names)}: {reason}" for (what, reason), names in found.items()]


# -- protections ---------------------------------------------------------------------------------------------------


def _protection(definition: Definition, profile: Profile, row: Protection, seed: int) -> Point:
    unresolved: tuple[str | None, ...] = ()
    if row.about.fast:
        reasons = _short_circuit(definition, profile)
    else:
        reasons = _unreachable(definition, profile, row, seed)
        if not reasons:
            unresolved = (threshold_refusal(definition, profile, row), delay_refusal(definition, row))
    if row.lockout_count is not None and row.lockout_count <= 1 and row.level == "protection":
        reasons.append(f"it locks after {row.lockout_count} trip, so that its first provocation would be its last")
    return Point(
        row.name,
        row.kind,
        row.level,
        tuple(reasons),
        tuple(text for text in unresolved if text is not None),
        tuple(_remarks(definition, profile, row)),
        row.lockout_count,
    )


def _unreachable(definition: Definition, profile: Profile, row: Protection, seed: int) -> list[str]:
    """Return why it cannot be provoked: at no place, or not at some."""
    found: dict[str, list[str]] = {}
    places = places_of(profile, row, seed)
    for place in places:
        try:
            text = refusal_for(definition, profile, row, place)
        except BenchError as problem:  # an accuracy that is not declared, a place that there is not
            text = str(problem)
        if text is not None:
            told = text.removeprefix(f"{row.name} ").removeprefix(f"{row.name}: ").removesuffix(": NOT TESTED here")
            found.setdefault(told, []).append(place)
    return [text if len(where) == len(places) else f"at {', '.join(where)}: {text}" for text, where in found.items()]


def _short_circuit(definition: Definition, profile: Profile) -> list[str]:
    """A short circuit needs somebody to make it, somebody to see it, and a unit that survives it."""
    reasons = []
    if "digitiser" not in definition.roles:
        reasons.append("it acts within microseconds, and this bench has no digitiser (roles.digitiser)")
    if "fault_inserter" not in definition.roles:
        reasons.append("nobody can short the bus (no roles.fault_inserter)")
    elif SHORT_CIRCUIT not in _faults(definition):
        reasons.append(f"the fault inserter has no relay for {SHORT_CIRCUIT}")
    if (text := not_tolerated(SHORT_CIRCUIT, profile.tolerates)) is not None:
        reasons.append(text)
    return reasons


def threshold_budget(definition: Definition, profile: Profile, row: Protection) -> Budget | None:
    """Return the budget of the measured stimulus at a threshold, in its inside unit; None if nothing measures it here.

    Raises:
        BenchError: an accuracy that it needs is not declared, or the sensor's curve ends before.
    """
    level, observable = row.threshold_si, row.about.observable
    if row.about.quantity == "current":
        return reference_current(definition, level)
    if row.about.quantity == "voltage":
        if "cell_emulator" not in definition.roles and "cell_monitor" not in definition.roles:
            return None
        if observable == "pack_voltage":
            one = cell_budget(definition, level / profile.bms.cells)
            return Budget("V", (Contribution("cells, one error", profile.bms.cells * one.standard),))
        if observable == "cell_voltage_spread":
            one = cell_budget(definition, profile.bms.upper_limit_cell_v)
            return Budget("V", (Contribution("two cells", 2**0.5 * one.standard),))
        return cell_budget(definition, level)
    if profile.temperature_sensors is None or "sensor_emulator" not in definition.roles:
        return None
    curve = profile.temperature_sensors.curve
    degc = NORMAL_DEGC + level if observable == "temperature_spread" else level
    return sensor_budget(definition, curve.ohm(degc), curve.kelvin_per_share(degc))


def threshold_refusal(definition: Definition, profile: Profile, row: Protection) -> str | None:
    """Return why this bench cannot judge a threshold against its tolerance (TUR < 1), or None."""
    try:
        budget = threshold_budget(definition, profile, row)
    except BenchError as problem:
        return str(problem)
    if budget is None:
        return None
    ratio = tur(-row.tolerance_si, row.tolerance_si, 0.0, budget.expanded) if row.tolerance_si else 0.0
    if ratio >= LEAST_TUR:
        return None
    return (
        f"TUR {ratio:.2g}: tolerance {row.tolerance_si:g} {row.unit_si} against U = {budget.expanded:.2g} "
        f"{row.unit_si} of this bench; it needs a better reference"
    )


def sample_s(row: Protection) -> float:
    """Return the time between two samples of the measured stimulus of a protection, in seconds, as planned with."""
    return {"current": FAST_S, "voltage": CELL_LOOK_S, "temperature": SENSOR_LOOK_S}[row.about.quantity]


def delay_refusal(definition: Definition, row: Protection) -> str | None:
    """Return why this bench cannot resolve the delay window of a protection, or None; what would be needed is in it."""
    gap_s, low_s, high_s = sample_s(row), row.delay_s.min, row.delay_s.max
    if high_s < gap_s:
        return (
            f"its delay of at most {high_s:g} s is shorter than one sample of the reference ({gap_s:g} s); a digitiser "
            "at the shunt would do"
        )
    budget = trip_delay(gap_s, FAST_S, averaging_s=averaging_s(definition), threshold_share=1.0 / 1.05)
    slope = definition.envelope.slope_a_per_s
    if row.about.quantity == "current" and slope is not None and row.tolerance_si:
        spread_s = SLOPE_LASTS * 2.0 * row.tolerance_si / slope
        budget = budget.plus(*Rise(0.0, gap_s, spread_s, 0.0, spread_s, 0.0, 0.0).contributions)
    half_s = (high_s - low_s) / 2.0
    if budget.expanded < half_s:
        return None
    needs = "samples more often"
    if slope is not None and row.about.quantity == "current" and SLOPE_LASTS * 2.0 * row.tolerance_si / slope > gap_s:
        needs = f"a steeper rise than envelope.slope_a_per_s = {slope:g} A/s, or a step"
    return (
        f"its delay window of {low_s:g} to {high_s:g} s is not resolved: U = {budget.expanded:.3g} s here, less than "
        f"{half_s:.3g} s are needed; it takes {needs}"
    )


def _remarks(definition: Definition, profile: Profile, row: Protection) -> list[str]:
    found = []
    text = _never_at_rest(definition, profile, row)
    if text:
        found.append(text)
    if row.lockout_count is not None:
        forgotten = f"forgets them after {row.lockout_window_s:g} s" if row.lockout_window_s else "until a power cycle"
        found.append(f"locks after {row.lockout_count} trips ({forgotten}): at most {row.lockout_count - 1} provoked")
    if row.flag is None and row.level == "protection":
        found.append("no flag is declared: only the current's end is judged")
    return found


def _never_at_rest(definition: Definition, profile: Profile, row: Protection) -> str:
    """Say where a release by value does not come by itself, since the cells of a pack hardly relax (reference 9.2)."""
    value = row.release_value_si
    if row.about.quantity != "voltage" or value is None or definition.topology.cells != "pack":
        return ""
    if row.about.observable == "cell_voltage_spread":
        return ""
    cells = profile.bms.cells if row.about.observable == "pack_voltage" else 1
    back_v, needed_v = cells * relaxes_by_v(profile, PROBE_A), abs(row.threshold_si - value)
    if back_v >= needed_v:
        return ""
    way = "discharge" if row.about.above else "charge"
    return (
        f"its release at {value:g} V never comes at rest: with the plain cell model the voltage goes back by "
        f"{back_v:.3f} V after {PROBE_A:g} A, {needed_v:.3f} V are needed; {way} a little, or emulate the cells"
    )


# -- diagnoses -----------------------------------------------------------------------------------------------------


def _diagnosis(definition: Definition, profile: Profile, row: Diagnosis) -> Point:
    return Point(row.name, row.kind, row.level, tuple(diagnosis_refusals(definition, profile, row)))


def diagnosis_refusals(definition: Definition, profile: Profile, row: Diagnosis) -> list[str]:
    """Return why a fault cannot be made on this bench, or must not be on this BMS; empty where it can."""
    roles = definition.roles
    if row.kind == "frozen_cell_voltage":
        return ["nothing on a bench freezes a reading inside the BMS; only the virtual BMS can play it"]
    if row.kind in ("temperature_sensor_open", "temperature_sensor_short"):
        return [] if "sensor_emulator" in roles else ["no roles.sensor_emulator opens or shorts its sensors"]
    if row.kind == "supply_low":
        reasons = [] if "auxiliary_supply" in roles else ["no roles.auxiliary_supply feeds the BMS"]
        if not profile.tolerates.supply_dip:
            reasons.append("the profile does not promise that the unit survives it (tolerates.supply_dip = true)")
        return reasons
    if row.kind == "link_lost":
        return []
    if "fault_inserter" not in roles:
        return ["no roles.fault_inserter makes the fault"]
    able = [name for name in _faults(definition) if name.startswith(FAULTS[row.kind])]
    fitting = [name for name in able if not_there(name, profile) is None]
    if not fitting:
        wanted = " or ".join(f"{name}..." if name.endswith("_") else name for name in FAULTS[row.kind])
        return [f"the fault inserter has no relay for {wanted} that means something on this BMS"]
    refused = [not_tolerated(name, profile.tolerates) for name in fitting]
    return [] if None in refused else [str(refused[0])]


def _faults(definition: Definition) -> tuple[str, ...]:
    section = definition.instruments[definition.roles["fault_inserter"]]
    return tuple(section.options.get("faults", {}))
