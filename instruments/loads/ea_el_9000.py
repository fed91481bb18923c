"""EA Elektro-Automatik EL 9000: electronic loads, SCPI on TCP 5025.

Source of facts: EA programming guide "ModBus & SCPI", SCPI commands of EL 9000. Never seen on hardware.
"""

from __future__ import annotations

from bench.quantities import Range
from bench.roles import Ratings
from instruments.ea_lines import PROTECTION_LIMIT, ratings
from instruments.ea_scpi import EaScpi


class EaEl9000(EaScpi):
    """EA EL 9000 loads. They count the current they sink as positive: here it becomes negative, once."""

    role = "load"
    family = "EA EL 9000"
    models = (r"EL 9\d{3}-\d+\b.*",)
    switch = "INP"

    def get_ratings(self) -> Ratings:
        """Return the nominal values read from `SYST:NOM` when it was opened."""
        return ratings(self.nominal_v, self.nominal_w, source_a=None, sink_a=self.nominal_a)

    def take_control(self) -> None:
        """Take remote control and let the current decide: voltage setting 0, power limit at its rating.

        A load regulates to whichever of its settings is reached first; with a voltage setting above the
        pack's voltage it would sink nothing.
        """
        super().take_control()
        self._set("VOLT", 0.0, "V", self.nominal_v, Range(0.0, self.nominal_v, "V"))
        self._set("POW", self.nominal_w, "W", self.nominal_w, Range(0.0, self.nominal_w, "W"))

    def set_current(self, current_a: float) -> None:
        """Set the current to sink, a magnitude in amperes, and read it back."""
        self._set("CURR", current_a, "A", self.nominal_a, Range(0.0, self.nominal_a, "A"))

    def get_current(self) -> float:
        """Read the sink current setting back, in amperes."""
        return self.link.query_float("CURR?", "A")

    def measure_current(self) -> float:
        """Measure the current into the pack, in amperes: zero or negative, since a load only sinks."""
        return 0.0 - self.link.query_float("MEAS:CURR?", "A")

    def set_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current, a magnitude in amperes up to 110 % of the rating, and read it back."""
        allowed = Range(0.0, PROTECTION_LIMIT * self.nominal_a, "A")
        self._set("CURR:PROT", current_a, "A", self.nominal_a, allowed)

    def get_overcurrent_protection(self) -> float:
        """Read the trip current back, in amperes."""
        return self.link.query_float("CURR:PROT?", "A")

    def set_overpower_protection(self, power_w: float) -> None:
        """Set the trip power, in watts up to 110 % of the rating, and read it back."""
        allowed = Range(0.0, PROTECTION_LIMIT * self.nominal_w, "W")
        self._set("POW:PROT", power_w, "W", self.nominal_w, allowed)

    def get_overpower_protection(self) -> float:
        """Read the trip power back, in watts."""
        return self.link.query_float("POW:PROT?", "W")
