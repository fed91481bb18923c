"""Diagnoses as declarations: faults of wires, sensors and switches that a BMS promises to notice, one row each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from bench.loading import Frozen
from bench.protection import DelayWindow, Level, Release

DiagnosisKind = Literal[
    "open_sense_wire",
    "swapped_sense_wires",
    "frozen_cell_voltage",
    "temperature_sensor_open",
    "temperature_sensor_short",
    "current_sensor_open",
    "current_sensor_reversed",
    "welded_switch",
    "stuck_open_switch",
    "switch_feedback",
    "precharge_failed",
    "supply_low",
    "link_lost",
]


class Diagnosis(Frozen):
    """One row: which fault is noticed, in which time, and what the BMS then does."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="how tests and reports call it")
    kind: DiagnosisKind = Field(description="which fault")
    level: Level = Field(default="protection", description="only a protection opens switches")
    within_s: DelayWindow = Field(description="from the fault to the reaction (flag, and switches if it opens any)")
    opens: tuple[str, ...] = Field(default=(), description="which switches it opens")
    flag: str | None = Field(default=None, description="signal that tells of it")
    release: Release = Field(description="how it lets go again, once the fault is mended")
    requirements: tuple[str, ...] = Field(default=(), description="requirement ids it gives evidence for")

    @model_validator(mode="after")
    def _reacts(self) -> Diagnosis:
        if not self.opens and self.flag is None:
            raise ValueError("a diagnosis that neither opens a switch nor raises a flag cannot be seen")
        if self.opens and self.level != "protection":
            raise ValueError(f"level {self.level!r} opens nothing; write level = 'protection', or no opens")
        if self.release.kind in ("value", "opposite_current"):
            raise ValueError(f"release by {self.release.kind} means nothing for a fault; write time, command or action")
        return self
