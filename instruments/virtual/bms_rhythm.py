"""When a virtual BMS does what: its periodic looks, awake and asleep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bench.clock import Rank, Tick
from instruments.virtual.bms_balancing import PERIOD_S as BALANCING_PERIOD_S
from instruments.virtual.bms_operation import CHECK_S
from instruments.virtual.bms_protecting import Protections
from instruments.virtual.bms_sleep import CHECK_S as SLEEP_CHECK_S
from instruments.virtual.bms_sleep import Sleeper
from instruments.virtual.bms_unit import SLOW_PERIOD_S

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms

_Look = tuple[float, Callable[[], None]]


class Rhythm:
    """The ticks of one unit."""

    def __init__(self, bms: VirtualBms) -> None:
        self._bms = bms
        self._ticks: list[Tick] = []

    def stop(self) -> None:
        """Do nothing any more."""
        for tick in self._ticks:
            tick.cancel()
        self._ticks = []

    def start(self, protections: Protections, sleeper: Sleeper | None) -> None:
        """Begin to look, as the unit is awake or asleep now."""
        self.stop()
        looks = self._awake(protections) if self._bms.talks else []
        if sleeper is not None:
            looks.append((SLEEP_CHECK_S, sleeper.check))
        every = partial(self._bms.clock.every, rank=Rank.BMS)
        self._ticks = [every(period_s, callback) for period_s, callback in looks]

    def _awake(self, protections: Protections) -> list[_Look]:
        bms = self._bms

        def sample_current() -> None:
            now_ns = bms.now_ns()
            bms.readings.sample_current(now_ns)
            protections.sample_current(now_ns)

        def sample_cells() -> None:
            now_ns = bms.now_ns()
            bms.readings.measure_cells(now_ns)
            protections.sample_cells(now_ns)

        def sample_extra(period_s: float) -> None:
            protections.sample_extra(bms.now_ns(), period_s)

        def look(period_s: float) -> None:
            protections.look(bms.now_ns(), period_s)

        looks: list[_Look] = [
            (bms.profile.behaviour.sample_s, sample_current),
            (SLOW_PERIOD_S, sample_cells),
            (CHECK_S, bms.operation.check),
            *((period_s, partial(sample_extra, period_s)) for period_s in protections.extra),
            *((period_s, partial(look, period_s)) for period_s in protections.looks),
        ]
        if bms.profile.balancing is not None:
            looks.append((BALANCING_PERIOD_S, bms.balancer.check))
        if any(defect.releases_on_silence for defect in bms.defects):
            looks.append((SLOW_PERIOD_S, protections.release_on_silence))
        return looks
