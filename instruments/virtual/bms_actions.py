"""What must be done before a protection lets go, as the BMS notices it at its terminals.

- load removal: a small current of the BMS's own finds nothing on the bench's side that draws. Everything attached is
  asked at the pack's voltage; bleeders and stray resistances of some ten kiloohms count as nothing.
- charger connection: the bench's side stands above the cells.
- reset: the clear request, where the operation has one, or the supply taken away; power cycle: only the latter.

Not simulated: the test current itself, how long it takes to charge the terminals.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.protection import Release
from instruments.virtual.circuit import Circuit

_DRAWS_A = 0.02  # more than this at the pack's voltage is a load
_ABOVE_V = 0.3


def make_acted(release: Release, circuit: Circuit) -> Callable[[], bool]:
    """Return what says whether the action of a release is done now."""
    if release.action == "load_removal":
        return lambda: load_removed(circuit)
    if release.action == "charger_connection":
        return lambda: charger_connected(circuit)
    return lambda: False


def load_removed(circuit: Circuit) -> bool:
    """Whether nothing on the bench's side draws a current."""
    if not circuit.disconnect.conducts:
        return True
    pack_v = abs(circuit.pack_side_v())
    drawn_a = 0.0
    for step in circuit.bus.source_steps():
        pushed_a, siemens = step.side(pack_v, up=False)
        drawn_a += max(0.0, siemens * pack_v - pushed_a)
    return drawn_a < _DRAWS_A


def charger_connected(circuit: Circuit) -> bool:
    """Whether the bench's side stands above the cells, as it does only with a source on it."""
    return circuit.bench_side_v() > abs(circuit.pack_side_v()) + _ABOVE_V
