"""Finding the face that stands for a driver: by its file name, here or in a lab's folder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.errors import DefinitionError
from instruments.virtual.face import Face


def find_face(driver: str, lab: Path | None = None) -> Callable[..., Face]:
    """Return the function `make` of the face that stands for a driver.

    Raises:
        LookupError: there is none; the message names the missing file.
        DefinitionError: a lab's own cannot be imported.
    """
    module = f"instruments.virtual.face_{driver}"
    if driver.isidentifier() and importlib.util.find_spec(module) is not None:
        make: Callable[..., Face] = importlib.import_module(module).make
        return make
    places = [f"instruments/virtual/face_{driver}.py"]
    where = lab or os.environ.get("BMSBENCH_LAB")
    if where:  # a lab's own drivers have their faces beside them
        path = Path(where).resolve() / "virtual" / f"face_{driver}.py"
        if driver.isidentifier() and path.is_file():
            return _load_face(path)
        places.append(str(path))
    absent = "; ".join(f"{place} does not exist" for place in places)
    raise LookupError(f"no virtual face for driver {driver!r}: {absent}")


def _load_face(path: Path) -> Callable[..., Face]:
    """Import a lab's face by its path."""
    spec = importlib.util.spec_from_file_location(f"bmsbench_lab_virtual.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
        make: Callable[..., Face] = module.make
    except Exception as problem:
        raise DefinitionError(f"{path}: cannot be imported: {type(problem).__name__}: {problem}") from problem
    return make
