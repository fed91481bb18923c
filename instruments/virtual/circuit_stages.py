"""What is attached to the bus: supply, load, bidirectional supply.

Plain settings. Every change goes through a method that first lets the physics catch up to now, so that the past
is never computed with the settings of the future.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf, isfinite
from typing import TYPE_CHECKING, Literal

from instruments.virtual.circuit_node import Step

if TYPE_CHECKING:
    from instruments.virtual.circuit import Circuit

Mode = Literal["OFF", "CV", "CC"]


def _not_negative(value: float, what: str) -> float:
    if not (isfinite(value) and value >= 0.0):
        raise ValueError(f"virtual circuit, {what}: {value!r} is not a finite magnitude (>= 0)")
    return value


class Stage(ABC):
    """Something whose terminals can be on the bus: with capacitor and bleeder, or disconnected."""

    def __init__(self, circuit: Circuit, name: str, capacitance_f: float, bleeder_ohm: float) -> None:
        self._circuit = circuit
        self.name = name
        self.on = False
        self.capacitance_f = capacitance_f
        self.bleeder_s = 1.0 / bleeder_ohm
        self._disconnected = False

    @property
    def disconnected(self) -> bool:
        """Whether its wires are off: it then neither sees nor moves the bus."""
        return self._disconnected

    @disconnected.setter
    def disconnected(self, value: bool) -> None:
        self._change(_disconnected=value)

    def _change(self, **settings: float | bool | None) -> None:
        changed = {k: v for k, v in settings.items() if v is not None and getattr(self, k) != v}
        if not changed:
            return
        self._circuit.catch_up()
        for key, value in changed.items():
            setattr(self, key, value)
        self._circuit.changed()

    @abstractmethod
    def step(self) -> Step:
        """Return what it pushes into the bus over the bus voltage."""

    def loose_v(self) -> float:
        """Return the voltage at its terminals when its wires are off, in volts."""
        return 0.0

    def _idle(self) -> Step:
        return Step(-inf, 0.0, 0.0, 0.0, self.bleeder_s)


class SourceStage(Stage):
    """A one-quadrant supply: constant voltage or constant current, never sinks more than its bleeder.

    The regulated current is what leaves the terminals; the bleeder shows only when the stage is off, or on but
    below the voltage of the bus.
    """

    voltage_set_v = 0.0
    current_limit_a = 0.0

    def set(
        self, *, on: bool | None = None, voltage_v: float | None = None, current_limit_a: float | None = None
    ) -> None:
        """Change settings now; what is not named stays."""
        if voltage_v is not None:
            _not_negative(voltage_v, f"{self.name} voltage in V")
        if current_limit_a is not None:
            _not_negative(current_limit_a, f"{self.name} current limit in A")
        self._change(on=on, voltage_set_v=voltage_v, current_limit_a=current_limit_a)

    def step(self) -> Step:
        """Return what it pushes into the bus over the bus voltage."""
        if not self.on:
            return self._idle()
        return Step(self.voltage_set_v, self.current_limit_a, 0.0, 0.0, self.bleeder_s)

    def loose_v(self) -> float:
        """Return the voltage at its terminals when its wires are off, in volts."""
        return self.voltage_set_v if self.on else 0.0

    def voltage_v(self) -> float:
        """Return the voltage at its terminals, in volts."""
        return self._circuit.bus.voltage_v(self)

    def current_a(self) -> float:
        """Return the current out of its terminals, its capacitor's included, in amperes."""
        return self._circuit.bus.current_a(self)

    def mode(self) -> Mode:
        """Return OFF, CC (at a current limit) or CV (also when it idles below a bus it cannot pull down)."""
        if not self.on:
            return "OFF"
        return "CC" if self._circuit.bus.limits(self) else "CV"


class TwoQuadrantStage(SourceStage):
    """A bidirectional supply: sources below its set voltage, sinks above it, each up to its own limit.

    Source of the rule: EA PSB operating guide; the direction follows from set voltage against bus voltage.
    """

    sink_limit_a = 0.0

    def set(  # type: ignore[override]
        self,
        *,
        on: bool | None = None,
        voltage_v: float | None = None,
        source_limit_a: float | None = None,
        sink_limit_a: float | None = None,
    ) -> None:
        """Change settings now; what is not named stays. Limits are magnitudes."""
        for value, what in (
            (voltage_v, "voltage in V"),
            (source_limit_a, "source limit in A"),
            (sink_limit_a, "sink limit in A"),
        ):
            if value is not None:
                _not_negative(value, f"{self.name} {what}")
        self._change(on=on, voltage_set_v=voltage_v, current_limit_a=source_limit_a, sink_limit_a=sink_limit_a)

    @property
    def source_limit_a(self) -> float:
        """Limit of the current out of its terminals, in amperes."""
        return self.current_limit_a

    def step(self) -> Step:
        """Return what it pushes into the bus over the bus voltage."""
        if not self.on:
            return self._idle()
        return Step(self.voltage_set_v, self.current_limit_a, 0.0, -self.sink_limit_a, 0.0)


class SinkStage(Stage):
    """A constant-current load. Below about 1.3 V at full current its transistors are only a resistor."""

    current_set_a = 0.0

    def __init__(
        self, circuit: Circuit, name: str, capacitance_f: float, full_current_a: float, minimum_v: float
    ) -> None:
        super().__init__(circuit, name, capacitance_f, bleeder_ohm=inf)
        self.on_resistance_ohm = minimum_v / full_current_a

    def set(self, *, on: bool | None = None, current_a: float | None = None) -> None:
        """Change settings now; what is not named stays. The current is a magnitude."""
        if current_a is not None:
            _not_negative(current_a, f"{self.name} current in A")
        self._change(on=on, current_set_a=current_a)

    def step(self) -> Step:
        """Return what it pushes into the bus (never above zero) over the bus voltage."""
        if not self.on or self.current_set_a == 0.0:
            return self._idle()
        return Step(
            self.current_set_a * self.on_resistance_ohm, 0.0, 1.0 / self.on_resistance_ohm, -self.current_set_a, 0.0
        )

    def voltage_v(self) -> float:
        """Return the voltage at its terminals, in volts."""
        return self._circuit.bus.voltage_v(self)

    def current_a(self) -> float:
        """Return the current into its terminals, its capacitor's included, in amperes (a sink counts positive)."""
        return 0.0 - self._circuit.bus.current_a(self)  # not -0.0 when nothing flows

    def under_run(self) -> bool:
        """Whether it is on and cannot draw its current because the voltage is too low."""
        if not self.on or self.current_set_a == 0.0:
            return False
        return self._circuit.bus.voltage_v(self) < self.current_set_a * self.on_resistance_ohm
