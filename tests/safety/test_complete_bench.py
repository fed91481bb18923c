"""The virtual bench with everything: what stands beside the current path is guarded, watched, and never left on.

Drivers over real sockets in simulated time; the circuit behind them is the witness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import stimulus
from bench.definition import Definition, find_definition, load_definition
from bench.emulator_roles import CellEmulator, Digitiser, FaultInserter, TemperatureEmulator
from bench.errors import BenchError, DefinitionError, Inconclusive, InstrumentError, OutOfRange, SafetyError
from bench.observer import Event, NullObserver, Observers
from bench.profile import Profile, find_profile, load_profile
from bench.roles import Supply
from bench.stand import Stand
from instruments.stand import open_stand
from instruments.virtual.bench import VirtualBench

COMPLETE = load_definition(find_definition("virtual_complete"))
DEMONSTRATION = load_profile(find_profile("bmsbench_16s"))
ASIDE = ("cells", "bms_supply", "fault_relays")


@pytest.fixture
def virtual(monkeypatch: pytest.MonkeyPatch) -> list[VirtualBench]:
    """Every virtual bench that is opened, with its faces and its circuit."""
    made: list[VirtualBench] = []
    plain = VirtualBench.__init__

    def keep(self: VirtualBench, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(VirtualBench, "__init__", keep)
    return made


def prepared(monkeypatch: pytest.MonkeyPatch, change: Callable[[VirtualBench], None]) -> None:
    """Let something be wrong with the bench before it is opened."""
    plain = VirtualBench.__init__

    def spoil(self: VirtualBench, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        change(self)

    monkeypatch.setattr(VirtualBench, "__init__", spoil)


def behaviour(bench: VirtualBench, name: str) -> Any:
    return bench.instruments.behaviour(name)


def left_on(bench: VirtualBench) -> list[str]:
    """What really is on or in."""
    found = [name for name in ("charger", "sink", "cells", "bms_supply") if behaviour(bench, name).on]
    return [*found, *behaviour(bench, "fault_relays").inserted()]


class LabBook(NullObserver):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def safe_lines(self) -> list[str]:
        lines = [event.data["lines"] for event in self.events if event.kind == "safe"][-1]
        assert isinstance(lines, list)
        return lines


def changed(**levels: Any) -> Definition:
    """The complete bench with one part of its definition changed."""
    data = COMPLETE.model_dump()
    for path, value in levels.items():
        tree: Any = data
        *above, last = path.split("__")
        for key in above:
            tree = tree[key]
        if value is None:
            tree.pop(last)
        else:
            tree[last] = value
    return Definition.model_validate(data).model_copy(update={"source": COMPLETE.source})


def with_tolerance(**promises: bool) -> Profile:
    tolerates = DEMONSTRATION.tolerates.model_copy(update=promises)
    return DEMONSTRATION.model_copy(update={"tolerates": tolerates})


# -- opening -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bmsbench_16s", "foxbms_2", "seplos_v3"])
def test_every_shipped_bms_is_fed_and_reports_the_cell_that_was_set(virtual: list[VirtualBench], name: str) -> None:
    profile = load_profile(find_profile(name))
    with open_stand(COMPLETE, profile) as stand:
        assert isinstance(stand.cell_emulator, CellEmulator)
        assert isinstance(stand.sensor_emulator, TemperatureEmulator)
        assert isinstance(stand.digitiser, Digitiser)
        assert isinstance(stand.auxiliary_supply, Supply)
        assert isinstance(stand.fault_inserter, FaultInserter)
        assert set(stand.identities) == set(COMPLETE.roles)
        stand.cell_emulator.set_cell_voltage(3, 3.40)
        reached_ohm = stand.sensor_emulator.set_resistance("cell_8", 7000.0)
        stand.clock.sleep(3.0)
        assert max(virtual[0].circuit.dut.cells_v(0.0)) == pytest.approx(3.40, abs=0.002)
        assert profile.temperature_sensors is not None
        degc = profile.temperature_sensors.curve.degc(reached_ohm)
        assert stand.traces["cell_3"].values[-1] == pytest.approx(3.40, abs=0.002)
        assert stand.traces["degc.cell_8"].values[-1] == pytest.approx(degc, abs=1e-6)
        cell = "cell_voltage_03" if stand.dut.has("cell_voltage_03") else "cell_voltage_max"
        sensor = "temperature_08" if stand.dut.has("temperature_08") else "temperature_max"
        assert stand.dut.read(cell) == pytest.approx(3.40, abs=0.01)
        assert stand.dut.read(sensor) == pytest.approx(degc, abs=1.5)
    assert left_on(virtual[0]) == []


def test_the_order_is_cells_then_sensors_then_the_bms_own_supply() -> None:
    book = LabBook()
    with open_stand(COMPLETE, DEMONSTRATION, observers=Observers(book)):
        pass
    said = [event.text for event in book.events]
    words = ("reference zero", "protection cell_emulator: over-voltage", "cell emulator on", "sensors emulated",
             "protection auxiliary_supply: over-voltage", "BMS fed with", "unit under test: ", "bringing", "disconnect closed")  # fmt: skip  # noqa: E501
    at = [next(index for index, text in enumerate(said) if text.startswith(word)) for word in words]
    assert at == sorted(at)


def test_each_is_named_on_the_way_out_after_the_current_was_measured() -> None:
    book = LabBook()
    with open_stand(COMPLETE, DEMONSTRATION, observers=Observers(book)) as stand:
        assert stand.fault_inserter is not None
        stand.fault_inserter.insert("shunt_open")
    stages = [line[:18].strip() for line in book.safe_lines()]
    assert stages[-4:-1] == ["faults removed", "auxiliary off", "cell emulator off"]
    assert stages.index("measured") < stages.index("faults removed")
    assert "removed shunt_open" in next(line for line in book.safe_lines() if line.startswith("faults removed"))


def test_what_a_dead_run_left_on_is_switched_off_and_said(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench]
) -> None:
    def left(bench: VirtualBench) -> None:
        behaviour(bench, "cells").change(5, on=True, voltage_v=3.3)
        behaviour(bench, "bms_supply").set(1, voltage_v=12.0)
        behaviour(bench, "bms_supply").switch(1, True)
        behaviour(bench, "fault_relays").set(7, True)

    prepared(monkeypatch, left)
    book = LabBook()
    with open_stand(COMPLETE, DEMONSTRATION, observers=Observers(book)):
        assert behaviour(virtual[0], "fault_relays").inserted() == ()
    said = [event.text for event in book.events]
    assert "fault_inserter: bus_capacitor was left in when the bench was opened; removed" in said
    assert "auxiliary_supply was on when the bench was opened; switched off" in said
    assert "cell_emulator was on when the bench was opened; switched off" in said


def test_what_was_left_on_goes_off_even_where_the_bench_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench]
) -> None:
    def left(bench: VirtualBench) -> None:
        behaviour(bench, "cells").change(5, on=True, voltage_v=3.3)
        behaviour(bench, "bms_supply").switch(1, True)
        bench.instruments.fault("fault_relays", "silent")

    prepared(monkeypatch, left)
    with pytest.raises(InstrumentError, match="fault_relays"), open_stand(COMPLETE, DEMONSTRATION):
        pytest.fail("opened")
    assert left_on(virtual[0]) == []


def short_a_cell(bench: VirtualBench) -> None:
    for wire in (3, 4):
        bench.circuit.dut.sense.set_wire(wire, 0.05)
    bench.circuit.dut.sense.bridge(4, 0.5)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (short_a_cell, r"emulated cell 4 was set to 3\.265 V and measures"),
        (lambda bench: setattr(bench.circuit.dut.supply, "input_ohm", 10.0), r"was set to 24 V and measures"),
    ],
)
def test_a_short_on_a_cell_or_on_the_supply_is_found_before_the_bms_runs(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench], spoil: Any, problem: str
) -> None:
    prepared(monkeypatch, spoil)
    with pytest.raises(BenchError, match=problem), open_stand(COMPLETE, DEMONSTRATION):
        pytest.fail("opened")
    assert left_on(virtual[0]) == []


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voltage_v", [1.99, 3.91, -1.0, float("nan")])
def test_no_cell_is_set_beyond_the_absolute_limits(virtual: list[VirtualBench], voltage_v: float) -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        assert stand.cell_emulator is not None
        with pytest.raises(OutOfRange, match=r"cell 2 at .* outside the absolute limits .* 2 to 3\.9 V; nothing was"):
            stand.cell_emulator.set_cell_voltage(2, voltage_v)
        cells_v = (3.3,) * 5 + (voltage_v,) + (3.3,) * 10
        with pytest.raises(OutOfRange, match="cell 6 at"):
            stand.cell_emulator.set_cell_voltages(cells_v)
        assert virtual[0].circuit.dut.cells_v(0.0)[:2] == pytest.approx([3.265, 3.265], abs=0.002)


def test_a_setting_on_the_limit_itself_is_allowed_and_no_breach() -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        assert stand.cell_emulator is not None
        for cell_v in (3.90, 2.00):
            stand.cell_emulator.set_cell_voltage(16, cell_v)
            stand.clock.sleep(2.0)
        assert stand.guard.breach is None


def test_neither_cells_nor_supply_get_more_than_the_definition_allows() -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        assert stand.cell_emulator is not None and stand.auxiliary_supply is not None
        with pytest.raises(OutOfRange, match=r"cell_emulation\.cell_a = 0\.5 A"):
            stand.cell_emulator.set_cell_current_limit(0.6)
        with pytest.raises(OutOfRange, match=r"dut_supply\.max_v = 28 V"):
            stand.auxiliary_supply.set_voltage(28.5)
        with pytest.raises(OutOfRange, match=r"dut_supply\.max_a = 0\.5 A"):
            stand.auxiliary_supply.set_current_limit(0.6)


@pytest.mark.parametrize(
    ("role", "method"),
    [
        ("cell_emulator", "take_control"),
        ("cell_emulator", "close"),
        ("auxiliary_supply", "set_overvoltage_protection"),
        ("sensor_emulator", "close"),
        ("digitiser", "set_range"),
        ("fault_inserter", "close"),
    ],
)
def test_what_belongs_to_the_guard_is_not_for_tests(role: str, method: str) -> None:
    with open_stand(COMPLETE, DEMONSTRATION, bring_up=False) as stand:
        with pytest.raises(SafetyError, match=f"{role}.{method} belongs to the guard"):
            getattr(getattr(stand, role), method)()


def test_a_fault_that_the_profile_does_not_tolerate_is_refused(virtual: list[VirtualBench]) -> None:
    with open_stand(COMPLETE, with_tolerance(open_sense_wire=False), bring_up=False) as stand:
        inserter: Any = stand.fault_inserter
        with pytest.raises(Inconclusive, match=r"tolerates\.open_sense_wire = true"):
            inserter.insert("open_sense_wire_8")
        assert "tolerates.open_sense_wire" in inserter.refusal("open_sense_wire_8")
        assert inserter.refusal("shunt_open") is None
        assert behaviour(virtual[0], "fault_relays").inserted() == ()


def test_a_fault_of_a_switch_that_the_bms_does_not_have_is_none_of_its_faults() -> None:
    with open_stand(COMPLETE, DEMONSTRATION, bring_up=False) as stand:
        inserter: Any = stand.fault_inserter
        assert "welded_charge" in inserter.faults()
        assert not {"welded_main_plus", "precharge_open"} & set(inserter.faults())
        for fault in ("welded_main_plus", "precharge_open", "open_sense_wire_5"):
            with pytest.raises(OutOfRange, match="not inserted"):
                inserter.insert(fault)


def test_wires_are_changed_at_a_measured_zero_only_and_a_short_is_always_taken_away(
    virtual: list[VirtualBench],
) -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        inserter: Any = stand.fault_inserter
        inserter.insert("feedback_inverted_charge")
        with stimulus.holding(stand, 20.0):
            with pytest.raises(Inconclusive, match=r"shunt_open was not inserted: .* flow"):
                inserter.insert("shunt_open")
            with pytest.raises(Inconclusive, match=r"was not removed: .* flow"):
                inserter.remove("feedback_inverted_charge")
            inserter.remove("short_circuit")
            assert behaviour(virtual[0], "fault_relays").inserted() == ("feedback_inverted_charge",)
        stand.clock.sleep(0.5)
        inserter.remove_all()
        assert inserter.inserted() == ()


def test_every_fault_of_the_bench_reaches_the_circuit_and_leaves_it_as_it_was(virtual: list[VirtualBench]) -> None:
    with open_stand(COMPLETE, DEMONSTRATION, bring_up=False) as stand:
        inserter: Any = stand.fault_inserter
        circuit = virtual[0].circuit
        for fault in inserter.faults():
            inserter.insert(fault)
            assert inserter.inserted() == (fault,) == behaviour(virtual[0], "fault_relays").inserted()
            inserter.remove(fault)
        assert circuit.dut.sense.open_wires == ()
        assert not (circuit.dut.shunt.open or circuit.dut.shunt.reversed)
        for name in ("charge", "discharge"):
            closed = circuit.switches.really_closed(name)
            assert closed == circuit.switches.commanded(name) == circuit.switches.feedback(name)


# -- watching ------------------------------------------------------------------------------------------------------


def spoiled(spoil: Callable[[VirtualBench], None], virtual: list[VirtualBench], seconds: float = 10.0) -> Stand:
    with open_stand(COMPLETE, DEMONSTRATION) as stand, stimulus.holding(stand, 20.0):
        spoil(virtual[0])
        try:
            stand.clock.sleep(seconds)
        finally:
            stand.clock.sleep(0.1)  # outputs and contact need some milliseconds; nothing but the guard has told them
            assert abs(virtual[0].circuit.pack_current_a()) < 0.2
    return stand


def test_a_cell_that_goes_off_by_itself_ends_the_current(virtual: list[VirtualBench]) -> None:
    with pytest.raises(SafetyError, match=r"emulated cells: emulated cell 7 at .* V; the profile's absolute limits"):
        spoiled(lambda bench: behaviour(bench, "cells").change(7, on=False), virtual)
    assert left_on(virtual[0]) == []


@pytest.mark.parametrize("name", ["cells", "ntc_ladder"])
def test_an_emulator_that_falls_silent_opens_everything(virtual: list[VirtualBench], name: str) -> None:
    with pytest.raises(BenchError):
        spoiled(lambda bench: bench.instruments.fault(name, "silent"), virtual)
    assert not behaviour(virtual[0], "charger").on


def test_cells_are_seen_soon_after_a_setting_and_as_fast_as_asked_for() -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        assert stand.cell_emulator is not None
        stand.clock.sleep(2.0)
        stand.cell_emulator.set_cell_voltage(1, 3.30)
        told = stand.traces.marked("cells_told")
        stand.clock.sleep(0.4)
        assert told is not None
        seen_s = stand.traces["cell_1"].first(lambda value: value > 3.29, after_s=told.at_s)
        assert seen_s is not None and seen_s - told.at_s <= 0.8
        before = len(stand.traces["cell_1"])
        stand.clock.sleep(6.0)
        rested = len(stand.traces["cell_1"]) - before
        with stand.guard.watch_cells_fast():
            stand.clock.sleep(6.0)
        assert rested == pytest.approx(12, abs=1)
        assert len(stand.traces["cell_1"]) - before - rested >= 19


def test_a_sensor_that_is_changed_leaves_an_edge_in_its_trace_and_an_open_one_no_number() -> None:
    with open_stand(COMPLETE, DEMONSTRATION) as stand:
        sensors: Any = stand.sensor_emulator
        stand.clock.sleep(1.0)
        began_s = stand.clock.now()
        sensors.set_resistance("cell_1", 2207.0)
        trace = stand.traces["degc.cell_1"].between(began_s, stand.clock.now())
        assert trace.values[0] == pytest.approx(25.0, abs=0.1)
        assert trace.values[-1] == pytest.approx(70.0, abs=0.25)
        opened_s = stand.clock.now()
        sensors.open_sensor("cell_1")
        stand.clock.sleep(20.0)
        assert len(stand.traces["degc.cell_1"].between(opened_s + 0.01, stand.clock.now())) == 0
        assert len(stand.traces["degc.cell_8"].between(opened_s + 0.01, stand.clock.now())) > 10


# -- leaving -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "stage"), [("cells", "cell emulator off"), ("bms_supply", "auxiliary off")])
def test_one_that_does_not_go_off_is_a_broken_bench(virtual: list[VirtualBench], name: str, stage: str) -> None:
    with pytest.raises(InstrumentError, match=rf"did not obey on the way out(.|\n)*{stage} .*FAILED"):
        with open_stand(COMPLETE, DEMONSTRATION):
            virtual[0].instruments.fault(name, "stuck_output")


def test_a_fault_relay_that_does_not_answer_keeps_nothing_else_on(virtual: list[VirtualBench]) -> None:
    with pytest.raises(InstrumentError, match="faults removed"):
        with open_stand(COMPLETE, DEMONSTRATION):
            virtual[0].instruments.fault("fault_relays", "silent")
    assert left_on(virtual[0]) == []


def test_a_breach_leaves_nothing_on_either(virtual: list[VirtualBench]) -> None:
    def breach() -> None:
        with open_stand(COMPLETE, DEMONSTRATION) as stand:
            stand.guard._breach("something")

    with pytest.raises(SafetyError, match="something"):
        breach()
    assert left_on(virtual[0]) == []


# -- definitions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"roles__cell_emulator": None},
            r"topology\.cells: 'emulated' needs the roles .* roles\.cell_emulator missing",
        ),
        ({"roles__auxiliary_supply": None, "dut_supply": None}, r"roles\.auxiliary_supply missing"),
        ({"topology__cells": "pack"}, r"roles\.cell_emulator: 'cells' with topology\.cells = 'pack'"),
        ({"dut_supply": None}, r"dut_supply: is missing, and roles\.auxiliary_supply needs it"),
        ({"dut_supply__nominal_v": 30.0}, r"nominal_v: 30 V is above max_v = 28 V"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_when_it_is_read(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        changed(**changes)


def without_sensors() -> Profile:
    return DEMONSTRATION.model_copy(update={"temperature_sensors": None})


@pytest.mark.parametrize(
    ("changes", "profile", "problem"),
    [
        (
            {"instruments__cells__options__channels": [1, 2, 3]},
            DEMONSTRATION,
            r"instruments\.cells\.options\.channels: 3 channels for 16 cells of bmsbench_16s",
        ),
        (
            {"instruments__ntc_ladder__options__sensors__cell_9": {"channels": [1], "ohm": [1.0], "base_ohm": 1.0}},
            DEMONSTRATION,
            r"instruments\.ntc_ladder\.options\.sensors\.cell_9: .* no sensor at that position",
        ),
        ({}, without_sensors(), r"roles\.sensor_emulator: 'ntc_ladder' .* has no \[temperature_sensors\]"),
        (
            {"instruments__fault_relays__options__faults": {"open_sens_wire_8": 1}},
            DEMONSTRATION,
            r"instruments\.fault_relays\.options\.faults\.open_sens_wire_8: .* is no fault; names are like",
        ),
        (
            {"instruments__fault_relays__options__faults": {"welded_main_plus": 1}},
            DEMONSTRATION,
            r"none of welded_main_plus means anything on bmsbench_16s",
        ),
        ({"dut_supply__max_v": 40.0}, DEMONSTRATION, r"dut_supply: beyond what bms_supply \(auxiliary_supply\) can do"),
        (
            {"cell_emulation__cell_a": 6.0},
            DEMONSTRATION,
            r"cell_emulation: beyond what cells \(cell_emulator\) can do: .* 6 A",
        ),
    ],
)
def test_what_does_not_fit_this_bms_is_refused(
    virtual: list[VirtualBench], changes: dict[str, Any], profile: Profile, problem: str
) -> None:
    with pytest.raises(DefinitionError, match=problem), open_stand(changed(**changes), profile):
        pytest.fail("opened")
    assert all(left_on(bench) == [] for bench in virtual)
