"""The guarded virtual bench: what its definition serves, and what the lab's control face shows and moves of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.definition import ROLES, find_definition, load_definition
from bench.profile import find_profile, load_profile
from bench.simulated_clock import SimulatedClock
from instruments.virtual.bench import VirtualBench
from instruments.virtual.lab_control import ControlSession
from instruments.virtual.witness import Witness

INPUTS = ("door", "stop_button")


class Controlled:
    """A virtual bench in simulated time with its control face."""

    def __init__(self, name: str) -> None:
        self.clock = SimulatedClock()
        definition = load_definition(find_definition(name))
        self.bench = VirtualBench(definition, load_profile(find_profile("foxbms_2")), self.clock, seed=1)
        self.witness = Witness()
        self.witness.attach(self.bench)
        self._session = ControlSession(self.bench, self.witness)

    def tell(self, line: str) -> str:
        return self._session.feed(line.encode() + b"\n").decode().strip()

    def truth(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.tell("truth"))
        return answer

    def close_relay(self) -> None:
        """Switch the relay of the disconnect off and on, as a driver's command does."""
        for on in (False, True):
            self.bench.instruments.behaviour("relays").set(0, on)
            self.clock.sleep(0.05)


@pytest.fixture
def controlled() -> Iterator[Callable[[str], Controlled]]:
    made: list[Controlled] = []

    def make(name: str) -> Controlled:
        made.append(Controlled(name))
        return made[-1]

    yield make
    for each in made:
        each.bench.close()


@pytest.fixture
def guarded(controlled) -> Controlled:
    return controlled("virtual_guarded")


def test_its_definition_fills_every_role_of_a_bench_with_supply_and_load() -> None:
    definition = load_definition(find_definition("virtual_guarded"))
    beside = {"cell_emulator", "sensor_emulator", "digitiser", "auxiliary_supply", "fault_inserter"}
    assert set(definition.roles) == set(ROLES) - {"bidirectional"} - beside
    assert definition.interlock
    assert definition.emergency_stop
    assert definition.safety.cell_voltage_stop


def test_its_wiring_is_the_same_for_the_driver_and_for_the_virtual_instrument() -> None:
    scanner = load_definition(find_definition("virtual_guarded")).instruments["cell_scanner"]
    for key in ("cells", "sensors"):
        assert scanner.options[key] == scanner.virtual[key]


def test_the_truth_shows_the_loops_and_the_disconnect_s_coil_beside_its_contact(guarded) -> None:
    truth = guarded.truth()
    assert truth["inputs"] == {"door": True, "stop_button": True}
    assert (truth["disconnect_coil"], truth["disconnect_closed"], truth["disconnect_fallen"]) == (False, False, False)
    guarded.close_relay()
    truth = guarded.truth()
    assert (truth["disconnect_coil"], truth["disconnect_closed"]) == (True, True)


def test_an_opened_door_takes_the_contact_and_leaves_the_coil(guarded) -> None:
    guarded.close_relay()
    assert guarded.tell("input door 0") == "ok"
    truth = guarded.truth()
    assert truth["inputs"] == {"door": False, "stop_button": True}
    assert (truth["disconnect_coil"], truth["disconnect_closed"], truth["disconnect_fallen"]) == (True, False, True)
    assert guarded.tell("input door 1") == "ok"
    assert guarded.truth()["disconnect_closed"] is False
    guarded.close_relay()
    assert guarded.truth()["disconnect_closed"] is True


def test_the_stop_button_is_read_and_nothing_hangs_on_it(guarded) -> None:
    guarded.close_relay()
    assert guarded.tell("input stop_button 0") == "ok"
    truth = guarded.truth()
    assert truth["inputs"]["stop_button"] is False
    assert truth["disconnect_closed"] is True


@pytest.mark.parametrize("bench", ["virtual", "virtual_bidirectional", "virtual_guarded"])
def test_a_welded_relay_shows_as_a_contact_without_a_coil(controlled, bench: str) -> None:
    here = controlled(bench)
    assert here.tell("fault relays welded") == "ok"
    truth = here.truth()
    assert (truth["disconnect_coil"], truth["disconnect_closed"]) == (False, True)
    assert here.tell("fault relays none") == "ok"
    assert here.truth()["disconnect_closed"] is False


@pytest.mark.parametrize(
    ("name", "fault"),
    [("relays", "watchdog_dead"), ("door", "flickers s=0.1 every_s=2"), ("stop_button", "stuck_closed"),
     ("door", "stuck_open"), ("cell_scanner", "open_thermocouple channel=117"), ("cell_scanner", "silent"),
     ("cell_scanner", "frozen_measurement")],
)  # fmt: skip
def test_every_fault_of_the_new_instruments_is_played(guarded, name: str, fault: str) -> None:
    assert guarded.tell(f"fault {name} {fault}") == "ok"
    assert guarded.bench.instruments.behaviour(name).fault.name == fault.split()[0]


def test_reset_closes_every_loop_and_makes_all_healthy(guarded) -> None:
    for name in INPUTS:
        guarded.tell(f"input {name} 0")
    guarded.tell("fault relays welded")
    guarded.tell("reset 3")
    truth = guarded.truth()
    assert truth["inputs"] == {"door": True, "stop_button": True}
    assert (truth["disconnect_coil"], truth["disconnect_closed"]) == (False, False)
    guarded.close_relay()
    assert guarded.truth()["disconnect_closed"] is True


@pytest.mark.parametrize(
    ("line", "said"),
    [("input dor 0", "did you mean 'door'"), ("input relays 0", "known are door, stop_button"),
     ("input door 2", "is no command"), ("input door", "is no command"), ("fault door welded", "cannot have"),
     ("fault door flickers every_s=0", "at least 0.001 s")],
)  # fmt: skip
def test_a_wrong_line_is_named(guarded, line: str, said: str) -> None:
    answer = guarded.tell(line)
    assert answer.startswith("error:")
    assert said in answer
    assert "input NAME 0|1" in guarded.tell("help")


def test_a_bench_without_safety_inputs_says_so(controlled) -> None:
    plain = controlled("virtual")
    assert plain.truth()["inputs"] == {}
    assert "this bench has none" in plain.tell("input door 0")


def test_the_lab_serves_it_and_writes_a_definition_that_loads(lab_process: Any, tmp_path: Path) -> None:
    lab = lab_process(tmp_path, "--bench", "virtual_guarded", "--bms", "seplos_v3")
    try:
        assert {"relays", *INPUTS, "cell_scanner"} <= set(lab.ports)
        written = load_definition(lab.definition)
        assert written.instruments["cell_scanner"].options["sensors"]["cell_6"] == 118
        assert written.roles["interlock"] == "door"
        assert lab.tell("input door 0") == "ok"
        assert lab.truth()["inputs"]["door"] is False
    finally:
        assert lab.close()[0] == 0
