"""The house keeps its shape: who may import whom, one door per outside library, one clock.

The checks are functions over source text, so that small planted violations can show that they see.
"""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
ROOMS = ("bench", "instruments", "fixtures", "reports", "test_suites", "bmsbench")

# What each room may import of ours, beside itself. An arrow only points down.
MAY_IMPORT = {
    "bench": set[str](),
    "instruments": {"bench"},
    "reports": {"bench"},
    "fixtures": {"bench", "instruments", "reports"},
    "test_suites": {"bench"},
    "bmsbench": {"bench", "instruments", "fixtures", "reports", "test_suites"},
}

# The files through which an outside library may come in.
DOORS = {
    "pyvisa": ("instruments/transports/visa.py",),
    "pyvisa_py": ("instruments/transports/visa.py",),
    "pymodbus": ("instruments/transports/modbus.py",),
    "serial": ("instruments/transports/serial.py",),
    "can": ("instruments/transports/can*.py", "reports/can_log.py"),
    "cantools": ("instruments/links/*.py", "instruments/virtual/*.py"),
}

# Who may read the machine's time, and why. Everybody else is handed a clock.
READS_TIME = {
    "bench/wall_clock.py": "it is the clock, and the one place that knows the date (utc_now)",
}

CLOCK_CALLS = {"sleep", "time", "monotonic", "perf_counter", "process_time", "localtime", "gmtime", "ctime"}
NAMES_THAT_SAY_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc"}
LONGEST_MODULE = 400  # the aim is 250; beyond this nobody reads it over a coffee


# --- the checks, over source text ------------------------------------------------------------------


def module_name(path: str) -> str:
    """Return the dotted name of a file given relative to the checkout."""
    parts = path.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that a file imports, wherever it stands in the file."""
    package = module_name(path).split(".")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__", "importorskip") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def within(name: str, package: str) -> bool:
    """Tell whether a dotted name is a package or something inside it."""
    return name == package or name.startswith(f"{package}.")


def wrong_arrows(path: str, source: str) -> list[str]:
    """Name the imports that point up or sideways between the rooms, and those across `instruments`."""
    room, here, found = path.split("/")[0], module_name(path), []
    for line, name in imports(path, source):
        target = name.split(".")[0]
        if target in ROOMS and target != room and target not in MAY_IMPORT[room]:
            found.append(f"{path}:{line}: {room} may not import {name}")
        elif room == "test_suites" and target not in (*ROOMS, "pytest", *sys.stdlib_module_names):
            found.append(f"{path}:{line}: a suite uses words of bench and pytest only, not {name}")
        elif room == target == "instruments" and here != "instruments.stand":
            from_double, to_double = within(here, "instruments.virtual"), within(name, "instruments.virtual")
            if to_double and not from_double:
                found.append(f"{path}:{line}: what drives hardware may not know its double: {name}")
            if from_double and not to_double:
                found.append(f"{path}:{line}: a double may not know what drives the hardware: {name}")
    return found


def wrong_doors(path: str, source: str) -> list[str]:
    """Name the imports of an outside library that do not come through its door."""
    return [
        f"{path}:{line}: {name.split('.')[0]} comes in through {' or '.join(DOORS[name.split('.')[0]])} only"
        for line, name in imports(path, source)
        if name.split(".")[0] in DOORS and not any(fnmatch(path, door) for door in DOORS[name.split(".")[0]])
    ]


def clock_readings(path: str, source: str) -> list[str]:
    """Name the places that sleep, wait on a timer or read the machine's time."""
    tree = ast.parse(source)
    known_as = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio", "threading"):
            names = {alias.name.removesuffix("_ns") for alias in node.names}
            wrong = names & (CLOCK_CALLS if node.module == "time" else {"sleep", "Timer"})
            found += [f"{path}:{node.lineno}: {node.module}.{name}" for name in sorted(wrong)]
        elif isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            library = known_as.get(owner, owner)
            last = library.split(".")[-1]
            if (
                (library == "time" and owner in known_as and node.attr.removesuffix("_ns") in CLOCK_CALLS)
                or (library in ("asyncio", "threading") and node.attr in ("sleep", "Timer"))
                or (last in ("datetime", "date") and node.attr in ("now", "utcnow", "today"))
            ):
                found.append(f"{path}:{node.lineno}: {library}.{node.attr}")
    return found


def bad_form(path: str, source: str) -> list[str]:
    """Name a module whose name says nothing, or that is too long to be read at once."""
    found = []
    if NAMES_THAT_SAY_NOTHING & set(path.removesuffix(".py").split("/")):
        found.append(f"{path}: a name that says nothing about what is inside")
    if (length := len(source.splitlines())) > LONGEST_MODULE:
        found.append(f"{path}: {length} lines, more than {LONGEST_MODULE}")
    return found


def strange_addresses(path: str, text: str) -> list[str]:
    """Name folders of one person's machine, and hosts of package registries."""
    hosts = [r"pypi\.org", r"pythonhosted\.org", r"npmjs\.(org|com)", r"deb\.debian\.org"]
    folders = [r"(?<![\w./~-])/(work|root|opt/wheels|opt/pypi)/", r"/home/(?!you\b|\$|<)\w+", r"/Users/\w+"]
    return [
        f"{path}:{number}: {match.group(0)}"
        for number, line in enumerate(text.splitlines(), start=1)
        for match in re.finditer("|".join([*hosts, *folders]), line)
    ]


# --- the house -------------------------------------------------------------------------------------


def sources() -> list[tuple[str, str]]:
    """Return path (relative, with slashes) and text of every module of the rooms."""
    return [
        (path.relative_to(CHECKOUT).as_posix(), path.read_text(encoding="utf-8"))
        for room in ROOMS
        for path in sorted((CHECKOUT / room).rglob("*.py"))
        if "output" not in path.relative_to(CHECKOUT).parts
    ]


def kept_files() -> list[Path]:
    """Return the files that git keeps, or would keep at the next commit."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("this is not a git checkout, so nobody knows which files belong to it")
    return [CHECKOUT / name for name in listing.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


@pytest.mark.parametrize("check", [wrong_arrows, wrong_doors, bad_form], ids=lambda check: check.__name__)
def test_every_module_keeps_the_rule(check: object) -> None:
    assert callable(check)
    modules = sources()
    assert len(modules) > len(ROOMS), "the rooms were not found"
    assert [violation for path, source in modules for violation in check(path, source)] == []


def test_only_the_clock_reads_the_time() -> None:
    readings = {path: clock_readings(path, source) for path, source in sources()}
    assert [line for path, lines in readings.items() if path not in READS_TIME for line in lines] == []
    assert [path for path in READS_TIME if not readings.get(path)] == [], "no longer needs its exception"


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in kept_files():
        if path == Path(__file__) or b"\0" in path.read_bytes()[:4096]:
            continue
        relative = path.relative_to(CHECKOUT).as_posix()
        found += strange_addresses(relative, path.read_text(encoding="utf-8", errors="replace"))
    assert found == []


def test_the_lock_files_name_no_address_and_every_hash() -> None:
    python_lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    node_lock = (CHECKOUT / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in python_lock
    assert "://" not in node_lock
    pinned = re.findall(r"^[a-z0-9][\w.-]*==[^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64})", python_lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", python_lock, re.MULTILINE)) > 30
    packages = json.loads(node_lock)["packages"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert (
        packages["node_modules/allure"]["version"]
        == json.loads((CHECKOUT / "package.json").read_text(encoding="utf-8"))["devDependencies"]["allure"]
    )


@pytest.mark.parametrize("name", ["bmsbench.__main__", "bmsbench.pytest_plugin"])
def test_starting_loads_nothing_heavy(name: str) -> None:
    if not (CHECKOUT / (name.replace(".", "/") + ".py")).exists():
        pytest.skip(f"{name} is not written yet")
    heavy = ("can", "cantools", "asammdf", "matplotlib", "weasyprint", "pymodbus", "pyvisa")
    code = f"import sys, {name}; print(' '.join(name for name in {heavy!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []


# --- the checks see what they should ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bench/verdict.py", "import instruments"),
        ("bench/verdict.py", "def late():\n    from reports.recorder import Recorder"),
        ("bench/verdict.py", "import importlib\nimportlib.import_module('instruments.stand')"),
        ("bench/verdict.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import fixtures.plugin"),
        ("instruments/stand.py", "import reports.recorder"),
        ("reports/recorder.py", "from instruments.stand import open_stand"),
        ("fixtures/plugin.py", "import bmsbench"),
        ("fixtures/plugin.py", "from test_suites.current_sign import levels"),
        ("test_suites/current_sign/test_sign.py", "from instruments import stand"),
        ("test_suites/current_sign/test_sign.py", "import numpy"),
        ("instruments/supplies/ea_psi.py", "from instruments import virtual"),
        ("instruments/supplies/ea_psi.py", "from ..virtual.pack import Pack"),
        ("instruments/catalogue.py", "import instruments.virtual.stand"),
        ("instruments/virtual/face.py", "from instruments.supplies import ea_psi"),
        ("instruments/virtual/face.py", "from ..transports.wire import Wire"),
        ("instruments/virtual/__init__.py", "from ..links import can_dbc"),
    ],
)
def test_a_wrong_arrow_is_seen(path: str, source: str) -> None:
    assert len(wrong_arrows(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bench/verdict.py", "import math\nfrom .quantities import Range\nfrom bench.errors import BenchError"),
        ("instruments/stand.py", "from instruments.virtual import pack\nfrom bench import clock"),
        ("instruments/virtual/face.py", "from .pack import Pack\nimport instruments.virtual.circuit"),
        ("fixtures/plugin.py", "import instruments.stand, reports.recorder, bench.clock, pytest"),
        ("test_suites/current_sign/test_sign.py", "import pytest\nimport math\nfrom bench import verdict"),
        ("bmsbench/__main__.py", "import fixtures.plugin, test_suites"),
    ],
)
def test_a_right_arrow_is_left_alone(path: str, source: str) -> None:
    assert wrong_arrows(path, source) == []


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("instruments/transports/visa.py", "import pyvisa", False),
        ("instruments/supplies/ea_psi.py", "from pyvisa import constants", True),
        ("instruments/transports/serial.py", "import serial", False),
        ("instruments/links/can_dbc.py", "import cantools.database", False),
        ("instruments/links/can_dbc.py", "def late():\n    import can", True),
        ("instruments/transports/can_bus.py", "from can import BusABC", False),
        ("reports/can_log.py", "import can.io", False),
        ("reports/recorder.py", "import can", True),
        ("bmsbench/replay.py", "from pymodbus.client import ModbusTcpClient", True),
        ("bench/quantities.py", "import canvas", False),
    ],
)
def test_each_library_has_its_door(path: str, source: str, wrong: bool) -> None:
    assert bool(wrong_doors(path, source)) is wrong


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "import time as t\nt.monotonic_ns()",
        "from time import sleep as rest",
        "import time\nread = time.perf_counter",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import datetime as dt\ndt.date.today()",
        "import asyncio\nasyncio.sleep(1)",
        "import threading\nthreading.Timer(1, print)",
    ],
)
def test_a_reading_of_the_time_is_seen(source: str) -> None:
    assert len(clock_readings("bench/stimulus.py", source)) == 1


@pytest.mark.parametrize(
    "source",
    ["clock.sleep(1.0)\nclock.now()", "import time\ntime.strftime('%Y', moment)", "self.time.monotonic()"],
)
def test_a_clock_that_was_handed_in_is_left_alone(source: str) -> None:
    assert clock_readings("bench/stimulus.py", source) == []


def test_names_and_lengths_are_seen() -> None:
    assert bad_form("bench/utils.py", "")
    assert bad_form("instruments/common/scpi.py", "")
    assert bad_form("bench/verdict.py", "\n" * (LONGEST_MODULE + 1))
    assert bad_form("bench/verdict.py", "\n" * LONGEST_MODULE) == []


def test_addresses_of_a_machine_are_seen() -> None:
    assert strange_addresses("a.md", "see /work/main and https://pypi.org/simple")
    assert strange_addresses("a.md", "C:/Users/someone")
    assert strange_addresses("a.md", "/home/someone/bench")
    assert strange_addresses("a.md", "cd /home/you/lab; the network/root/folder; a/work/b") == []


def test_relative_imports_are_resolved() -> None:
    assert importlib.util.resolve_name("..virtual.pack", "instruments.supplies") == "instruments.virtual.pack"
    found = [name for _, name in imports("instruments/supplies/ea.py", "from ..virtual.pack import Pack")]
    assert found == ["instruments.virtual.pack.Pack"]
