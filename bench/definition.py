"""A bench definition: what stands on one table, how it is wired, and what nothing may leave."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from bench.address_spelling import one_spelling
from bench.definition_sections import (
    BenchSection,
    Binding,
    Environment,
    InstrumentSection,
    ModbusBinding,
    Safety,
    Topology,
)
from bench.emulation import CellEmulation, DutSupply
from bench.envelope import Envelope, check_arithmetic
from bench.errors import DefinitionError
from bench.loading import Frozen, find_named, nearest, read_toml, validate

FILE = "file:"  # a safety input that is a file: nothing can be commanded through it
DEFINITIONS = Path(__file__).parent / "definitions"
HIGH_VOLTAGE_V = 60.0  # above this, interlock and disconnect are mandatory
ROLES = (
    "supply",
    "load",
    "bidirectional",
    "reference_meter",
    "pack_meter",
    "disconnect",
    "interlock",
    "emergency_stop",
    "cell_monitor",
    "cell_emulator",
    "sensor_emulator",
    "digitiser",
    "auxiliary_supply",
    "fault_inserter",
)


class Definition(Frozen):
    """Everything a bench file says. `source` is the file it came from."""

    schema_version: Literal[1] = Field(default=1, description="version of this format")
    bench: BenchSection
    instruments: dict[str, InstrumentSection] = Field(min_length=1)
    roles: dict[str, str] = Field(description="which instrument plays which role")
    links: dict[str, Binding] = Field(min_length=1)
    topology: Topology
    envelope: Envelope
    environment: Environment = Environment()
    cell_emulation: CellEmulation = CellEmulation()
    dut_supply: DutSupply | None = Field(default=None, description="for the role auxiliary_supply")
    safety: Safety = Safety()
    interlock: str = Field(default="", description="how it is wired, in words (the input itself is roles.interlock)")
    emergency_stop: str = Field(default="", description="how it is wired, in words")
    source: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _wired_as_a_bench(self) -> Definition:
        self._check_roles()
        self._check_addresses()
        self._check_references()
        self._check_ratings()
        self._check_emulation()
        if self.topology.remote_sense == "pack_side":
            raise ValueError(
                "topology.remote_sense: 'pack_side' would let the supply regulate across the DUT's open switch; "
                "write 'bench_side' or 'none'"
            )
        return self

    def _check_roles(self) -> None:
        for role, name in self.roles.items():
            if role not in ROLES:
                raise ValueError(f"roles.{role}: is no role{nearest(role, ROLES)}")
            if name not in self.instruments:
                raise ValueError(f"roles.{role}: {name!r} is no instrument{nearest(name, self.instruments)}")
        for role in ("reference_meter", "pack_meter"):
            if role not in self.roles:
                raise ValueError(f"roles.{role}: is missing; a judgement needs a witness that is not the BMS")
        pair = "supply" in self.roles and "load" in self.roles
        if pair == ("bidirectional" in self.roles):
            raise ValueError("roles: write either supply and load, or bidirectional")
        taken: dict[str, str] = {}
        for role, name in self.roles.items():
            if name in taken:
                raise ValueError(f"roles.{role}: instrument {name!r} already plays {taken[name]}")
            taken[name] = role

    def _check_addresses(self) -> None:
        taken: dict[str, dict[str, str]] = {}  # who is at an address, by channel
        for name, instrument in self.instruments.items():
            channel = str(instrument.options.get("channel", ""))
            there = taken.setdefault(one_spelling(instrument.address), {})
            # Whoever names no channel has the whole instrument.
            who = there.get(channel) or there.get("") or (next(iter(there.values()), None) if not channel else None)
            if who is not None:
                raise ValueError(
                    f"instruments.{name}.address: {instrument.address!r} is already used by {who!r}; "
                    "two roles on one address would command each other"
                )
            there[channel] = name
        for name, link in self.links.items():
            users = taken.get(one_spelling(link.address)) if isinstance(link, ModbusBinding) else None
            if isinstance(link, ModbusBinding) and users:
                raise ValueError(
                    f"links.{name}.address: {link.address!r} is already used by instruments."
                    f"{next(iter(users.values()))}; a BMS and an instrument at one address would answer for each other"
                )
        virtual = [name for name, part in self.instruments.items() if part.address.startswith("virtual:")]
        files = [name for name, part in self.instruments.items() if part.address.startswith(FILE)]
        if self.bench.clock == "simulated" and len(virtual) + len(files) != len(self.instruments):
            real = sorted(set(self.instruments) - set(virtual) - set(files))
            raise ValueError(f"bench.clock: 'simulated' needs virtual: addresses everywhere, not at {real}")
        if self.bench.clock == "wall" and virtual:
            raise ValueError(
                f"instruments.{virtual[0]}.address: a virtual: address lives in simulated time; write "
                "bench.clock = 'simulated', or the tcp: address that 'bmsbench lab' prints"
            )

    def _check_references(self) -> None:
        parts = [*self.instruments, *self.links]
        for part in self.topology.references:
            if part not in parts:
                raise ValueError(f"topology.references: {part!r} is no instrument or link{nearest(part, parts)}")
        named = {part: ref for part, ref in self.topology.references.items() if ref != "isolated"}
        known = ("isolated", "earth", "B-", "P-")
        for part, reference in named.items():
            if reference not in known:
                raise ValueError(f"topology.references.{part}: {reference!r} is not valid{nearest(reference, known)}")
        if len(set(named.values())) > 1:
            listed = ", ".join(f"{part} to {ref}" for part, ref in sorted(named.items()))
            raise ValueError(
                f"topology.references: {listed}: two different non-isolated references carry current round the "
                "shunt; isolate all but one"
            )

    def _check_ratings(self) -> None:
        check_arithmetic(self.envelope, self.topology)
        if self.envelope.max_v > HIGH_VOLTAGE_V or self.topology.voltage_class == "high":
            missing = [role for role in ("interlock", "disconnect") if role not in self.roles]
            if missing:
                raise ValueError(
                    f"roles: above {HIGH_VOLTAGE_V:g} V mandatory and missing: {' and '.join(missing)} (envelope.max_v "
                    f"= {self.envelope.max_v:g} V, voltage_class {self.topology.voltage_class!r})"
                )
        if self.envelope.sensors and "cell_monitor" not in self.roles:
            raise ValueError(
                "envelope.sensors: limits for sensors that nobody reads; name the instrument in roles.cell_monitor"
            )

    def _check_emulation(self) -> None:
        """Emulated cells feed nobody: the BMS then needs a supply of its own, and a supply needs its limits."""
        if self.emulated:
            missing = [role for role in ("cell_emulator", "auxiliary_supply") if role not in self.roles]
            if missing:
                raise ValueError(
                    f"topology.cells: 'emulated' needs the roles cell_emulator and auxiliary_supply (what emulates the "
                    f"cells feeds no BMS); roles.{' and roles.'.join(missing)} missing; name the instrument, or write "
                    "'pack'"
                )
        elif "cell_emulator" in self.roles:
            raise ValueError(
                f"roles.cell_emulator: {self.roles['cell_emulator']!r} with topology.cells = 'pack': the BMS would sit "
                "on both; write topology.cells = 'emulated'"
            )
        if "auxiliary_supply" in self.roles and self.dut_supply is None:
            raise ValueError(
                "dut_supply: is missing, and roles.auxiliary_supply needs it; write dut_supply = { nominal_v = ..., "
                "max_v = ..., max_a = ... } as the BMS's manual says"
            )
        if self.dut_supply is not None and "auxiliary_supply" not in self.roles:
            raise ValueError("dut_supply: nobody gives it; name the instrument in roles.auxiliary_supply")

    @property
    def emulated(self) -> bool:
        """Whether the BMS measures emulated cells."""
        return self.topology.cells == "emulated"

    @property
    def name(self) -> str:
        """The bench's name."""
        return self.bench.name

    @property
    def reference_meter(self) -> InstrumentSection:
        """The meter on the reference shunt."""
        return self.instruments[self.roles["reference_meter"]]


def check_simulated(definition: Definition) -> None:
    """See that a definition that calls itself simulated cannot reach hardware. One that does not is for
    `bench.admission` to admit.

    Raises:
        DefinitionError: an address is neither in-process nor loopback.
    """
    where = definition.source.name or definition.name
    if not definition.bench.simulated:
        return
    for name, instrument in definition.instruments.items():
        if not is_harmless(instrument.address):
            raise DefinitionError(
                f"{where}, instruments.{name}.address: {instrument.address!r} is neither in-process (virtual:) nor "
                "loopback (tcp:127.0.0.1:PORT), so the bench is not simulated; correct it, or write bench.simulated = "
                "false and let 'bmsbench check' say what energising hardware needs"
            )
    for name, binding in definition.links.items():
        if isinstance(binding, ModbusBinding):
            harmless, shown = is_harmless(binding.address), binding.address
        else:
            host = str(binding.options.get("host", ""))
            in_process = binding.interface in ("bmsbench", "virtual")
            harmless = in_process or (binding.interface == "socketcand" and _loopback(host))
            shown = f"{binding.interface} {binding.channel} {host}".strip()
        if not harmless:
            raise DefinitionError(f"{where}, links.{name}: {shown!r} is neither in-process nor loopback")


def is_harmless(address: str) -> bool:
    """Return whether an address cannot leave this machine and commands nothing: in-process, loopback, or a file."""
    if address.startswith(("virtual:", FILE)):
        return True
    parts = address.split(":")
    return len(parts) == 3 and parts[0] == "tcp" and _loopback(parts[1])


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_definition(name: str, lab: Path | None = None) -> Path:
    """Return the file of a bench given by name or by path; a lab's own folder comes first.

    Raises:
        DefinitionError: there is none of that name.
    """
    return find_named("bench", name, ([lab / "definitions"] if lab else []) + [DEFINITIONS])


def load_definition(path: Path) -> Definition:
    """Load and check a bench definition; opens nothing.

    Raises:
        DefinitionError: naming file, key path, value and what to try.
    """
    definition = validate(Definition, read_toml(path), path.name)
    return definition.model_copy(update={"source": path.resolve()})
