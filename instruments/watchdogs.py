"""Watchdogs of instruments around an open bench: what a dead run left armed, armed before power, disarmed when safe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.guard import WATCH_S
from bench.roles import HasWatchdog
from bench.stand import Stand
from bench.way_out import run_stage

WATCHES = 3  # a watchdog waits at least for so many samples of the guard
SHORTEST_S = 1  # whole seconds, as all families known here take them


def period_s(stall_s: float) -> float:
    """Return the period for a bench that may stall so long: whole seconds, never less than three watches."""
    return float(max(SHORTEST_S, math.ceil(WATCHES * WATCH_S), math.ceil(stall_s)))


def end_watchdog(stand: Stand, role: str, driver: Any) -> None:
    """Disarm what a run that died has left armed: it would switch off in the middle of the preparation."""
    if isinstance(driver, HasWatchdog) and driver.is_watchdog_armed():
        stand.note(f"{role}: its watchdog was armed already, left by a run that died; disarmed")
        driver.disarm_watchdog()


def arm_watchdogs(stand: Stand, drivers: Mapping[str, Any]) -> None:
    """Arm every watchdog that there is, and name what has none."""
    wait_s = period_s(stand.definition.safety.stall_s)
    for role, driver in drivers.items():
        contact = role == "disconnect"
        if isinstance(driver, HasWatchdog):
            driver.arm_watchdog(wait_s)
            what = "contact open" if contact else "output off"
            stand.note(f"watchdog {role}: {what} after {wait_s:g} s of silence, read back")
        elif contact:
            stand.note("watchdog disconnect: it has none; its contact stays as it is if nobody opens it")
        else:
            stand.note(f"watchdog {role}: it has none; its output stays on if this program and its guardian both die")


def disarm_watchdogs(stand: Stand, drivers: Mapping[str, Any]) -> None:
    """Disarm them on a bench that was left safely; one that refuses is named, its output is off all the same."""
    steps = [(role, partial(_disarm, driver)) for role, driver in drivers.items() if isinstance(driver, HasWatchdog)]
    for result in run_stage(stand.clock, "watchdogs", steps):
        if not result.done:
            stand.note(f"watchdog {result.step}: not disarmed: {result.text}")


def _disarm(driver: HasWatchdog) -> None:
    if driver.is_watchdog_armed():
        driver.disarm_watchdog()
