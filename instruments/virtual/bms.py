"""A virtual BMS that plays any profile: it measures, reports, protects and switches like one unit of that product.

It reads its own shunt in the shared circuit, with the errors of this unit, and acts on the circuit's switches; its
languages are in `bms_can` and `bms_modbus`, its way to closed switches in `bms_operation`.

Sense wires, sensors and supply are those of `circuit.dut`; what an auxiliary supply no longer feeds is powered off.

Not simulated: balancing, detection of open sense wires and of broken sensors, the BMS's own consumption from the pack,
sleep, hysteresis and drift of the measuring chain, contact bounce and closing time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from bench.clock import Clock, Rank, Tick
from bench.errors import DefinitionError
from bench.operation import AlwaysOn
from bench.profile import Profile
from instruments.virtual.bms_always_on import AlwaysOnOperation
from instruments.virtual.bms_observing import make_observer
from instruments.virtual.bms_operation import CHECK_S, StateRequestOperation
from instruments.virtual.bms_protection import Watch
from instruments.virtual.bms_readings import Readings
from instruments.virtual.bms_settings import SettingsMemory
from instruments.virtual.bms_truth import Truth, look
from instruments.virtual.bms_unit import SLOW_PERIOD_S, UnitProtection, make_unit
from instruments.virtual.bms_values import source_of
from instruments.virtual.circuit import Circuit
from instruments.virtual.defects import Defect, choose_defects, counterpart

_Pair = tuple[Watch, Callable[[], tuple[float, bool, bool]]]


class VirtualBms:
    """One unit. Off until `power_on`; `reset` makes it another unit of the same product, just powered."""

    profile: Profile
    circuit: Circuit
    readings: Readings

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
        self.state_signal = "state" if isinstance(profile.operation, AlwaysOn) else profile.operation.state
        self.flag_names = tuple(dict.fromkeys(row.flag for row in profile.protections if row.flag is not None))
        self._ticks: list[Tick] = []
        keeps = tuple(defect.keep for defect in self.defects if defect.keep is not None)
        forgets = any(defect.forgets_settings for defect in self.defects)
        self.settings = SettingsMemory(profile, seed, keeps, forgets=forgets)
        topology = "separate" if profile.bms.separate_switches else "common"
        if circuit.switches.topology != topology or len(circuit.pack.cells) != profile.bms.cells:
            raise DefinitionError(
                f"{profile.source.name or 'profile'}: the circuit has {circuit.switches.topology} switches and "
                f"{len(circuit.pack.cells)} cells, the profile {topology} switches and {profile.bms.cells} cells"
            )
        state = profile.signals.get(self.state_signal)
        words = state.values if state is not None else {}
        self.operation: AlwaysOnOperation | StateRequestOperation
        if isinstance(profile.operation, AlwaysOn):
            self.operation = AlwaysOnOperation(self, profile.operation, words)
        else:
            self.operation = StateRequestOperation(self, profile.operation, words)
        self._build(seed)
        for name, signal in profile.signals.items():
            source_of(self, name, signal)
        circuit.dut.supply.watch(clock, lambda fed: self.power_on() if fed else self.power_off())

    def power_on(self) -> None:
        """Supply it: it boots, measures, and by its own operation or on request closes its switches.

        Where an auxiliary supply feeds it, it waits until that does.
        """
        if self.powered or not self.circuit.dut.supply.fed:
            return
        self.powered = True
        self._build(self.seed)
        self.operation.power_on()
        every = partial(self.clock.every, rank=Rank.BMS)
        sample_s = self.profile.behaviour.sample_s
        base = ((sample_s, self._sample_current), (SLOW_PERIOD_S, self._sample_cells), (CHECK_S, self.operation.check))
        self._ticks = [every(period_s, callback) for period_s, callback in base]
        for period_s, watches in self._extra.items():
            self._ticks.append(every(period_s, partial(self._sample_extra, watches)))
        self._tell_faces()

    def power_off(self) -> None:
        """Take its supply away: switches open, links silent, everything but the unit and its settings forgotten."""
        self.powered = False
        self.settings.power_cycle()
        for tick in self._ticks:
            tick.cancel()
        self._ticks = []
        self.want()
        self.circuit.switches.welded = False
        self._tell_faces()

    def reset(self, seed: int) -> None:
        """Power it down, exchange it for the unit of this seed, and power it on."""
        self.seed = seed
        self.power_off()
        self.settings.begin(seed)
        self.power_on()

    def _tell_faces(self) -> None:
        for callback in self.on_power:
            callback()

    def _build(self, seed: int) -> None:
        """Draw the unit of this seed, its memory empty."""
        self.seed = seed
        unit = make_unit(self.profile, seed)
        rows = unit.protections
        for defect in self.defects:
            if defect.protect is not None:
                rows = tuple(defect.protect(row, self.profile) for row in rows)
        self._factory_rows = rows
        rows = tuple(self.settings.move(row) for row in rows)
        self.unit = replace(unit, protections=rows)
        self._t0_ns = self.clock.now_ns()
        self.readings = Readings(self.profile, self.circuit, self.unit, seed, self.defects)
        counts_down = not isinstance(self.profile.operation, AlwaysOn)
        self.watches = [
            Watch(row, counts_down=counts_down, on_trip=self._tripped, on_release=self._released) for row in rows
        ]
        swapped = any(defect.swaps_flags for defect in self.defects)
        self._flags: dict[str, list[Watch]] = {name: [] for name in self.flag_names}
        self._current_watches: list[_Pair] = []
        self._cell_watches: list[_Pair] = []
        self._extra: dict[float, list[_Pair]] = {}
        for watch in self.watches:
            row = watch.unit.row
            shown = (counterpart(self.profile, row) if swapped else None) or row
            if shown.flag is not None and watch.unit.flags:
                self._flags[shown.flag].append(watch)
            observe = make_observer(self.readings, watch.unit, one_path=not self.profile.bms.separate_switches)
            self._group(watch.unit).append((watch, observe))
        self.closed: frozenset[str] = frozenset()
        self._wanted: tuple[str, ...] = ()
        self._blocked: dict[Watch, tuple[str, ...]] = {}

    def write_setting(self, name: str, pattern: int) -> None:
        """A setting has arrived: keep it and act by it from now on."""
        self.settings.write(name, pattern)
        rows = tuple(self.settings.move(row) for row in self._factory_rows)
        self.unit = replace(self.unit, protections=rows)
        for watch, row in zip(self.watches, rows, strict=True):
            watch.follow(row)

    def _group(self, unit: UnitProtection) -> list[_Pair]:
        """The samples a protection looks at: the current's, the cells', or its own where those are too coarse."""
        if unit.row.about.quantity == "current" and unit.period_s == self.profile.behaviour.sample_s:
            return self._current_watches
        if unit.row.about.quantity != "current" and unit.period_s == SLOW_PERIOD_S:
            return self._cell_watches
        return self._extra.setdefault(unit.period_s, [])

    def now_s(self) -> float:
        """Seconds since power-on."""
        return self._since_power_ns() * 1e-9

    def _since_power_ns(self) -> int:
        return self.clock.now_ns() - self._t0_ns

    def _sample_current(self) -> None:
        now_ns = self._since_power_ns()
        self.readings.sample_current(now_ns)
        for watch, observe in self._current_watches:
            watch.sample(now_ns, *observe())

    def _sample_cells(self) -> None:
        now_ns = self._since_power_ns()
        self.readings.measure_cells(now_ns)
        for watch, observe in self._cell_watches:
            watch.sample(now_ns, *observe())

    def _sample_extra(self, pairs: list[_Pair]) -> None:
        now_ns = self._since_power_ns()
        self.readings.measure_current(now_ns)
        if any(watch.unit.row.about.quantity != "current" for watch, _ in pairs):
            self.readings.measure_cells(now_ns)
        for watch, observe in pairs:
            watch.sample(now_ns, *observe())

    # -- protecting ------------------------------------------------------------------------------------------

    def _tripped(self, watch: Watch) -> None:
        row = watch.unit
        if row.opens:
            at_s = (self.clock.now_ns() + round(row.switch_s * 1e9)) * 1e-9
            self._ticks.append(self.clock.at(at_s, partial(self._open_now, watch), rank=Rank.BMS))
        if row.row.level == "protection":
            self.operation.tripped(row.opens)

    def _open_now(self, watch: Watch) -> None:
        opens = watch.unit.opens
        if watch.unit.welds:
            self.circuit.switches.welded = True
        if watch.tripped:
            self._blocked[watch] = opens
        self._apply()
        self.operation.opened(opens)

    def _released(self, watch: Watch) -> None:
        self._blocked.pop(watch, None)
        self._apply()

    def want(self, *names: str) -> None:
        """Close exactly these switches, except those that a protection holds open."""
        self._wanted = names
        self._apply()

    def _apply(self) -> None:
        held = {name for opens in self._blocked.values() for name in opens}
        self.closed = frozenset(name for name in self._wanted if name not in held)
        # A switch that this product does not have is a piece of wire; the precharge resistor is not.
        plus, minus = ("charge", "discharge") if self.profile.bms.separate_switches else ("main_plus", "main_minus")
        fuse = self._conducts("fuse")
        self.circuit.switches.set(
            charge=fuse and self._conducts(plus),
            discharge=fuse and self._conducts(minus),
            precharge=fuse and "precharge" in self.closed,
        )

    def _conducts(self, name: str) -> bool:
        return name in self.closed or name not in self.switches

    # -- what faces and operation ask ------------------------------------------------------------------------

    def fatal(self) -> bool:
        """Whether a protection of the highest level is active."""
        return any(watch.tripped for watch in self.watches if watch.unit.row.level == "protection")

    def flag(self, name: str) -> bool:
        """Whether a protection's flag is up."""
        return any(watch.tripped for watch in self._flags[name])

    def flows(self) -> int:
        """+1 while charging, -1 while discharging, 0 at rest, as this unit measures it."""
        return self.readings.flows

    @property
    def path_closed(self) -> bool:
        """Whether the unit believes its main path to be closed in both directions."""
        main = ("charge", "discharge", "main_plus", "main_minus")
        return all(name in self.closed for name in self.switches if name in main)

    def clear(self) -> None:
        """The clear request has arrived: release what waits for it and whose cause is gone."""
        for watch in self.watches:
            watch.command_clear()

    @property
    def truth(self) -> Truth:
        """What is really so now."""
        return look(self)
