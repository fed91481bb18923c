"""A whole virtual bench: one circuit, the definition's instruments and the profile's BMS, behind one server."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.can_hub import CanHub
from bench.definition import Definition
from bench.definition_sections import CanBinding, ModbusBinding
from bench.errors import DefinitionError
from bench.profile import CanDbcLink, Profile
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bms import VirtualBms
from instruments.virtual.bms_can import attach_can
from instruments.virtual.bms_modbus import make_modbus_session_factory
from instruments.virtual.circuit import Circuit
from instruments.virtual.instruments import VirtualInstruments
from instruments.virtual.pack import Pack
from instruments.virtual.sensors import Thermistor
from instruments.virtual.server import FaceServer

SCHEME = "virtual:"
_numbers = itertools.count(1)


def derived_seed(seed: int, *names: str) -> int:
    """Return a seed for one part, so that parts do not share a stream."""
    digest = hashlib.blake2b(":".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class VirtualBench:
    """The virtual counterpart of one definition and one profile; everything starts off, the BMS powered.

    `ports` maps an instrument's or link's name to a fixed port (the lab server); others get any free one.
    """

    def __init__(
        self,
        definition: Definition,
        profile: Profile,
        clock: SimulatedClock,
        *,
        seed: int,
        defects: Iterable[str] = (),
        soc_pct: float = 50.0,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
        can_name: str | None = None,
        lab: Path | None = None,
    ) -> None:
        """Build and serve it.

        `can_name` names the bus where other processes must find it by name; `lab` is a lab's folder with faces of
        its own.

        Raises:
            DefinitionError: a driver without a virtual face, an unknown defect, a signal nobody can fill.
            OSError: a port is in use.
        """
        self.definition, self.profile, self.clock = definition, profile, clock
        self._ports = dict(ports or {})
        self._can_name = can_name
        self.addresses: dict[str, str] = {}
        self.hub: CanHub | None = None
        topology = "separate" if profile.bms.separate_switches else "common"
        pack = Pack.demonstration(
            seed=derived_seed(seed, "pack"),
            cells=profile.bms.cells,
            capacity_ah=profile.bms.capacity_ah,
            soc_pct=soc_pct,
            ambient_degc=definition.environment.temperature_degc or 25.0,
        )
        self.circuit = Circuit(
            pack,
            now_ns=clock.now_ns,
            topology="separate" if topology == "separate" else "common",
            cells=definition.topology.cells,
            reference_shunt_ohm=definition.topology.reference_shunt.ohm,
        )
        # Only what stands on this bench hangs on its bus: each power stage has an output capacitor and a bleeder.
        self.circuit.supply_disconnected = "supply" not in definition.roles
        self.circuit.load_disconnected = "load" not in definition.roles
        self.circuit.bidirectional.disconnected = "bidirectional" not in definition.roles
        if "auxiliary_supply" in definition.roles:
            self.circuit.dut.supply.attach()
        if profile.temperature_sensors is not None:
            self.circuit.dut.sensors.thermistor = Thermistor(profile.temperature_sensors.curve.rows)
        self.server = FaceServer(clock, host=host)
        try:
            self.instruments = VirtualInstruments(
                self.circuit, clock, self.server, derived_seed(seed, "instruments"), lab=lab
            )
            self._add_instruments()
            self.bms = VirtualBms(
                profile, circuit=self.circuit, clock=clock, seed=derived_seed(seed, "bms"), defects=tuple(defects)
            )
            self._add_links()
            self.bms.power_on()
        except BaseException:
            self.close()
            raise

    def _add_instruments(self) -> None:
        for name, section in self.definition.instruments.items():
            if not section.address.startswith(SCHEME):
                continue
            try:
                self.addresses[name] = self.instruments.add(
                    name, section.driver, section.virtual, port=self._ports.get(name, 0)
                )
            except LookupError as problem:
                where = f"{self.definition.source.name}, instruments.{name}.driver"
                raise DefinitionError(f"{where}: {problem}; a virtual: address needs one") from None

    def _add_links(self) -> None:
        for name, link in self.profile.links.items():
            binding = self.definition.links.get(name)
            if isinstance(binding, CanBinding) and isinstance(link, CanDbcLink):
                self.hub = CanHub(self._can_name or f"{binding.channel}#{next(_numbers)}", self.clock)
                attach_can(self.bms, self.hub, name)
            elif isinstance(binding, ModbusBinding) and binding.address.startswith(SCHEME):
                factory = make_modbus_session_factory(self.bms, name)
                port = self.server.listen(f"bms {name}", factory, port=self._ports.get(name, 0))
                self.addresses[f"links.{name}"] = f"tcp:{self.server.host}:{port}"

    def binding(self, name: str) -> dict[str, object]:
        """Return where the bench's own link of that name finds this virtual BMS."""
        binding = self.definition.links[name]
        if isinstance(binding, CanBinding):
            if self.hub is None:
                raise DefinitionError(f"links.{name}: the profile has no CAN link to bind")
            return {"interface": binding.interface, "channel": self.hub.name, "options": {}}
        return {"address": self.addresses.get(f"links.{name}", binding.address)}

    def close(self) -> None:
        """Stop serving."""
        if self.hub is not None:
            self.hub.close()
        self.server.close()
