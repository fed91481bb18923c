"""The first contact with what guards a bench: safety inputs, the cell monitor, a disconnect that falls by itself."""

from __future__ import annotations

import pytest

from bench.commissioning import Commissioning
from bench.definition import find_definition, load_definition
from bench.profile import find_profile, load_profile
from bmsbench.commissioning import commission
from bmsbench.commissioning_world import Wanted

GUARDED = load_definition(find_definition("virtual_guarded"))
PROFILE = load_profile(find_profile("seplos_v3"))


def met(target: str, fault: str = "none") -> Commissioning:
    return commission(GUARDED, PROFILE, Wanted(target, fault=fault))


@pytest.mark.parametrize("target", ["interlock", "emergency_stop", "cell_monitor", "disconnect"])
def test_a_healthy_one_is_commissioned_and_every_line_was_looked_at(target: str) -> None:
    record = met(target)
    assert record.commissioned, record.lines
    assert record.not_tested == ()


@pytest.mark.parametrize(
    ("target", "fault", "failed"),
    [
        ("interlock", "stuck_closed", "opens"),
        ("emergency_stop", "stuck_closed", "opens"),
        ("interlock", "stuck_open", "clear"),
        ("cell_monitor", "open_thermocouple", "temperatures"),
        ("cell_monitor", "wrong_value", "cells"),
        ("disconnect", "watchdog_dead", "watchdog"),
        ("disconnect", "welded", "conducting"),
        ("disconnect", "stuck_output", "conducting"),
    ],
)
def test_a_planted_fault_is_named(target: str, fault: str, failed: str) -> None:
    record = met(target, fault)
    assert not record.commissioned
    assert failed in {line.check for line in record.failed}, record.lines
    assert record.lines[-1].check == "left safely"
    assert record.lines[-1].verdict == "pass"


def test_how_long_the_disconnect_takes_is_measured() -> None:
    record = met("disconnect")
    assert 0.0 < record.figures["stop_latency_s"] < 0.5
    assert 1.0 <= record.figures["watchdog_s"] < 1.5
