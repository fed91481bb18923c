"""What arrives is on disk at once, with every digit, and trouble with the disk is neither raised early nor lost."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import threading
import tracemalloc
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.evidence import fact
from bench.frames import CanFrame
from bench.observer import Event
from bench.roles import Dialogue, Identity
from bench.traces import Traces
from bench.verdict import DecisionRule
from reports.classify import Outcome
from reports.log_lines import candump_line
from reports.recorder import Recorder
from reports.run_folder import RunFolder
from reports.stored import load_events, load_judgements, load_test, load_tests, load_traces, slice_of


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    made = Recorder(RunFolder(tmp_path))
    yield made
    made.close()


def test_samples_come_back_with_every_digit(recorder: Recorder) -> None:
    dice = random.Random(3)
    expected = [(dice.random() * 1e3, dice.uniform(-1, 1) * 10 ** dice.randint(-12, 6)) for _ in range(2000)]
    expected.sort()
    folder = recorder.begin_test("a.py::test_x", "x", 1)
    for at_s, value in expected:
        recorder.sample("reference_current", at_s, value)
    recorder.end_test(Outcome.PASSED)
    stored = load_traces(folder)
    assert stored.problems == []
    assert list(stored.traces["reference_current"]) == expected


def test_samples_are_on_disk_after_a_second_of_bench_time_without_the_test_having_ended(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    for tick in range(25):
        recorder.sample("reference_current", tick * 0.1, 1.0)
    written = (folder / "trace.csv").read_text().splitlines()
    assert len(written) >= 1 + 20
    assert json.loads((folder / "result.json").read_text())["state"] == "running"
    assert load_test(folder).outcome is None


def test_an_event_takes_the_samples_before_it_to_disk(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.sample("reference_current", 0.0, 1.0)
    recorder.sample("reference_current", 0.1, 2.0)
    recorder.event(Event("note", 0.2, "now"))
    assert (folder / "trace.csv").read_text().endswith("0.1,reference_current,2.0\n")


def test_an_event_is_on_disk_at_once_however_soon_it_follows_another(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.event(Event("note", 0.2, "first"))
    recorder.event(Event("note", 0.3, "second"))
    assert [event["text"] for event in load_events(folder)[0]] == ["first", "second"]


def test_on_the_wall_clock_everything_is_on_disk_at_once(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), prompt=True)
    folder = recorder.begin_test("a.py::test_x", "x")
    for at_s in (0.0, 0.01):
        recorder.sample("reference_current", at_s, 1.0)
        recorder.dialogue(Dialogue(at_s, "charger", True, "OUTP?"))
        recorder.frame(CanFrame(at_s, 0x220, b"\x01"))
    assert len((folder / "trace.csv").read_text().splitlines()) == 1 + 2
    assert len((tmp_path / "dialogue" / "main.log").read_text().splitlines()) == 2
    assert len((tmp_path / "can" / "main.log").read_text().splitlines()) == 2
    recorder.close()


def test_numpy_values_are_written_as_plain_numbers(recorder: Recorder) -> None:
    numpy = pytest.importorskip("numpy")
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.sample("v", numpy.float64(0.1), numpy.float32(0.5))
    recorder.end_test(Outcome.PASSED)
    assert (folder / "trace.csv").read_text().splitlines()[1] == "0.1,v,0.5"


def test_a_channel_with_a_comma_in_its_name_survives(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.sample('odd, "name"', 0.0, 1.0)
    recorder.end_test(Outcome.PASSED)
    assert list(load_traces(folder).traces.channels) == ['odd, "name"']


def test_steps_marks_and_notes_are_in_order_and_progress_is_left_out(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    for kind in ("step_begin", "progress", "note", "mark", "step_end"):
        recorder.event(Event(kind, 1.0, kind))
    recorder.end_test(Outcome.PASSED)
    events, problems = load_events(folder)
    assert problems == []
    assert [event["kind"] for event in events] == ["step_begin", "note", "mark", "step_end"]


def test_a_judgement_keeps_what_it_saw_although_more_follows(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    traces = Traces()
    traces.sample("v", 0.0, 1.0)
    recorder.sample("v", 0.0, 1.0)
    traces.mark(0.0, "stimulus", "20 A")
    recorder.judged("state_flag", {"flags": ("a", "b")}, DecisionRule(), [fact("f", True, True)], traces=traces)
    recorder.sample("v", 1.0, 2.0)
    recorder.event(Event("mark", 1.0, "stimulus"))
    recorder.end_test(Outcome.PASSED)
    (judgement,), problems = load_judgements(folder)
    assert problems == []
    assert judgement.parameters == {"flags": ["a", "b"]}
    seen = load_traces(folder, judgement).traces
    assert list(seen["v"]) == [(0.0, 1.0)]
    assert [(mark.at_s, mark.detail) for mark in seen.marks] == [(0.0, "20 A")]


def test_without_traces_the_marks_told_so_far_and_since_the_last_recording_count(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.sample("v", 0.0, 1.0)
    recorder.event(Event("mark", 0.0, "early"))
    recorder.begin_recording()
    recorder.sample("v", 1.0, 2.0)
    recorder.event(Event("mark", 1.0, "stimulus", {"detail": "now"}))
    recorder.judged("j", {}, DecisionRule(), [])
    recorder.event(Event("mark", 2.0, "late"))
    recorder.end_test(Outcome.PASSED)
    seen = load_traces(folder, load_judgements(folder)[0][0])
    assert seen.problems == []
    assert list(seen.traces["v"]) == [(1.0, 2.0)]
    assert [(mark.name, mark.detail) for mark in seen.traces.marks] == [("stimulus", "now")]


def test_a_parameter_that_json_cannot_say_is_refused_at_once(recorder: Recorder) -> None:
    recorder.begin_test("a.py::test_x", "x")
    for value in (object(), math.nan):
        with pytest.raises(BenchError, match="judgement j cannot be written as JSON"):
            recorder.judged("j", {"p": value}, DecisionRule(), [])


def test_a_judgement_outside_a_test_is_refused(recorder: Recorder) -> None:
    with pytest.raises(BenchError, match="outside a test"):
        recorder.judged("j", {}, DecisionRule(), [])


def test_tests_are_begun_and_ended_in_turn(recorder: Recorder) -> None:
    recorder.begin_test("a.py::test_x", "x")
    with pytest.raises(BenchError, match=r"before a\.py::test_x was ended"):
        recorder.begin_test("a.py::test_y", "y")
    recorder.end_test(Outcome.PASSED)
    with pytest.raises(BenchError, match="not begun"):
        recorder.end_test(Outcome.PASSED)


def test_frames_and_dialogue_of_a_test_are_found_in_the_logs_of_the_worker(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    recorder = Recorder(run, "gw1")
    folders = []
    for number in (1, 2):
        folders.append(recorder.begin_test(f"a.py::test_{number}", "x"))
        recorder.frame(CanFrame(0.5, 0x233, bytes([number])))
        recorder.dialogue(Dialogue(0.5, "supply", False, f"answer {number}\r\n"))
        recorder.end_test(Outcome.PASSED)
    recorder.close()
    data = load_test(folders[1]).data
    assert slice_of(run, data["frames"]) == b"(0000000000.500000) can0 233#02\n"
    assert slice_of(run, data["dialogue"]) == b"      0.500000  supply         < answer 2\\r\\n\n"
    assert run.can_log("gw1").read_text().count("\n") == 2
    with pytest.raises(BenchError, match="shorter"):
        slice_of(run, {**data["frames"], "to_byte": 999})


def test_frames_are_read_by_a_library_that_is_not_ours(tmp_path: Path) -> None:
    can = pytest.importorskip("can")
    frames = [
        CanFrame(12.345678, 0x233, bytes(range(8)), channel="can1"),
        CanFrame(12.5, 0x18FF50E5, b"\x01", extended=True, outgoing=True),
        CanFrame(13.0, 0x080, bytes(8), error=True),
    ]
    (tmp_path / "x.log").write_text("".join(map(candump_line, frames)))
    read = list(can.LogReader(tmp_path / "x.log"))
    assert [(one.timestamp, one.arbitration_id, one.is_extended_id, one.is_rx, one.channel) for one in read[:2]] == [
        (12.345678, 0x233, False, True, "can1"),
        (12.5, 0x18FF50E5, True, False, "can0"),
    ]
    assert bytes(read[0].data) == bytes(range(8))
    assert read[2].is_error_frame


def test_reference_channels_are_written_in_the_battery_data_format(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")
    recorder.sample("reference_current", 0.0, 1.0)  # no voltage yet: nothing is put in its place
    recorder.sample("pack_side_voltage", 0.5, 53.25)
    recorder.sample("reference_current", 1.0, -20.125)
    recorder.end_test(Outcome.PASSED)
    with (folder / "bdf.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["test_time_second", "voltage_volt", "current_ampere"], ["1.0", "53.25", "-20.125"]]


def test_what_happens_outside_a_test_is_kept_too(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), "gw0")
    recorder.sample("reference_current", 0.0, 1.0)
    recorder.event(Event("safe", 0.5, "outputs off"))
    recorder.identified("supply", Identity("EA", "PSI", "VIRTUAL1", "2"))
    recorder.close()
    assert "reference_current,1.0" in (tmp_path / "outside.gw0.csv").read_text()
    assert '"VIRTUAL1"' in (tmp_path / "events.gw0.jsonl").read_text()
    assert recorder.safe_lines == ["outputs off"]


def test_a_test_that_never_ended_is_told_from_one_that_did(recorder: Recorder) -> None:
    recorder.begin_test("a.py::test_x", "x")
    recorder.sample("v", 0.0, 1.0)
    recorder.close()
    (test,), problems = load_tests(recorder.folder)
    assert problems == []
    assert test.outcome is None


def test_several_threads_write_whole_lines(recorder: Recorder) -> None:
    folder = recorder.begin_test("a.py::test_x", "x")

    def write(name: str) -> None:
        for tick in range(3000):
            recorder.sample(name, tick * 0.001, float(tick))

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.end_test(Outcome.PASSED)
    stored = load_traces(folder)
    assert stored.problems == []
    assert {name: len(trace) for name, trace in stored.traces.channels.items()} == {"a": 3000, "b": 3000, "c": 3000}


def test_memory_stays_flat_while_samples_arrive(recorder: Recorder) -> None:
    recorder.begin_test("a.py::test_x", "x")
    for tick in range(2000):
        recorder.sample("v", tick * 0.01, 1.25)
    tracemalloc.start()
    for tick in range(2000, 30_000):
        recorder.sample("v", tick * 0.01, 1.25)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 100_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
class TestFullDisk:
    """The kernel's own full device stands for the disk."""

    def full(self, recorder: Recorder, name: str) -> Path:
        folder = recorder.begin_test("a.py::test_x", "x")
        growing = {"trace.csv": recorder._trace, "events.jsonl": recorder._events}[name]
        device = os.open("/dev/full", os.O_WRONLY)
        os.dup2(device, growing._file.fileno())
        os.close(device)
        return folder

    def test_a_callback_does_not_raise_and_the_next_safe_point_does(self, recorder: Recorder) -> None:
        self.full(recorder, "trace.csv")
        for tick in range(500):
            recorder.sample("v", tick * 0.1, 1.0)
        with pytest.raises(BenchError, match=r"disk full.*what was written is kept"):
            recorder.check()

    def test_the_problem_is_not_forgotten_when_the_test_ends(self, recorder: Recorder) -> None:
        folder = self.full(recorder, "events.jsonl")
        recorder.event(Event("note", 0.0, "lost"))
        recorder.sample("v", 0.0, 1.0)
        recorder.end_test(Outcome.BROKEN, "disk")
        with pytest.raises(BenchError, match="disk full"):
            recorder.check()
        with pytest.raises(BenchError, match="disk full"):
            recorder.begin_test("a.py::test_y", "y")
        assert "v,1.0" in (folder / "trace.csv").read_text()

    def test_a_healthy_disk_is_no_problem(self, recorder: Recorder) -> None:
        recorder.begin_test("a.py::test_x", "x")
        recorder.sample("v", 0.0, 1.0)
        recorder.end_test(Outcome.PASSED)
        recorder.check()
        assert load_tests(recorder.folder)[0][0].outcome is Outcome.PASSED
