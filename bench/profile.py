"""A BMS profile: what one BMS model promises. It names no port and no bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from bench.errors import DefinitionError
from bench.loading import Frozen, find_named, nearest, read_toml, validate
from bench.moved_promises import check_sections, limited_direction
from bench.protection import Level, Protection
from bench.quantities import Direction
from bench.settings import Identification, Setting
from bench.signals import Signal

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


class Tolerates(Frozen):
    """What the unit survives; a test that needs more is refused."""

    body_diode_a: float = Field(default=0.0, ge=0.0, description="continuous current through a body diode")
    open_sense_wire: bool = Field(default=False, description="a cell's sense wire may be opened")
    reversed_sense_wires: bool = Field(default=False, description="sense wires may be exchanged")


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


class Step(Frozen):
    """One step to operation: what to request, and the state word to wait for."""

    request: dict[str, float] = Field(description="what to send: signals of the request message and their numbers")
    until: str = Field(description="state word to wait for")
    timeout_s: float = Field(gt=0, description="how long to wait for it")
    wait_s: float = Field(default=0.0, ge=0.0, description="minimum time in that state before going on")


class StateRequest(Frozen):
    """The bench must send a request cyclically; without it the BMS leaves operation."""

    kind: Literal["state_request"] = Field(description="the bench asks for a state, cyclically")
    link: str = Field(description="on which link")
    message: str = Field(description="message that carries the request")
    period_s: float = Field(gt=0, description="how often it is sent")
    period_window_s: tuple[float, float] | None = Field(default=None, description="what the BMS accepts")
    state: str = Field(default="state", description="name of the signal that tells the state")
    operating: str = Field(description="the state word in which the switches are closed")
    error: str = Field(description="the state word after a fatal fault")
    sequence: tuple[Step, ...] = Field(min_length=1, description="steps from power-on to operation")
    open: dict[str, float] = Field(description="the request that opens the switches")
    clear: dict[str, float] = Field(description="the request that clears persistent flags")
    closed: str | None = Field(default=None, description="signal that is 1 while the current path is closed")
    precharge_s: float = Field(default=0.5, ge=0, description="time that precharging takes")
    reclose_wait_s: float = Field(default=0.0, ge=0, description="pause the BMS needs between closings")


class AlwaysOn(Frozen):
    """The BMS closes its switches by itself and cannot be asked to open them."""

    kind: Literal["always_on"] = Field(description="it closes its switches by itself")
    settle_s: float = Field(default=2.0, ge=0, description="from power-on to closed switches")


Operation = Annotated[StateRequest | AlwaysOn, Field(discriminator="kind")]


class Behaviour(Frozen):
    """How it samples and switches; declared by the maker, used by planning and by the virtual BMS."""

    sample_s: float = Field(default=0.01, gt=0, description="period of its own current measurement")
    filter_s: float = Field(default=0.0, ge=0, description="time constant of the reported current")
    switch_s: float = Field(default=0.0, ge=0, description="from decision to the switch being open")
    rest_current_a: float = Field(default=0.0, ge=0, description="below this it counts as resting")


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
        names = [row.name for row in self.protections]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"protections: the name {name!r} is used twice")
        for index, row in enumerate(self.protections):
            self._check_protection(f"protections.{index} ({row.name})", row)
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
        beyond = self.beyond_absolute(row)
        if beyond:
            raise ValueError(f"{where}.threshold: {beyond}")

    def beyond_absolute(self, row: Protection) -> str:
        """Say in words how a protection's threshold lies outside the absolute maxima; nothing if it does not."""
        maxima = {
            "charge_overcurrent": self.absolute.charge_a,
            "discharge_overcurrent": self.absolute.discharge_a,
            "cell_overvoltage": self.absolute.cell_high_v,
            "cell_undervoltage": self.absolute.cell_low_v,
            "pack_overvoltage": self.absolute.cell_high_v * self.bms.cells,
            "pack_undervoltage": self.absolute.cell_low_v * self.bms.cells,
            "charge_overtemperature": self.absolute.temperature_high_degc,
            "discharge_overtemperature": self.absolute.temperature_high_degc,
            "charge_undertemperature": self.absolute.temperature_low_degc,
            "discharge_undertemperature": self.absolute.temperature_low_degc,
        }
        limit = maxima[row.kind]
        if not row.about.beyond(row.threshold_si, limit):
            return ""
        unit = {"current": "A", "voltage": "V", "temperature": "degC"}[row.about.quantity]
        return f"{row.threshold_si:g} {unit} lies outside the absolute maximum {limit:g} {unit} of section [absolute]"

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
