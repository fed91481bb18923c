"""What can be known to be wrong before anything is opened: drivers, databases, limits, admission."""

from __future__ import annotations

from pathlib import Path

from bench.admission import Admission
from bench.definition import Definition, check_simulated
from bench.envelope import check_against_profile
from bench.errors import DefinitionError
from bench.loading import nearest
from bench.profile import CanDbcLink, Profile
from instruments import catalogue

FOLDER_OF_ROLE = {
    "supply": "supplies",
    "load": "loads",
    "bidirectional": "bidirectional",
    "reference_meter": "meters",
    "pack_meter": "meters",
    "disconnect": "relays",
    "interlock": "safety_inputs",
    "emergency_stop": "safety_inputs",
    "cell_monitor": "cell_monitors",
    "cell_emulator": "cell_emulators",
    "sensor_emulator": "temperature",
    "digitiser": "meters",
    "auxiliary_supply": "auxiliary",
    "fault_inserter": "fault_inserters",
}
NAMELESS = (
    "disconnect",
    "interlock",
    "emergency_stop",
    "sensor_emulator",
    "fault_inserter",
)  # boards that cannot say who they are: the definition does


def check_before_opening(definition: Definition, profile: Profile, lab: Path | None = None) -> None:
    """Check that every driver exists and every database fits its profile.

    Raises:
        DefinitionError: naming file, key, value and what to try; nothing was opened.
    """
    for role, name in definition.roles.items():
        try:
            driver = definition.instruments[name].driver
            catalogue.load(FOLDER_OF_ROLE[role], driver, lab / "drivers" if lab else None)
        except DefinitionError as problem:
            raise DefinitionError(f"{definition.source.name}, instruments.{name}.driver: {problem}") from None
    for name, link in profile.links.items():
        if isinstance(link, CanDbcLink):
            from instruments.links.dbc import DbcMap

            DbcMap(profile, name)


def check_fit(definition: Definition, profile: Profile) -> None:
    """Make sure that a bench and a BMS fit together, before anything is opened.

    Raises:
        DefinitionError: a link is missing, the envelope leaves the BMS's absolute maxima, or the cell monitor has
            another number of cells than the BMS, or lacks a sensor that the envelope names.
    """
    where = definition.source.name or definition.name
    for name in profile.links:
        if name not in definition.links:
            raise DefinitionError(
                f"{where}, links: BMS {profile.name} needs a link {name!r}{nearest(name, definition.links)}"
            )
    check_against_profile(definition.envelope, profile, where)
    _check_cell_monitor(definition, profile, where)


def _check_cell_monitor(definition: Definition, profile: Profile, where: str) -> None:
    """See what the guard would otherwise find with its first look. A driver without these options is left to that."""
    name = definition.roles.get("cell_monitor")
    if name is None:
        return
    options = definition.instruments[name].options
    cells = options.get("cells")
    if not isinstance(cells, (list, tuple)):
        return
    if len(cells) != profile.bms.cells:
        raise DefinitionError(
            f"{where}, instruments.{name}.options.cells: {len(cells)} channels for {profile.bms.cells} cells of "
            f"{profile.name}; write one channel for each cell, from B-"
        )
    sensors = options.get("sensors", {})
    for sensor in definition.envelope.sensors if isinstance(sensors, dict) else ():
        if sensor not in sensors:
            raise DefinitionError(
                f"{where}, envelope.sensors.{sensor}: {name} has no sensor of that name (instruments.{name}.options."
                f"sensors){nearest(sensor, sensors) or '; it has none'}"
            )


def check_admitted(definition: Definition, admission: Admission | None) -> None:
    """Let pass a simulated bench that cannot reach hardware, and hardware only with its own admission.

    Raises:
        DefinitionError: neither; nothing was opened.
    """
    check_simulated(definition)
    if definition.bench.simulated:
        return
    if admission is None:
        raise DefinitionError(
            f"{definition.source.name or definition.name}, bench.simulated: false. Hardware is opened only after "
            "bench.admission.admit, which 'bmsbench run', 'check' and 'commission' ask for it"
        )
    admission.check(definition)
