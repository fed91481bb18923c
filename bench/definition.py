"""A bench definition: what stands on one table, how it is wired, and what nothing may leave."""

from __future__ import annotations

import datetime
import ipaddress
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from bench.address_spelling import one_spelling
from bench.emulation import CellEmulation, DutSupply
from bench.envelope import Envelope, StopLatency, check_arithmetic
from bench.errors import DefinitionError
from bench.loading import Frozen, find_named, nearest, read_toml, validate
from bench.uncertainty import Accuracy, Budget, Contribution, Distribution

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


class BenchSection(Frozen):
    """Name and clock."""

    name: str = Field(min_length=1, description="the bench's name in reports")
    title: str = Field(default="", description="one line about it")
    clock: Literal["simulated", "wall"] = Field(
        description="simulated: time made by the program, addresses virtual:NAME; wall: real time"
    )
    simulated: bool = Field(description="true: no hardware can be reached; false: energised only after admission")
    location: str = Field(default="", description="where it stands")

    @field_validator("name")
    @classmethod
    def _can_be_typed(cls, name: str) -> str:
        """A person answers with it, and releases a quarantine by it: what is read must be what is typed."""
        if name != name.strip():
            raise ValueError(f"{name!r} begins or ends with a blank; nobody would type it so")
        if not name.isprintable() or name != unicodedata.normalize("NFC", name):
            raise ValueError(f"{name!a} has characters that cannot be seen or typed; write letters and digits")
        return name


class Measuring(Frozen):
    """How a meter is set: range in volts, integration in power line cycles."""

    range_v: float = Field(gt=0, description="measuring range")
    power_line_cycles: float = Field(default=1.0, gt=0, description="integration time of a reading")


class InstrumentSection(Frozen):
    """One instrument on the table."""

    driver: str = Field(description="file name of its driver")
    address: str = Field(description="virtual:NAME, tcp:HOST:PORT, visa:RESOURCE or serial:PORT")
    model: str = Field(default="", description="what the driver must find")
    serial: str = Field(default="", description="the serial number the driver must find, if known")
    accuracy: dict[Literal["voltage", "current", "power", "temperature", "resistance"], Accuracy] = Field(
        default_factory=dict, description="per quantity: voltage, current"
    )
    calibrated: datetime.date | None = Field(default=None, description="date of the calibration")
    calibration_due: datetime.date | None = Field(default=None, description="date until which it holds")
    certificate: str = Field(default="", description="number of the certificate")
    integration_s: float = Field(default=0.0, ge=0.0, description="averaging time of one reading")
    measuring: Measuring | None = Field(default=None, description="for meters")
    options: dict[str, Any] = Field(default_factory=dict, description="the driver's own options")
    virtual: dict[str, Any] = Field(default_factory=dict, description="how a virtual instrument is wired")


class CanBinding(Frozen):
    """Which adapter a CAN link uses."""

    medium: Literal["can"] = Field(description="a CAN adapter")
    interface: str = Field(description="name of a python-can interface")
    channel: str = Field(default="", description="its channel")
    options: dict[str, Any] = Field(default_factory=dict, description="further arguments of the interface")


class ModbusBinding(Frozen):
    """Which port or host a Modbus link uses."""

    medium: Literal["modbus"] = Field(description="a Modbus connection")
    address: str = Field(description="virtual:NAME, tcp:HOST:PORT or serial:PORT")


Binding = Annotated[CanBinding | ModbusBinding, Field(discriminator="medium")]


class ReferenceShunt(Frozen):
    """The bench's own shunt, in the one branch common to source and sink."""

    ohm: float = Field(gt=0, description="resistance")
    positive_means: Literal["charge", "discharge"] = Field(description="what a positive meter reading means")
    range_a: float = Field(gt=0, description="range of the reference current")
    uncertainty_pct: float = Field(gt=0, description="calibration, expanded (k = 2)")
    drift_pct: float = Field(default=0.0, ge=0, description="limit of drift since its calibration")
    tempco_ppm_per_k: float = Field(default=0.0, ge=0, description="limit of its temperature coefficient")
    temperature_span_k: float = Field(
        default=0.0, ge=0, description="how far its temperature may be from that of its calibration"
    )
    thermal_emf_v: float = Field(default=0.0, ge=0, description="limit of thermo-electric voltage")
    calibrated: datetime.date | None = Field(default=None, description="date of the calibration")
    calibration_due: datetime.date | None = Field(default=None, description="date until which it holds")

    @property
    def sign(self) -> int:
        """+1, or -1 where a positive reading means discharge."""
        return 1 if self.positive_means == "charge" else -1

    def budget(self, current_a: float, meter: Accuracy, *, apart: bool = False) -> Budget:
        """Return the uncertainty budget of a reference current, in amperes (metrology reference 6.3).

        `apart` keeps the meter's gain and zero apart, for sums and differences of currents through this shunt.
        """

        def of_shunt(what: str, share: float, distribution: Distribution) -> Contribution:
            # I = V / R, so dI / dR = -I / R: errors of the shunt turn round with the current.
            return Contribution.within(
                what, share * self.ohm, distribution, -current_a / self.ohm, source=what, unit="ohm"
            )

        per_volt = 1.0 / self.ohm
        drift_k = self.tempco_ppm_per_k * self.temperature_span_k * 1e-6
        return Budget(
            "A",
            (
                of_shunt("shunt calibration", self.uncertainty_pct / 100.0, "normal"),
                of_shunt("shunt drift", self.drift_pct / 100.0, "rectangular"),
                of_shunt("shunt temperature", drift_k, "rectangular"),
                Contribution.within(
                    "thermo-electric voltage",
                    self.thermal_emf_v,
                    "rectangular",
                    per_volt,
                    source="thermo-electric",
                    unit="V",
                ),
                *meter.contributions(current_a * self.ohm, "meter", per_volt, apart=apart, unit="V"),
            ),
        )


class Topology(Frozen):
    """How it is wired."""

    current_path: Literal["power"] = Field(default="power", description="the real current flows through the BMS")
    cells: Literal["pack", "emulated"] = Field(
        default="pack",
        description="pack: the BMS measures the pack's cells; emulated: it measures the emulator's channels, while "
        "the current flows through the pack",
    )
    reference_shunt: ReferenceShunt = Field(description="the bench's own shunt")
    remote_sense: Literal["none", "bench_side", "pack_side"] = Field(
        default="none", description="where sense leads go; never across the BMS's switch"
    )
    fuse_a: float = Field(gt=0, description="rating of the fuse")
    wiring_a: float = Field(gt=0, description="rating of the power leads")
    disconnect_a: float = Field(gt=0, description="rating of the disconnect")
    voltage_class: Literal["extra_low", "high"] = Field(default="extra_low", description="high: above 60 V")
    lead_ohm: float = Field(default=0.002, ge=0, description="declared resistance of the power leads")
    references: dict[str, str] = Field(
        default_factory=dict,
        description="what each terminal or adapter is referred to: isolated, earth, B-, P-",
    )


class Environment(Frozen):
    """Ambient, as far as it is declared rather than measured."""

    temperature_degc: float | None = Field(default=None, description="ambient")
    warm_up_min: float | None = Field(default=None, ge=0, description="how long the instruments have been on")
    humidity_pct: float | None = Field(default=None, description="relative")


class Safety(Frozen):
    """How long this program may be silent before others make the bench safe."""

    stall_s: float = Field(
        default=3.0,
        ge=0.3,
        le=60.0,
        description="after this long without a good sample the guardian takes over, and watchdogs switch off; longer "
        "than an instrument's time-out (2 s), so that a hung instrument stays the run's own business",
    )
    stop_latency: StopLatency | None = Field(
        default=None,
        description="measured time of each way of stopping ('bmsbench commission' measures it); without it nothing "
        "that moves towards a limit is provoked",
    )
    cell_voltage_stop: str = Field(
        default="",
        description="how cell voltages stop the bench without any program (hard-wired into the interlock); mandatory "
        "with real cells",
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
