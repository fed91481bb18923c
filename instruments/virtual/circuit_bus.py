"""The bus and what is attached to it: who pushes how much current, and what stands at whose terminals."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING

from instruments.virtual.circuit_node import Step

if TYPE_CHECKING:
    from instruments.virtual.circuit_flow import Flow
    from instruments.virtual.circuit_stages import Stage

# Wires and terminals, so that the bus has a voltage, and one that decays, with every instrument off its terminals.
_STRAY_F, _STRAY_S = 1e-6, 1e-9


class Bus:
    """The stages of a circuit on their common node; `flow` is what moves it."""

    flow: Flow

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.stages = tuple(stages)

    def source_steps(self) -> list[Step]:
        """Return what everything attached pushes into the bus."""
        stray = Step(-inf, 0.0, 0.0, 0.0, _STRAY_S)
        return [stray, *(stage.step() for stage in self.stages if not stage.disconnected)]

    def capacitance_f(self) -> float:
        """Return the capacitance of everything attached, in farads."""
        return _STRAY_F + sum(stage.capacitance_f for stage in self.stages if not stage.disconnected)

    def share_charge(self, more_f: float) -> None:
        """A discharged capacitor joins the bus: the charge spreads over both at once."""
        self.flow.bus_v *= self.capacitance_f() / (self.capacitance_f() + more_f)

    def voltage_v(self, stage: Stage) -> float:
        """Return the voltage at a stage's terminals, in volts."""
        self.flow.catch_up()
        return stage.loose_v() if stage.disconnected else self.flow.bus_v

    def current_a(self, stage: Stage) -> float:
        """Return the current a stage pushes into the bus, its capacitor's included, in amperes."""
        self.flow.catch_up()
        if stage.disconnected:
            return 0.0
        return self._pushed_a()[stage.name] - stage.capacitance_f * self.flow.bus_v_per_s

    def limits(self, stage: Stage) -> bool:
        """Whether a stage that is on is at its current limit rather than at its voltage."""
        self.flow.catch_up()
        if stage.disconnected:
            return False
        step, bus_v = stage.step(), self.flow.bus_v
        return bus_v < step.at_v or (bus_v > step.at_v and step.a_above < 0.0)

    def stray_current_a(self) -> float:
        """Return what wires and terminals take from the bus, in amperes."""
        return _STRAY_F * self.flow.bus_v_per_s + _STRAY_S * self.flow.bus_v

    def _pushed_a(self) -> dict[str, float]:
        """Return the regulated current of every attached stage; what holds the voltage gives what is missing."""
        bus_v = self.flow.bus_v
        left_a = self.flow.current_a + self.capacitance_f() * self.flow.bus_v_per_s + _STRAY_S * bus_v
        pushed: dict[str, float] = {}
        holding: list[Stage] = []
        for stage in self.stages:
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
