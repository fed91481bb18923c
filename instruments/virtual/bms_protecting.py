"""All protections and diagnoses of one powered unit: when they look, what they raise, what they hold open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bench.clock import Rank, Tick
from bench.operation import AlwaysOn
from instruments.virtual.bms_actions import make_acted
from instruments.virtual.bms_comparator import Comparator
from instruments.virtual.bms_diagnosis import DiagnosisWatch
from instruments.virtual.bms_faults import Faults
from instruments.virtual.bms_observing import Observer, make_observer
from instruments.virtual.bms_protection import Watch
from instruments.virtual.bms_unit_protection import SLOW_PERIOD_S, UnitProtection
from instruments.virtual.defects import counterpart

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

AnyWatch = Watch | DiagnosisWatch
_Pair = tuple[Watch, Observer]


class Protections:
    """What watches and acts in one unit. `before` are the watches of the time before the power was gone."""

    def __init__(self, bms: VirtualBms, before: Protections | None = None) -> None:
        self._bms = bms
        self._opening: list[Tick] = []
        self.blocked: dict[AnyWatch, tuple[str, ...]] = {}
        counts_down = not isinstance(bms.profile.operation, AlwaysOn)
        self.watches = [
            Watch(
                row,
                counts_down=counts_down,
                on_trip=self._tripped,
                on_release=self._released,
                acted=make_acted(row.row.release, bms.circuit),
            )
            for row in bms.unit.protections
        ]
        self.faults = Faults(bms)
        self.diagnoses = [
            DiagnosisWatch(
                unit,
                seen_after_s=self.faults.seen_after_s(unit.row.kind, unit.delay_s),
                on_trip=self._tripped,
                on_release=self._released,
                acted=make_acted(unit.row.release, bms.circuit),
            )
            for unit in bms.unit.diagnoses
        ]
        self.comparators = [Comparator(bms, watch) for watch in self.watches if watch.unit.fast_s is not None]
        self._sort_into_groups()
        self._sort_into_flags()
        if before is not None:
            self._remember(before)

    @property
    def every(self) -> list[AnyWatch]:
        """Protections and diagnoses."""
        return [*self.watches, *self.diagnoses]

    def stop(self) -> None:
        """Forget what is on its way."""
        for comparator in self.comparators:
            comparator.disarm()
        for tick in self._opening:
            tick.cancel()

    def _remember(self, before: Protections) -> None:
        """A unit that keeps its lock-outs comes up with them."""
        for watch, old in zip(self.watches, before.watches, strict=True):
            if watch.unit.keeps_lockout and old.locked:
                watch.tripped = watch.locked = True
                watch.trips = old.trips
                self.blocked[watch] = watch.unit.opens

    # -- sampling --------------------------------------------------------------------------------------------

    def _sort_into_groups(self) -> None:
        """The samples a protection looks at: the current's, the cells', or its own where those are too coarse."""
        self._current: list[_Pair] = []
        self._cells: list[_Pair] = []
        self.extra: dict[float, list[_Pair]] = {}
        self.looks: dict[float, list[tuple[DiagnosisWatch, Callable[[], bool]]]] = {}
        profile = self._bms.profile
        for watch in self.watches:
            unit = watch.unit
            current = unit.row.about.quantity == "current"
            group = self.extra.setdefault(unit.period_s, []) if not self._fits(unit) else None
            if group is None:
                group = self._current if current else self._cells
            observe = make_observer(self._bms.readings, unit, one_path=not profile.bms.separate_switches)
            group.append((watch, observe))
        self.extra = {period_s: group for period_s, group in self.extra.items() if group}
        for found in self.diagnoses:
            self.looks.setdefault(found.unit.period_s, []).append((found, self.faults.detector(found.unit)))

    def _fits(self, unit: UnitProtection) -> bool:
        if unit.row.about.quantity == "current":
            return unit.period_s == self._bms.profile.behaviour.sample_s
        return unit.period_s == SLOW_PERIOD_S

    def sample_current(self, now_ns: int) -> None:
        """Show a fresh measurement of the current to those who watch it."""
        for watch, observe in self._current:
            watch.sample(now_ns, *observe())

    def sample_cells(self, now_ns: int) -> None:
        """Show fresh measurements of voltages and temperatures to those who watch them."""
        for watch, observe in self._cells:
            watch.sample(now_ns, *observe())

    def sample_extra(self, now_ns: int, period_s: float) -> None:
        """Measure for those who look at a period of their own."""
        pairs = self.extra[period_s]
        self._bms.readings.measure_current(now_ns)
        if any(watch.unit.row.about.quantity != "current" for watch, _ in pairs):
            self._bms.readings.measure_cells(now_ns)
        for watch, observe in pairs:
            watch.sample(now_ns, *observe())

    def look(self, now_ns: int, period_s: float) -> None:
        """Look for the faults that are looked for at this period."""
        for found, shows in self.looks[period_s]:
            found.sample(now_ns, shows())

    # -- acting ----------------------------------------------------------------------------------------------

    def _tripped(self, watch: AnyWatch) -> None:
        unit = watch.unit
        if unit.opens and isinstance(unit, UnitProtection) and unit.fast_s is not None:
            self._open_now(watch)  # its time has passed already
        elif unit.opens:
            clock = self._bms.clock
            at_s = (clock.now_ns() + round(unit.switch_s * 1e9)) * 1e-9
            self._opening = [tick for tick in self._opening if not tick.cancelled]
            self._opening.append(clock.at(at_s, partial(self._open_now, watch), rank=Rank.BMS))
        if unit.row.kind == "precharge_failed":
            self._bms.operation.precharge_failed_since_s = None  # what was tried in vain shows no longer
        if unit.row.level == "protection":
            self._bms.operation.tripped(unit.opens)

    def _open_now(self, watch: AnyWatch) -> None:
        opens = watch.unit.opens
        if isinstance(watch, Watch) and watch.unit.welds:
            self._bms.circuit.switches.welded = True
        if watch.tripped:
            self.blocked[watch] = opens
        self._bms.apply()
        self._bms.operation.opened(opens)

    def _released(self, watch: AnyWatch) -> None:
        self.blocked.pop(watch, None)
        self._bms.apply()

    def release_on_silence(self) -> None:
        """Let go of everything a second after the link was lost, without asking anything: no healthy unit does."""
        heard_s = self._bms.heard_at_s
        if heard_s is None or self._bms.now_s() - heard_s <= self.faults.silence_s() + 1.0:
            return
        for watch in self.every:
            if watch.tripped:
                watch.locked = False
                watch.release()

    # -- what others ask -------------------------------------------------------------------------------------

    def _sort_into_flags(self) -> None:
        profile = self._bms.profile
        swapped = any(defect.swaps_flags for defect in self._bms.defects)
        self._flags: dict[str, list[AnyWatch]] = {name: [] for name in self._bms.flag_names}
        for watch in self.watches:
            other = counterpart(profile, watch.unit.row) if swapped else None
            flag = other.flag if other is not None else watch.unit.flag
            if flag is not None and watch.unit.flags:
                self._flags[flag].append(watch)
        for found in self.diagnoses:
            if found.unit.flag is not None and found.unit.flags:
                self._flags[found.unit.flag].append(found)

    def held(self) -> set[str]:
        """Return the switches that something holds open."""
        return {name for opens in self.blocked.values() for name in opens}

    def fatal(self) -> bool:
        """Whether something of the highest level is active."""
        return any(watch.tripped for watch in self.every if watch.unit.row.level == "protection")

    def flag(self, name: str) -> bool:
        """Whether a flag is up."""
        return any(watch.tripped for watch in self._flags[name])

    def clear(self) -> None:
        """The clear request has arrived: release what waits for it and whose cause is gone."""
        for watch in self.every:
            watch.command_clear()

    def follow(self) -> None:
        """Settings have moved the rows of the unit."""
        for watch, row in zip(self.watches, self._bms.unit.protections, strict=True):
            watch.follow(row)
        for comparator in self.comparators:
            comparator.rearm()
