"""Compute what a published solver says about one cell, and store it beside the tests.

A development extra, run by hand and never by the tests: it needs PyBaMM (some 750 MB), which is not a dependency.

    python -m venv SOMEWHERE && SOMEWHERE/bin/pip install pybamm
    PYBAMM_DISABLE_TELEMETRY=true SOMEWHERE/bin/python tests/virtual/make_pybamm_reference.py

It imports nothing of this project. The model is PyBaMM's own `Thevenin` with one RC element; voltage table and
resistances go in through its parameter functions, the table interpolated by SciPy's PchipInterpolator.

Where PyBaMM differs, and what is done about it:
- its current is positive when discharging: turned round here, once, so that the file is charge positive;
- it has a cell and a jig: the jig gets so much heat capacity that it stays at ambient;
- it stops at 100 % state of charge: that event is removed, so that over-charge can be compared;
- it counts I * V1 as the heat of the RC element, what is stored in the capacitor included: its element is given
  V1² / R1 instead (with its own heat the temperatures differ by up to 0.1 K, the voltages by up to 0.6 mV).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ.setdefault("PYBAMM_DISABLE_TELEMETRY", "true")

import numpy as np
import pybamm
from scipy.interpolate import PchipInterpolator

TARGET = Path(__file__).parent / "data" / "pybamm_thevenin.json"

SOC = [k / 20 for k in range(21)]
OCV_V = [
    2.833, 3.132, 3.177, 3.190, 3.213, 3.226, 3.240, 3.252, 3.262, 3.264, 3.265,
    3.268, 3.271, 3.275, 3.283, 3.296, 3.304, 3.308, 3.309, 3.314, 3.392,
]  # fmt: skip
OUTSIDE_SLOPE_V = 10.0
CELL = {"capacity_ah": 100.0, "r0_ohm": 0.0004, "r1_ohm": 0.0006, "tau_s": 30.0}
THERMAL = {"heat_capacity_j_per_k": 2000.0, "resistance_k_per_w": 2.5}
ACTIVATION_K = 20_000.0 / 8.314462618

# name, initial soc %, ambient °C, stretches of (charging current in A or None, held voltage in V or None, seconds)
CASES = [
    ("charge_50_a_then_rest", 50.0, 25.0, [(50.0, None, 600.0), (0.0, None, 600.0)]),
    ("discharge_110_a", 50.0, 25.0, [(-110.0, None, 60.0)]),
    ("discharge_110_a_cold", 30.0, 5.0, [(-110.0, None, 600.0)]),
    ("hold_voltage", 90.0, 25.0, [(None, 3.36, 600.0)]),
    ("charge_50_a_beyond_full", 97.0, 25.0, [(50.0, None, 240.0), (0.0, None, 120.0)]),
    ("discharge_50_a_beyond_empty", 6.0, 25.0, [(-50.0, None, 480.0)]),
]

_curve = PchipInterpolator(SOC, OCV_V)
_inside = np.linspace(0.0, 1.0, 20001)
_grid = np.concatenate([[-0.2], _inside, [1.2]])
_values = np.concatenate([[OCV_V[0] - 0.2 * OUTSIDE_SLOPE_V], _curve(_inside), [OCV_V[-1] + 0.2 * OUTSIDE_SLOPE_V]])


def ocv(soc):
    return pybamm.Interpolant(_grid, _values, soc, "OCV", interpolator="linear")


def _factor(temperature_degc, soc):
    held = pybamm.minimum(pybamm.maximum(soc, 0.0), 1.0)
    kelvin = temperature_degc + 273.15
    return (1.0 + 0.2 * (2.0 * held - 1.0) ** 2) * pybamm.exp(ACTIVATION_K * (1.0 / kelvin - 1.0 / 298.15)), held


def r0(temperature_degc, current, soc):
    return CELL["r0_ohm"] * _factor(temperature_degc, soc)[0]


def r1(temperature_degc, current, soc):
    factor, held = _factor(temperature_degc, soc)
    return CELL["r1_ohm"] * factor * (1.0 + 4.0 * pybamm.exp((held - 1.0) / 0.01))


def c1(temperature_degc, current, soc):
    return CELL["tau_s"] / r1(temperature_degc, current, soc)


class DissipatingElement(pybamm.equivalent_circuit_elements.RCElement):
    """PyBaMM's RC element, except that only its resistor heats."""

    def get_coupled_variables(self, variables):
        variables = super().get_coupled_variables(variables)
        pair_v = variables["Element-1 overpotential [V]"]
        variables["Element-1 irreversible heat generation [W]"] = pair_v**2 / variables["R1 [Ohm]"]
        return variables


def solve(initial, ambient_degc, current_a, held_v, seconds):
    """Return times and columns of one stretch; `initial` is (soc, polarisation V, temperature °C)."""
    model = pybamm.equivalent_circuit.Thevenin(
        options={"operating mode": "current" if held_v is None else "voltage"}, build=False
    )
    model.submodels["Element-1 (RC)"] = DissipatingElement(model.param, 1, model.options)
    model.build_model()
    model.events = []
    values = model.default_parameter_values
    values.update(
        {
            "Initial SoC": initial[0],
            # PyBaMM's overpotential is added to the voltage, as ours.
            "Element-1 initial overpotential [V]": initial[1],
            "Initial temperature [K]": initial[2] + 273.15,
            "Ambient temperature [K]": ambient_degc + 273.15,
            "Cell capacity [A.h]": CELL["capacity_ah"],
            "Nominal cell capacity [A.h]": CELL["capacity_ah"],
            "Current function [A]": 0.0 if current_a is None else -current_a,  # theirs is positive discharging
            "Upper voltage cut-off [V]": 10.0,
            "Lower voltage cut-off [V]": 0.0,
            "Cell thermal mass [J/K]": THERMAL["heat_capacity_j_per_k"],
            "Cell-jig heat transfer coefficient [W/K]": 1.0 / THERMAL["resistance_k_per_w"],
            "Jig thermal mass [J/K]": 1e15,
            "Jig-air heat transfer coefficient [W/K]": 0.0,
            "Open-circuit voltage [V]": ocv,
            "R0 [Ohm]": r0,
            "R1 [Ohm]": r1,
            "C1 [F]": c1,
            "Entropic change [V/K]": 0.0,
        }
    )
    if held_v is not None:
        values.update({"Voltage function [V]": held_v}, check_already_exists=False)
    # The jig starts at the cell's temperature in PyBaMM; put it back to ambient through its own equation.
    model.initial_conditions[model.variables["Jig temperature [degC]"]] = pybamm.Scalar(ambient_degc)
    times = np.unique(np.concatenate([[0.0, 1.0, 2.0, 5.0], np.linspace(0.0, seconds, 31)]))
    simulation = pybamm.Simulation(model, parameter_values=values, solver=pybamm.IDAKLUSolver(rtol=1e-9, atol=1e-11))
    solution = simulation.solve(t_eval=[0.0, seconds], t_interp=times)
    names = ["Current [A]", "Voltage [V]", "SoC", "Element-1 overpotential [V]", "Cell temperature [degC]"]
    return times, [np.asarray(solution[name](times), dtype=float) for name in names]


def main():
    cases = []
    for name, soc_pct, ambient_degc, stretches in CASES:
        state, start_s, rows = (soc_pct / 100.0, 0.0, ambient_degc), 0.0, []
        for current_a, held_v, seconds in stretches:
            times, (current, voltage, soc, pair, temperature) = solve(state, ambient_degc, current_a, held_v, seconds)
            for k, t in enumerate(times):
                rows.append(
                    [
                        round(start_s + float(t), 6),
                        round(-float(current[k]), 7) + 0.0,
                        round(float(voltage[k]), 8),
                        round(100.0 * float(soc[k]), 8),
                        round(float(temperature[k]), 6),
                    ]
                )
            state, start_s = (float(soc[-1]), float(pair[-1]), float(temperature[-1])), start_s + seconds
        cases.append(
            {
                "name": name,
                "initial_soc_pct": soc_pct,
                "ambient_degc": ambient_degc,
                "stretches": [{"current_a": i, "held_v": v, "seconds": s} for i, v, s in stretches],
                "rows": rows,
            }
        )
    document = {
        "made_by": "tests/virtual/make_pybamm_reference.py, by hand; not from this project's model",
        "solver": f"PyBaMM {pybamm.__version__}, Thevenin, 1 RC element, IDAKLU rtol 1e-9 atol 1e-11",
        "sign": "current positive when charging; PyBaMM's own convention is the other, turned round by the script",
        "differences": "heat of the RC element set to V1^2/R1 (PyBaMM: I*V1); see the script",
        "cell": CELL,
        "thermal": THERMAL,
        "resistance_factor": "(1 + 0.2 (2z-1)^2) exp(Ea/Rgas (1/T - 1/298.15)), Ea 20 kJ/mol, z held to 0..1;"
        " R1 also times (1 + 4 exp((z-1)/0.01))",
        "ocv": {
            "soc": SOC,
            "voltage_v": OCV_V,
            "between": "SciPy PchipInterpolator",
            "outside_slope_v": OUTSIDE_SLOPE_V,
        },
        "columns": ["test_time_second", "current_ampere", "voltage_volt", "soc_pct", "temperature_degc"],
        "cases": cases,
    }
    TARGET.parent.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1)
    # One row per line keeps the file readable and its differences small.
    TARGET.write_text(_rows_on_lines(text) + "\n", encoding="utf-8")


def _rows_on_lines(text):
    import re

    return re.sub(r"\[\s+(-?[\d.e+-]+(?:,\s+-?[\d.e+-]+)*)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)


if __name__ == "__main__":
    main()
