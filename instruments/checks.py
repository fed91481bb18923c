"""What can be known to be wrong before anything is opened: drivers, databases, limits, admission."""

from __future__ import annotations

from pathlib import Path

from bench.admission import Admission
from bench.definition import Definition, check_simulated
from bench.emulation import fault_kind, neutral_cell_v, not_there
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
            another number of cells than the BMS, or lacks a sensor that the envelope names; so of what is emulated.
    """
    where = definition.source.name or definition.name
    for name in profile.links:
        if name not in definition.links:
            raise DefinitionError(
                f"{where}, links: BMS {profile.name} needs a link {name!r}{nearest(name, definition.links)}"
            )
    check_against_profile(definition.envelope, profile, where)
    _check_cell_monitor(definition, profile, where)
    _check_emulation(definition, profile, where)
    _check_faults(definition, profile, where)


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


def _check_emulation(definition: Definition, profile: Profile, where: str) -> None:
    """One channel for each cell, at rest where a cell may be; sensors that the BMS has. Drivers without these options
    are left to the first look at them."""
    if definition.emulated:
        neutral_cell_v(profile, where)
        name = definition.roles["cell_emulator"]
        channels = definition.instruments[name].options.get("channels")
        if isinstance(channels, (list, tuple)) and len(channels) != profile.bms.cells:
            raise DefinitionError(
                f"{where}, instruments.{name}.options.channels: {len(channels)} channels for {profile.bms.cells} cells "
                f"of {profile.name}; write one channel for each cell, from B-"
            )
    if "sensor_emulator" not in definition.roles:
        return
    name, declared = definition.roles["sensor_emulator"], profile.temperature_sensors
    if declared is None:
        raise DefinitionError(
            f"{where}, roles.sensor_emulator: {name!r} stands in the place of sensors, but the profile of "
            f"{profile.name} has no [temperature_sensors]; write their positions and resistance over temperature"
        )
    sensors = definition.instruments[name].options.get("sensors")
    for sensor in sensors if isinstance(sensors, dict) else ():
        if sensor not in declared.positions:
            raise DefinitionError(
                f"{where}, instruments.{name}.options.sensors.{sensor}: {profile.name} has no sensor at that position"
                f"{nearest(sensor, declared.positions)}"
            )


def _check_faults(definition: Definition, profile: Profile, where: str) -> None:
    """Names that no fault has, and an inserter that can do nothing to this BMS."""
    name = definition.roles.get("fault_inserter")
    faults = None if name is None else definition.instruments[name].options.get("faults")
    if not isinstance(faults, dict) or not faults:
        return
    for fault in faults:
        try:
            fault_kind(fault)
        except DefinitionError as problem:
            raise DefinitionError(f"{where}, instruments.{name}.options.faults.{fault}: {problem}") from None
    if all(not_there(fault, profile) for fault in faults):
        raise DefinitionError(
            f"{where}, instruments.{name}.options.faults: none of {', '.join(faults)} means anything on "
            f"{profile.name}: {not_there(next(iter(faults)), profile)}"
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
