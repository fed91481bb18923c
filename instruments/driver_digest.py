"""Which version of a driver was commissioned: the digest of its file and of those that it inherits from."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

from bench.definition import Definition
from instruments import catalogue
from instruments.checks import FOLDER_OF_ROLE


def driver_digest(driver: type[Any]) -> str:
    """Return the SHA-256 of a driver's file and of those it inherits from."""
    files = {
        inspect.getsourcefile(part) for part in driver.__mro__ if not part.__module__.startswith(("builtins", "typing"))
    }
    digest = hashlib.sha256()
    for file in sorted(str(file) for file in files if file is not None):
        digest.update(Path(file).read_text(encoding="utf-8").encode())  # line ends of a checkout do not count
    return digest.hexdigest()


def driver_digests(definition: Definition, lab: Path | None = None) -> dict[str, str]:
    """Return for each instrument of a bench the digest of its driver as it is now.

    Raises:
        DefinitionError: an unknown driver.
    """
    drivers = lab / "drivers" if lab else None
    return {
        name: driver_digest(catalogue.load(FOLDER_OF_ROLE[role], definition.instruments[name].driver, drivers))
        for role, name in definition.roles.items()
    }
