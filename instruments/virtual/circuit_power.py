"""Where the power of a circuit comes from and goes to, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


def power_balance_w(circuit: Circuit, current_a: float, switch_ohm: float, drop_v: float) -> dict[str, float]:
    """Return the power each element puts into the circuit, in watts, while this current flows.

    `switch_ohm` is what the BMS's switches are together, `drop_v` their diode's voltage. Where the precharge resistor
    conducts beside closed switches, both count as "switch" except for the resistor's own heat.
    """
    heat, bus_v, pack = current_a * current_a, circuit.bus_v(), circuit.pack
    resistor_w = -(circuit.precharge_current_a() ** 2) * circuit.precharge_ohm
    return {
        **{stage.name: bus_v * circuit.bus.current_a(stage) for stage in circuit.bus.stages},
        "stray": -bus_v * circuit.bus.stray_current_a(),
        "wiring": -heat * circuit.wiring_ohm,
        "reference_shunt": -heat * circuit.reference_shunt_ohm,
        "switch": -heat * switch_ohm - current_a * drop_v - resistor_w,
        "precharge": resistor_w,
        "bms_shunt": -heat * circuit.bms_shunt_ohm,
        **pack.powers_w(current_a),
    }
