"""A BMS profile: what one BMS model promises. It names no port and no bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from bench.diagnosis import Diagnosis
from bench.errors import DefinitionError
from bench.loading import Frozen, find_named, nearest, read_toml, validate
from bench.moved_promises import check_sections, limited_direction
from bench.operation import Operation, StateRequest
from bench.protection import Level, Protection
from bench.quantities import Direction
from bench.settings import Identification, Setting
from bench.signals import Signal
from bench.thermistor import TemperatureSensors

PROFILES = Path(__file__).parent / "profiles"
SEVERITY: dict[Level, int] = {"information": 0, "warning": 1, "protection": 2}


class Bms(Frozen):
    """What it is."""

    maker: str = Field(description="who makes it")
    model: str = Field(description="which model, and in which configuration")
    cells: int = Field(gt=0, description="cells in series")
    capacity_ah: float = Field(gt=0, description="nominal capacity")
    chemistry: Literal["lfp"] = Field(default="lfp", description="decides the open-circuit voltage of the virtual pack")
    upper_limit_cell_v: float = Field(gt=0, description="upper limit charging voltage of one cell")
    measuring_range_a: float = Field(gt=0, description="end of the range of the pack current")
    switches: tuple[str, ...] = Field(
        min_length=1, description="what it opens: charge and discharge, or main_plus, main_minus, precharge; fuse"
    )
    firmware: str = Field(default="", description="version that this file describes")
    remark: str = Field(default="", description="anything a reader of a report should know")

    @model_validator(mode="after")
    def _switches_are_known(self) -> Bms:
        known = ("charge", "discharge", "main_plus", "main_minus", "precharge", "fuse")
        for switch in self.switches:
            if switch not in known:
                raise ValueError(f"switch {switch!r} is not known{nearest(switch, known)}")
        if not (self.separate_switches or "main_plus" in self.switches):
            raise ValueError("switches need either 'charge' and 'discharge', or 'main_plus'")
        return self

    @property
    def separate_switches(self) -> bool:
        """True when charge and discharge have a switch each, with a body diode across it."""
        return "charge" in self.switches and "discharge" in self.switches


class Absolute(Frozen):
    """Limits that no test may leave, whatever the protections say."""

    charge_a: float = Field(gt=0, description="magnitude")
    discharge_a: float = Field(gt=0, description="magnitude")
    cell_high_v: float = Field(gt=0, description="of one cell")
    cell_low_v: float = Field(gt=0, description="of one cell")
    temperature_high_degc: float = Field(default=80.0, description="of a cell")
    temperature_low_degc: float = Field(default=-40.0, description="of a cell")
    short_circuit_a: float | None = Field(default=None, gt=0, description="for less than a millisecond; magnitude")


class Tolerates(Frozen):
    """What the unit survives; a test that needs more is refused."""

    body_diode_a: float = Field(default=0.0, ge=0.0, description="continuous current through a body diode")
    open_sense_wire: bool = Field(default=False, description="a cell's sense wire may be opened")
    reversed_sense_wires: bool = Field(default=False, description="sense wires may be exchanged")
    shunt_open: bool = Field(default=False, description="a sense lead of its shunt may be opened")
    shunt_reversed: bool = Field(default=False, description="the sense leads of its shunt may be exchanged")
    short_circuit: bool = Field(default=False, description="the pack may be shorted behind its switches")
    supply_dip: bool = Field(default=False, description="its own supply may be taken away at any moment")
    welded_switch: bool = Field(default=False, description="a switch may be bridged or held open from outside")
    open_precharge: bool = Field(default=False, description="it may precharge in vain, or into a large capacitor")


class CanDbcLink(Frozen):
    """A CAN bus described by a database file that lies beside the profile."""

    kind: Literal["can_dbc"] = Field(description="a CAN bus with a database")
    dbc: str = Field(description="the database file, beside the profile")
    bitrate: int = Field(default=500_000, description="bit/s")


class ModbusLink(Frozen):
    """A Modbus map, polled."""

    kind: Literal["modbus"] = Field(description="a Modbus map, polled")
    framing: Literal["rtu", "tcp"] = Field(default="rtu", description="rtu: with checksum; tcp: with MBAP header")
    unit_id: int = Field(ge=0, le=255, description="the address that the BMS answers to")
    poll_s: float = Field(gt=0, description="how often the bench polls")
    baudrate: int = Field(default=9600, description="bit/s, where the link is serial")


Link = Annotated[CanDbcLink | ModbusLink, Field(discriminator="kind")]


class Behaviour(Frozen):
    """How it samples and switches; declared by the maker, used by planning and by the virtual BMS."""

    sample_s: float = Field(default=0.01, gt=0, description="period of its own current measurement")
    filter_s: float = Field(default=0.0, ge=0, description="time constant of the reported current")
    switch_s: float = Field(default=0.0, ge=0, description="from decision to the switch being open")
    rest_current_a: float = Field(default=0.0, ge=0, description="below this it counts as resting")


class Balancing(Frozen):
    """When it balances, and how much."""

    begins_v: float = Field(gt=0, description="a cell above this may be bled")
    spread_v: float = Field(gt=0, description="by how much a cell must stand above the lowest to be bled")
    current_a: float = Field(gt=0, description="what bleeds a cell at 3.4 V")
    current_tolerance_pct: float = Field(gt=0, description="how far that may be off")
    while_: Literal["charging", "always"] = Field(default="charging", alias="while", description="when")


class Monitoring(Frozen):
    """How its front end is divided."""

    cells_per_chip: int = Field(gt=0, description="cells that share one monitoring chip")


class Profile(Frozen):
    """Everything a profile file says. `source` is the file it came from."""

    schema_version: Literal[1] = Field(default=1, description="version of this format")
    bms: Bms
    absolute: Absolute
    tolerates: Tolerates = Tolerates()
    behaviour: Behaviour = Behaviour()
    links: dict[str, Link] = Field(min_length=1)
    signals: dict[str, Signal]
    operation: Operation
    protections: tuple[Protection, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    temperature_sensors: TemperatureSensors | None = Field(default=None, description="its sensors; none: unknown")
    balancing: Balancing | None = Field(default=None, description="how it balances; none: it does not")
    monitoring: Monitoring | None = Field(default=None, description="its monitoring chips; none: one for all cells")
    identity: Identification = Identification()
    settings: dict[str, Setting] = Field(default_factory=dict, description="what a test may change, and puts back")
    requirements: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="requirement ids per function, for example current_sign"
    )
    source: SkipJsonSchema[Path] = Field(default=Path(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _signals_take_the_kind_of_their_link(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("signals"), dict):
            return data
        links = data.get("links")
        if not isinstance(links, dict) or not all(_has_kind(link) for link in links.values()):
            # The links are refused by their own path; what that makes of the signals is no second mistake.
            return {**data, "signals": {}}
        signals: dict[str, Any] = {}
        for name, row in data["signals"].items():
            if isinstance(row, dict) and "kind" not in row:
                link = row.get("link")
                if not isinstance(link, str) or link not in links:
                    raise ValueError(f"signals.{name}.link: {link!r} is not a link{nearest(str(link), links)}")
                row = {**row, "kind": links[link].get("kind")}
            signals[name] = row
        return {**data, "signals": signals}

    @model_validator(mode="after")
    def _parts_fit(self) -> Profile:
        if "pack_current" not in self.signals:
            raise ValueError(f"signals: 'pack_current' is mandatory{nearest('pack_current', self.signals)}")
        if self.signals["pack_current"].quantity != "current":
            raise ValueError(f"signals.pack_current.unit: {self.signals['pack_current'].unit!r} is no current")
        if self.bms.upper_limit_cell_v > self.absolute.cell_high_v:
            raise ValueError(
                f"bms.upper_limit_cell_v: {self.bms.upper_limit_cell_v:g} V is above the absolute maximum "
                f"of a cell, absolute.cell_high_v = {self.absolute.cell_high_v:g} V"
            )
        names = [*(row.name for row in self.protections), *(row.name for row in self.diagnoses)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"protections: the name {name!r} is used twice")
        for index, row in enumerate(self.protections):
            self._check_protection(f"protections.{index} ({row.name})", row)
        for index, found in enumerate(self.diagnoses):
            self._check_diagnosis(f"diagnoses.{index} ({found.name})", found)
        sensors = self.temperature_sensors
        for signal in () if sensors is None else sensors.signals:
            if signal not in self.signals:
                raise ValueError(f"temperature_sensors.signals: {signal!r} is no signal{nearest(signal, self.signals)}")
        self._check_levels()
        check_sections(self.identity, self.settings, self.links, {row.name: row for row in self.protections})
        if isinstance(self.operation, StateRequest):
            self._check_operation(self.operation)
        return self

    def _check_protection(self, where: str, row: Protection) -> None:
        for switch in row.opens:
            if switch not in self.bms.switches:
                raise ValueError(f"{where}.opens: {switch!r} is no switch{nearest(switch, self.bms.switches)}")
        if row.flag is not None and row.flag not in self.signals:
            raise ValueError(f"{where}.flag: {row.flag!r} is no signal{nearest(row.flag, self.signals)}")
        self._check_derating(where, row)
        beyond = self.beyond_absolute(row)
        if beyond:
            raise ValueError(f"{where}.threshold: {beyond}")

    def beyond_absolute(self, row: Protection) -> str:
        """Say in words how a protection's threshold lies outside the absolute maxima; nothing if it does not."""
        if not row.about.absolute:
            return ""
        limit = self.absolute_limit(row.about.absolute)
        if limit is None:
            return f"{row.threshold_si:g} {row.unit_si} needs absolute.{row.about.absolute} to be declared"
        if not row.about.beyond(row.threshold_si, limit):
            return ""
        unit = row.unit_si
        return f"{row.threshold_si:g} {unit} lies outside the absolute maximum {limit:g} {unit} of section [absolute]"

    def absolute_limit(self, name: str) -> float | None:
        """Return an absolute maximum: a key of section [absolute], `pack_high_v` or `pack_low_v` for all cells."""
        of_pack = {"pack_high_v": self.absolute.cell_high_v, "pack_low_v": self.absolute.cell_low_v}
        if name in of_pack:
            return of_pack[name] * self.bms.cells
        limit: float | None = getattr(self.absolute, name)
        return limit

    def _check_derating(self, where: str, row: Protection) -> None:
        if row.derating is None:
            return
        signal = self.signals.get(row.derating.signal)
        if signal is None or signal.quantity != "current":
            hint = nearest(row.derating.signal, self.signals)
            raise ValueError(f"{where}.derating.signal: {row.derating.signal!r} is no signal of a current{hint}")

    def _check_diagnosis(self, where: str, row: Diagnosis) -> None:
        for switch in row.opens:
            if switch not in self.bms.switches:
                raise ValueError(f"{where}.opens: {switch!r} is no switch{nearest(switch, self.bms.switches)}")
        if row.flag is not None and row.flag not in self.signals:
            raise ValueError(f"{where}.flag: {row.flag!r} is no signal{nearest(row.flag, self.signals)}")

    def _check_levels(self) -> None:
        for row in self.protections:
            for other in self.protections:
                milder = SEVERITY[other.level] < SEVERITY[row.level]
                if row.kind == other.kind and milder and row.about.beyond(other.threshold_si, row.threshold_si):
                    raise ValueError(
                        f"protections: {other.name} ({other.level}) at {other.threshold:g} lies beyond "
                        f"{row.name} ({row.level}) at {row.threshold:g}; levels must be in order"
                    )

    def _check_operation(self, operation: StateRequest) -> None:
        if operation.link not in self.links:
            raise ValueError(f"operation.link: {operation.link!r} is no link{nearest(operation.link, self.links)}")
        state = self.signals.get(operation.state)
        if state is None:
            raise ValueError(
                f"operation.state: {operation.state!r} is no signal{nearest(operation.state, self.signals)}"
            )
        if operation.closed is not None and operation.closed not in self.signals:
            hint = nearest(operation.closed, self.signals)
            raise ValueError(f"operation.closed: {operation.closed!r} is no signal{hint}")
        words = set(state.values.values())
        for word in (operation.operating, operation.error, *(step.until for step in operation.sequence)):
            if word not in words:
                raise ValueError(f"operation: {word!r} is no value of {operation.state}{nearest(word, words)}")

    @property
    def name(self) -> str:
        """The name by which commands call it: the file's stem."""
        return self.source.stem

    def protection(self, name: str) -> Protection:
        """Return the protection of that name.

        Raises:
            DefinitionError: there is none.
        """
        for row in self.protections:
            if row.name == name:
                return row
        known = [row.name for row in self.protections]
        raise DefinitionError(f"{self.source}: no protection called {name!r}{nearest(name, known)}")

    def limited_direction(self, setting: str) -> Direction | None:
        """Return the direction of the current that a setting limits; None for anything else."""
        return limited_direction(self.settings[setting], {row.name: row for row in self.protections})


def _has_kind(link: object) -> bool:
    return isinstance(link, dict) and link.get("kind") in ("can_dbc", "modbus")


def find_profile(name: str, lab: Path | None = None) -> Path:
    """Return the file of a profile given by name or by path; a lab's own folder comes first.

    Raises:
        DefinitionError: there is none of that name.
    """
    return find_named("BMS profile", name, ([lab / "profiles"] if lab else []) + [PROFILES])


def load_profile(path: Path) -> Profile:
    """Load and check a profile.

    Raises:
        DefinitionError: naming file, key path, value and what to try.
    """
    profile = validate(Profile, read_toml(path), path.name)
    return profile.model_copy(update={"source": path.resolve()})
