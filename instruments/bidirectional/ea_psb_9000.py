"""EA Elektro-Automatik PSB 9000: bidirectional supplies, ModBus TCP (port 502) or RTU frames on TCP 5025.

Source of facts: EA register list PSB 9000 (KE 2.31+). Never seen on hardware.
"""

from __future__ import annotations

from bench.quantities import Range
from bench.roles import Ratings
from instruments.ea_modbus import DC_ON, EaModbus
from instruments.ea_registers import PROTECTION_LIMIT

_SINK_W, _SINK_A, _VOLTAGE, _SOURCE_A, _SOURCE_W = 498, 499, 500, 501, 502
_OVP, _OCP, _OPP, _SINK_OCP, _SINK_OPP = 550, 553, 556, 569, 570


class EaPsb9000(EaModbus):
    """EA PSB 9000. It sources while the terminals are below its voltage setting, and sinks while above."""

    role = "bidirectional"
    family = "EA PSB 9000"
    models = (r"PSB 9\d{3}-\d+\b.*",)

    def get_ratings(self) -> Ratings:
        """Return the nominal values read when it was opened; both quadrants have the same current."""
        current_a = Range(0.0, self.nominal_a, "A")
        return Ratings(Range(0.0, self.nominal_v, "V"), current_a, current_a, self.nominal_w)

    def take_control(self) -> None:
        """Take remote control; power limits at their rating. With the output off, both quadrants start at 0 A."""
        super().take_control()
        with self.link.operation():
            if not self._state() & DC_ON:
                # A sink current left over would discharge the pack as soon as it is above the set voltage.
                self._set(_SINK_A, "sink current", 0.0, self.nominal_a, "A")
                self._set(_SOURCE_A, "source current", 0.0, self.nominal_a, "A")
            self._set(_SINK_W, "sink power", self.nominal_w, self.nominal_w, "W")
            self._set(_SOURCE_W, "source power", self.nominal_w, self.nominal_w, "W")

    def set_voltage(self, voltage_v: float) -> None:
        """Set the voltage, in volts, and read it back."""
        self._set(_VOLTAGE, "voltage", voltage_v, self.nominal_v, "V")

    def get_voltage(self) -> float:
        """Read the voltage setting back, in volts."""
        return self._get(_VOLTAGE, self.nominal_v)

    def set_source_current(self, current_a: float) -> None:
        """Set the limit of the charging current, a magnitude in amperes, and read it back."""
        self._set(_SOURCE_A, "source current", current_a, self.nominal_a, "A")

    def get_source_current(self) -> float:
        """Read the source current limit back, in amperes."""
        return self._get(_SOURCE_A, self.nominal_a)

    def set_sink_current(self, current_a: float) -> None:
        """Set the limit of the discharging current, a magnitude in amperes, and read it back."""
        self._set(_SINK_A, "sink current", current_a, self.nominal_a, "A")

    def get_sink_current(self) -> float:
        """Read the sink current limit back, in amperes."""
        return self._get(_SINK_A, self.nominal_a)

    def set_overvoltage_protection(self, voltage_v: float) -> None:
        """Set the trip voltage, in volts up to 110 % of the rating, and read it back."""
        self._set(_OVP, "over-voltage protection", voltage_v, self.nominal_v, "V", PROTECTION_LIMIT)

    def get_overvoltage_protection(self) -> float:
        """Read the trip voltage back, in volts."""
        return self._get(_OVP, self.nominal_v)

    def set_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current while sourcing, in amperes up to 110 % of the rating, and read it back."""
        self._set(_OCP, "over-current protection", current_a, self.nominal_a, "A", PROTECTION_LIMIT)

    def get_overcurrent_protection(self) -> float:
        """Read the trip current while sourcing back, in amperes."""
        return self._get(_OCP, self.nominal_a)

    def set_sink_overcurrent_protection(self, current_a: float) -> None:
        """Set the trip current while sinking, in amperes up to 110 % of the rating, and read it back."""
        self._set(_SINK_OCP, "sink over-current protection", current_a, self.nominal_a, "A", PROTECTION_LIMIT)

    def get_sink_overcurrent_protection(self) -> float:
        """Read the trip current while sinking back, in amperes."""
        return self._get(_SINK_OCP, self.nominal_a)

    def set_overpower_protection(self, power_w: float) -> None:
        """Set the trip power of both quadrants, in watts up to 110 % of the rating, and read both back."""
        self._set(_OPP, "over-power protection", power_w, self.nominal_w, "W", PROTECTION_LIMIT)
        self._set(_SINK_OPP, "sink over-power protection", power_w, self.nominal_w, "W", PROTECTION_LIMIT)

    def get_overpower_protection(self) -> float:
        """Read the trip power back, in watts: the larger one of the two quadrants."""
        return max(self._get(_OPP, self.nominal_w), self._get(_SINK_OPP, self.nominal_w))
