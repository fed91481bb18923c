"""What one virtual BMS measures and reports: its shunt, cells, sensors, filter, counters.

The protections look at `measured_a`; what the links show is `reported_a`, after filter, dead band and any defect of
the reported value. The charge counter begins at the pack's true state of charge with this unit's error.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_128
from math import exp

from bench.profile import Profile
from instruments.virtual.bms_sensors import SensorPlaces
from instruments.virtual.bms_unit import Unit
from instruments.virtual.circuit import Circuit
from instruments.virtual.defects import Defect
from instruments.virtual.noise import gaussian

FLOWS_A = 0.2  # below, a current counts as neither charging nor discharging, where the profile says nothing


class Readings:
    """The measuring side of one unit. Times are nanoseconds since power-on."""

    def __init__(self, profile: Profile, circuit: Circuit, unit: Unit, seed: int, defects: tuple[Defect, ...]) -> None:
        self._circuit, self._unit, self._seed = circuit, unit, seed
        self._sample_s = profile.behaviour.sample_s
        self._capacity_ah = profile.bms.capacity_ah
        current = profile.signals["pack_current"]
        self._dead_band_a = current.dead_band * current.about.factor
        self.rest_a = profile.behaviour.rest_current_a
        self.flows_a = max(self.rest_a, self._dead_band_a) or FLOWS_A
        tau_s = profile.behaviour.filter_s
        self._follow = 1.0 - exp(-self._sample_s / tau_s) if tau_s > 0.0 else 1.0
        self._senses = [defect.sense for defect in defects if defect.sense is not None]
        self._transfers = [defect.transfer(profile) for defect in defects if defect.transfer is not None]
        self._powers = [defect.power for defect in defects if defect.power is not None]
        self._counters: list[Callable[[float], float]] = [d.counter for d in defects if d.counter is not None]
        self._cell_senses = [defect.cells for defect in defects if defect.cells is not None]
        self._degree_senses = [defect.temperatures for defect in defects if defect.temperatures is not None]
        self._cell_shows = [defect.shown_cells for defect in defects if defect.shown_cells is not None]
        self._degree_shows = [d.shown_temperatures for d in defects if d.shown_temperatures is not None]
        self.sensors = SensorPlaces(profile, circuit)
        self._start_pct = circuit.pack.soc_pct() + unit.soc_error_pct
        self._counted_ah = self.charged_ah = self.discharged_ah = 0.0
        self.measure_cells(0)
        self._filtered_a = self.measure_current(0)
        self._report(0)

    def measure_current(self, at_ns: int) -> float:
        """Read the shunt with this unit's errors, in amperes, positive charging."""
        current_a = self.shunt_a()
        unit = self._unit
        noise_a = unit.noise_a * gaussian(self._seed, "bms", "current", at_ns) if unit.noise_a else 0.0
        self.measured_a = unit.gain * current_a + unit.offset_a + noise_a
        return self.measured_a

    def shunt_a(self) -> float:
        """What the shunt's sense lines say, without errors of the unit, in amperes, positive charging."""
        current_a = self._circuit.bms_shunt_v() / self._circuit.bms_shunt_ohm
        for sense in self._senses:
            current_a = sense(current_a)
        return current_a

    def measure_cells(self, at_ns: int) -> None:
        """Read cell voltages, pack voltage and temperatures."""
        dut, unit = self._circuit.dut, self._unit
        current_a = self._circuit.pack_current_a()
        hashed = shake_128(f"{self._seed}/bms/cells/{at_ns}".encode()).digest(len(unit.cell_offsets_v))
        scale_v = unit.cell_noise_v / 127.5
        self.cells_v = [
            volts + fixed_v + (byte - 127.5) * scale_v
            for volts, fixed_v, byte in zip(dut.cells_seen_v(current_a), unit.cell_offsets_v, hashed, strict=True)
        ]
        self.pack_v = dut.stack_v(current_a) * unit.voltage_gain
        self.temperatures_degc = self.sensors.measure(unit.temperature_offsets_k)
        at_s = at_ns * 1e-9
        for cells in self._cell_senses:
            self.cells_v = cells(self.cells_v, at_s)
        for degrees in self._degree_senses:
            self.temperatures_degc = degrees(self.temperatures_degc, at_s)
        self.shown_cells_v, self.shown_degc = self.cells_v, self.temperatures_degc
        for cells in self._cell_shows:
            self.shown_cells_v = cells(self.shown_cells_v, at_s)
        for degrees in self._degree_shows:
            self.shown_degc = degrees(self.shown_degc, at_s)

    def sample_current(self, at_ns: int) -> None:
        """One sample of the current: measure, count, filter, report."""
        measured_a = self.measure_current(at_ns)
        counted_a = measured_a
        for counter in self._counters:
            counted_a = counter(counted_a)
        step_ah = counted_a * self._sample_s / 3600.0
        self._counted_ah += step_ah
        if step_ah > 0.0:
            self.charged_ah += step_ah
        else:
            self.discharged_ah -= step_ah
        self._filtered_a += (measured_a - self._filtered_a) * self._follow
        self._report(at_ns)

    def _report(self, at_ns: int) -> None:
        reported_a = self._filtered_a if abs(self._filtered_a) >= self._dead_band_a else 0.0
        for transfer in self._transfers:
            reported_a = transfer(reported_a, at_ns * 1e-9)
        self.reported_a = reported_a
        power_w = reported_a * self.pack_v
        for change in self._powers:
            power_w = change(power_w)
        self.reported_power_w = power_w

    @property
    def soc_pct(self) -> float:
        """What the charge counter says, in percent; it may leave 0 to 100."""
        return self._start_pct + 100.0 * self._counted_ah / self._capacity_ah

    @property
    def shown_soc_pct(self) -> float:
        """What the unit displays: within 0 and 100 %."""
        return min(100.0, max(0.0, self.soc_pct))

    @property
    def flows(self) -> int:
        """+1 while charging, -1 while discharging, 0 at rest, as this unit measures it."""
        if abs(self.measured_a) <= self.flows_a:
            return 0
        return 1 if self.measured_a > 0.0 else -1
