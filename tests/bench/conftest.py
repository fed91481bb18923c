"""What the tests of the words share: a TOML text with one thing changed, and a bench of small fakes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from bench.definition import Definition, find_definition, load_definition
from bench.dut import Dut
from bench.errors import Missing
from bench.guard import Guard
from bench.guarded import Guarded, GuardedSwitch
from bench.limits import CellLimits
from bench.observer import Event, Observers
from bench.profile import find_profile, load_profile
from bench.quantities import Range
from bench.reference import Reference
from bench.roles import LinkHealth, Ratings, Reading
from bench.simulated_clock import SimulatedClock
from bench.stand import Stand
from bench.traces import Traces

Tree = dict[str, Any]


def _reach(tree: Any, keys: list[str]) -> Any:
    for key in keys:
        tree = tree[int(key)] if isinstance(tree, list) else tree.setdefault(key, {})
    return tree


@pytest.fixture(scope="session")
def changed() -> Callable[[str, str, Any], Tree]:
    """Return the tree of a text with one value set; the path is dotted, numbers index lists."""

    def change(text: str, path: str, value: Any) -> Tree:
        tree = tomllib.loads(text)
        *above, last = path.split(".")
        _reach(tree, above)[last] = value
        return tree

    return change


@pytest.fixture(scope="session")
def without() -> Callable[[str, str], Tree]:
    """Return the tree of a text without one key."""

    def remove(text: str, path: str) -> Tree:
        tree = tomllib.loads(text)
        *above, last = path.split(".")
        del _reach(tree, above)[last]
        return tree

    return remove


# -- a bench of fakes: roles over one number, the current -------------------------------------------------------------


class Power:
    """A supply or load over one current; every call is written down, and any of them can be told to fail."""

    def __init__(self, name: str, table: Table) -> None:
        self.name, self.table = name, table
        self.on, self.voltage_v = False, 0.0
        self.settings: dict[str, float] = {}
        self.calls: list[tuple[str, float | None]] = []
        self.fails: dict[str, Exception] = {}
        self.terminal_v: float | None = None
        self.reads_sign = 1.0
        self.alarms: tuple[str, ...] = ()

    def _call(self, name: str, value: float | None = None) -> None:
        self.calls.append((name, value))
        if name in self.fails:
            raise self.fails[name]

    @property
    def drives_a(self) -> float:
        """What this instrument forces, in pack sign."""
        return 0.0

    def get_ratings(self) -> Ratings:
        sinks = type(self) is not FakeSupply
        sources = not isinstance(self, FakeLoad)
        amperes = Range(0.0, 340.0, "A")
        return Ratings(Range(0.0, 80.0, "V"), amperes if sources else None, amperes if sinks else None, 10_000.0)

    def take_control(self) -> None:
        self._call("take_control")

    def output_on(self) -> None:
        self._call("output_on")
        self.on = True

    def output_off(self) -> None:
        self._call("output_off")
        self.on = False

    def is_output_on(self) -> bool:
        return self.on

    def measure_voltage(self) -> float:
        return self.table.pack_v() if self.terminal_v is None else self.terminal_v

    def measure_current(self) -> float:
        return self.reads_sign * (self.drives_a if self.on else 0.0)

    def get_regulation(self) -> str:
        return "CC" if self.on else "OFF"

    def get_alarms(self) -> tuple[str, ...]:
        return self.alarms

    def set_overvoltage_protection(self, voltage_v: float) -> None:
        self._call("set_overvoltage_protection", voltage_v)

    def set_overcurrent_protection(self, current_a: float) -> None:
        self._call("set_overcurrent_protection", current_a)

    def get_overvoltage_protection(self) -> float:
        return 0.0

    def get_overcurrent_protection(self) -> float:
        return 0.0

    def clear_alarms(self) -> None:
        self._call("clear_alarms")

    def _set(self, name: str, value: float) -> None:
        self._call(name, value)
        self.settings[name] = value


class FakeSupply(Power):
    def set_voltage(self, voltage_v: float) -> None:
        self._call("set_voltage", voltage_v)
        self.voltage_v = voltage_v

    def get_voltage(self) -> float:
        return self.voltage_v

    def set_current_limit(self, current_a: float) -> None:
        self._set("set_current_limit", current_a)

    def get_current_limit(self) -> float:
        return self.settings.get("set_current_limit", 0.0)

    @property
    def drives_a(self) -> float:
        return self.settings.get("set_current_limit", 0.0)


class FakeLoad(Power):
    def set_current(self, current_a: float) -> None:
        self._set("set_current", current_a)

    def get_current(self) -> float:
        return self.settings.get("set_current", 0.0)

    @property
    def drives_a(self) -> float:
        return -self.settings.get("set_current", 0.0)


class FakeBidirectional(FakeSupply):
    set_current_limit = None  # type: ignore[assignment]

    def set_source_current(self, current_a: float) -> None:
        self._set("set_source_current", current_a)

    def set_sink_current(self, current_a: float) -> None:
        self._set("set_sink_current", current_a)

    def get_source_current(self) -> float:
        return self.settings.get("set_source_current", 0.0)

    def get_sink_current(self) -> float:
        return self.settings.get("set_sink_current", 0.0)

    def set_sink_overcurrent_protection(self, current_a: float) -> None:
        self._call("set_sink_overcurrent_protection", current_a)

    def get_sink_overcurrent_protection(self) -> float:
        return 0.0

    @property
    def drives_a(self) -> float:
        return self.settings.get("set_source_current", 0.0) - self.settings.get("set_sink_current", 0.0)


class Contact:
    """A disconnect."""

    name = "relays"

    def __init__(self) -> None:
        self.closed = True
        self.fails: Exception | None = None

    def open_contact(self) -> None:
        if self.fails:
            raise self.fails
        self.closed = False

    def close_contact(self) -> None:
        self.closed = True

    def is_closed(self) -> bool:
        return self.closed


class FakeInput:
    """A safety input whose loop the test opens, or that cannot be read."""

    def __init__(self, name: str) -> None:
        self.name, self.clear, self.asked = name, True, 0
        self.fails: Exception | None = None

    def is_clear(self) -> bool:
        self.asked += 1
        if self.fails:
            raise self.fails
        return self.clear


class FakeMonitor:
    """Cells and sensors that the test decides."""

    name = "scanner"

    def __init__(self, cells: int) -> None:
        self.cells_v = [3.3] * cells
        self.sensors = {"top": 25.0}
        self.fails: Exception | None = None

    def measure_cell_voltages(self) -> tuple[float, ...]:
        if self.fails:
            raise self.fails
        return tuple(self.cells_v)

    def measure_temperatures(self) -> dict[str, float]:
        return dict(self.sensors)


class Table:
    """What stands on the table: the current is the sum of what drives, and both meters look at it."""

    def __init__(self, definition: Definition, *, bidirectional: bool = False, guarded: bool = False) -> None:
        self.clock = SimulatedClock()
        self.inputs = {role: FakeInput(role) for role in ("interlock", "emergency_stop")} if guarded else {}
        self.profile = load_profile(find_profile("foxbms_2"))
        self.monitor = FakeMonitor(self.profile.bms.cells) if guarded else None
        self.ohm = definition.topology.reference_shunt.ohm
        self.power: dict[str, Power] = (
            {"bidirectional": FakeBidirectional("source_sink", self)}
            if bidirectional
            else {"supply": FakeSupply("charger", self), "load": FakeLoad("sink", self)}
        )
        self.contact = Contact()
        self.stray_a, self.stuck_a = 0.0, None
        self.shunt_sign = self.pack_sign = self.shunt_scale = 1.0
        self.rest_v, self.pack_ohm, self.path_closed = 53.0, 0.02, True
        self.meter_fails: Exception | None = None
        self.events: list[Event] = []
        self.dialogue: list[str] = []
        observers = Observers(self)
        traces = Traces()
        self.traces = traces
        self.guard = Guard(
            definition, self.clock, observers, traces, self.power, self.contact,  # type: ignore[arg-type]
            inputs=self.inputs, cell_monitor=self.monitor,  # type: ignore[arg-type]
            cell_limits=CellLimits(definition.envelope, self.profile) if guarded else None,
        )  # fmt: skip
        self.reference = Reference(definition, _Meter(self._shunt_v), _Meter(self._pack_v))
        self.link = FakeLink(self.clock)
        self.dut = Dut(self.profile, {"can": self.link}, self.clock, observers)
        roles = {role: Guarded(role, part, self.guard) for role, part in self.power.items()}
        self.stand = Stand(
            definition, self.profile, self.clock, observers, traces, self.guard, self.reference, self.dut,
            roles.get("supply"), roles.get("load"), roles.get("bidirectional"),
            GuardedSwitch(self.contact, self.guard),  # type: ignore[arg-type]
        )  # fmt: skip

    def current_a(self) -> float:
        if self.stuck_a is not None:
            return self.stuck_a
        driven = sum(part.drives_a for part in self.power.values() if part.on)
        return (driven if self.path_closed else 0.0) + self.stray_a

    def pack_v(self) -> float:
        return self.rest_v + self.pack_ohm * self.current_a()

    def _shunt_v(self) -> float:
        if self.meter_fails:
            raise self.meter_fails
        return self.shunt_sign * self.shunt_scale * self.current_a() * self.ohm

    def _pack_v(self) -> float:
        return self.rest_v + self.pack_sign * self.pack_ohm * self.current_a()

    # an observer
    def event(self, event: Event) -> None:
        self.events.append(event)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        self.traces.sample(channel, at_s, value)

    def frame(self, frame: Any) -> None:
        raise AssertionError("no frames here")

    def watched(self) -> Table:
        self.guard.attach(self.reference, self.dut)
        self.guard.start_watch()
        return self


class _Meter:
    def __init__(self, measure: Callable[[], float]) -> None:
        self.measure_voltage = measure
        self.set: list[float] = []

    def set_range(self, range_v: float) -> None:
        self.set.append(range_v)

    def set_integration(self, power_line_cycles: float) -> None:
        self.set.append(power_line_cycles)


class FakeLink:
    """A link whose readings, health and requests the test decides."""

    name = "can"

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.values: dict[str, float | Exception] = {}
        self.requests: list[dict[str, float]] = []
        self.health = LinkHealth(True, "frames acknowledged")
        self.on_request: Callable[[dict[str, float]], None] = lambda values: None
        self.closed = False
        self.hand_on: Callable[[Reading], None] | None = None

    def start(self, on_reading: Callable[[Reading], None]) -> None:
        self.hand_on = on_reading

    def read(self, signal: str) -> Reading:
        value = self.values.get(signal, Missing(f"{signal}: never received"))
        if isinstance(value, Exception):
            raise value
        return Reading(signal, value, "", self.clock.now())

    def request(self, values: dict[str, float]) -> None:
        self.requests.append(values)
        self.on_request(values)

    def prove(self) -> LinkHealth:
        return self.health

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def table() -> Table:
    """A bench with supply and load, not yet watched."""
    return Table(load_definition(find_definition("virtual")))


@pytest.fixture
def two_quadrant() -> Table:
    """A bench with a bidirectional supply."""
    return Table(load_definition(find_definition("virtual_bidirectional")), bidirectional=True)


@pytest.fixture
def make_table() -> Callable[..., Table]:
    """Make a bench of fakes from a definition."""
    return Table
