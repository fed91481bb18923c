"""What surrounds an instrument at its first contact: clock, addresses, and a virtual bench where one is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.clock import Clock
from bench.definition import Definition
from bench.definition_sections import CanBinding
from bench.errors import DefinitionError
from bench.profile import Profile
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.first_contact import Connected
from instruments.virtual.bench import VirtualBench
from instruments.virtual.passive_bench import SHORT_OHM, PassiveBench


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: which instrument, and what its output is led to. `fault` is planted in a virtual one."""

    target: str
    connected: Connected = "pack"
    resistor_ohm: float | None = None
    fault: str = "none"
    seed: int = 1

    def __str__(self) -> str:
        return f"a resistor of {self.resistor_ohm:g} Ohm" if self.connected == "resistor" else f"a {self.connected}"


class World:
    """Clock and addresses of the bench, a virtual one included where the definition asks for it."""

    def __init__(
        self, definition: Definition, profile: Profile, wanted: Wanted, name: str, stack: contextlib.ExitStack
    ) -> None:
        self.definition, self.profile, self.wanted = definition, profile, wanted
        self.where = {each: section.address for each, section in definition.instruments.items()}
        self.bindings: dict[str, Mapping[str, object]] = {}
        self.press_local: Callable[[], None] | None = None
        self.move_loop: Callable[[bool], None] | None = None
        self.clock: Clock
        if definition.bench.clock == "wall":
            if wanted.fault != "none":
                raise DefinitionError("--fault: only a bench in simulated time has faults to plant")
            self.clock = wall = WallClock()
            stack.callback(wall.close)
            self.bindings = {each: definition.links[each].model_dump() for each in profile.links}
            return
        self.clock = clock = SimulatedClock()
        stack.callback(clock.close)
        virtual: VirtualBench | PassiveBench
        if wanted.connected == "pack":
            virtual = pack_bench = VirtualBench(definition, profile, clock, seed=wanted.seed)
            self.bindings = {each: _binding(definition, pack_bench, each) for each in profile.links}
        else:
            ohm = SHORT_OHM if wanted.resistor_ohm is None else wanted.resistor_ohm
            virtual = PassiveBench(definition, clock, seed=wanted.seed, ohm=ohm)
        stack.callback(virtual.close)
        self.where.update(virtual.addresses)
        virtual.instruments.fault(name, wanted.fault)
        if name in (definition.roles.get("interlock"), definition.roles.get("emergency_stop")):
            self.move_loop = partial(virtual.instruments.set_input, name)
        if "remote_lost" in virtual.instruments.behaviour(name).own_faults and wanted.fault != "remote_lost":
            self.press_local = lambda: _press(virtual, name, wanted.fault)


def _press(virtual: VirtualBench | PassiveBench, name: str, planted: str) -> None:
    virtual.instruments.fault(name, "remote_lost")
    virtual.instruments.fault(name, planted)


def _binding(definition: Definition, virtual: VirtualBench, name: str) -> Mapping[str, object]:
    if isinstance(definition.links[name], CanBinding) or virtual.addresses.get(f"links.{name}"):
        return virtual.binding(name)
    return definition.links[name].model_dump()
