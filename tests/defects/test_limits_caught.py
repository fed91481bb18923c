"""Protections of voltage that never act turn the right tests red on the bench with emulated cells, and no others."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("defect", "row"), [("dead_cell_overvoltage", "overvoltage"), ("dead_cell_undervoltage", "undervoltage")]
)
def test_a_dead_voltage_protection_is_caught_at_the_top_of_the_stack(run_suite, defect, row):
    run = run_suite(
        ("protections/test_limits.py",),
        bms="bmsbench_16s",
        bench="virtual_complete",
        defect=defect,
        select=f"voltage_trips and cell_{row}_1 and cell_16",
    )
    assert run.status == 1
    assert len(run.outcomes) == 1
    assert all(re.search(r"no trip at .*bench ended it", reason, re.DOTALL) for reason in run.failed().values())
    assert len(run.failed()) == 1


def test_the_other_voltage_protection_stays_green_meanwhile(run_suite):
    run = run_suite(
        ("protections/test_limits.py",),
        bms="bmsbench_16s",
        bench="virtual_complete",
        defect="dead_cell_overvoltage",
        select="voltage_blocks and cell_undervoltage_1 and cell_16",
    )
    assert run.status == 0
    assert set(run.outcomes.values()) == {"passed"}
