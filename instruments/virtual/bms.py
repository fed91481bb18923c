"""A virtual BMS that plays any profile: it measures, reports, protects and switches like one unit of that product.

It reads its own shunt in the shared circuit, with the errors of this unit, and acts on the circuit's switches; its
languages are in `bms_can` and `bms_modbus`, its way to closed switches in `bms_operation`, what it watches in
`bms_protecting`.

Sense wires, sensors and supply are those of `circuit.dut`; what an auxiliary supply no longer feeds is powered off, and
comes back as its operation says: by itself, or on request only.

Not simulated: the BMS's own consumption from the pack, hysteresis and drift of the measuring chain, contact bounce and
closing time; see `bms_faults`, `bms_sleep` and `bms_balancing` for theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bench.clock import Clock
from bench.errors import DefinitionError
from bench.profile import Profile
from instruments.virtual.bms_always_on import AlwaysOnOperation
from instruments.virtual.bms_balancing import Balancer
from instruments.virtual.bms_derating import Deratings
from instruments.virtual.bms_diagnosis import DiagnosisWatch
from instruments.virtual.bms_operation import StateRequestOperation
from instruments.virtual.bms_operations import make_operation, state_signal_of
from instruments.virtual.bms_protecting import Protections
from instruments.virtual.bms_protection import Watch
from instruments.virtual.bms_readings import Readings
from instruments.virtual.bms_rhythm import Rhythm
from instruments.virtual.bms_settings import SettingsMemory
from instruments.virtual.bms_sleep import Sleeper
from instruments.virtual.bms_supply import SupplyWatch
from instruments.virtual.bms_switching import Switching
from instruments.virtual.bms_truth import Truth, look
from instruments.virtual.bms_unit import make_unit
from instruments.virtual.bms_values import source_of
from instruments.virtual.circuit import Circuit
from instruments.virtual.defects import Defect, choose_defects


class VirtualBms:
    """One unit. Off until `power_on`; `reset` makes it another unit of the same product, just powered."""

    profile: Profile
    circuit: Circuit
    readings: Readings
    operation: AlwaysOnOperation | StateRequestOperation
    balancer: Balancer
    heard_at_s: float | None  # the last request, since power-on

    def __init__(
        self, profile: Profile, *, circuit: Circuit, clock: Clock, seed: int, defects: Iterable[str | Defect] = ()
    ) -> None:
        """Build it around a circuit.

        Raises:
            DefinitionError: a signal of the profile that it cannot fill, an unknown defect or one that is
                meaningless for this profile, or a pack that does not fit.
        """
        self.profile, self.circuit, self.clock = profile, circuit, clock
        self.defects = choose_defects(defects, profile)
        self.switches = profile.bms.switches
        self.powered = False
        self.on_power: list[Callable[[], None]] = []
        self.state_signal = state_signal_of(profile)
        flags = (*(row.flag for row in profile.protections), *(row.flag for row in profile.diagnoses))
        self.flag_names = tuple(dict.fromkeys(flag for flag in flags if flag is not None))
        keeps = tuple(defect.keep for defect in self.defects if defect.keep is not None)
        forgets = any(defect.forgets_settings for defect in self.defects)
        self.settings = SettingsMemory(profile, seed, keeps, forgets=forgets)
        topology = "separate" if profile.bms.separate_switches else "common"
        if circuit.switches.topology != topology or len(circuit.pack.cells) != profile.bms.cells:
            raise DefinitionError(
                f"{profile.source.name or 'profile'}: the circuit has {circuit.switches.topology} switches and "
                f"{len(circuit.pack.cells)} cells, the profile {topology} switches and {profile.bms.cells} cells"
            )
        self.switching = Switching(self)
        self._rhythm = Rhythm(self)
        self.operation = make_operation(self)
        self._build(seed)
        for name, signal in profile.signals.items():
            source_of(self, name, signal)
        SupplyWatch(self)

    # -- power and sleep -------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Supply it: it boots, measures, and by its own operation or on request closes its switches.

        Where an auxiliary supply feeds it, it waits until that does.
        """
        if self.powered or not self.circuit.dut.supply.fed:
            return
        self.powered = True
        self._build(self.seed, self._protections)
        self.operation.power_on()
        self._rhythm.start(self._protections, self._sleeper)
        self._tell_faces()

    def power_off(self) -> None:
        """Take its supply away: switches open, links silent, everything but the unit and its settings forgotten."""
        self.powered = False
        self.settings.power_cycle()
        self._rhythm.stop()
        self._protections.stop()
        self.balancer.off()
        self.switching.want()
        self.circuit.switches.welded = False
        self._tell_faces()

    def reset(self, seed: int) -> None:
        """Power it down, exchange it for the unit of this seed, and power it on."""
        self.power_off()
        self.settings.begin(seed)
        self._build(seed)
        self.power_on()

    def sleep_changed(self) -> None:
        """It has fallen asleep, or woken."""
        if not self.talks:
            self.balancer.off()
        self._rhythm.start(self._protections, self._sleeper)
        self._tell_faces()

    @property
    def talks(self) -> bool:
        """Whether its links live: powered and awake."""
        return self.powered and not (self._sleeper is not None and self._sleeper.asleep)

    def heard(self) -> None:
        """A request has come over a link."""
        self.heard_at_s = self.now_s()
        if self._sleeper is not None:
            self._sleeper.heard()

    def _tell_faces(self) -> None:
        for callback in self.on_power:
            callback()

    # -- the unit --------------------------------------------------------------------------------------------

    def _build(self, seed: int, before: Protections | None = None) -> None:
        """Draw the unit of this seed, its memory empty."""
        self.seed = seed
        unit = make_unit(self.profile, seed)
        rows, found = unit.protections, unit.diagnoses
        for defect in self.defects:
            if defect.protect is not None:
                rows = tuple(defect.protect(row, self.profile) for row in rows)
            if defect.diagnose is not None:
                found = tuple(defect.diagnose(row, self.profile) for row in found)
        self._factory_rows = rows
        rows = tuple(self.settings.move(row) for row in rows)
        self.unit = replace(unit, protections=rows, diagnoses=found)
        self._t0_ns = self.clock.now_ns()
        self.heard_at_s = None
        self.readings = Readings(self.profile, self.circuit, self.unit, seed, self.defects)
        self._deratings = Deratings(self.readings, rows)
        self.switching.begin()
        self._protections = Protections(self, before)
        if not self.powered:
            self._protections.stop()
        self.balancer = Balancer(self)
        declared = self.profile.operation.sleep
        self._sleeper = None if declared is None else Sleeper(self, declared)

    def write_setting(self, name: str, pattern: int) -> None:
        """A setting has arrived: keep it and act by it from now on."""
        self.settings.write(name, pattern)
        rows = tuple(self.settings.move(row) for row in self._factory_rows)
        self.unit = replace(self.unit, protections=rows)
        self._protections.follow()

    def now_s(self) -> float:
        """Seconds since power-on."""
        return self.now_ns() * 1e-9

    def now_ns(self) -> int:
        """Nanoseconds since power-on."""
        return self.clock.now_ns() - self._t0_ns

    # -- what faces and operation ask ------------------------------------------------------------------------

    @property
    def watches(self) -> list[Watch]:
        """Its protections at work."""
        return self._protections.watches

    @property
    def diagnoses(self) -> list[DiagnosisWatch]:
        """Its diagnoses at work."""
        return self._protections.diagnoses

    @property
    def closed(self) -> frozenset[str]:
        """The switches that it commands to be closed."""
        return self.switching.closed

    def want(self, *names: str) -> None:
        """Close exactly these switches, except those that a protection holds open."""
        self.switching.want(*names)

    def apply(self) -> None:
        """What holds switches open has changed."""
        self.switching.apply()

    def held(self) -> set[str]:
        """Return the switches that something holds open."""
        return self._protections.held()

    def fatal(self) -> bool:
        """Whether a protection or a diagnosis of the highest level is active."""
        return self._protections.fatal()

    def flag(self, name: str) -> bool:
        """Whether a flag is up."""
        return self._protections.flag(name)

    def flows(self) -> int:
        """+1 while charging, -1 while discharging, 0 at rest, as this unit measures it."""
        return self.readings.flows

    def told_limit_a(self, signal: str) -> float:
        """Return what a derating leaves of a limit of current, a magnitude in amperes."""
        return self._deratings.told_a(signal)

    @property
    def path_closed(self) -> bool:
        """Whether the unit believes its main path to be closed in both directions."""
        return self.switching.path_closed

    def clear(self) -> None:
        """The clear request has arrived: release what waits for it and whose cause is gone."""
        self._protections.clear()

    @property
    def truth(self) -> Truth:
        """What is really so now."""
        return look(self)
