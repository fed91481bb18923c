"""Provoking by current: the bench's own source and sink; the reference shunt shows it."""

from __future__ import annotations

from bench import stimulus
from bench.definition import Definition
from bench.procedures import RIPPLE_A
from bench.profile import Profile
from bench.protection import Protection
from bench.reach import unreachable
from bench.stand import Stand
from bench.verdict import StimulusLevels, stimulus_levels


def refusal(definition: Definition, profile: Profile, protection: Protection, place: str) -> str | None:
    """Say that it is a matter of microseconds, or that the envelope does not reach that far."""
    del place
    if protection.about.fast:
        return f"{protection.name} acts within microseconds; a short circuit provokes it, not a supply"
    return next((text for text in unreachable(definition, profile) if text.startswith(f"{protection.name} ")), None)


class CurrentProvocation:
    """An over-current protection on a bench with a reference shunt."""

    def __init__(self, stand: Stand, protection: Protection) -> None:
        self._stand = stand
        self.protection = protection
        self.place = "pack"
        self.channel = "reference_current"

    def refusal(self) -> str | None:
        """Say why this bench cannot provoke it, None if it can."""
        return refusal(self._stand.definition, self._stand.profile, self.protection, self.place)

    def expanded(self, level_si: float) -> float:
        """Return the uncertainty of the reference current, in amperes."""
        return self._stand.reference.current_uncertainty(level_si)

    def levels(self) -> StimulusLevels:
        """Return the levels of `bench.verdict`, the stimulus' ripple included."""
        return stimulus_levels(self.protection, self.expanded(1.1 * self.protection.threshold_si), RIPPLE_A)

    def approach(self, level_si: float) -> None:
        """Nothing else has to move."""

    def step(self, level_si: float, *, towards_trip: bool = True) -> float:
        """Force the current, a magnitude in the protection's direction."""
        del towards_trip  # the instrument hits it within the ripple that the levels allow for
        return stimulus.force(self._stand, self.protection.about.direction.sign * level_si)

    def normal(self) -> float:
        """Bring the current to zero; the output stays on."""
        return stimulus.force(self._stand, 0.0)
