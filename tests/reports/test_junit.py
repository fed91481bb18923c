"""JUnit knows failures and errors; here a failure is the product and an error is the bench."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.errors import BenchError
from reports.classify import Outcome
from reports.junit import reclassify
from reports.run_folder import RunFolder
from reports.stored import load_tests


def corrected(run: RunFolder, tmp_path: Path) -> ET.Element:
    path = tmp_path / "junit.xml"
    shutil.copy(run.junit_xml, path)
    outcomes = {test.id: test.outcome for test in load_tests(run)[0] if test.outcome is not None}
    assert reclassify(path, outcomes) > 0
    return ET.parse(path).getroot()


def test_what_pytest_wrote_is_corrected_by_outcome(small_run: RunFolder, tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for case in corrected(small_run, tmp_path).iter("testcase"):
        found.setdefault(case.get("name", ""), set()).update(
            f"{child.tag} {child.get('type')}" for child in case if child.tag != "properties"
        )
    assert found == {
        "test_good": set(),
        "test_inverted": {"failure failed"},
        "test_unclear": {"error inconclusive"},
        "test_fixture": {"error broken"},
        "test_way_out": {"error broken"},
        "test_timed_out": {"error broken"},
        "test_absent": {"skipped pytest.skip"},
    }


def test_the_counts_fit_the_cases(small_run: RunFolder, tmp_path: Path) -> None:
    suite = next(corrected(small_run, tmp_path).iter("testsuite"))
    cases = list(suite.iter("testcase"))
    assert suite.get("failures") == "1"
    assert suite.get("errors") == str(sum(case.find("error") is not None for case in cases))
    assert suite.get("skipped") == "1"
    assert suite.get("tests") == str(len(cases))


def test_parameters_and_folders_are_found_in_pytest_s_names(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite errors="0" failures="2" tests="2">'
        '<testcase classname="lab.suites.sign.test_a.TestX" name="test_b[1.5-a::b]"><failure/></testcase>'
        '<testcase classname="sign.test_a.TestX" name="test_c"><failure/></testcase></testsuite></testsuites>'
    )
    outcomes = {"suites/sign/test_a.py::TestX::test_b[1.5-a::b]": Outcome.BROKEN, "x.py::test_c": Outcome.BROKEN}
    assert reclassify(path, outcomes) == 1
    assert [case[0].tag for case in ET.parse(path).getroot().iter("testcase")] == ["error", "failure"]


def test_an_expected_failure_does_not_hide_a_failed_requirement(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuite errors="0" failures="0" skipped="1" tests="1"><testcase classname="a" name="test_x">'
        '<skipped type="pytest.xfail" message="known"/></testcase></testsuite>'
    )
    assert reclassify(path, {"a.py::test_x": Outcome.FAILED}) == 1
    suite = ET.parse(path).getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "0")


def test_a_run_without_junit_has_nothing_to_correct(tmp_path: Path) -> None:
    assert reclassify(tmp_path / "junit.xml", {"a.py::test_x": Outcome.BROKEN}) == 0


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text("<testsuites><testsuite>")
    with pytest.raises(BenchError, match="is no JUnit file"):
        reclassify(tmp_path / "junit.xml", {})
