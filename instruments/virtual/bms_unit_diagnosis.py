"""One diagnosis as a unit really has it: when it is called a fault, and when it lets go again."""

from __future__ import annotations

from dataclasses import dataclass

from bench.diagnosis import Diagnosis
from bench.profile import Profile
from instruments.virtual.bms_unit_protection import SLOW_PERIOD_S, finest, inside


@dataclass(frozen=True, slots=True)
class UnitDiagnosis:
    """One diagnosis of one unit. What stands after `opens` is healthy by default and there for defects to change."""

    row: Diagnosis
    period_s: float
    delay_s: float  # mean, from the fault to the flag
    switch_s: float  # from the flag to the open switch
    release_s: float  # how long the fault must be gone
    opens: tuple[str, ...]
    dead: bool = False
    flags: bool = True
    flag_as: str | None = None  # the signal that rises instead of the row's own
    releases: bool = True
    latches: bool = True  # False: lets go by itself where a command or an action is promised
    clears_anyway: bool = False  # the clear request releases it although the fault persists

    @property
    def flag(self) -> str | None:
        """The signal that tells of it."""
        return self.flag_as if self.flag_as is not None and self.row.flag is not None else self.row.flag


def draw_diagnosis(profile: Profile, row: Diagnosis, seed: int) -> UnitDiagnosis:
    """Draw one diagnosis of a healthy unit: flag and switches lie in the middle half of the window."""
    window, promised = row.within_s, row.release.window_s
    opens = row.opens if row.level == "protection" else ()
    period_s = min(SLOW_PERIOD_S, finest(window, SLOW_PERIOD_S))
    if promised is not None:
        period_s = min(period_s, finest(promised, SLOW_PERIOD_S))
    switch_s = min(profile.behaviour.switch_s, 0.25 * (window.max - window.min)) if opens else 0.0
    delay_s = inside(window, seed, f"{row.name}.delay", period_s + 0.5 * switch_s)
    release_s = row.release.after_s
    if promised is not None and row.release.kind != "command":
        wanted_s = inside(promised, seed, f"{row.name}.release", period_s)
        release_s = max(0, round(wanted_s / period_s - 0.5)) * period_s
    return UnitDiagnosis(
        row=row,
        period_s=period_s,
        delay_s=max(0.5 * period_s, delay_s - 0.5 * switch_s),
        switch_s=switch_s,
        release_s=release_s,
        opens=opens,
    )
