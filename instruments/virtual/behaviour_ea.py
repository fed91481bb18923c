"""The virtual EA 9000 family: PSI (source), EL (sink) and PSB (both), below any language.

Source: EA "Programming guide ModBus & SCPI" and the register lists of PSB 9000 and EL 9000 B: remote ownership,
limits of 102 % and 110 %, 26214 internal steps, asynchronous execution, latched alarms, interface monitoring.

Currents here: positive out of the terminals (source), negative into them (sink).

Not simulated: rise times (about 2.5 ms, 10 to 90 %), internal resistance mode, constant voltage of the load,
function generator, battery test, master-slave, sharing, derating, remote sense. Set values are zero after
power-up, power 100 %, protections at their maximum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.clock import NS, Rank, Tick
from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_ea_alarms import EVENTS, Alarms, Supervision
from instruments.virtual.behaviour_ea_measure import ACQUISITION_NS, EaMeasurement
from instruments.virtual.behaviour_ea_remote import EaRemote
from instruments.virtual.circuit_stages import SinkStage, SourceStage, TwoQuadrantStage
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.noise import uniform

STEPS = 26214  # per 100 %: half of the 52428 seen on Modbus
EVENT_RATING = {"v": "voltage", "c": "current", "p": "power"}


@dataclass(frozen=True, slots=True)
class EaModel:
    """Ratings as printed on the name plate."""

    name: str
    voltage_v: float
    current_a: float
    power_w: float
    overvoltage_pct: float = 110.0  # EL 9000 B: 103 %


class EaDevice(EaRemote):
    """One unit. `location` names the interface that speaks: it must hold remote control to change anything."""

    own_faults = frozenset(
        ("remote_lost", "frozen_measurement", "stuck_output", "sign_inverted", "wrong_value", "refuse_values")
    ) | {"exception_7", "crc_error", "clear_reenables", "protection_dead", "watchdog_dead"}

    def __init__(
        self,
        name: str,
        serial: str,
        model: EaModel,
        stage: SourceStage | SinkStage | TwoQuadrantStage,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        super().__init__(name, serial, clock, seed)
        self.model = model
        self.stage = stage
        self.keys = ["voltage", "current", "power"]
        if isinstance(stage, TwoQuadrantStage):
            self.keys += ["sink_power", "sink_current"]
        self.user_text = ""
        self._ticking: Tick | None = None
        self._power_up()

    def _power_up(self) -> None:
        nominal = {key: self.nominal(key) for key in self.keys}
        self.settings = {key: nominal[key] if "power" in key else 0.0 for key in self.keys}
        self.limits = {key: (0.0, 1.02 * nominal[key]) for key in self.keys}
        over_pct = {"voltage": self.model.overvoltage_pct}
        protections = {key: nominal[key] * over_pct.get(key, 110.0) / 100.0 for key in self.keys}
        supervision = {
            event: Supervision(0.0 if "_u" in f"_{event}" else 1.1 * nominal[EVENT_RATING[event[-2]]])
            for event in EVENTS
            if isinstance(self.stage, TwoQuadrantStage) or not event.startswith("sink_")
        }
        self.alarms = Alarms(protections, supervision)
        self.lan_timeout_s = 5.0
        self.full_compliance = False
        self.options: dict[str, bool] = {}  # settings kept and read back without effect
        self.on = False
        self.power_limited = False
        self._due_ns = 0
        self.front = EaMeasurement(
            self.name, self.seed, self.model.voltage_v, self.model.current_a, self.stage, self.clock
        )

    def power_cycle(self) -> None:
        """Mains off and on; see `Behaviour`."""
        super().power_cycle()
        self.dc_off()
        self._free()
        self._power_up()

    def nominal(self, key: str) -> float:
        """Return the rating that belongs to a setting."""
        m = self.model
        return m.voltage_v if key == "voltage" else m.current_a if "current" in key else m.power_w

    # ---- settings: checked at once, in force a few milliseconds later

    def set_value(self, location: int, key: str, value: float) -> None:
        """Order a set value in V, A or W; outside its limits it is ignored and refused."""
        self.require(location)
        low, high = self.limits[key]
        if self.fault.name == "refuse_values" or not low <= value <= high + self._count(key):
            raise Refused(-222, 3)
        self._later(lambda: self._set(key, self.quantised(key, value)))

    def set_protection(self, location: int, key: str, value: float) -> None:
        """Order a protection threshold in V, A or W."""
        self.require(location)
        if self.fault.name == "refuse_values" or not self._in_protection(key, value):
            raise Refused(-222, 3)
        protections = self.alarms.protections
        self._later(lambda: protections.__setitem__(key, self.quantised(key, value)))

    def set_limit(self, location: int, key: str, *, low: float | None = None, high: float | None = None) -> None:
        """Set the range that set values may take; it must hold the present set value."""
        self.require(location)
        now_low, now_high = self.limits[key]
        low, high = now_low if low is None else low, now_high if high is None else high
        if not 0.0 <= low <= high <= 1.02 * self.nominal(key) + 1e-6:
            raise Refused(-222, 3)
        if not low <= self.settings[key] <= high:
            raise Refused(-221, 3)
        self.limits[key] = (low, high)

    def switch(self, location: int, *, on: bool) -> None:
        """Order DC on or off; refused while an alarm is not acknowledged."""
        self.require(location)
        if on and self.alarms.latched:
            raise Refused(-221, 4)
        if on or self.fault.name != "stuck_output":
            self._later(lambda: self._switch(on))

    def _count(self, key: str) -> float:
        return self.nominal(key) / (2 * STEPS)  # 0xD0E5 is a little more than 102 %, and allowed

    def _in_protection(self, key: str, value: float) -> bool:
        over_pct = self.model.overvoltage_pct if key == "voltage" else 110.0
        return 0.0 <= value <= self.nominal(key) * over_pct / 100.0 + self._count(key)

    def quantised(self, key: str, value: float) -> float:
        """Round to the internal resolution."""
        step = self.nominal(key) / STEPS
        return round(value / step) * step

    def acknowledge(self, location: int | None = None) -> None:
        """Clear alarms whose cause is gone; over Modbus only by the owner of remote control."""
        if location is not None:
            self.require(location)
        if self.alarms.latched:
            self.alarms.acknowledge(self.stage.voltage_v())
            if self.fault.name == "clear_reenables":
                self._later(lambda: self._switch(True))

    def restart(self, location: int) -> None:
        """`*RST`: remote taken, DC off, alarms cleared."""
        self.take_remote(location)
        self.dc_off()
        self.acknowledge()

    def _later(self, action: Callable[[], None]) -> None:
        # "after an undefined short delay" (1 to 8 ms here), and always in the order they were given
        now_ns = self.clock.now_ns()
        delay_ns = round(4.5e6 + 3.5e6 * uniform(self.seed, self.name, "execution", now_ns))
        self._due_ns = max(self._due_ns, now_ns + delay_ns)
        self.at_ns(self._due_ns, action)

    def _set(self, key: str, value: float) -> None:
        self.settings[key] = value
        self.drive()

    # ---- the output stage

    def _switch(self, on: bool) -> None:
        if on is self.on or (on and self.alarms.latched):
            return
        self.on = on
        self.alarms.forget_first_look()
        if on:
            first_ns = (self.clock.now_ns() // ACQUISITION_NS + 1) * ACQUISITION_NS
            self.at_ns(first_ns, self._start_ticking)
        elif self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        self.drive()

    def dc_off(self) -> None:
        """Disconnect the terminals at once."""
        self._switch(False)

    def drive(self) -> None:
        """Tell the output stage what follows from settings, power limit and set accuracy."""
        settings, stage = self.settings, self.stage
        voltage_v = settings["voltage"] * (1.0 + 5e-4 * uniform(self.seed, self.name, "set voltage"))
        source_a = self._allowed_a("current", "power")
        if isinstance(stage, TwoQuadrantStage):
            sink_a = self._allowed_a("sink_current", "sink_power")
            stage.set(on=self.on, voltage_v=voltage_v, source_limit_a=source_a, sink_limit_a=sink_a)
        elif isinstance(stage, SourceStage):
            stage.set(on=self.on, voltage_v=voltage_v, current_limit_a=source_a)
        else:
            stage.set(on=self.on, current_a=source_a)

    def _allowed_a(self, current: str, power: str) -> float:
        gain = 1.0 + 1e-3 * uniform(self.seed, self.name, f"set {current}")
        wanted_a = self.settings[current] * gain
        voltage_v = self.front.raw[0]
        if self.on and voltage_v * wanted_a > self.settings[power]:
            return self.settings[power] / voltage_v
        return wanted_a

    def _start_ticking(self) -> None:
        if self.on and self._ticking is None:
            self._ticking = self.clock.every(ACQUISITION_NS / NS, self._tick, rank=Rank.INSTRUMENT)
            self._tick()

    def _tick(self) -> None:
        voltage_v, current_a = self.front.acquire()
        tripped = self.alarms.look(voltage_v, current_a)
        if tripped is not None and self.fault.name != "protection_dead":
            alarm, sink = tripped
            self.alarms.trip(alarm, sink=sink)
            self.dc_off()
            return
        key = "sink_power" if current_a < 0 and "sink_power" in self.settings else "power"
        was_limited = self.power_limited
        self.power_limited = voltage_v * self.settings[key.replace("power", "current")] > self.settings[key]
        if self.power_limited or was_limited:
            self.drive()

    def measure(self) -> tuple[float, float, float]:
        """Return voltage, current and power as displayed, in V, A and W."""
        return self.front.measure(self.on, self.fault)

    def regulation(self) -> str:
        """Return CV, CC, CP or OFF."""
        if not self.on:
            return "OFF"
        if isinstance(self.stage, SinkStage):
            return "CP" if self.power_limited else "CC"
        mode = self.stage.mode()
        return "CP" if mode == "CC" and self.power_limited else mode
