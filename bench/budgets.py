"""Budgets of what a bench measures, from its definition alone: current, voltage, thresholds; and their calibration.

Source: the metrology reference, sections 6 and 7.3. Times are in `bench.timing`.
"""

from __future__ import annotations

import datetime
import math

from bench.definition import Definition
from bench.errors import DefinitionError
from bench.uncertainty import Accuracy, Budget, Contribution, Uncertain

LINE_S = 0.02  # one power line cycle at 50 Hz
CHANNELS = {  # which channels of the traces a role's own measurement is recorded in, and what to call it
    "reference_meter": {"reference_current": "reference current"},
    "pack_meter": {"pack_side_voltage": "pack voltage"},
    "supply": {"voltage.supply": "voltage across the BMS's switch"},
    "load": {"voltage.load": "voltage across the BMS's switch"},
    "bidirectional": {"voltage.bidirectional": "voltage across the BMS's switch"},
    "cell_emulator": {"cell_[0-9]*": "emulated cell voltage"},
    "sensor_emulator": {"degc.*": "emulated temperature"},
    "cell_monitor": {"cell_[0-9]*": "cell voltage", "degc.*": "temperature"},
}


def voltage_accuracy(definition: Definition, role: str) -> Accuracy:
    """Return the voltage accuracy of the instrument that plays a role.

    Raises:
        DefinitionError: it has none, and without it a reference has no uncertainty.
    """
    name = definition.roles[role]
    accuracy = definition.instruments[name].accuracy.get("voltage")
    if accuracy is None:
        raise DefinitionError(
            f"{definition.source.name}, instruments.{name}.accuracy.voltage: is missing; without it a reference "
            "has no uncertainty"
        )
    return accuracy


def reference_current(definition: Definition, current_a: float, *, apart: bool = False) -> Budget:
    """Return the budget of one reading of the reference current, in amperes; see `ReferenceShunt.budget`."""
    accuracy = voltage_accuracy(definition, "reference_meter")
    return definition.topology.reference_shunt.budget(current_a, accuracy, apart=apart)


def pack_voltage(definition: Definition, voltage_v: float) -> Budget:
    """Return the budget of one reading of the pack's voltage, in volts."""
    return Budget("V", voltage_accuracy(definition, "pack_meter").contributions(voltage_v, "pack meter"))


def averaging_s(definition: Definition) -> float:
    """Return over how long one reading of the reference current is averaged, in seconds.

    0 on a simulated bench, whose meters tell an instant whatever integration they are set to.
    """
    meter = definition.reference_meter
    if definition.bench.simulated:
        return 0.0
    if meter.integration_s or meter.measuring is None:
        return meter.integration_s
    return meter.measuring.power_line_cycles * LINE_S


def ramp_threshold(
    at_end: float,
    slope_per_s: float,
    reference: Budget,
    *,
    delay_s: tuple[float, float],
    sample_s: float,
    gap_s: float,
) -> tuple[Uncertain, Budget]:
    """Return the threshold that a ramp found, in the unit of the reference, with its budget.

    `at_end` is the ramp's value when it ended, `slope_per_s` its signed slope, `delay_s` the least and the greatest
    delay of the protection, `sample_s` the BMS's own sampling, `gap_s` the time between the samples around the end.
    The overshoot r (td + Ts / 2) is taken off and its spread added (metrology reference 7.3).
    """
    least_s, greatest_s = delay_s
    value = at_end - slope_per_s * ((least_s + greatest_s) / 2.0 + sample_s / 2.0)
    lines = (("spread of the delay", greatest_s - least_s), ("sampling of the BMS", sample_s), ("end", gap_s))
    budget = reference.plus(
        *(Contribution.within(name, width_s / 2.0, "rectangular", slope_per_s) for name, width_s in lines)
    )
    return budget.of(value), budget


def bracketed_threshold(
    quiet: float, tripped: float, reference: Budget, *, noise: float = 0.0
) -> tuple[Uncertain, Budget]:
    """Return the threshold between the last value that did not trip and the first that did, with its budget.

    `noise` is the standard deviation of the BMS's own reading: it blurs the bracket, however fine (reference 7.3).
    """
    budget = reference.plus(
        Contribution.within("half of the bracket", (tripped - quiet) / 2.0, "rectangular"),
        Contribution("noise of the BMS", abs(noise)),
    )
    return budget.of((quiet + tripped) / 2.0), budget


def setting_error_a(definition: Definition, role: str, current_a: float) -> float:
    """Return the limit of error with which the instrument of a role sets a current, in amperes; 0 if not stated."""
    accuracy = definition.instruments[definition.roles[role]].accuracy.get("current")
    return 0.0 if accuracy is None else accuracy.half_width(current_a)


def calibration_gaps(definition: Definition, today: datetime.date) -> dict[str, str]:
    """Return, per recorded channel (or pattern of channels), why its calibration does not hold today.

    `today` is the bench's own date, handed in. An instrument that states no date is not in the list: whether it needs
    one is for the lab to say, and `bmsbench check` remarks on it. A verdict for which such a channel was asked is
    inconclusive, whichever way it fell: an instrument out of calibration can neither pass nor fail a product.
    """
    shunt, roles = definition.topology.reference_shunt, definition.roles
    gaps: dict[str, str] = {}
    if shunt.calibration_due is not None and shunt.calibration_due < today:
        gaps["reference_current"] = _gap("reference current", "the reference shunt", shunt.calibration_due)
    for role, name in roles.items():
        due = definition.instruments[name].calibration_due
        if due is None or due >= today:
            continue
        for channel, what in CHANNELS.get(role, {}).items():
            gaps.setdefault(channel, _gap(what, name, due))
    return gaps


def _gap(what: str, name: str, due: datetime.date) -> str:
    return f"the {what} rests on {name}, whose calibration was due on {due}: calibrate it and measure again"


def as_percent(budget: Budget, value: float) -> float:
    """Return the expanded uncertainty in percent of a value; infinite at 0."""
    return 100.0 * budget.expanded / abs(value) if value else math.inf
