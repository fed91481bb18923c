"""The one circuit that everything virtual shares: when the BMS opens, the current really stops.

::

    supply  ┐                                  reference shunt   BMS switches    BMS shunt
    load    ├─ bus (capacitors) ─ disconnect ─ wires ─ [R_ref] ─── switches ───── [R_bms] ─ cells
    bidir   │                                                P+   and precharge   B+
    short, capacitor

Currents are positive when they charge the pack. Time is asked from `now_ns`; every reading and every change of a
setting first catches up to it. Not modelled: inductance (a current stops at once), rise times and control loops of
the instruments, contact bounce, switching delays (the behaviour of BMS and relay times its own commands).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Literal

from bench.clock import Clock
from instruments.virtual.circuit_bus import Bus
from instruments.virtual.circuit_disconnect import Disconnect
from instruments.virtual.circuit_flow import Flow
from instruments.virtual.circuit_history import History
from instruments.virtual.circuit_node import Branch
from instruments.virtual.circuit_power import power_balance_w
from instruments.virtual.circuit_stages import SinkStage, SourceStage, TwoQuadrantStage
from instruments.virtual.circuit_switches import Switches
from instruments.virtual.circuit_terminals import CapacitorStage, ShortStage
from instruments.virtual.circuit_watch import CurrentWatch, Watches
from instruments.virtual.dut_wiring import DutWiring
from instruments.virtual.pack import Pack

_NEVER_OHM = inf


class Circuit:
    """Pack, switches, shunts, wires and instruments' power stages, advanced by a clock."""

    def __init__(
        self,
        pack: Pack,
        *,
        now_ns: Callable[[], int],
        topology: Literal["separate", "common"],
        cells: Literal["pack", "emulated"] = "pack",
        wiring_ohm: float = 0.010,
        reference_shunt_ohm: float = 0.0005,
        bms_shunt_ohm: float = 0.0001,
        switch_ohm: float = 0.001,
        precharge_ohm: float = 47.0,
        diode_v: float = 0.7,
        leakage_ohm: float | None = None,
        supply_capacitance_f: float = 2e-3,
        load_capacitance_f: float = 1e-4,
        bidirectional_capacitance_f: float = 2e-3,
        bleeder_ohm: float = 20_000.0,
        load_full_current_a: float = 200.0,
        load_minimum_v: float = 1.3,
    ) -> None:
        """Build it with everything off and open, the bus at 0 V, the pack rested.

        `leakage_ohm` is the resistance of an open switch: 1 MΩ for MOSFETs (`separate`) and none for contactors
        unless given. `bleeder_ohm` discharges the capacitor of a supply that is off (40 s with 2 mF). With `cells`
        emulated the BMS's inputs hang on `dut.emulated`, not on the pack.
        """
        if topology not in ("separate", "common"):
            raise ValueError(f"virtual circuit: topology '{topology}' is neither 'separate' nor 'common'")
        self.pack = pack
        self.dut = DutWiring(pack, now_ns=now_ns, cells=cells)
        self.reference_shunt_ohm, self.bms_shunt_ohm = reference_shunt_ohm, bms_shunt_ohm
        self.reference_shunt_reversed = False  # wiring faults of the sense leads: signs of readings only
        self.pack_sense_reversed = False
        self._wiring_ohm, self._switch_ohm, self.precharge_ohm = wiring_ohm, switch_ohm, precharge_ohm
        self._diode_v = diode_v
        self._leak_ohm = leakage_ohm if leakage_ohm is not None else (1e6 if topology == "separate" else _NEVER_OHM)
        self.supply = SourceStage(self, "supply", supply_capacitance_f, bleeder_ohm)
        self.bidirectional = TwoQuadrantStage(self, "bidirectional", bidirectional_capacitance_f, bleeder_ohm)
        self.load = SinkStage(self, "load", load_capacitance_f, load_full_current_a, load_minimum_v)
        self.switches = Switches(self, topology)
        self.disconnect = Disconnect(self)
        self.short = ShortStage(self)
        self.capacitor = CapacitorStage(self)
        self.bus = Bus((self.supply, self.bidirectional, self.load, self.short, self.capacitor))
        self._flow = self.bus.flow = Flow(pack, now_ns, self.bus.source_steps, self._branch, self.bus.capacitance_f)
        owner = getattr(now_ns, "__self__", None)
        self._clock = owner if isinstance(owner, Clock) else None
        self._watches: Watches | None = None
        pack.before_reading = self.catch_up
        pack.after_change = self.changed

    # -- time ------------------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Bring everything to now. Readings do this by themselves."""
        self._flow.catch_up()

    def changed(self) -> None:
        """Continue from now with changed settings. Stages, switches and pack call this by themselves."""
        self._flow.changed()

    # -- readings --------------------------------------------------------------------------------------------

    def pack_current_a(self) -> float:
        """Return the true current in the common branch, in amperes, positive charging."""
        self._flow.catch_up()
        return self._flow.current_a

    def history(self) -> History:
        """Keep from now on what the current was, for whoever asks afterwards (a digitiser)."""
        self._flow.catch_up()
        if self._flow.history is None:
            self._flow.history = History(self._flow.live)
        return self._flow.history

    def reference_shunt_v(self) -> float:
        """Return the voltage at the sense terminals of the bench's shunt, in volts (positive charging)."""
        drop_v = self.pack_current_a() * self.reference_shunt_ohm
        return -drop_v if self.reference_shunt_reversed else drop_v

    def bms_shunt_v(self) -> float:
        """Return the voltage at the BMS's own shunt as its sense lines bring it, in volts, positive charging.

        With `dut.shunt.open` it is 0 V, whatever flows: nothing is known about the current then.
        """
        return self.dut.shunt.sensed_v(self.pack_current_a() * self.bms_shunt_ohm)

    def precharge_current_a(self) -> float:
        """Return the part of the current that passes through the precharge resistor, in amperes."""
        current_a = self.pack_current_a()
        return current_a * self.switches.precharge_share(current_a, self._switch_ohm, self.precharge_ohm)

    def pack_side_v(self) -> float:
        """Return the voltage on the cells' side of the BMS switch (B+ to B-), in volts."""
        terminal_v = self.pack.terminal_v(self.pack_current_a())
        return -terminal_v if self.pack_sense_reversed else terminal_v

    def bench_side_v(self) -> float:
        """Return the voltage on the bench's side of the BMS switch (P+ to P-), in volts.

        With the disconnect open nothing is attached there: the pack shows through closed switches, otherwise 0 V.
        """
        current_a = self.pack_current_a()
        if self.disconnect.conducts:
            return self._flow.bus_v - current_a * (self._wiring_ohm + self.reference_shunt_ohm)
        drop_v = self.switches.rest_drop_v(self._diode_v)
        return 0.0 if drop_v is None else self.pack.terminal_v(current_a) - drop_v

    def bus_v(self) -> float:
        """Return the voltage at the terminals of supply and load, in volts."""
        self._flow.catch_up()
        return self._flow.bus_v

    def power_balance_w(self) -> dict[str, float]:
        """Return the power each element puts into the circuit now, in watts; sums to zero.

        Sources positive, consumers and charging cells negative; a stage's own capacitor counts with the stage.
        """
        current_a, flow = self.pack_current_a(), self._flow
        conducting = self._branch().side(flow.bus_v, self.pack.inner_v())[0]
        switch_ohm = 1.0 / conducting - self._series_ohm() if conducting else 0.0
        return power_balance_w(self, current_a, switch_ohm, flow.branch_drop_v)

    # -- events ----------------------------------------------------------------------------------------------

    def watch_current(
        self,
        level_a: float,
        rises: Callable[[], None],
        *,
        falls: Callable[[], None] | None = None,
        direction: Literal["both", "charge", "discharge"] = "both",
    ) -> CurrentWatch:
        """Call `rises()` at the very moment at which |current| reaches a level, in simulated time; see `circuit_watch`.

        `direction` watches only charging or only discharging current; `falls` is called when it comes back below. The
        true current is watched, not what the BMS makes of its shunt. `cancel()` what is returned to end it.

        Raises:
            ValueError: the level is no magnitude above 0, or the circuit was built without a clock.
        """
        if self._watches is None:
            if self._clock is None:
                raise ValueError("virtual circuit: watching a current needs now_ns to be that of a clock")
            self._watches = Watches(self._flow, self._clock)
            self._flow.after_change = self._watches.plan
        return self._watches.add(level_a, rises, falls, direction)

    # -- wiring ----------------------------------------------------------------------------------------------

    @property
    def wiring_ohm(self) -> float:
        """Resistance of both leads between bus and device, in ohms."""
        return self._wiring_ohm

    @wiring_ohm.setter
    def wiring_ohm(self, value_ohm: float) -> None:
        if not 0.0 <= value_ohm < inf:
            raise ValueError(f"virtual circuit, wiring: {value_ohm!r} Ω is not a resistance")
        self.catch_up()
        self._wiring_ohm = value_ohm
        self.changed()

    @property
    def precharge_open(self) -> bool:
        """Fault: the precharge resistor is open."""
        return self.switches.precharge_open

    @precharge_open.setter
    def precharge_open(self, value: bool) -> None:
        self.switches.precharge_open = value

    def bus_capacitor(self, farad: float) -> None:
        """Put a capacitor across the bus, in farads, discharged; 0 takes it away. See `CapacitorStage`."""
        self.capacitor.set(farad)

    @property
    def supply_disconnected(self) -> bool:
        """Whether the supply's leads are off the bus."""
        return self.supply.disconnected

    @supply_disconnected.setter
    def supply_disconnected(self, value: bool) -> None:
        self.supply.disconnected = value

    @property
    def load_disconnected(self) -> bool:
        """Whether the load's leads are off the bus."""
        return self.load.disconnected

    @load_disconnected.setter
    def load_disconnected(self, value: bool) -> None:
        self.load.disconnected = value

    # -- for the flow ----------------------------------------------------------------------------------------

    def _series_ohm(self) -> float:
        return self._wiring_ohm + self.reference_shunt_ohm + self.bms_shunt_ohm + self.pack.r0_sum_ohm

    def _branch(self) -> Branch:
        if not self.disconnect.conducts:
            return Branch(0.0, 0.0, 0.0, 0.0)
        return self.switches.branch(
            self._series_ohm(), self._switch_ohm, self.precharge_ohm, self._diode_v, self._leak_ohm
        )
