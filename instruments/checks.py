"""What can be known to be wrong before anything is opened: drivers and databases."""

from __future__ import annotations

from pathlib import Path

from bench.definition import Definition
from bench.errors import DefinitionError
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
}


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
