"""The kinds of protections there are: one file each, found by being here.

A kind says what is watched and on which side of the threshold something happens. It is all that a new kind needs: the
schema knows it, a profile may declare rows of it, the virtual BMS watches its observable, and the suites provoke it by
its quantity. Behaviour and expectation are computed elsewhere, apart from each other.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Literal, get_args

from bench.quantities import Direction

Observable = Literal[
    "charge_current",
    "discharge_current",
    "cell_voltage_max",
    "cell_voltage_min",
    "cell_voltage_spread",
    "pack_voltage",
    "temperature_max",
    "temperature_min",
    "temperature_spread",
]
OBSERVABLES: tuple[str, ...] = get_args(Observable)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of protection watches, and on which side of the threshold it acts.

    `direction` is that of the current which the protection ends. `absolute` names the absolute maximum beyond which no
    threshold may lie (a key of section [absolute], `pack_high_v` and `pack_low_v` for all cells together, or nothing).
    `difference` marks quantities that are a difference: of those 1 K is 1 °C. `fast` marks delays of microseconds.
    """

    name: str
    quantity: Literal["current", "voltage", "temperature"]
    observable: Observable
    above: bool
    direction: Direction
    what: str
    absolute: str = ""
    difference: bool = False
    fast: bool = False

    def beyond(self, value: float, threshold: float) -> bool:
        """Say whether a value (a magnitude, for currents) lies beyond the threshold."""
        return value > threshold if self.above else value < threshold

    def further(self, value: float, by: float) -> float:
        """Return a value moved by a positive amount towards what the protection is against."""
        return value + by if self.above else value - by


def _discover() -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        kind: Kind = importlib.import_module(f"{__name__}.{module.name}").KIND
        if kind.name != module.name:
            raise ImportError(f"bench/kinds/{module.name}.py declares kind {kind.name!r}; name the file like the kind")
        found[kind.name] = kind
    return found


KINDS: dict[str, Kind] = _discover()
