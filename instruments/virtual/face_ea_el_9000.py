"""The EA EL 9080-340 B electronic load: which unit of the family it is and where it sits on the circuit.

What is simulated and what is not: `ea_scpi`, `ea_modbus`, `ea_port` (languages), `behaviour_ea` (the unit).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_ea import EaModel
from instruments.virtual.circuit import Circuit
from instruments.virtual.ea_face import make_unit
from instruments.virtual.face import Face

MODEL = EaModel("EL 9080-340 B", voltage_v=80.0, current_a=340.0, power_w=7_200.0, overvoltage_pct=103.0)


def make(
    name: str, options: Mapping[str, object], circuit: Circuit, clock: SimulatedClock, seed: int, serial: str
) -> Face:
    """Make the unit at the circuit's load terminals; the option `model` lets it claim to be another."""
    model = replace(MODEL, name=str(options.get("model", MODEL.name)))
    firmware = "V2.14 10.08.2016 V2.26 14.09.2016 V1.6.5"
    return make_unit(name, model, circuit.load, clock, seed, serial, firmware=firmware)
