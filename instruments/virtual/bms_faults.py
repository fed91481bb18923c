"""How a virtual BMS finds out about faults of wires, sensors, switches, supply and link: one detector per kind.

Each says whether the fault shows now; how long it must show is not its matter. Where nothing can show any more because
the switches have opened (a reversed shunt, a switch that stays open), a fault that was seen is remembered until it is
mended: there the simulation knows more than a real unit, which would find out by trying.

- open sense wire: the front end's own test current, taken as ideal.
- swapped sense wires: a cell that reads negative.
- frozen cell voltage: a reading that repeats itself to the last digit, which noise does not.
- temperature sensors: a resistance beyond the ends of the curve (`bms_sensors`).
- current sensor open: the front end's test current. Reversed: the current says the opposite of the voltage across the
  BMS's own closed switches, bench side against cells; that works with emulated cells too.
- welded: commanded open, but the bus side follows the cells. Stuck open: commanded closed, and it does not. Feedback:
  the auxiliary contact contradicts that; where the profile declares neither of the other two, the command.
- precharge failed: the operation has given up. Its reaction never comes before its tries are over.
- supply low: below the voltage at which the BMS would start. A dip that resets the BMS and is over within a second is
  known after the reset (the cause of a reset outlives it); after a longer one the unit was simply switched off.
- link lost: no request any more, once there was one; on Modbus any poll is a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.operation import StateRequest
from bench.profile import ModbusLink
from instruments.virtual.bms_unit_diagnosis import UnitDiagnosis

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

_NEGATIVE_V = -0.1
_DROP_V = 2e-3  # across closed switches, before it counts as a direction
_SILENT_CAN_S = 1.0  # where nothing says how often the bench speaks
DIP_S = 1.0
CONTACT_KINDS = ("welded_switch", "stuck_open_switch", "switch_feedback")


class Faults:
    """The detectors of one powered unit."""

    def __init__(self, bms: VirtualBms) -> None:
        self._bms = bms
        self._circuit = bms.circuit
        kinds = {row.kind for row in bms.profile.diagnoses}
        self._feedback_alone = not kinds & {"welded_switch", "stuck_open_switch"}
        self._contacts = tuple(name for name in bms.circuit.switches.names if name in bms.switches)
        self._floor_a = max(5.0 * bms.readings.flows_a, 0.02 * bms.profile.bms.measuring_range_a)
        self._reversed = False
        self._stuck: set[str] = set()
        self._last_v: list[float] = []
        self._frozen = False

    def detector(self, unit: UnitDiagnosis) -> Callable[[], bool]:
        """Return what says whether the fault of this diagnosis shows now."""
        if unit.row.kind == "precharge_failed":
            return lambda: self._precharge_failed(unit.delay_s)
        found: Callable[[], bool] = getattr(self, f"_{unit.row.kind}")
        return found

    def seen_after_s(self, kind: str, delay_s: float) -> float:
        """Return how long after its beginning a fault can first be seen, in seconds."""
        if kind == "precharge_failed":
            return delay_s  # it is counted from the first try
        return self.silence_s() if kind == "link_lost" else 0.0

    def silence_s(self) -> float:
        """Return after which time without a request one is missing, in seconds."""
        operation = self._bms.profile.operation
        if isinstance(operation, StateRequest):
            window_s = operation.period_window_s
            return window_s[1] if window_s is not None else 3.0 * operation.period_s
        polls_s = [link.poll_s for link in self._bms.profile.links.values() if isinstance(link, ModbusLink)]
        return 3.0 * max(polls_s) if polls_s else _SILENT_CAN_S

    def _open_sense_wire(self) -> bool:
        return bool(self._circuit.dut.sense.open_wires)

    def _swapped_sense_wires(self) -> bool:
        return min(self._bms.readings.cells_v) < _NEGATIVE_V

    def _frozen_cell_voltage(self) -> bool:
        cells_v = self._bms.readings.cells_v
        if cells_v is not self._last_v:
            repeats = any(one == other for one, other in zip(cells_v, self._last_v, strict=False))
            self._frozen = repeats and self._bms.unit.cell_noise_v > 0.0
            self._last_v = cells_v
        return self._frozen

    def _temperature_sensor_open(self) -> bool:
        return bool(self._bms.readings.sensors.open())

    def _temperature_sensor_short(self) -> bool:
        return bool(self._bms.readings.sensors.shorted())

    def _current_sensor_open(self) -> bool:
        return self._circuit.dut.shunt.open

    def _current_sensor_reversed(self) -> bool:
        current_a = self._bms.readings.measured_a
        if abs(current_a) > self._floor_a:
            drop_v = self._circuit.bench_side_v() - abs(self._circuit.pack_side_v())
            if abs(drop_v) > _DROP_V:
                self._reversed = (drop_v > 0.0) is not (current_a > 0.0)
        elif self._reversed and not self._circuit.dut.shunt.reversed:
            self._reversed = False
        return self._reversed

    def _welded_switch(self) -> bool:
        switches = self._circuit.switches
        return any(switches.really_closed(name) and not switches.commanded(name) for name in self._contacts)

    def _stuck_open_switch(self) -> bool:
        switches = self._circuit.switches
        for name in self._contacts:
            if switches.commanded(name) and not switches.really_closed(name):
                self._stuck.add(name)
            elif switches.mended(name):
                self._stuck.discard(name)
        return bool(self._stuck)

    def _switch_feedback(self) -> bool:
        switches = self._circuit.switches
        should = switches.commanded if self._feedback_alone else switches.really_closed
        return any(switches.feedback(name) is not should(name) for name in self._contacts)

    def _precharge_failed(self, delay_s: float) -> bool:
        since_s = self._bms.operation.precharge_failed_since_s
        return since_s is not None and self._bms.now_s() >= since_s + delay_s

    def _supply_low(self) -> bool:
        supply = self._circuit.dut.supply
        return supply.attached and supply.terminal_v() < supply.start_v

    def _link_lost(self) -> bool:
        heard_s = self._bms.heard_at_s
        return heard_s is not None and self._bms.now_s() - heard_s > self.silence_s() + 1e-9
