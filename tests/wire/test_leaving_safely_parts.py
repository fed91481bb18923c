"""The parts of leaving safely, without processes: signals held back, stages with deadlines, what counts as safe."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from bench.errors import InstrumentError, SafetyError
from bench.shield import leaving_on_signals, shielded
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from bench.way_out import SafeReport, StepResult, run_stage, switch_off, take_way_out


@pytest.fixture
def wall() -> Iterator[WallClock]:
    clock = WallClock()
    yield clock
    clock.close()


@pytest.fixture(autouse=True)
def python_handlers() -> Iterator[None]:
    """Each test begins with the handlers of a plain program, whatever runs the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# --- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_the_second_waits(number: int) -> None:
    reached = []

    @leaving_on_signals()
    def leave_twice() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            reached.append("left")

    with pytest.raises(KeyboardInterrupt):
        leave_twice()
    assert reached == ["left"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_who_hangs_can_still_be_interrupted() -> None:
    count = 0

    @leaving_on_signals()
    def hang() -> None:
        nonlocal count
        while count < 10:
            count += 1
            with contextlib.suppress(KeyboardInterrupt) if count == 1 else contextlib.nullcontext():
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        hang()
    assert count == 4


def test_a_handler_of_somebody_else_is_left_alone() -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with leaving_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_a_shield_holds_signals_back_and_then_lets_one_act() -> None:
    done = []

    @shielded()
    def make_safe() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        done.append("safe")

    with pytest.raises(KeyboardInterrupt):
        make_safe()
    assert done == ["safe"]


def test_a_bench_that_is_not_safe_outranks_the_interruption() -> None:
    @shielded()
    def make_safe() -> None:
        signal.raise_signal(signal.SIGINT)
        raise SafetyError("the current still flows")

    with pytest.raises(SafetyError):
        make_safe()


def test_a_held_signal_acts_as_its_own_handler_would_have() -> None:
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with shielded():
        signal.raise_signal(signal.SIGINT)
        assert heard == []
    assert heard == [signal.SIGINT]


def test_shields_do_nothing_in_another_thread() -> None:
    def inside() -> None:
        with leaving_on_signals(), shielded():
            passed.append(threading.current_thread() is not threading.main_thread())

    passed: list[bool] = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(5.0)
    assert passed == [True]


# --- stages ------------------------------------------------------------------------------------------------


class Part:
    """A power instrument that may refuse or hang."""

    def __init__(self, name: str, off: Callable[[], None] | None = None) -> None:
        self.name, self.did, self._off = name, [], off  # type: ignore[var-annotated]

    def set_current(self, current_a: float) -> None:
        self.did.append(f"current {current_a:g}")

    def output_off(self) -> None:
        if self._off is not None:
            self._off()
        self.did.append("off")

    def is_output_on(self) -> bool:
        return "off" not in self.did

    def measure_voltage(self) -> float:
        return 52.0


class Contact:
    def __init__(self) -> None:
        self.opened = threading.Event()

    def open_contact(self) -> None:
        self.opened.set()


class Meter:
    """A reference that shows a current until it is told otherwise."""

    off_limit_a = 0.2
    name = "shunt_meter"

    def __init__(self, current_a: Callable[[], float]) -> None:
        self.current = current_a
        self.ready = False

    def set_up_current(self) -> None:
        self.ready = True

    def pack_voltage(self) -> float:
        return 52.1

    def current_uncertainty(self, current_a: float) -> float:
        return 0.01


def refuse() -> None:
    raise InstrumentError("will not")


def leave(clock: Any, parts: dict[str, Part], contact: Contact | None, meter: Meter | None) -> SafeReport:
    return take_way_out(clock, cast(Any, parts), cast(Any, contact), None, cast(Any, meter))


def test_a_hung_step_keeps_nobody_waiting_beyond_its_deadline(wall: WallClock) -> None:
    never = threading.Event()
    begin_s = wall.now()
    results = run_stage(
        wall, "outputs off", [("hung", lambda: str(never.wait(30))), ("well", lambda: "done")], deadline_s=0.3
    )
    assert 0.29 <= wall.now() - begin_s < 2.0
    assert [(result.step, result.done) for result in results] == [("hung", False), ("well", True)]
    assert "no end within 0.3 s" in str(results[0])
    never.set()


def test_a_single_hung_step_has_a_deadline_too(wall: WallClock) -> None:
    never = threading.Event()
    results = run_stage(wall, "disconnect open", [("disconnect", lambda: str(never.wait(30)))], deadline_s=0.2)
    assert [result.done for result in results] == [False]
    never.set()


@pytest.mark.parametrize("clock", [SimulatedClock, WallClock])
def test_an_output_that_stays_on_opens_the_disconnect(clock: Any) -> None:
    contact, parts = Contact(), {"supply": Part("charger", refuse), "load": Part("sink")}
    results = switch_off(clock(), cast(Any, parts), cast(Any, contact))
    assert contact.opened.is_set()
    assert parts["load"].did == ["off"]
    assert [result.done for result in results] == [False, True, True]


def test_a_healthy_bench_keeps_its_disconnect_closed_when_only_the_outputs_go_off() -> None:
    contact = Contact()
    switch_off(SimulatedClock(), cast(Any, {"supply": Part("charger")}), cast(Any, contact))
    assert not contact.opened.is_set()


def test_a_blind_guard_does_not_wait_for_outputs_before_it_opens(wall: WallClock) -> None:
    never, contact = threading.Event(), Contact()
    hung = Part("charger", lambda: cast(None, never.wait(30)))
    thread = threading.Thread(
        target=switch_off, args=(wall, {"supply": hung}, contact), kwargs={"blind": True}, daemon=True
    )
    thread.start()
    assert contact.opened.wait(0.5)
    never.set()
    thread.join(5.0)


def test_the_way_out_goes_in_its_order_and_measures() -> None:
    contact, part = Contact(), Part("sink")
    report = leave(SimulatedClock(), {"load": part}, contact, Meter(lambda: 0.001))
    assert report.safe
    assert report.failed == ()
    assert part.did == ["current 0", "off"]
    stages = [step.stage for step in report.steps]
    assert stages == ["current to zero", "outputs off", "disconnect open", "measured", "measured"]
    assert report.lines()[-1] == "current +0.001 A ± 0.010 A (measured)"
    assert "output off, 52.00 V at its terminals" in report.lines()[-2]


def test_a_missing_disconnect_is_named() -> None:
    report = leave(SimulatedClock(), {"load": Part("sink")}, None, Meter(lambda: 0.0))
    assert any("this bench has none" in line for line in report.lines())


def test_a_current_that_still_flows_is_not_safe() -> None:
    report = leave(SimulatedClock(), {"load": Part("sink")}, Contact(), Meter(lambda: 7.0))
    assert report.safe is False
    assert "current still +7.000 A" in report.text


def test_a_current_that_cannot_be_measured_is_not_safe() -> None:
    def silent() -> float:
        raise InstrumentError("no answer")

    report = leave(SimulatedClock(), {"load": Part("sink")}, Contact(), Meter(silent))
    assert report.safe is False
    assert "could not be measured: InstrumentError: no answer" in report.text


def test_a_meter_that_restarted_is_given_its_range_again_before_it_is_believed() -> None:
    def current() -> float:
        if not meter.ready:
            raise InstrumentError("no measuring range set")
        return 0.001

    meter = Meter(current)
    report = leave(SimulatedClock(), {"load": Part("sink")}, Contact(), meter)
    assert report.safe
    assert report.lines()[-1] == "current +0.001 A ± 0.010 A (measured)"


def test_an_output_that_does_not_obey_is_a_broken_bench_although_the_current_is_off() -> None:
    report = leave(SimulatedClock(), {"supply": Part("charger", refuse)}, Contact(), Meter(lambda: 0.0))
    assert report.safe
    assert [(step.stage, step.step) for step in report.failed] == [("outputs off", "supply")]


def test_a_bms_that_cannot_be_asked_is_no_fault_of_the_bench() -> None:
    step = StepResult("BMS asked to open", "bms", False, "LinkError: gone")
    assert SafeReport((step,), True, 0.0, "").failed == ()
