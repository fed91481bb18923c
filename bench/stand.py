"""Everything a stimulus or a suite needs, in one hand: guarded roles, the reference, the BMS, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.clock import Clock
from bench.definition import Definition
from bench.dut import Dut
from bench.emulator_roles import CellEmulator, Digitiser, FaultInserter, TemperatureEmulator
from bench.errors import Inconclusive
from bench.observer import Event, Observers
from bench.profile import Profile
from bench.protection import Protection
from bench.reference import Reference
from bench.roles import BidirectionalSupply, CellMonitor, Identity, Load, Supply, Switch
from bench.traces import Traces

if TYPE_CHECKING:
    from bench.guard import Guard


@dataclass(slots=True)
class TripBudget:
    """Counts the trips that were provoked since the BMS was powered, so that none locks itself out by our doing."""

    spent: dict[str, int] = field(default_factory=dict)

    def spend(self, protection: Protection) -> None:
        """Note one more provocation.

        Raises:
            Inconclusive: it could be the trip that locks the BMS out; power-cycle it or reset its counter first.
        """
        used = self.spent.get(protection.name, 0)
        if protection.lockout_count is not None and used + 1 >= protection.lockout_count:
            raise Inconclusive(
                f"{protection.name} was provoked {used} times and locks after {protection.lockout_count}; reset its "
                "counter or power-cycle the BMS before going on"
            )
        self.spent[protection.name] = used + 1


@dataclass(slots=True)
class Stand:
    """A bench that is open: made by `instruments.stand.open_stand`, which also owns the way out."""

    definition: Definition
    profile: Profile
    clock: Clock
    observers: Observers
    traces: Traces
    guard: Guard
    reference: Reference
    dut: Dut
    supply: Supply | None = None
    load: Load | None = None
    bidirectional: BidirectionalSupply | None = None
    disconnect: Switch | None = None
    cell_emulator: CellEmulator | None = None
    sensor_emulator: TemperatureEmulator | None = None
    digitiser: Digitiser | None = None
    auxiliary_supply: Supply | None = None
    fault_inserter: FaultInserter | None = None
    cell_monitor: CellMonitor | None = None
    identities: dict[str, Identity] = field(default_factory=dict)
    trips: TripBudget = field(default_factory=TripBudget)
    seed: int = 0
    defects: tuple[str, ...] = ()

    @property
    def simulated(self) -> bool:
        """True when the definition says so or a virtual instrument was met."""
        return self.definition.bench.simulated or any(who.virtual for who in self.identities.values())

    def note(self, text: str, **data: object) -> None:
        """Write a line into the lab book."""
        self.observers.event(Event("note", self.clock.now(), text, dict(data)))
        self.observers.drain()

    def progress(self, text: str) -> None:
        """Tell whoever watches what is happening."""
        self.observers.event(Event("progress", self.clock.now(), text))
        self.observers.drain()

    def mark(self, name: str, detail: str = "") -> None:
        """Set a mark on the traces and in the lab book."""
        now_s = self.clock.now()
        self.traces.mark(now_s, name, detail)
        self.observers.event(Event("mark", now_s, name, {"detail": detail}))
