"""What must hold whatever is set: power at every node, charge, independence from who looks, and no standstill."""

from __future__ import annotations

import random
from typing import Any

import pytest

from instruments.virtual.circuit import Circuit
from instruments.virtual.circuit_flow import Flow
from instruments.virtual.pack import Pack

_OPEN = {"charge": False, "discharge": False}


def _gives(voltage_v: float, current_limit_a: float) -> dict[str, Any]:
    return {"on": True, "voltage_v": voltage_v, "current_limit_a": current_limit_a}


def _draws(current_a: float) -> dict[str, Any]:
    return {"on": True, "current_a": current_a}


def _both(voltage_v: float, source_limit_a: float, sink_limit_a: float) -> dict[str, Any]:
    return {"on": True, "voltage_v": voltage_v, "source_limit_a": source_limit_a, "sink_limit_a": sink_limit_a}


# Name, settings, seconds to wait, expected current (A) and its slack: every mode of every element, both directions,
# on the way and settled. The bleeders of what is off take a few milliamperes.
SITUATIONS: list[tuple[str, dict[str, dict[str, Any]], float, float, float]] = [
    ("supply_cc", {"supply": _gives(58.0, 50.0)}, 1.0, 50.0, 0.01),
    ("supply_cv", {"supply": _gives(53.0, 200.0)}, 1.0, 40.0, 10.0),
    ("supply_idle", {"supply": _gives(48.0, 50.0)}, 1.0, 0.0, 0.01),
    ("on_the_way_to_its_limit", {"supply": _gives(58.0, 5.0)}, 20e-6, 1.2, 0.2),
    ("load_cc", {"load": _draws(110.0)}, 1.0, -110.0, 0.01),
    ("supply_and_load", {"supply": _gives(58.0, 50.0), "load": _draws(20.0)}, 1.0, 30.0, 0.01),
    ("bidirectional_sinks", {"bidirectional": _both(40.0, 9.0, 80.0)}, 1.0, -80.0, 0.01),
    ("bidirectional_sources", {"bidirectional": _both(58.0, 9.0, 80.0)}, 1.0, 9.0, 0.01),
    ("bidirectional_holds", {"bidirectional": _both(52.0, 99.0, 99.0)}, 1.0, -12.0, 3.0),
    ("charge_through_diode", {"switches": {"discharge": False}, "supply": _gives(58.0, 50.0)}, 1.0, 50.0, 0.01),
    ("discharge_through_diode", {"switches": {"charge": False}, "load": _draws(50.0)}, 1.0, -50.0, 0.01),
    ("open_and_climbing", {"switches": _OPEN, "supply": _gives(58.0, 1.0)}, 1e-3, 0.0, 1e-4),
    ("open_and_collapsing", {"switches": _OPEN, "load": _draws(5.0)}, 1e-3, 0.0, 1e-4),
    ("open_and_under_run", {"switches": _OPEN, "load": _draws(50.0)}, 1.0, 0.0, 1e-4),
    ("precharge", {"switches": {"charge": False, "precharge": True}, "load": _draws(0.5)}, 0.05, -0.5, 0.5),
    ("resting", {}, 600.0, 0.0, 0.01),
]


def _bench(topology: str = "separate") -> tuple[Circuit, list[int]]:
    now = [0]
    circuit = Circuit(Pack.demonstration(seed=5), now_ns=lambda: now[0], topology=topology)  # type: ignore[arg-type]
    circuit.disconnect.set(closed=True)
    circuit.switches.set(charge=True, discharge=True)
    now[0] = 10**9
    return circuit, now


@pytest.mark.parametrize("topology", ["separate", "common"])
@pytest.mark.parametrize(
    ("settings", "seconds", "expected_a", "slack_a"), [s[1:] for s in SITUATIONS], ids=[s[0] for s in SITUATIONS]
)
def test_power_and_current_balance_at_every_node(
    topology: str, settings: dict[str, dict[str, Any]], seconds: float, expected_a: float, slack_a: float
) -> None:
    circuit, now = _bench(topology)
    if topology == "common" and settings.get("switches", {}).keys() in ({"charge"}, {"discharge"}):
        expected_a = 0.0  # contactors have no diode
    for element, values in settings.items():
        getattr(circuit, element).set(**values)
    now[0] += round(seconds * 1e9)
    current_a = circuit.pack_current_a()
    assert current_a == pytest.approx(expected_a, abs=slack_a)
    watts = circuit.power_balance_w()
    scale_w = max(abs(w) for w in watts.values())
    assert abs(sum(watts.values())) <= 2e-6 * scale_w + 1e-9
    # The parts, each from its own readings, so that the sum is not balanced by definition.
    assert watts["supply"] == pytest.approx(circuit.supply.voltage_v() * circuit.supply.current_a(), abs=1e-9)
    assert watts["load"] == pytest.approx(-circuit.load.voltage_v() * circuit.load.current_a(), abs=1e-9)
    assert watts["reference_shunt"] == pytest.approx(-circuit.reference_shunt_v() * current_a, abs=1e-9)
    assert watts["bms_shunt"] == pytest.approx(-circuit.bms_shunt_v() * current_a, abs=1e-9)
    cells_w = sum(watts[k] for k in ("cell_resistance", "cell_polarisation", "cell_chemistry"))
    assert cells_w == pytest.approx(-circuit.pack_side_v() * current_a, abs=1e-6)
    into_bus_a = circuit.supply.current_a() + circuit.bidirectional.current_a() - circuit.load.current_a()
    stray_a = watts["stray"] / circuit.bus_v() if circuit.bus_v() else 0.0
    assert into_bus_a + stray_a == pytest.approx(current_a, abs=1e-6 * max(1.0, abs(current_a)))


def test_power_balances_in_the_middle_of_a_capacitor_dump() -> None:
    circuit, now = _bench()
    circuit.switches.set(charge=False, discharge=False)
    circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=5.0)
    now[0] += 10**9
    circuit.switches.set(charge=True, discharge=True)
    for _ in range(10):
        now[0] += 10_000
        watts = circuit.power_balance_w()
        assert circuit.pack_current_a() > 50.0
        assert abs(sum(watts.values())) <= 1e-6 * max(abs(w) for w in watts.values())


def _story(circuit: Circuit, now: list[int], look: Any) -> list[Any]:
    """Play a little of everything, looking in between as told; return the evidence at fixed moments."""
    evidence: list[Any] = []

    def until(seconds: float) -> None:
        end = now[0] + round(seconds * 1e9)
        look(end)
        now[0] = end
        current_a = circuit.pack_current_a()
        evidence.extend((current_a, circuit.bus_v(), circuit.pack_side_v(), circuit.supply.current_a()))
        evidence.extend(circuit.pack.cell_voltages_v(current_a))
        evidence.extend(circuit.pack.temperatures_degc())
        evidence.append(circuit.pack.charge_ah())

    circuit.supply.set(on=True, voltage_v=55.0, current_limit_a=90.0)
    until(0.0001)
    until(100.0)
    circuit.supply.set(voltage_v=53.6)
    until(900.0)  # from constant current into constant voltage on the way
    circuit.supply.set(on=False)
    circuit.load.set(on=True, current_a=110.0)
    until(9.9)
    circuit.switches.set(discharge=False)
    until(0.0003)
    until(5.0)
    circuit.load.set(on=False)
    circuit.pack.ambient_degc = 45.0
    until(3600.0)
    return evidence


def test_looking_changes_nothing_to_the_last_bit() -> None:
    """Nobody looking, a hundred even looks, and a thousand looks at odd moments give the same numbers."""
    results = []
    for looks in (0, 100, 1000):
        circuit, now = _bench()
        odd = random.Random(looks)

        def look(
            end: int, circuit: Circuit = circuit, now: list[int] = now, looks: int = looks, odd: Any = odd
        ) -> None:
            for moment in sorted(odd.randrange(now[0], end) for _ in range(looks)):
                now[0] = moment
                circuit.pack.temperatures_degc()
                circuit.pack.cell_voltages_v(circuit.pack_current_a())
                circuit.power_balance_w()

        results.append(_story(circuit, now, look))
    assert results[0] == results[1] == results[2]


def test_charge_that_flowed_is_charge_that_is_stored() -> None:
    """The integral of the true current, by the trapezium over fine samples, is what the cells gained."""
    circuit, now = _bench()
    circuit.supply.set(on=True, voltage_v=53.2, current_limit_a=300.0)
    now[0] += 10**7
    circuit.catch_up()
    before_ah, total_c, last_a = circuit.pack.charge_ah(), 0.0, circuit.pack_current_a()
    for _ in range(6000):
        now[0] += 10**7
        current_a = circuit.pack_current_a()
        total_c += 0.5 * (last_a + current_a) * 0.01
        last_a = current_a
    assert total_c > 100.0
    assert (circuit.pack.charge_ah() - before_ah) * 3600.0 == pytest.approx(total_c, rel=1e-5)


def test_a_rest_of_an_hour_takes_a_handful_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, now = _bench()
    circuit.supply.set(on=True, voltage_v=58.0, current_limit_a=50.0)
    now[0] += 60 * 10**9
    circuit.supply.set(on=False)
    steps = _counted(monkeypatch)
    now[0] += 3600 * 10**9
    assert circuit.pack_current_a() == pytest.approx(0.0, abs=0.01)
    assert 1 <= len(steps) <= 20


@pytest.mark.parametrize("seed", range(40))
def test_no_combination_of_settings_stops_time_or_breaks_the_balance(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty random histories, diodes and bare capacitors on the edge included."""
    draw = random.Random(seed)
    now = [0]
    circuit = Circuit(
        Pack.demonstration(seed=seed, soc_pct=draw.choice([3.0, 50.0, 99.0, 101.0])),
        now_ns=lambda: now[0],
        topology=draw.choice(["separate", "common"]),
        leakage_ohm=draw.choice([None, float("inf"), 1e5]),
        bleeder_ohm=draw.choice([2e4, float("inf"), 1e3]),
    )
    steps = _counted(monkeypatch)
    volts, amperes = [0.0, 40.0, 52.5, 53.0, 54.0, 58.0], [0.0, 1.0, 20.0, 110.0]
    for _ in range(60):
        act = draw.randrange(8)
        on, v, i, j = draw.random() < 0.7, draw.choice(volts), draw.choice(amperes), draw.choice(amperes)
        if act == 0:
            circuit.supply.set(on=on, voltage_v=v, current_limit_a=i)
        elif act == 1:
            circuit.load.set(on=on, current_a=i)
        elif act == 2:
            circuit.bidirectional.set(on=on, voltage_v=v, source_limit_a=i, sink_limit_a=j)
        elif act in (3, 4):
            circuit.switches.set(charge=on, discharge=draw.random() < 0.6, precharge=draw.random() < 0.2)
        elif act == 5:
            circuit.disconnect.set(closed=on)
        seconds = 10.0 ** draw.uniform(-6.0, 1.7)
        now[0] += int(seconds * 1e9)
        steps.clear()
        watts = circuit.power_balance_w()
        # A refresh every 0.125 s at most, each with a few events when a bus is balanced on an edge.
        assert len(steps) <= 40 * (1.0 + seconds / 0.125)
        assert abs(sum(watts.values())) <= 1e-3 * max(abs(w) for w in watts.values()) + 1e-4
        assert circuit.bus_v() > -1e-9
        if not -3.0 < circuit.pack.soc_pct() < 104.0:
            break


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the stretches that the flow goes through."""
    steps: list[int] = []
    original = Flow._finish

    def finish(flow: Flow) -> None:
        steps.append(1)
        original(flow)

    monkeypatch.setattr(Flow, "_finish", finish)
    return steps
