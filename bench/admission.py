"""What must be so before hardware is energised: named, wired and confirmed, commissioned, watched over, somebody there.

A bench that calls itself simulated needs none of it; its addresses are then proven to be harmless
(`bench.definition.check_simulated`). Everything that is missing is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.commissioning import Commissioning, commissionings, section_digest
from bench.definition import FILE, Definition, check_simulated, is_harmless
from bench.errors import BenchError, DefinitionError
from bench.profile import Profile
from bench.wiring_confirmation import content_hash, require_confirmed

STOPPED_BY = {  # which way of stopping the first contact of a role has timed
    "supply": "outputs_off_s",
    "load": "outputs_off_s",
    "bidirectional": "outputs_off_s",
    "disconnect": "disconnect_s",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is at the bench. A `person` has said so by name; `unattended` was asked for; otherwise it is nobody."""

    kind: Literal["person", "unattended", "nobody"]
    who: str = ""
    why: str = ""  # why nobody could be asked

    def __str__(self) -> str:
        return f"{self.who} is at the bench" if self.kind == "person" else self.kind


@dataclass(frozen=True, slots=True)
class Admission:
    """The proof that a definition was admitted, as it stood then; `open_stand` asks for it.

    `serials` are those with which its instruments were commissioned: another one that answers is refused.
    """

    bench: str
    digest: str
    presence: Presence
    wiring_by: str
    serials: Mapping[str, str] = field(default_factory=dict)

    def check(self, definition: Definition) -> None:
        """See that it was given to this very definition.

        Raises:
            DefinitionError: it was not.
        """
        if (self.bench, self.digest) != (definition.name, content_hash(definition)):
            raise DefinitionError(
                f"bench {definition.name}: its definition has changed since it was admitted as {self.bench}; begin anew"
            )

    def words(self) -> str:
        """Say it for the record."""
        return f"hardware admitted: {self.presence}; wiring confirmed by {self.wiring_by}"


def admit(
    definition: Definition,
    profile: Profile,
    presence: Presence,
    *,
    named: bool,
    driver_digests: Mapping[str, str] | None = None,
    first_contact: bool = False,
) -> Admission | None:
    """Admit a bench with hardware; None for a simulated one, which needs no admission.

    `named` is True where the bench was named by the person, not by a default. `driver_digests` maps each instrument to
    its driver as it is now. `first_contact`: it is about to be commissioned, by a person, at low limits.

    Raises:
        DefinitionError: everything that is missing; nothing was opened.
    """
    if definition.bench.simulated:
        check_simulated(definition)
        return None
    missing = [*_asked_for(definition, presence, named=named, first_contact=first_contact)]
    wiring_by = ""
    try:
        wiring_by = require_confirmed(definition).by
    except BenchError as problem:
        missing.append(str(problem).removeprefix(f"bench {definition.name}: "))
    serials: dict[str, str] = {}
    if not first_contact:
        missing += _built(definition, profile)
        newest = {record.instrument: record for record in commissionings() if record.bench == definition.name}
        for role, name in definition.roles.items():
            record = newest.get(name)
            gap = _uncommissioned(definition, role, record, (driver_digests or {}).get(name))
            if gap is None and record is not None:
                gap = _slower_than_declared(definition, record)
            missing += [gap] if gap else []
            if record is not None:
                serials[name] = record.serial
    if missing:
        where = definition.source.name or definition.name
        listed = "\n".join(f"  - {gap}" for gap in missing)
        raise DefinitionError(
            f"{where}: is hardware (bench.simulated = false) and was not energised; missing:\n{listed}"
        )
    return Admission(definition.name, content_hash(definition), presence, wiring_by, serials)


def _asked_for(definition: Definition, presence: Presence, *, named: bool, first_contact: bool) -> list[str]:
    missing = []
    if definition.bench.clock != "wall":
        missing.append("bench.clock: hardware lives on the wall clock; write 'wall', or simulated = true")
    if not named:
        missing.append(f"hardware is only used by naming it: --bench {definition.source or definition.name}")
    if presence.kind == "nobody":
        missing.append(
            f"nobody is at the bench ({presence.why or 'nobody said so'}); start it from a terminal and answer, or "
            "give --unattended (which needs an interlock and a disconnect)"
        )
    if presence.kind == "unattended":
        if first_contact:
            missing.append("a first contact is made by a person; leave --unattended out")
        lacking = [role for role in ("interlock", "disconnect") if role not in definition.roles]
        if lacking:
            missing.append(f"--unattended without {' and '.join(lacking)}: add them to [roles], or stay at the bench")
    return missing


def _built(definition: Definition, profile: Profile) -> list[str]:
    missing = []
    if definition.safety.stop_latency is None:
        missing.append("safety.stop_latency: is not declared; 'bmsbench commission' measures it")
    if "disconnect" in definition.roles:
        name = definition.roles["disconnect"]
        if definition.instruments[name].options.get("contact") == "normally_closed":
            missing.append(
                f"instruments.{name}.options.contact: 'normally_closed' closes the path when its board loses power; "
                "wire the normally open contact"
            )
    for role in ("interlock", "emergency_stop"):
        section = definition.instruments.get(definition.roles.get(role, ""))
        if section is not None and section.address.startswith(FILE) and section.options.get("max_age_s") is None:
            missing.append(
                f"instruments.{definition.roles[role]}.options.max_age_s: is not given; a file says 'clear' long after "
                "its writer has died; write how old it may be, for instance 1.0"
            )
    if definition.topology.cells != "pack":
        return missing
    if "cell_monitor" not in definition.roles:
        missing.append("real cells without roles.cell_monitor: the bench must measure every cell and a temperature")
    else:
        section = definition.instruments[definition.roles["cell_monitor"]]
        cells, sensors = section.options.get("cells"), section.options.get("sensors")
        where = f"instruments.{definition.roles['cell_monitor']}.options"
        if isinstance(cells, (list, tuple)) and len(cells) != profile.bms.cells:
            missing.append(f"{where}.cells: {len(cells)} channels for {profile.bms.cells} cells of {profile.name}")
        if not sensors:
            missing.append(f"{where}.sensors: real cells need at least one temperature sensor of the bench's own")
    if not definition.safety.cell_voltage_stop.strip():
        missing.append(
            "safety.cell_voltage_stop: real cells need a stop on cell voltage that works without any program, "
            "hard-wired into the interlock; say how it is wired"
        )
    if "interlock" not in definition.roles:
        missing.append("roles.interlock: the hard-wired cell-voltage stop acts on it, and the bench must see it")
    return missing


def _uncommissioned(
    definition: Definition, role: str, record: Commissioning | None, driver_digest: str | None
) -> str | None:
    name = definition.roles[role]
    section = definition.instruments[name]
    how = f"bmsbench commission {name} --bench {definition.source or definition.name}"
    if record is None:
        return f"{name} was never commissioned on this bench; run '{how}'"
    date = record.at[:10]
    if not record.commissioned:
        lacking = ", ".join(line.check for line in record.failed) or "too little could be tested"
        return f"{name} did not pass its commissioning of {date}: {lacking}; run '{how}' again"
    if record.virtual and not all(is_harmless(part.address) for part in definition.instruments.values()):
        return f"{name} was commissioned on {date} as a virtual instrument, hardware was not seen; run '{how}'"
    if record.role != role:
        return f"{name} was commissioned as {record.role}, and is now {role}; run '{how}' again"
    if record.driver != section.driver:
        return f"{name} was commissioned with driver {record.driver}; run '{how}' again"
    if record.section_digest != section_digest(section):
        return (
            f"instruments.{name}: driver, model or options are not those with which it was commissioned on {date}; "
            f"run '{how}' again"
        )
    if driver_digest is not None and driver_digest != record.driver_digest:
        return f"the driver of {name} has changed since it was commissioned on {date}; run '{how}' again"
    return None


def _slower_than_declared(definition: Definition, record: Commissioning) -> str | None:
    """Compare the time to stop that was measured with the one that provocations are planned with."""
    way = STOPPED_BY.get(record.role)
    if way is None or definition.safety.stop_latency is None:  # which is named already
        return None
    declared_s: float = getattr(definition.safety.stop_latency, way)
    measured_s = record.figures.get("stop_latency_s")
    how = f"bmsbench commission {record.instrument} --bench {definition.source or definition.name}"
    if measured_s is None:
        return f"{record.instrument} was commissioned without measuring how fast it stops; run '{how}' again"
    if not measured_s <= declared_s:
        return (
            f"safety.stop_latency.{way}: {declared_s:g} s is declared, {measured_s:.3g} s were measured at "
            f"{record.instrument} on {record.at[:10]}; declare what was measured, rounded up"
        )
    return None
