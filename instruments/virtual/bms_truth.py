"""What is really so inside a virtual BMS, for tests; nothing of it is visible on a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from instruments.virtual.bms_unit import Unit

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms


@dataclass(frozen=True, slots=True)
class Truth:
    """A look inside at one instant."""

    unit: Unit
    measured_a: float
    reported_a: float
    soc_pct: float
    state_raw: int
    closed: frozenset[str]
    tripped: tuple[str, ...]
    locked: tuple[str, ...]
    trips: dict[str, int]  # by name of the protection, as all that follow
    thresholds: dict[str, float]
    delays_s: dict[str, float]
    flag_delays_s: dict[str, float]
    release_values: dict[str, float | None]  # of releases by value, as all that are measured
    release_times_s: dict[str, float]  # how long the condition must hold
    curves: dict[str, tuple[tuple[float, float], ...]]  # level and whole delay, of inverse-time rows
    diagnosed: tuple[str, ...]
    diagnoses: dict[str, int]  # how often each was made
    diagnosis_delays_s: dict[str, float]  # to the flag
    balancing: tuple[int, ...]  # cells, from 1
    asleep: bool


def look(bms: VirtualBms) -> Truth:
    """Return what is so now."""
    named = {watch.unit.row.name: watch for watch in bms.watches}
    return Truth(
        unit=bms.unit,
        measured_a=bms.readings.measured_a,
        reported_a=bms.readings.reported_a,
        soc_pct=bms.readings.soc_pct,
        state_raw=bms.operation.state_raw(),
        closed=bms.closed,
        tripped=tuple(name for name, watch in named.items() if watch.tripped),
        locked=tuple(name for name, watch in named.items() if watch.locked),
        trips={name: watch.trips for name, watch in named.items()},
        thresholds={name: watch.unit.threshold_si for name, watch in named.items()},
        delays_s={name: watch.unit.delay_s for name, watch in named.items()},
        flag_delays_s={name: watch.unit.flag_delay_s for name, watch in named.items()},
        release_values={name: watch.release_value for name, watch in named.items()},
        release_times_s={
            name: watch.unit.row.release.after_s + watch.unit.release_late_s for name, watch in named.items()
        },
        curves={name: watch.unit.curve for name, watch in named.items() if watch.unit.curve},
        diagnosed=tuple(found.unit.row.name for found in bms.diagnoses if found.tripped),
        diagnoses={found.unit.row.name: found.trips for found in bms.diagnoses},
        diagnosis_delays_s={found.unit.row.name: found.unit.delay_s for found in bms.diagnoses},
        balancing=tuple(sorted(cell + 1 for cell in bms.balancer.cells)),
        asleep=bms.powered and not bms.talks,
    )
