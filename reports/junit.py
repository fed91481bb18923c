"""Put our classification into the JUnit file that pytest wrote.

JUnit has two words, `failure` and `error`; with pytest a failure is anything raised in the body. Here `failure` is
the product and `error` is the bench, also for a bench that cannot tell (its type says `inconclusive`).
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET  # the file is our own, written a moment ago
from collections.abc import Mapping
from pathlib import Path

from bench.errors import BenchError
from reports.classify import Outcome
from reports.run_folder import write_text


def reclassify(path: Path, outcomes: Mapping[str, Outcome]) -> int:
    """Correct the file for the given outcomes by test id (pytest's node id); return how many cases were changed.

    A file that is absent (no `--junitxml`) is nothing to correct.

    Raises:
        BenchError: the file is no JUnit file, or the disk takes no more.
    """
    if not path.is_file():
        return 0
    try:
        tree = ET.parse(path)
    except ET.ParseError as problem:
        raise BenchError(f"{path}: is no JUnit file: {problem}") from None
    by_name = {_address(test_id): outcome for test_id, outcome in outcomes.items()}
    changed = 0
    for case in tree.iter("testcase"):
        outcome = _outcome_of(case, by_name)
        if outcome is not None and _correct(case, outcome):
            changed += 1
    for suite in (*tree.iter("testsuite"), *tree.iter("testsuites")):
        _count(suite)
    buffer = io.StringIO()
    tree.write(buffer, encoding="unicode", xml_declaration=True)
    try:
        write_text(path, buffer.getvalue())
    except OSError as problem:
        raise BenchError(f"{path}: cannot be written: {problem.strerror or problem}") from problem
    return changed


def _outcome_of(case: ET.Element, by_name: Mapping[tuple[str, str], Outcome]) -> Outcome | None:
    classname, name = case.get("classname", ""), case.get("name", "")
    found = by_name.get((classname, name))
    if found is not None:
        return found
    # --junitprefix, or a rootdir above ours, lengthens the class name in front.
    longer = [
        outcome for (known, title), outcome in by_name.items() if title == name and classname.endswith(f".{known}")
    ]
    return longer[0] if len(longer) == 1 else None


def _correct(case: ET.Element, outcome: Outcome) -> bool:
    wanted = {Outcome.BROKEN: "error", Outcome.INCONCLUSIVE: "error", Outcome.FAILED: "failure"}.get(outcome)
    if wanted is None:
        return False
    changed = False
    for child in list(case):
        # An expected failure (xfail) is written as skipped; a failed requirement must not hide there.
        hidden = child.tag == "skipped" and wanted == "failure"
        if child.tag in ("failure", "error") or hidden:
            changed = changed or child.tag != wanted or child.get("type") != outcome.value
            child.tag = wanted
            child.set("type", outcome.value)
    return changed


def _count(suite: ET.Element) -> None:
    cases = list(suite.iter("testcase"))
    tags = [{child.tag for child in case} for case in cases]
    numbers = {
        "errors": sum("error" in found for found in tags),
        "failures": sum("failure" in found for found in tags),
        "skipped": sum("skipped" in found for found in tags),
        "tests": len(cases),
    }
    for key, number in numbers.items():
        if key in suite.attrib:
            suite.set(key, str(number))


def _address(test_id: str) -> tuple[str, str]:
    """Return class name and name as pytest's JUnit writer makes them of a node id (`mangle_test_address`)."""
    path, bracket, parameters = test_id.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]), names[-1]
