"""The measuring front end of the virtual EA family: it acquires every 10 ms, and reports its last acquisition.

Errors stay inside the maker's accuracy, ± 0.1 % of the rated voltage and ± 0.2 % of the rated current; gain and
offset belong to the unit, noise to the instant. Currents: positive out of the terminals.

Not simulated: averaging and the low-pass of the read-back.
"""

from __future__ import annotations

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.circuit_stages import SinkStage, SourceStage
from instruments.virtual.noise import gaussian, uniform

ACQUISITION_NS = 10_000_000
Measured = tuple[float, float, float]


class EaMeasurement:
    """Acquires voltage and current of one stage."""

    def __init__(
        self,
        name: str,
        seed: int,
        rated_v: float,
        rated_a: float,
        stage: SourceStage | SinkStage,
        clock: SimulatedClock,
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._name = name
        self._seed = seed
        self._gain_v = 1.0 + 3e-4 * uniform(seed, name, "gain v")
        self._gain_a = 1.0 + 1e-3 * uniform(seed, name, "gain a")
        self._offset_v = 4e-4 * rated_v * uniform(seed, name, "offset v")
        self._offset_a = 3e-4 * rated_a * uniform(seed, name, "offset a")
        self._noise_v = 5e-5 * rated_v
        self._noise_a = 5e-5 * rated_a
        self._acquired_ns = -ACQUISITION_NS
        self._measured: Measured | None = None
        self._frozen: Measured | None = None
        self.raw = (0.0, 0.0)

    def acquire(self) -> tuple[float, float]:
        """Look at the stage now; return voltage and current without errors, for the protections."""
        stage = self._stage
        current_a = stage.current_a()
        self.raw = (stage.voltage_v(), -current_a if isinstance(stage, SinkStage) else current_a)
        self._acquired_ns = self._clock.now_ns()
        self._measured = None
        return self.raw

    def measure(self, on: bool, fault: ActiveFault) -> Measured:
        """Return voltage, current and power of the last acquisition, at most 10 ms old, in V, A and W."""
        if self._clock.now_ns() - self._acquired_ns >= ACQUISITION_NS:
            self.acquire()
        if self._measured is None:
            self._measured = self._disturbed(on)
        if fault.name == "none":
            self._frozen = None
            return self._measured
        return self._faulty(self._measured, fault)

    def _disturbed(self, on: bool) -> Measured:
        voltage_v, current_a = self.raw
        at_ns = self._acquired_ns
        voltage_v = voltage_v * self._gain_v + self._offset_v
        voltage_v += self._noise_v * gaussian(self._seed, self._name, "v", at_ns)
        if on:  # otherwise the current path is disconnected and the display rests at zero
            current_a = current_a * self._gain_a + self._offset_a
            current_a += self._noise_a * gaussian(self._seed, self._name, "a", at_ns)
        return voltage_v, current_a, voltage_v * current_a

    def _faulty(self, measured: Measured, fault: ActiveFault) -> Measured:
        voltage_v, current_a, power_w = measured
        if fault.name == "frozen_measurement":
            self._frozen = self._frozen or measured
            return self._frozen
        if fault.name == "sign_inverted":
            return voltage_v, -current_a, -power_w
        if fault.name == "wrong_value":
            gain = fault.options["gain"]
            return voltage_v * gain, current_a * gain, power_w * gain * gain
        return measured
