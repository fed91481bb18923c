"""Which drivers there are: the file's name is the driver's name, its folder the role.

`load` imports the one that is asked for; `scan` imports all, to list them. A lab's own drivers live in a
folder with the same layout (`supplies/…`, `loads/…`) and are loaded by path.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.errors import DefinitionError

FOLDERS = {
    "supply": "supplies",
    "load": "loads",
    "bidirectional": "bidirectional",
    "voltage_meter": "meters",
    "switch": "relays",
    "safety_input": "safety_inputs",
    "cell_monitor": "cell_monitors",
    "cell_emulator": "cell_emulators",
    "sensor_emulator": "temperature",
    "auxiliary_supply": "auxiliary",
    "fault_inserter": "fault_inserters",
    "chamber": "chambers",
}
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """One line of the catalogue. `commissioned` False means that it was never seen on hardware, `watchdog` False
    that nothing in the instrument itself switches it off when the bench falls silent."""

    name: str
    folder: str
    role: str
    family: str
    models: tuple[str, ...]
    transport: str
    commissioned: bool
    summary: str
    origin: Path
    watchdog: bool


def names(role_or_folder: str, lab_drivers: Path | None = None) -> tuple[str, ...]:
    """Return the names of the drivers for a role, sorted, without importing them."""
    return tuple(sorted(_files(_folder(role_or_folder), lab_drivers)))


def load(role_or_folder: str, name: str, lab_drivers: Path | None = None) -> type[Any]:
    """Import one driver and return its class.

    `lab_drivers` is a lab's `drivers/` folder; a lab may not shadow a driver of the project.

    Raises:
        DefinitionError: there is no such driver, or its file does not hold exactly one.
    """
    folder = _folder(role_or_folder)
    files = _files(folder, lab_drivers)
    if name not in files:
        near = difflib.get_close_matches(name, files, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(files)) or 'none'}"
        elsewhere = [other for other in FOLDERS.values() if other != folder and name in _files(other, lab_drivers)]
        if elsewhere:
            hint = f"{name!r} is in {elsewhere[0]}"
        raise DefinitionError(f"no driver called {name!r} in {folder}; {hint}")
    return _driver_class(_import(folder, name, files[name]), folder, name)


def scan(lab_drivers: Path | None = None) -> tuple[DriverFacts, ...]:
    """Import every driver, to list it."""
    return tuple(_scan(lab_drivers))


def _scan(lab_drivers: Path | None) -> Iterator[DriverFacts]:
    for folder in FOLDERS.values():
        for name, path in sorted(_files(folder, lab_drivers).items()):
            driver = _driver_class(_import(folder, name, path), folder, name)
            yield DriverFacts(
                name,
                folder,
                driver.role,
                driver.family,
                tuple(driver.models),
                driver.transport,
                driver.commissioned,
                (inspect.getdoc(driver) or "").partition("\n")[0],
                path,
                hasattr(driver, "arm_watchdog"),
            )


def _folder(role_or_folder: str) -> str:
    if role_or_folder in FOLDERS.values():
        return role_or_folder
    if role_or_folder in FOLDERS:
        return FOLDERS[role_or_folder]
    near = difflib.get_close_matches(role_or_folder, [*FOLDERS, *FOLDERS.values()], 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(FOLDERS)}"
    raise DefinitionError(f"{role_or_folder!r} is not a role that has drivers; {hint}")


def _files(folder: str, lab_drivers: Path | None) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for root in (_HERE, *((lab_drivers,) if lab_drivers else ())):
        for path in (root / folder).glob("*.py"):
            if path.stem.startswith("_"):
                continue
            if path.stem in files:
                raise DefinitionError(f"{path}: there is already a driver called {path.stem!r}; give it another name")
            files[path.stem] = path
    return files


def _import(folder: str, name: str, path: Path) -> ModuleType:
    if path.parent.parent == _HERE:
        return importlib.import_module(f"instruments.{folder}.{name}")
    unique = f"bmsbench_lab_drivers.{path.parent.parent.as_posix().replace('.', '_')}.{folder}.{name}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        del sys.modules[unique]
        raise DefinitionError(f"{path}: cannot be imported: {type(problem).__name__}: {problem}") from problem
    return module


def _driver_class(module: ModuleType, folder: str, name: str) -> type[Any]:
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
        and hasattr(value, "role")
    ]
    if len(found) != 1:
        raise DefinitionError(f"{module.__file__}: needs exactly one public class with a role, has {len(found)}")
    driver = found[0]
    missing = [fact for fact in ("family", "models", "transport", "commissioned", "open") if not hasattr(driver, fact)]
    if missing:
        raise DefinitionError(f"{module.__file__}: {driver.__name__} lacks {', '.join(missing)}")
    if FOLDERS.get(driver.role) != folder:
        raise DefinitionError(f"{module.__file__}: the role {driver.role!r} does not belong into {folder}")
    return driver
