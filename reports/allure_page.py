"""What stands on a test's page: title, labels, links, and the top third with verdict, plot and table."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from allure_commons.model2 import Label, Link, Parameter

from reports.classify import Outcome
from reports.stored import load_judgements
from reports.table import measurement_table


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDescription:
    """What a report says about a test apart from its result."""

    __test__ = False  # not a test class, whatever its name makes pytest believe

    title: str  # a sentence
    function: str  # for example "current sign"
    requirements: tuple[str, ...] = ()  # "GBT36276-5.6.5"
    standards: tuple[str, ...] = ()  # "GB/T 36276-2023"
    severity: str = "normal"  # blocker: loss of protection; critical: wrong sign
    case_id: str = ""  # survives renaming
    dut: str = ""  # variant of the unit under test, for the `env` label
    simulated: bool = True
    purpose: str = ""
    method: str = ""
    links: Mapping[str, str] = field(default_factory=dict)  # requirement id -> address
    parameters: Mapping[str, str] = field(default_factory=dict)  # measured values, kept out of the history


def describe(result: Any, about: TestDescription) -> None:
    """Put title, labels, links and measured parameters onto a result."""
    result.name = about.title
    for parameter in result.parameters:
        parameter.value = _short(parameter.value)
    labels: list[tuple[str, str]] = [("epic", name) for name in about.standards or ("no standard",)]
    labels.append(("feature", about.function))
    labels += [("story", name) for name in about.requirements or ("no requirement",)]
    # As tags too, since the report can be filtered by tag.
    labels += [(kind, name) for kind in ("requirement", "tag") for name in about.requirements]
    labels.append(("severity", about.severity))
    if about.dut:
        labels.append(("env", about.dut))
    if about.case_id:
        # allure-pytest selects by `as_id`, Allure 3 keeps the history by `ALLURE_ID`.
        # A case that is run once per row of a profile has one history per row.
        rows = [_short(one.value) for one in result.parameters]
        labels += [("as_id", about.case_id), ("ALLURE_ID", "-".join((about.case_id, *rows)))]
    if about.simulated:
        labels.append(("tag", "SIMULATED"))
    result.labels.extend(Label(name, value) for name, value in labels)
    result.links.extend(
        Link("requirement", address, name) for name, address in about.links.items() if name in about.requirements
    )
    result.parameters.extend(Parameter(name, value, excluded=True) for name, value in about.parameters.items())


def _short(value: str) -> str:
    """Return the name out of the repr of a named object: a whole protection row is no parameter to read."""
    named = re.match(r"\w+\(name='([^']+)'", value)
    return named[1] if named else value.strip("'")


def summary_html(about: TestDescription | None, outcome: Outcome, plot: str, table: str) -> str:
    """Return what stands at the top of a test's page, below the reason: verdict, plot, measurements."""
    colour = {
        Outcome.PASSED: "#166534",
        Outcome.FAILED: "#b91c1c",
        Outcome.BROKEN: "#a21caf",
        Outcome.INCONCLUSIVE: "#b45309",
        Outcome.SKIPPED: "#b45309",
    }[outcome]
    parts: list[str] = []
    if about is not None and about.simulated:
        parts.append("<p><b>SIMULATED</b>: virtual instruments and a virtual pack; no hardware took part.</p>")
    whose = {Outcome.FAILED: " (the product)", Outcome.BROKEN: " (the bench)"}.get(outcome, "")
    parts.append(f'<p><b style="color:{colour}">{outcome.words}{whose}</b></p>')
    if plot:
        # Allure removes inline SVG from descriptions but keeps images (3.18, tried).
        data = b64encode(plot.encode()).decode()
        parts.append(f'<p><img alt="plot" style="width:100%" src="data:image/svg+xml;base64,{data}"></p>')
    if table:
        parts.append(table)
    if about is not None:
        parts += [f"<p>{escape(text)}</p>" for text in (about.purpose, about.method) if text]
    return "\n".join(parts)


def table_html(folder: Path) -> str:
    """Return the measurements of a test folder as a table, and what could not be read of them."""
    judgements, problems = load_judgements(folder)
    rows = [row for judgement in judgements for row in judgement.measurements]
    notes = "".join(f"<p>{escape(problem)}</p>" for problem in problems)
    return (measurement_table(rows) if rows else "") + notes
