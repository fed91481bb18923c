"""What every virtual instrument has below its language: a name, a power switch, and faults that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.clock import NS, Rank, Tick
from bench.simulated_clock import SimulatedClock


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """The fault that is switched on; `none` is a healthy instrument. Names and options: `faults.FAULTS`."""

    name: str = "none"
    options: Mapping[str, float] = field(default_factory=dict)


class Behaviour:
    """State, limits and timing of one instrument, with no idea of any language.

    `own_faults` are the faults that this kind of instrument can play beside those of any conversation.

    `generation` counts power cycles: what was started before one does not happen after it.
    """

    own_faults: frozenset[str] = frozenset()

    def __init__(self, name: str, serial: str, clock: SimulatedClock, seed: int) -> None:
        self.name = name
        self.serial = serial
        self.clock = clock
        self.seed = seed
        self.fault = ActiveFault()
        self.generation = 0

    def power_cycle(self) -> None:
        """Mains off and on: settings gone, control given back, outputs off, nothing pending."""
        self.generation += 1

    def fault_changed(self, before: ActiveFault) -> None:
        """A fault was switched on or off (`before` is the one that was); for those that act by themselves."""

    def remote_lost(self) -> None:
        """The operator pressed LOCAL; nothing for an instrument that has no such key."""

    def reset(self, seed: int) -> None:
        """Return to the state after power-up, healthy, with new noise."""
        self.seed = seed
        self.fault = ActiveFault()
        self.power_cycle()

    def at_ns(self, due_ns: int, action: Callable[[], None]) -> Tick:
        """Call `action()` at a simulated instant, unless the instrument lost its power before."""
        generation = self.generation

        def act() -> None:
            if generation == self.generation:
                action()

        return self.clock.at(due_ns / NS, act, rank=Rank.INSTRUMENT)
