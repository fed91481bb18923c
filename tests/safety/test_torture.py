"""The torture run: a few trials at every run of the tests, 500 with `dev.py test --full`; and that it would tell.

`python tests/safety/torture.py --seeds N` plays one of them again.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instruments.virtual.faults import FAULTS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # its parts lie beside this file, and tests are no package

import torture  # noqa: E402
import torture_plan as plans  # noqa: E402
from torture_blows import Times  # noqa: E402
from torture_plan import BLOCK, LIMIT_S, Blow, Plan, plan_for  # noqa: E402
from torture_proxy import Proxy  # noqa: E402
from torture_table import summary  # noqa: E402
from torture_trial import judge  # noqa: E402

TRIALS = 500
QUICK = (0, 2, 13, 18)  # seeds of one bench, all of them soon over
RESULTS = HERE.parents[1] / ".bmsbench" / "torture"
linux = pytest.mark.skipif(sys.platform != "linux", reason="kills and stops processes, and reads /proc")


# --- the trials ----------------------------------------------------------------------------------------------


def found(outcomes: list[torture.Outcome]) -> list[str]:
    return [f"seed {one.plan.seed}, {one.plan.row}: {text}" for one in outcomes for text in one.problems]


@linux
def test_a_few_blows_end_with_everything_off(lab_process: Any, tmp_path: Path) -> None:
    outcomes = list(torture.run_trials(QUICK, tmp_path, lab_process))
    assert len(outcomes) == len(QUICK)
    assert found(outcomes) == []


@linux
@pytest.mark.full
@pytest.mark.parametrize("block", range(TRIALS // BLOCK))
def test_five_hundred_blows_end_with_everything_off(
    lab_process: Any, tmp_path: Path, block: int, record_property: Any
) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = RESULTS / f"block-{block:02}.jsonl"
    results.unlink(missing_ok=True)
    outcomes = []
    for outcome in torture.run_trials(range(block * BLOCK, (block + 1) * BLOCK), tmp_path, lab_process):
        outcomes.append(outcome)
        print(torture.tell(outcome))
        with results.open("a", encoding="utf-8") as file:
            file.write(outcome.as_json() + "\n")
    record_property("torture", str(results))
    assert len(outcomes) == BLOCK
    assert found(outcomes) == []


# --- what is drawn -------------------------------------------------------------------------------------------


def test_a_seed_is_always_the_same_trial() -> None:
    assert [plan_for(seed) for seed in range(50)] == [plan_for(seed) for seed in range(50)]
    assert plan_for(1) != plan_for(2)


def test_five_hundred_seeds_meet_every_blow_on_both_benches_in_every_phase() -> None:
    drawn = [plan_for(seed) for seed in range(TRIALS)]
    assert {blow.kind for plan in drawn for blow in plan.blows} == set(plans.KINDS)
    assert {plan.phase for plan in drawn} == {"starting", "opening", "open", "leaving"}
    benches = Counter(plan.bench for plan in drawn)
    assert min(benches["virtual"], benches["virtual_bidirectional"]) > TRIALS / 5
    assert sum(len(plan.blows) == 2 for plan in drawn) > TRIALS / 10
    signs = {step[1] > 0 for plan in drawn for step in plan.scripts[0] if step[0] == "force"}
    assert signs == {True, False}


def test_every_fault_that_is_dealt_exists() -> None:
    assert set(plans.FAULTS.values()) <= set(FAULTS)
    assert set(plans.FAULTS) | set(plans.PROXIED) <= set(plans.KINDS)


def trial(*blows: Blow, bench: str = "virtual") -> Plan:
    return Plan(1, bench, "seplos_v3", ((("force", 50.0, 1.0),),), "open", 0.1, blows)


HANGING, BOTH = Blow("hangs", "charger"), Blow("kill -9 of both", "both")


@pytest.mark.parametrize(
    ("plan", "covered"),
    [
        (trial(HANGING), True),
        (trial(Blow("hangs", "relays")), True),
        (trial(Blow("kill -9 of the run", "run")), True),
        (trial(BOTH), True),
        (trial(BOTH, bench="virtual_bidirectional"), True),
        (trial(BOTH, Blow("the disconnect is welded", "relays"), bench="virtual_bidirectional"), False),
        (trial(BOTH, Blow("does not switch off", "sink")), False),
        (trial(HANGING, Blow("the disconnect is welded", "relays")), False),
        (trial(Blow("the run is stopped", "run"), Blow("kill -9 of the guardian", "guardian")), True),
        (trial(Blow("the run is stopped", "run"), Blow("the guardian is stopped", "guardian"),
               bench="virtual_bidirectional"), True),
    ],
)  # fmt: skip
def test_it_is_said_beforehand_where_nobody_could_end_the_current(plan: Plan, covered: bool) -> None:
    assert (plan.uncovered == "") is covered


# --- what would be told --------------------------------------------------------------------------------------


def truth(at_s: float, current_a: float, *outputs: str, closed: bool = False) -> dict[str, Any]:
    return {"unix_s": 1e9 + at_s, "at_s": at_s, "current_a": current_a, "outputs_on": list(outputs),
            "disconnect_closed": closed}  # fmt: skip


@pytest.fixture
def ended(tmp_path: Path) -> Any:
    """Judge a trial that was struck at 1 s while 50 A flowed, from what the witness saw."""
    (tmp_path / "said.txt").write_text("nothing", encoding="utf-8")

    def run(lines: list[dict[str, Any]], status: int | None = 10, plan: Plan | None = None) -> Any:
        times = Times([1e9 + 1.0], [True], [50.0], ended_s=1e9 + 3.0)
        marks = [{"mark": "note", "text": "x", "unix_s": 1e9 + 0.5}]
        return judge(plan or trial(HANGING), lines[:-1], marks, times, lines[-1], status, [], tmp_path)

    return run


def test_a_current_that_ends_is_measured_to_have_ended(ended: Any) -> None:
    data = ended([truth(0.9, 50.0), truth(1.5, 50.0), truth(1.6, 0.0), truth(3.0, 0.0)])
    assert data["latency_s"] == pytest.approx(0.6)
    assert data["problems"] == []


def test_a_current_that_comes_again_has_not_ended(ended: Any) -> None:
    data = ended([truth(0.9, 50.0), truth(1.6, 0.0), truth(2.0, 7.0), truth(2.1, 0.0), truth(3.0, 0.0)])
    assert data["latency_s"] == pytest.approx(1.1)


def test_a_current_that_stays_on_is_a_finding(ended: Any) -> None:
    late_s = 1.0 + LIMIT_S + 1.0
    data = ended([truth(0.9, 50.0), truth(late_s, 50.0), truth(late_s + 0.1, 50.0, "charger")])
    assert data["stayed_on"]
    assert any("stayed on" in text for text in data["problems"])


def test_a_current_that_stays_on_where_nobody_could_end_it_is_counted_apart(ended: Any) -> None:
    plan = trial(BOTH, Blow("the disconnect is welded", "relays"), bench="virtual_bidirectional")
    data = ended([truth(0.9, 50.0), truth(17.0, 50.0), truth(17.1, 50.0, "source_sink")], -9, plan)
    assert data["stayed_on"]
    assert data["problems"] == []


@pytest.mark.parametrize("left", [truth(3.0, 0.0, "charger"), truth(3.0, 0.0, closed=True), truth(3.0, 5.0)])
def test_a_run_that_says_all_is_well_while_something_is_on_is_a_finding(ended: Any, left: dict[str, Any]) -> None:
    data = ended([truth(0.9, 50.0), truth(1.6, 0.0), left], 0)
    assert any("exit status 0" in text for text in data["problems"])


def test_an_output_that_is_on_and_not_named_is_a_finding(ended: Any, tmp_path: Path) -> None:
    lines = [truth(0.9, 50.0), truth(1.6, 0.0), truth(3.0, 0.0, "charger")]
    assert any("nobody says so" in text for text in ended(lines)["problems"])
    (tmp_path / "said.txt").write_text("outputs off   supply   FAILED   no end", encoding="utf-8")
    assert ended(lines)["problems"] == []


def test_a_kill_is_compared_with_the_newest_evidence(tmp_path: Path) -> None:
    from torture_evidence import read_evidence

    test = tmp_path / "run" / "tests" / "one"
    test.mkdir(parents=True)
    (test / "trace.csv").write_text("test_time_second,channel,value\n1.0,reference_current,50.0\n", encoding="utf-8")
    (test / "events.jsonl").write_text('{"at_s": 0.5, "kind": "note", "text": "first", "data": {}}\n', encoding="utf-8")
    (test / "judgements.jsonl").touch()
    (test.parents[1] / "dialogue").mkdir()
    (test.parents[1] / "dialogue" / "main.log").write_text("      4.0  charger > OUTP?\n", encoding="utf-8")
    marks = [{"mark": "open", "unix_s": 100.0, "at_s": 0.0}]
    marks += [{"mark": "note", "text": text, "unix_s": at_s} for text, at_s in (("first", 100.5), ("lost", 101.0))]
    evidence = read_evidence(tmp_path / "run", marks, 104.5)
    assert evidence.gaps == {"trace": 3.5, "dialogue": 0.5, "note": 3.5}
    assert any("newest of the trace" in text for text in evidence.problems)
    assert any("a note of 3.50 s" in text for text in evidence.problems)


def test_the_table_counts_apart_what_is_not_covered(tmp_path: Path) -> None:
    common = {"flowed": True, "went_on": False, "evidence": {}, "lag_s": 0.0, "problems": []}
    results = [
        {**common, "seed": 1, "row": "SIGTERM", "uncovered": "", "latency_s": 0.2, "stayed_on": False},
        {**common, "seed": 2, "row": "SIGTERM", "uncovered": "", "latency_s": 0.6, "stayed_on": False},
        {**common, "seed": 3, "row": "kill", "uncovered": "nobody", "latency_s": 16.0, "stayed_on": True},
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(map(json.dumps, results)), encoding="utf-8")
    table = summary([file])
    assert "| SIGTERM | 2 | 2 | 0 | 0.40 s | 0.60 s | 0 |" in table
    assert "| **not covered**: nobody | 1 | 1 | 0 | – | – | 1 |" in table
    assert "| **all that is covered** | 2 | 2 | 0 | 0.40 s | 0.60 s | 0 |" in table


# --- the cable that can go wrong -----------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it is sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionResetError):  # that is what a cut cable does
            while data := client.recv(4096):
                client.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    listener.close()


@pytest.fixture
def cable(echo: tuple[str, int]) -> Iterator[tuple[Proxy, socket.socket]]:
    proxy = Proxy(echo, seed=3)
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0)
    client.sendall(b"hello\n")
    assert client.recv(100) == b"hello\n"
    yield proxy, client
    client.close()
    proxy.close()


def test_a_cable_that_is_cut_ends_connections_and_lets_nobody_in(cable: tuple[Proxy, socket.socket]) -> None:
    proxy, client = cable
    proxy.set("cut")
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with pytest.raises(ConnectionResetError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0).recv(100)
    proxy.set("pass")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5.0) as third:
        third.sendall(b"there\n")
        assert third.recv(100) == b"there\n"


def test_a_cable_that_swallows_keeps_the_connection_and_passes_nothing(cable: tuple[Proxy, socket.socket]) -> None:
    proxy, client = cable
    proxy.set("swallow")
    client.settimeout(0.3)
    client.sendall(b"hello\n")
    with pytest.raises(TimeoutError):
        client.recv(100)


def test_garbage_spoils_some_answers(cable: tuple[Proxy, socket.socket]) -> None:
    proxy, client = cable
    proxy.set("garbage")
    answers = []
    for _ in range(30):
        client.sendall(b"hello\n")
        answers.append(client.recv(100))
        time.sleep(0.001)
    assert 0 < answers.count(b"hello\n") < 30
