"""A virtual bench without a BMS: a known resistor, or a short, where the pack would be.

For the first contact with an instrument, which asks less of it than a pack does. Simulated: the definition's
instruments on the bench's own circuit, wires and reference shunt included. Not simulated: warming of the resistor.
"""

from __future__ import annotations

from collections.abc import Iterable

from bench.definition import Definition
from bench.errors import DefinitionError
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bench import SCHEME, derived_seed
from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.circuit import Circuit
from instruments.virtual.instruments import VirtualInstruments
from instruments.virtual.pack import Pack
from instruments.virtual.pack_cell import Cell
from instruments.virtual.server import FaceServer

SHORT_OHM = 1e-3  # two lugs under one screw


class _NoSource(OcvCurve):
    """The open-circuit voltage of a resistor."""

    def __init__(self) -> None:
        """There are no points to interpolate."""

    def volts(self, socs: Iterable[float]) -> list[float]:
        """Return nothing but zeros."""
        return [0.0 for _ in socs]

    def slope_v(self, soc: float) -> float:
        """Return zero: it never charges."""
        del soc
        return 0.0


class Resistor(Pack):
    """A resistor in the pack's place: one cell without a source, whose temperature does not matter."""

    def __init__(self, ohm: float) -> None:
        if not 0.0 < ohm < 1e9:
            raise DefinitionError(f"a resistor of {ohm!r} Ohm: must be above 0 and finite; for 0 Ohm ask for a short")
        super().__init__([Cell(capacity_ah=1e9, r0_ohm=ohm, r1_ohm=1e-12, soc_pct=50.0)], curve=_NoSource())

    def _temperatures(self) -> list[float]:
        return [self.ambient_degc]


class PassiveBench:
    """The virtual instruments of a definition around a resistor; everything starts off."""

    def __init__(self, definition: Definition, clock: SimulatedClock, *, seed: int, ohm: float) -> None:
        """Build and serve it.

        Raises:
            DefinitionError: a driver without a virtual face, or no such resistor.
        """
        self.addresses: dict[str, str] = {}
        self.circuit = Circuit(
            Resistor(ohm),
            now_ns=clock.now_ns,
            topology="common",
            reference_shunt_ohm=definition.topology.reference_shunt.ohm,
        )
        self.circuit.switches.set(charge=True, discharge=True)  # there is no BMS: a piece of copper
        self.circuit.supply_disconnected = "supply" not in definition.roles
        self.circuit.load_disconnected = "load" not in definition.roles
        self.circuit.bidirectional.disconnected = "bidirectional" not in definition.roles
        self.server = FaceServer(clock)
        try:
            self.instruments = VirtualInstruments(self.circuit, clock, self.server, derived_seed(seed, "instruments"))
            for name, section in definition.instruments.items():
                if not section.address.startswith(SCHEME):
                    continue
                try:
                    self.addresses[name] = self.instruments.add(name, section.driver, section.virtual)
                except LookupError as problem:
                    where = f"{definition.source.name}, instruments.{name}.driver"
                    raise DefinitionError(f"{where}: {problem}; a virtual: address needs one") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop serving."""
        self.server.close()
