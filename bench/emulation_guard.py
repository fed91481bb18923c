"""The guard's part for what is emulated: it looks at cells and sensors, and is told when they are set."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from typing import Any

from bench.emulation_watch import EmulationWatch
from bench.errors import BenchError, NotDue, SafetyError
from bench.reference import Reference
from bench.setpoints import SetpointChecks
from bench.traces import Traces


class EmulationGuard(SetpointChecks, abc.ABC):
    """Between the checks of setpoints and the guard itself, which keeps samples and opens everything."""

    _emulation: EmulationWatch | None
    _provoking: bool
    _traces: Traces

    @abc.abstractmethod
    def _keep(self, channel: str, at_s: float, value: float) -> None:
        """Keep a sample in the traces."""

    @abc.abstractmethod
    def _breach(self, what: str, why: str = "", *, blind: bool = False) -> None:
        """Open everything first, explain afterwards."""

    @abc.abstractmethod
    def _open_blindly(self, channel: str, problem: BenchError) -> None:
        """Open everything, since something could not be seen."""

    @abc.abstractmethod
    def _event(self, kind: Any, text: str, **data: object) -> None:
        """Tell the lab book."""

    @abc.abstractmethod
    def _witness(self) -> Reference:
        """Return the reference."""

    def _watch_emulation(self) -> None:
        watch = self._emulation
        if watch is None or self.breach:
            return
        now_s = self._clock.now()
        try:
            if watch.cells_due(now_s, provoking=self._provoking):
                cells_v = watch.measure_cells(now_s)
                for number, cell_v in enumerate(cells_v, 1):
                    self._keep(f"cell_{number}", now_s, cell_v)
                if watch.told_on and (what := watch.check_cells(cells_v)) is not None:
                    self._breach(what, "emulated cells")
            if watch.sensors_due(now_s):
                for sensor, degc in watch.ask_sensors(now_s).items():
                    self._keep(f"degc.{sensor}", now_s, degc)
        except NotDue:
            return
        except SafetyError:
            raise
        except BenchError as problem:
            self._open_blindly("what is emulated", problem)
            raise

    @contextlib.contextmanager
    def watch_cells_fast(self, period_s: float = 0.0) -> Iterator[None]:
        """Look at emulated cells so often, or as often as their emulator answers: for what is measured outside of
        `provoke`, such as a release. Costs time, simulated or not."""
        watch = self._emulation
        if watch is None:
            yield
            return
        before_s = watch.set_period(period_s)
        try:
            yield
        finally:
            watch.set_period(before_s)

    def reference_current(self) -> tuple[float, float]:
        """Measure the reference current, in amperes, and say below which magnitude it counts as off."""
        witness = self._witness()
        return witness.current(), witness.off_limit_a

    def cells_told(self, on: bool | None, at_s: float | None, detail: str) -> None:
        """The emulated cells were switched (None: they were set), at an instant if it is known."""
        if self._emulation is not None:
            self._emulation.told_on = self._emulation.told_on if on is None else on
            self._emulation.cells_changed()
        self.told("cells_told", detail, at_s)

    def sensors_told(self, sensor: str, ohm: float | None, before: bool) -> None:
        """A sensor is about to change (`before`), or has changed, to a resistance in ohm if it has one.

        Its temperature until then is kept just before the change, so that the trace has an edge and no slope.
        """
        now_s, channel = self._clock.now(), f"degc.{sensor}"
        if before:
            trace = self._traces.channels.get(channel)
            if trace is not None and trace.at_s and trace.at_s[-1] < now_s:
                self._keep(channel, now_s, trace.values[-1])
            return
        if self._emulation is not None and ohm is not None:
            for degc in self._emulation.temperatures({sensor: ohm}).values():
                self._keep(channel, now_s, degc)
        self.told("sensor_told", f"{sensor}: {'open or short' if ohm is None else f'{ohm:g} ohm'}")

    def told(self, name: str, detail: str, at_s: float | None = None) -> None:
        """Set a mark: something beside the current path was told something."""
        self._traces.mark(self._clock.now() if at_s is None else at_s, name, detail)
        self._event("mark", name, detail=detail)
