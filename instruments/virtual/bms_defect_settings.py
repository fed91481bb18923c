"""Defects of what a BMS does with a setting that is written to it."""

from __future__ import annotations

from bench.profile import Profile
from instruments.virtual.defects import Defect


def _has_settings(profile: Profile) -> str | None:
    return None if profile.settings else "it declares no setting that may be written"


SETTING_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "setting_ignores_write",
        "A setting that is written is accepted, and kept as it was.",
        (),
        ("settings",),
        "the setting reads as before the write",
        applies_to=_has_settings,
        keep=lambda was, written: was,
    ),
    Defect(
        "setting_written_wrong",
        "A setting that is written is kept one step too high.",
        (),
        ("settings",),
        "the setting reads one step beside what was written",
        applies_to=_has_settings,
        keep=lambda was, written: written + 1,
    ),
    Defect(
        "setting_lost_on_power_cycle",
        "Settings are kept as long as the BMS is powered; then it has those of its factory again.",
        (),
        ("settings",),
        "after a power cycle the setting reads as before the write",
        applies_to=_has_settings,
        forgets_settings=True,
    ),
)
