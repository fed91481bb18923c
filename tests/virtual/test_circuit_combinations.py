"""Random histories with every fault of the path, bleeders, shorts, capacitors and comparators at once."""

from __future__ import annotations

import random

import pytest

from bench.simulated_clock import SimulatedClock
from instruments.virtual.circuit import Circuit
from instruments.virtual.circuit_flow import Flow
from instruments.virtual.circuit_watch import CurrentWatch
from instruments.virtual.pack import Pack

_FAULTS = ("weld", "stick_open", "invert_feedback")


class Told:
    """Watches of one circuit, and whether they are told in turns and where they should."""

    def __init__(self, circuit: Circuit, clock: SimulatedClock) -> None:
        self.circuit, self.clock, self.times = circuit, clock, 0
        self.watches = [self._watch(level_a) for level_a in (0.5, 19.0, 120.0, 800.0)]

    def _watch(self, level_a: float) -> CurrentWatch:
        def look(above: bool) -> None:
            self.times += 1
            current_a = abs(self.circuit.pack_current_a())
            assert (current_a >= level_a) is above
            assert watch.above is above

        watch = self.circuit.watch_current(level_a, lambda: look(True), falls=lambda: look(False))
        return watch

    def check(self) -> None:
        """Every watch stands on the side on which the current is."""
        current_a = abs(self.circuit.pack_current_a())
        for watch in self.watches:
            assert watch.above is (current_a >= watch.level_a), (watch.level_a, current_a)


@pytest.mark.parametrize("seed", range(16))
def test_no_combination_of_faults_stops_time_breaks_the_balance_or_misses_a_level(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    clock = SimulatedClock()
    circuit = Circuit(
        Pack.demonstration(seed=seed, soc_pct=draw.choice([3.0, 50.0, 99.0])),
        now_ns=clock.now_ns,
        topology=draw.choice(["separate", "common"]),
        cells=draw.choice(["pack", "emulated"]),
    )
    circuit.disconnect.set(closed=True)
    told = Told(circuit, clock)
    steps = [0]
    plan = Flow._plan

    def counting(flow: Flow, *values: object, **named: object) -> None:
        steps[0] += 1
        plan(flow, *values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Flow, "_plan", counting)
    for _ in range(60):
        on = draw.random() < 0.6
        match draw.randrange(9):
            case 0:
                circuit.supply.set(on=on, voltage_v=draw.choice([40.0, 53.0, 58.0]), current_limit_a=20.0)
            case 1:
                circuit.load.set(on=on, current_a=draw.choice([1.0, 20.0, 150.0]))
            case 2 | 3:
                circuit.switches.set(charge=on, discharge=draw.random() < 0.6, precharge=draw.random() < 0.4)
            case 4:
                getattr(circuit.switches, draw.choice(_FAULTS))(draw.choice(circuit.switches.names), on)
            case 5:
                circuit.precharge_open = on
            case 6:
                circuit.short.close(draw.choice([1e-3, 0.1, 5.0])) if on else circuit.short.open()
            case 7:
                circuit.bus_capacitor(draw.choice([0.0, 0.01, 0.1]))
            case 8:
                circuit.dut.balance(draw.randint(1, 16), on, ohm=draw.choice([10.0, 33.0]))
        seconds = 10.0 ** draw.uniform(-6.0, 1.7)
        steps[0] = 0
        clock.sleep(seconds)
        told.check()
        watts = circuit.power_balance_w()
        assert steps[0] <= 60 + 30 * seconds / 0.125
        # While the bus moves, the pack's inner voltage stands still: up to a second with a large capacitor.
        assert abs(sum(watts.values())) <= 1e-3 * max(abs(w) for w in watts.values()) + 1e-4
        assert circuit.bus_v() >= -1e-9
    assert told.times > 0
