"""Which operation a virtual BMS runs, by what its profile says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.operation import AlwaysOn
from bench.profile import Profile
from instruments.virtual.bms_always_on import AlwaysOnOperation
from instruments.virtual.bms_operation import StateRequestOperation
from instruments.virtual.bms_precharge import PrechargeControl

if TYPE_CHECKING:
    from instruments.virtual.bms import VirtualBms


def state_signal_of(profile: Profile) -> str:
    """Return the name of the signal that tells the state."""
    return "state" if isinstance(profile.operation, AlwaysOn) else profile.operation.state


def make_operation(bms: VirtualBms) -> AlwaysOnOperation | StateRequestOperation:
    """Return the operation of a unit, not yet begun."""
    profile, operation = bms.profile, bms.profile.operation
    state = profile.signals.get(bms.state_signal)
    words = state.values if state is not None else {}
    if isinstance(operation, AlwaysOn):
        return AlwaysOnOperation(bms, operation, words)
    declared = operation.precharge
    return StateRequestOperation(
        bms,
        operation,
        words,
        precharge=None if declared is None else PrechargeControl(bms, declared),
        watches_silence=all(row.kind != "link_lost" for row in profile.diagnoses),
    )
