"""The virtual bench with interlock, emergency stop, fail-safe disconnect and cell monitor: each of them acts.

Drivers over real sockets in simulated time; the circuit behind them is the witness.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import stimulus
from bench.definition import find_definition, load_definition
from bench.errors import BenchError, InstrumentError, SafetyError
from bench.profile import find_profile, load_profile
from bench.stand import Stand
from instruments.stand import open_stand
from instruments.virtual.bench import VirtualBench

GUARDED = load_definition(find_definition("virtual_guarded"))
PROFILE = load_profile(find_profile("seplos_v3"))


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


def prepared(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let something be wrong with the bench before it is opened."""
    plain = VirtualBench.__init__

    def spoil(self: VirtualBench, *arguments: Any, **options: Any) -> None:
        plain(self, *arguments, **options)
        change(self)

    monkeypatch.setattr(VirtualBench, "__init__", spoil)


def true_a(bench: VirtualBench) -> float:
    return float(bench.circuit.pack_current_a())


def test_a_healthy_guarded_bench_carries_current_and_records_every_eye(virtual: list[VirtualBench]) -> None:
    with open_stand(GUARDED, PROFILE, watchdogs=True) as stand:
        with stimulus.holding(stand, 40.0):
            stand.clock.sleep(6.0)
            assert true_a(virtual[0]) == pytest.approx(40.0, abs=0.5)
        traces = stand.traces
        assert set(traces["clear.interlock"].values) == {1.0}
        assert traces["disconnect"].values[-1] == 1.0
        assert len(traces["cell_16"]) >= 3
        assert all(3.0 < value < 3.5 for value in traces["cell_16"].values)
        assert all(20.0 < value < 30.0 for value in traces["degc.cell_1"].values)
    assert abs(true_a(virtual[0])) < 0.01


def charger(bench: VirtualBench) -> Any:
    return bench.instruments.behaviour("charger")


def hold_and_spoil(
    virtual: list[VirtualBench],
    current_a: float,
    spoil: Callable[[VirtualBench], None],
    *,
    seconds: float,
    then: Callable[[Stand, float], None] | None = None,
) -> None:
    """Let a current flow, put something wrong, and wait; `then` looks at what the guard alone has done about it."""
    with open_stand(GUARDED, PROFILE) as stand, stimulus.holding(stand, current_a):
        spoil(virtual[0])
        at_s = stand.clock.now()
        try:
            stand.clock.sleep(seconds)
        finally:
            if then is not None:
                then(stand, at_s)


@pytest.mark.parametrize(("name", "word"), [("door", "interlock"), ("stop_button", "emergency stop")])
@pytest.mark.parametrize("current_a", [60.0, -60.0])
def test_a_loop_that_opens_ends_the_current_within_two_tenths(
    virtual: list[VirtualBench], name: str, word: str, current_a: float
) -> None:
    def then(stand: Stand, at_s: float) -> None:
        assert stand.clock.now() - at_s < 0.15
        stand.clock.sleep(0.1)  # an output needs some milliseconds to go off; nothing but the guard has told it to
        assert abs(true_a(virtual[0])) < 0.2
        virtual[0].instruments.set_input(name, closed=True)
        with pytest.raises(SafetyError, match="not switched on after a breach"):
            stimulus.force(stand, current_a)

    with pytest.raises(SafetyError, match=f"{word}: {name} is open"):
        hold_and_spoil(
            virtual, current_a, lambda bench: bench.instruments.set_input(name, closed=False), seconds=5.0, then=then
        )
    assert abs(true_a(virtual[0])) < 0.01


def test_a_flickering_interlock_is_caught_and_keeps_the_bench_off(virtual: list[VirtualBench]) -> None:
    with pytest.raises(SafetyError, match="interlock: door is open"):
        hold_and_spoil(virtual, 30.0, lambda bench: bench.instruments.fault("door", "flickers"), seconds=60.0)
    assert abs(true_a(virtual[0])) < 0.01


@pytest.mark.parametrize("name", ["stop_button", "door", "relays", "cell_scanner", "shunt_meter"])
def test_an_eye_that_falls_silent_opens_everything(virtual: list[VirtualBench], name: str) -> None:
    with pytest.raises(BenchError):
        hold_and_spoil(virtual, 60.0, lambda bench: bench.instruments.fault(name, "silent"), seconds=20.0)
    assert abs(true_a(virtual[0])) < 0.01


def test_an_open_thermocouple_is_no_cold_one(virtual: list[VirtualBench]) -> None:
    def spoil(bench: VirtualBench) -> None:
        bench.instruments.fault("cell_scanner", "open_thermocouple", channel=118)

    with pytest.raises(InstrumentError, match="cell_6"):
        hold_and_spoil(virtual, 60.0, spoil, seconds=20.0)
    assert abs(true_a(virtual[0])) < 0.01


def test_a_disconnect_that_loses_its_coil_in_the_middle_is_named(virtual: list[VirtualBench]) -> None:
    def then(stand: Stand, at_s: float) -> None:
        assert stand.clock.now() - at_s < 3.0
        assert stand.guard.breach is not None

    with pytest.raises((SafetyError, InstrumentError), match="relays"):
        hold_and_spoil(
            virtual, 60.0, lambda bench: bench.instruments.fault("relays", "power_cycle"), seconds=10.0, then=then
        )
    assert abs(true_a(virtual[0])) < 0.01


@pytest.mark.parametrize(("name", "word"), [("door", "interlock"), ("stop_button", "emergency stop")])
def test_a_loop_that_is_open_at_the_start_keeps_everything_off(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench], name: str, word: str
) -> None:
    prepared(monkeypatch, lambda bench: bench.instruments.set_input(name, closed=False))
    with (
        pytest.raises(SafetyError, match=rf"{word} \({name}\) is open: nothing was switched on"),
        open_stand(GUARDED, PROFILE),
    ):
        pytest.fail("opened")
    assert abs(true_a(virtual[0])) < 0.01


def test_a_bus_at_the_packs_voltage_behind_a_welded_disconnect_is_found_before_anything_is_connected(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench]
) -> None:
    prepared(monkeypatch, lambda bench: bench.instruments.fault("relays", "welded"))
    with (
        pytest.raises(SafetyError, match="reports open, but 2 A drawn from the bus came out of the pack"),
        open_stand(GUARDED, PROFILE),
    ):
        pytest.fail("connected")
    assert abs(true_a(virtual[0])) < 0.01


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional"])
def test_every_kind_of_bench_finds_its_welded_disconnect(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench], bench: str
) -> None:
    prepared(monkeypatch, lambda made: made.instruments.fault("relays", "welded"))
    with (
        pytest.raises(SafetyError, match="its contact conducts all the same"),
        open_stand(load_definition(find_definition(bench)), PROFILE),
    ):
        pytest.fail("connected")
    assert abs(true_a(virtual[0])) < 0.01


@pytest.mark.parametrize("fails", [False, True])
def test_a_breach_that_the_test_was_not_told_any_more_is_no_pass(virtual: list[VirtualBench], fails: bool) -> None:
    """The watch found it after the test's last wait; the test's own outcome does not hide it."""

    def late() -> None:
        with open_stand(GUARDED, PROFILE) as stand:
            stand.guard.breach = "door is open"
            stand.guard.trouble = SafetyError("interlock: door is open")
            assert not fails, "the product is to blame"

    with pytest.raises(SafetyError, match="interlock: door is open"):
        late()
    assert abs(true_a(virtual[0])) < 0.01


def test_what_a_dead_run_left_on_goes_off_even_where_the_bench_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, virtual: list[VirtualBench]
) -> None:
    def left_on(bench: VirtualBench) -> None:
        charger(bench)._switch(True)
        bench.instruments.fault("sink", "silent")

    prepared(monkeypatch, left_on)
    with pytest.raises(BenchError), open_stand(GUARDED, PROFILE):
        pytest.fail("opened")
    assert charger(virtual[0]).on is False
