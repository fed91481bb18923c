"""What a definition says of emulated cells, of the BMS's own supply and of faults that can be inserted, and what of it
a BMS allows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field, model_validator

from bench.errors import DefinitionError
from bench.loading import Frozen
from bench.profile import Profile, Tolerates

# A cell at rest at 50 % state of charge (standards reference 9.1), in volts: no protection looks at it.
NEUTRAL_CELL_V = {"lfp": 3.265, "nmc": 3.75, "lto": 2.224}
NEUTRAL_DEGC = 25.0
CELL_OVERVOLTAGE_MARGIN = 1.02  # the emulator's own trip, beyond the highest setting that is sent


class CellEmulation(Frozen):
    """How the cell emulator is used."""

    cell_a: float = Field(default=0.5, gt=0, description="current limit of every emulated cell, a magnitude")


class DutSupply(Frozen):
    """What the auxiliary supply may give to the BMS's own supply terminals."""

    nominal_v: float = Field(gt=0, description="with which the BMS runs")
    max_v: float = Field(gt=0, description="most that its supply terminals may see; the supply's own trip lies there")
    max_a: float = Field(gt=0, description="current limit; 1.1 times as much is the supply's own trip")
    boot_s: float = Field(default=1.0, ge=0, description="from its supply on until it is asked who it is")

    @model_validator(mode="after")
    def _in_order(self) -> DutSupply:
        if not self.nominal_v <= self.max_v:
            raise ValueError(f"nominal_v: {self.nominal_v:g} V is above max_v = {self.max_v:g} V")
        return self


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A family of faults. `needs`: the promise of the profile's [tolerates] without which it is refused, if any."""

    pattern: re.Pattern[str]
    example: str
    needs: str | None


_SWITCH = "(main_plus|main_minus|charge|discharge)"
FAULT_KINDS = tuple(
    FaultKind(re.compile(pattern), example, needs)
    for pattern, example, needs in (
        (r"open_sense_wire_(\d+)", "open_sense_wire_8", "open_sense_wire"),
        (r"swapped_sense_wires_(\d+)_(\d+)", "swapped_sense_wires_3_4", "reversed_sense_wires"),
        (r"shunt_open", "shunt_open", "shunt_open"),
        (r"shunt_sense_reversed", "shunt_sense_reversed", "shunt_reversed"),
        (r"short_circuit", "short_circuit", "short_circuit"),
        (rf"welded_{_SWITCH}", "welded_main_plus", "welded_switch"),
        (rf"stuck_open_{_SWITCH}", "stuck_open_main_plus", "welded_switch"),
        (rf"feedback_inverted_{_SWITCH}", "feedback_inverted_main_plus", None),
        (r"precharge_open", "precharge_open", "open_precharge"),
        (r"bus_capacitor", "bus_capacitor", "open_precharge"),
    )
)
SHORT_CIRCUIT = "short_circuit"


def fault_kind(fault: str) -> tuple[FaultKind, tuple[str, ...]]:
    """Return the kind of a fault and what its name tells: wires, counted from 0 at B-, or a switch.

    Raises:
        DefinitionError: no fault has such a name.
    """
    for kind in FAULT_KINDS:
        if found := kind.pattern.fullmatch(fault):
            return kind, found.groups()
    raise DefinitionError(f"{fault!r} is no fault; names are like {', '.join(kind.example for kind in FAULT_KINDS)}")


def not_there(fault: str, profile: Profile) -> str | None:
    """Say why a fault means nothing on this BMS: a switch that it does not have, a wire beyond its cells."""
    kind, told = fault_kind(fault)
    bms = profile.bms
    wires = [int(word) for word in told if word.isdigit()]
    if any(wire > bms.cells for wire in wires):
        return f"its wires are 0 (B-) to {bms.cells} (B+)"
    if len(set(wires)) != len(wires):
        return "a wire cannot be exchanged with itself"
    if told and not wires and told[0] not in bms.switches:
        return f"its switches are {', '.join(bms.switches)}"
    if kind.example == "precharge_open" and "precharge" not in bms.switches:
        return "it does not precharge"
    return None


def not_tolerated(fault: str, tolerates: Tolerates) -> str | None:
    """Say why a fault must not be inserted into a BMS with these promises, or nothing."""
    needs = fault_kind(fault)[0].needs
    if needs is None or getattr(tolerates, needs):
        return None
    return f"the profile does not promise that the unit survives it (tolerates.{needs} = true)"


def neutral_cell_v(profile: Profile, where: str) -> float:
    """Return the voltage at which every emulated cell begins, in volts.

    Raises:
        DefinitionError: not known for this chemistry, or outside the profile's absolute limits.
    """
    chemistry = profile.bms.chemistry
    voltage_v = NEUTRAL_CELL_V.get(chemistry)
    low_v, high_v = profile.absolute.cell_low_v, profile.absolute.cell_high_v
    if voltage_v is None or not low_v <= voltage_v <= high_v:
        raise DefinitionError(
            f"{where}, topology.cells: 'emulated' begins with cells at 50 %, which for chemistry {chemistry!r} of BMS "
            f"{profile.name} is {voltage_v} V; allowed is absolute.cell_low_v = {low_v:g} to cell_high_v = {high_v:g} V"
        )
    return voltage_v
