"""Where the current of the bus goes: who pushes how much, and the power of every element."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from instruments.virtual.circuit_stages import Stage

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit


def pushed_a(stages: Iterable[Stage], bus_v: float, left_a: float) -> dict[str, float]:
    """Return the regulated current of every attached stage, in amperes; what holds the voltage gives what is missing.

    `left_a` is what leaves the bus: into the branch, its capacitors and what leaks.
    """
    pushed: dict[str, float] = {}
    holding: list[Stage] = []
    for stage in stages:
        if stage.disconnected:
            continue
        step = stage.step()
        if bus_v == step.at_v:
            holding.append(stage)
            continue
        a, g = step.side(bus_v, up=True)
        pushed[stage.name] = a - g * bus_v
        left_a -= pushed[stage.name]
    for index, stage in enumerate(holding):
        step = stage.step()
        low_a, high_a = step.a_above - step.g_above * bus_v, step.a_below - step.g_below * bus_v
        share_a = left_a if index == len(holding) - 1 else min(max(left_a, low_a), high_a)
        pushed[stage.name] = share_a
        left_a -= share_a
    return pushed


def power_balance_w(circuit: Circuit, current_a: float, switch_ohm: float, drop_v: float) -> dict[str, float]:
    """Return the power each element puts into the circuit, in watts, while this current flows.

    `switch_ohm` is what the BMS's switches are together, `drop_v` their diode's voltage. Where the precharge resistor
    conducts beside closed switches, both count as "switch" except for the resistor's own heat.
    """
    heat, bus_v, pack = current_a * current_a, circuit.bus_v(), circuit.pack
    resistor_w = -(circuit.precharge_current_a() ** 2) * circuit.precharge_ohm
    return {
        **{stage.name: bus_v * circuit.stage_current_a(stage) for stage in circuit.stages},
        "stray": -bus_v * circuit.stray_current_a(),
        "wiring": -heat * circuit.wiring_ohm,
        "reference_shunt": -heat * circuit.reference_shunt_ohm,
        "switch": -heat * switch_ohm - current_a * drop_v - resistor_w,
        "precharge": resistor_w,
        "bms_shunt": -heat * circuit.bms_shunt_ohm,
        **pack.powers_w(current_a),
    }
