"""A small run with one test of each kind, made by a real pytest with a real allure-pytest; no bench takes part."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.run_folder import RunFolder

CHECKOUT = Path(__file__).resolve().parents[2]

PLUGIN = """
import pytest
from pathlib import Path

from bench.errors import Inconclusive, ProductFailure
from bench.evidence import Measurement, fact
from bench.frames import CanFrame
from bench.observer import Event, Observers
from bench.roles import Dialogue, Identity
from bench.definition import find_definition, load_definition
from bench.profile import find_profile, load_profile
from bench.traces import Traces
from bench.uncertainty import Uncertain
from bench.verdict import DecisionRule, Limits, Verdict
from reports.allure import AllureObserver, TestDescription
from reports.classify import classify, merge
from reports.manifest import write_manifest
from reports.provenance import begin_record, end_record
from reports.recorder import Recorder
from reports.run_folder import RunFolder
from reports.run_record import write_record

RUN = RunFolder(Path(__file__).parent / "run")
REQUIREMENT = "GBT36276-5.6.5"


def pytest_configure(config):
    config.recorder, config.steps = Recorder(RUN), AllureObserver()
    config.steps.start()
    config.observers = Observers(config.recorder, config.steps)
    config.phases = {}


def pytest_sessionstart(session):
    definition, profile = load_definition(find_definition("virtual")), load_profile(find_profile("foxbms_2"))
    session.config.record = begin_record(
        RUN, definition, profile, begin="2026-11-24T22:15:03Z", seed=7, rule="guarded", defects=["inverted"]
    )
    write_record(RUN, session.config.record)
    for role in definition.roles:
        session.config.recorder.identified(role, Identity("EA", "PSI 9080-340", f"VIRTUAL-{role}", "2.1"))
    session.config.recorder.dut(serial="VIRTUAL-BMS", firmware="1.5.1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    title = "Charging at 20 A is reported as charging, " + item.name
    item.config.recorder.begin_test(item.nodeid, title, 7)
    item.config.steps.begin_test(
        TestDescription(
            title=title, function="current sign", requirements=(REQUIREMENT,), standards=("GB/T 36276-2023",),
            severity="critical", case_id="TC-" + item.name, dut="foxbms_2", simulated=True,
            links={REQUIREMENT: "https://example.invalid/5.6.5"}, purpose="What flows into the pack counts up.",
            parameters={"reference": "+20.003 A"},
        )
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    yield
    config = item.config
    problem = call.excinfo.value if call.excinfo else None
    phases = config.phases.setdefault(item.nodeid, [])
    phases.append((classify(call.when, problem), problem))
    if call.when == "teardown":
        config.observers.drain()
        outcome = merge(one for one, _ in phases)
        reason = next((str(found) for one, found in phases if one is outcome and found is not None), "")
        folder = config.recorder.end_test(outcome, reason, requirements=[REQUIREMENT])
        config.steps.end_test(outcome, reason, RUN, folder)


def pytest_unconfigure(config):
    config.recorder.close()
    config.steps.stop()
    write_record(RUN, end_record(
        RUN, config.record, end="2026-11-24T22:16:03Z", exit_status=10, requested=["test_small.py::test_never_begun"]
    ))
    write_manifest(RUN)


@pytest.fixture
def play(request):
    observers, recorder = request.config.observers, request.config.recorder
    observers.event(Event("note", 0.0, "bench reset, all outputs off"))
    observers.drain()

    def charge(sign=1.0, error_a=0.0):
        traces = Traces()
        observers.event(Event("step_begin", 1.0, "charge at 20 A"))
        observers.drain()
        recorder.threshold("must trip", 32.0, "A")
        for tick in range(400):
            at_s = tick / 20
            current_a = 20.0 if 5 < at_s < 15 else 0.0
            for name, value in (
                ("reference_current", current_a + 0.001 * (tick % 7)),
                ("pack_side_voltage", 53.0 + 0.01 * current_a),
                ("bms.pack_current", sign * current_a + error_a),
                ("bms.charging", float(current_a > 0)),
            ):
                observers.sample(name, at_s, value)
                traces.sample(name, at_s, value)
            observers.frame(CanFrame(at_s, 0x233, bytes(8), outgoing=tick % 2 == 0))
            observers.dialogue(Dialogue(at_s, "supply", True, "MEAS:CURR?"))
        observers.event(Event("mark", 5.0, "stimulus", {"detail": "20 A"}))
        measured = Measurement(
            name="pack_current while charging", value=Uncertain(sign * 20.0 + error_a, 0.03, "A"),
            limits=Limits.around(20.0, 0.2), source="bms.pack_current", reference="meter +20.003 A", at_s=14.0,
            hint="the magnitude fits; is the sign inverted?",
        )
        rows = [measured, fact("charging is set", True, True, source="bms.charging", at_s=14.0)]
        recorder.judged("state_flag", {"signal": "charging", "begin_s": 6.0, "end_s": 14.0, "expected": True},
                        DecisionRule(), rows, traces=traces)
        for row in rows:
            observers.event(Event("measurement", 14.0, row.sentence(), row.as_dict()))
        observers.event(Event("step_end", 20.0, "charge at 20 A"))
        observers.drain()
        if measured.verdict is Verdict.INCONCLUSIVE:
            raise Inconclusive(measured.sentence())
        if measured.verdict is Verdict.FAIL:
            raise ProductFailure(measured.sentence())

    yield charge
    observers.event(Event("safe", 20.0, "outputs off, reference current +0.000 A"))
    observers.drain()


@pytest.fixture
def bad_fixture():
    assert False, "a fixture asserts"


@pytest.fixture
def bad_way_out():
    yield
    raise OSError("the output may be on")
"""

TESTS = """
import pytest

def test_good(play): play()
def test_inverted(play): play(sign=-1.0)
def test_unclear(play): play(error_a=0.19)
def test_fixture(bad_fixture): pass
def test_way_out(play, bad_way_out): play(sign=-1.0)
def test_timed_out(play): pytest.fail("Timeout after 60 s")
def test_absent(play): pytest.skip("this bench has no digitiser")
"""


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder that must not be changed by tests; copy it first."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "conftest.py").write_text(PLUGIN, encoding="utf-8")
    (folder / "test_small.py").write_text(TESTS, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:bmsbench", "-p", "no:cacheprovider", "-p", "no:xdist"),
        *("-o", "addopts=", "--rootdir=.", "--alluredir=run/allure-results", "--junitxml=run/junit.xml", "."),
    ]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return RunFolder(folder / "run")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """A page in a headless Chromium; skips by name where there is none."""
    # Modules of tests are imported by path, so the one beside this file is not on the path.
    spec = importlib.util.spec_from_file_location("reports_browser", Path(__file__).with_name("browser.py"))
    assert spec is not None and spec.loader is not None
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    with browser.open_browser(tmp_path / "chromium") as opened:
        yield opened


@pytest.fixture
def allure_tools() -> Path:
    """The folder whose node_modules holds Allure; skips by name where it was not installed."""
    if not (CHECKOUT / "node_modules" / "allure" / "cli.js").is_file():
        pytest.skip("Allure is not installed: 'python3 dev.py setup' with Node.js 20 or newer")
    return CHECKOUT
