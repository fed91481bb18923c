"""The one registration with pytest: makes sure that the five packages are ours, then hands over to `fixtures`.

The packages have generic names, so a stranger's `fixtures` or `bench` on the path would be loaded instead. This
module puts its own root first for a moment, imports them, and refuses plainly if one of them is not ours.
It imports nothing heavy: `pytest` alone must not become slower by having bmsbench installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

PACKAGES = ("bench", "instruments", "fixtures", "reports", "test_suites")
ROOT = Path(__file__).resolve().parents[1]


def import_own_packages(root: Path = ROOT) -> None:
    """Import the packages from our own root.

    Raises:
        pytest.UsageError: a package of that name from elsewhere is loaded already.
    """
    sys.path.insert(0, str(root))
    try:
        for name in PACKAGES:
            module = importlib.import_module(name)
            found = Path(str(module.__file__)).resolve() if module.__file__ else None
            if found is None or found.parent.parent != root:
                where = found or next(iter(getattr(module, "__path__", ["somewhere"])))
                raise pytest.UsageError(
                    f"bmsbench: a foreign package called {name!r} was loaded from {where}; rename it, take its "
                    "folder off PYTHONPATH, or switch this plugin off with -p no:bmsbench"
                )
    finally:
        sys.path.remove(str(root))


@pytest.hookimpl(tryfirst=True)
def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the fixtures; their options are added as they register."""
    del parser
    import_own_packages()
    from fixtures import plugin

    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "bmsbench_fixtures")
