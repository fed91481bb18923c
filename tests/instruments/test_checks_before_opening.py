"""A cell monitor that does not fit BMS or envelope is known before anything is opened."""

from __future__ import annotations

from typing import Any

import pytest

from bench.definition import Definition, find_definition, load_definition
from bench.envelope import SensorLimit
from bench.errors import DefinitionError
from bench.profile import find_profile, load_profile
from instruments.checks import check_fit

GUARDED = load_definition(find_definition("virtual_guarded"))
PROFILE = load_profile(find_profile("seplos_v3"))


def bench(options: dict[str, Any], **sensors: SensorLimit) -> Definition:
    """The guarded bench with other options of its cell monitor, and limits for sensors."""
    scanner = GUARDED.instruments["cell_scanner"].model_copy(update={"options": options})
    envelope = GUARDED.envelope.model_copy(update={"sensors": sensors})
    return GUARDED.model_copy(
        update={"instruments": {**GUARDED.instruments, "cell_scanner": scanner}, "envelope": envelope}
    )


OPTIONS = GUARDED.instruments["cell_scanner"].options


def refusal(definition: Definition) -> str:
    with pytest.raises(DefinitionError) as caught:
        check_fit(definition, PROFILE)
    return str(caught.value)


def test_a_limit_for_a_sensor_that_is_measured_fits() -> None:
    check_fit(bench(OPTIONS, cell_6=SensorLimit(max_degc=45.0)), PROFILE)


def test_a_limit_for_a_sensor_that_nobody_measures_is_refused_with_the_nearest_name() -> None:
    assert refusal(bench(OPTIONS, cel_6=SensorLimit(max_degc=45.0))) == (
        "virtual_guarded.toml, envelope.sensors.cel_6: cell_scanner has no sensor of that name (instruments."
        "cell_scanner.options.sensors); did you mean 'cell_6'?"
    )


@pytest.mark.parametrize("none", [{}, {"sensors": {}}])
def test_a_limit_for_a_sensor_of_a_monitor_without_any_is_refused(none: dict[str, Any]) -> None:
    options = {"cells": OPTIONS["cells"], **none}
    assert refusal(bench(options, top=SensorLimit(max_degc=45.0))).endswith("options.sensors); it has none")


def test_another_number_of_cells_than_the_bms_has_is_refused() -> None:
    assert refusal(bench({**OPTIONS, "cells": [101, 102]})) == (
        "virtual_guarded.toml, instruments.cell_scanner.options.cells: 2 channels for 16 cells of seplos_v3; write one "
        "channel for each cell, from B-"
    )


def test_a_driver_with_options_of_its_own_is_left_to_the_guard() -> None:
    check_fit(bench({"stack": "A"}, top=SensorLimit(max_degc=45.0)), PROFILE)
