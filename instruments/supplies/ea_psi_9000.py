"""EA Elektro-Automatik PSI 9000: laboratory supplies, one quadrant, SCPI on TCP 5025.

Source of facts: EA programming guide "ModBus & SCPI", SCPI commands of PS/PSI 9000. Never seen on hardware.
"""

from __future__ import annotations

from bench.quantities import Range
from bench.roles import Ratings
from instruments.ea_lines import PROTECTION_LIMIT, ratings
from instruments.ea_scpi import EaScpi


class EaPsi9000(EaScpi):
    """EA PSI 9000 supplies. They only source, so their current reading is already the pack's sign."""

    role = "supply"
    family = "EA PSI 9000"
    models = (r"PSI 9\d{3}-\d+\b.*",)
    switch = "OUTP"

    def get_ratings(self) -> Ratings:
        """Return the nominal values read from `SYST:NOM` when it was opened."""
        return ratings(self.nominal_v, self.nominal_w, source_a=self.nominal_a, sink_a=None)

    def take_control(self) -> None:
        """Take remote control, and let the power limit be the rating: voltage and current shall decide."""
        super().take_control()
        self._set("POW", self.nominal_w, "W", self.nominal_w, Range(0.0, self.nominal_w, "W"))

    def set_voltage(self, voltage_v: float) -> None:
        """Set the output voltage, in volts, and read it back."""
        self._set("VOLT", voltage_v, "V", self.nominal_v, Range(0.0, self.nominal_v, "V"))

    def get_voltage(self) -> float:
        """Read the voltage setting back, in volts."""
        return self.link.query_float("VOLT?", "V")

    def set_current_limit(self, current_a: float) -> None:
        """Set the current limit, in amperes, and read it back."""
        self._set("CURR", current_a, "A", self.nominal_a, Range(0.0, self.nominal_a, "A"))

    def get_current_limit(self) -> float:
        """Read the current limit back, in amperes."""
        return self.link.query_float("CURR?", "A")

    def measure_current(self) -> float:
        """Measure the current into the pack, in amperes."""
        return self.link.query_float("MEAS:CURR?", "A")

    def set_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage, in volts up to 110 % of the rating, and read it back."""
        allowed = Range(0.0, PROTECTION_LIMIT * self.nominal_v, "V")
        self._set("VOLT:PROT", voltage_v, "V", self.nominal_v, allowed)

    def get_overvoltage_protection(self) -> float:
        """Read the trip voltage back, in volts."""
        return self.link.query_float("VOLT:PROT?", "V")

    def set_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current, in amperes up to 110 % of the rating, and read it back."""
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
