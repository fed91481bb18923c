"""What stands behind a first contact in real time: a guardian beside it, and the instruments' own watchdogs.

The watch of `driving.Hand` feeds both, after a fresh sample of the reference. A watchdog that is being tested rests.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from bench.roles import HasWatchdog
from instruments.first_contact import ContactSheet, Place
from instruments.watchdogs import period_s


def stand_guarded(place: Place, sheet: ContactSheet) -> None:
    """Judge whether what stands behind is there, before anything is connected; nothing in simulated time."""
    if place.guardian is not None:
        sheet.judge("guarded", lambda: _arm(place), essential=True)


def end_left_watchdog(part: Any) -> str:
    """Disarm what a run that died has left armed: it would switch off in the middle. Return what was found in words."""
    if not isinstance(part, HasWatchdog) or not part.is_watchdog_armed():
        return ""
    part.disarm_watchdog()
    return "; its watchdog was armed already, left by a run that died: disarmed"


@contextlib.contextmanager
def resting(place: Place, role: str) -> Iterator[None]:
    """Let one watchdog rest while it is tested; one that passes stands behind again, one that does not is no help."""
    part = place.fed.pop(role, None)
    if part is not None:
        part.disarm_watchdog()  # with EA a new period counts only after the old one
    yield
    if part is not None:
        part.arm_watchdog(period_s(place.definition.safety.stall_s))
        place.fed[role] = part


def feed(place: Place) -> None:
    """Say something to every instrument whose watchdog is armed.

    Raises:
        BenchError: one does not answer.
    """
    for role, part in list(place.fed.items()):
        if role == "disconnect":
            part.is_closed()
        else:
            part.is_output_on()


def disarm(place: Place) -> None:
    """Disarm them, on a bench that was left safely.

    Raises:
        BenchError: one refuses.
    """
    while place.fed:
        _, part = place.fed.popitem()
        if part.is_watchdog_armed():
            part.disarm_watchdog()


def _arm(place: Place) -> str:
    wait_s = period_s(place.definition.safety.stall_s)
    without = []
    switching: dict[str, Any] = dict(place.power)
    if place.disconnect is not None:
        switching["disconnect"] = place.disconnect
    for role, part in switching.items():
        if isinstance(part, HasWatchdog):
            part.arm_watchdog(wait_s)
            place.fed[role] = part
        else:
            without.append(role)
    armed = f"watchdogs of {', '.join(place.fed)} armed with {wait_s:g} s" if place.fed else "no watchdog is there"
    return f"a guardian stands beside; {armed}{'; none: ' + ', '.join(without) if without else ''}"
