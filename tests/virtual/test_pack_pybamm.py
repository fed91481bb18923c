"""The pack and circuit against a published solver (PyBaMM), stored with its parameters in data/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell

_DOCUMENT = json.loads((Path(__file__).parent / "data" / "pybamm_thevenin.json").read_text(encoding="utf-8"))
_CASES = {case["name"]: case for case in _DOCUMENT["cases"]}
_VOLTAGE_TOLERANCE_V = 50e-6  # reached: 23 µV (110 A at 5 °C), 3 µV elsewhere
_TEMPERATURE_TOLERANCE_K = 2e-3


def _cell(case: dict[str, Any]) -> Pack:
    cell = _DOCUMENT["cell"]
    return Pack(
        [Cell(cell["capacity_ah"], cell["r0_ohm"], cell["r1_ohm"], case["initial_soc_pct"])],
        curve=OcvCurve(_DOCUMENT["ocv"]["soc"], _DOCUMENT["ocv"]["voltage_v"]),
        ambient_degc=case["ambient_degc"],
    )


@pytest.mark.parametrize("name", sorted(_CASES))
def test_a_cell_in_the_circuit_follows_pybamm(name: str) -> None:
    """Voltage, current, charge and temperature at every stored moment, driven by the bidirectional supply."""
    case = _CASES[name]
    now = [0]
    pack = _cell(case)
    circuit = Circuit(
        pack,
        now_ns=lambda: now[0],
        topology="common",
        wiring_ohm=0.0,
        reference_shunt_ohm=0.0,
        bms_shunt_ohm=0.0,
        switch_ohm=0.0,
        bleeder_ohm=float("inf"),
        supply_capacitance_f=0.0,
        load_capacitance_f=0.0,
        bidirectional_capacitance_f=1e-6,
    )
    circuit.disconnect.set(closed=True)
    circuit.switches.set(charge=True, discharge=True)
    start_s, compared = 0.0, 0
    for stretch in case["stretches"]:
        current_a, held_v, seconds = stretch["current_a"], stretch["held_v"], stretch["seconds"]
        if held_v is not None:
            circuit.bidirectional.set(on=True, voltage_v=held_v, source_limit_a=500.0, sink_limit_a=500.0)
        else:
            circuit.bidirectional.set(
                on=current_a != 0.0,
                voltage_v=5.0 if current_a > 0.0 else 0.0,
                source_limit_a=abs(current_a),
                sink_limit_a=abs(current_a),
            )
        for t, i, v, soc, temperature in case["rows"]:
            # A moment where two stretches meet is stored twice; only the inside of this one is compared.
            if not start_s < t < start_s + seconds:
                continue
            now[0] = round(t * 1e9)
            own_a = circuit.pack_current_a()
            assert own_a == pytest.approx(i, abs=2e-6 * abs(i) + (0.015 if held_v else 1e-6)), t
            assert pack.cell_voltages_v(own_a)[0] == pytest.approx(v, abs=_VOLTAGE_TOLERANCE_V), t
            assert pack.soc_pct() == pytest.approx(soc, abs=1e-4 if held_v else 1e-6), t
            assert pack.temperatures_degc()[0] == pytest.approx(temperature, abs=_TEMPERATURE_TOLERANCE_K), t
            compared += 1
        start_s += seconds
        now[0] = round(start_s * 1e9)
    assert compared >= 28 * len(case["stretches"])
