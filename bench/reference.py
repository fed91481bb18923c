"""The reference: current and voltage from instruments that do not share the BMS's opinion."""

from __future__ import annotations

from bench.definition import Definition
from bench.errors import DefinitionError, InstrumentError
from bench.roles import VoltageMeter
from bench.uncertainty import Accuracy, Budget


class Reference:
    """The bench's shunt with its meter, and the meter on the pack side of the BMS's switch."""

    def __init__(self, definition: Definition, shunt_meter: VoltageMeter, pack_meter: VoltageMeter) -> None:
        self.shunt = definition.topology.reference_shunt
        self._shunt_meter = shunt_meter
        self._pack_meter = pack_meter
        self._meter_accuracy = _accuracy(definition, "reference_meter")
        self._pack_accuracy = _accuracy(definition, "pack_meter")
        self.name = definition.roles["reference_meter"]
        self._measuring = definition.instruments[self.name].measuring
        self.pack_name = definition.roles["pack_meter"]

    @property
    def off_limit_a(self) -> float:
        """Below this magnitude the current counts as off: 0.1 % of the reference's range."""
        return 0.001 * self.shunt.range_a

    def current(self) -> float:
        """Measure the current into the pack, in amperes."""
        return self.shunt.sign * self._shunt_meter.measure_voltage() / self.shunt.ohm

    def set_up_current(self) -> None:
        """Give the meter at the shunt its declared range and integration again: it may have restarted.

        Only for the way out, where one honest reading counts; a test whose meter restarted is over.

        Raises:
            InstrumentError: it does not answer, or does not accept them.
        """
        if self._measuring is not None:
            self._shunt_meter.set_range(self._measuring.range_v)
            self._shunt_meter.set_integration(self._measuring.power_line_cycles)

    def current_uncertainty(self, current_a: float) -> float:
        """Return the expanded uncertainty of one reference reading at this current, in amperes."""
        return self.current_budget(current_a).expanded

    def current_budget(self, current_a: float) -> Budget:
        """Return the uncertainty budget of one reference reading at this current, in amperes."""
        return self.shunt.budget(current_a, self._meter_accuracy)

    def pack_voltage(self) -> float:
        """Measure the voltage on the pack's side of the BMS's switch, in volts."""
        return self._pack_meter.measure_voltage()

    def voltage_uncertainty(self, voltage_v: float) -> float:
        """Return the expanded uncertainty of a pack voltage reading, in volts."""
        return Budget("V", self._pack_accuracy.contributions(voltage_v, "pack meter")).expanded

    def check_zero(self, readings: list[float]) -> float:
        """Judge reference readings taken with the loop open; return their mean, in amperes.

        Raises:
            InstrumentError: the zero lies outside the meter's own specification.
        """
        mean = sum(readings) / len(readings)
        limit = 2.0 * self.current_uncertainty(0.0)
        if abs(mean) > limit:
            raise InstrumentError(
                f"{self.name}: reads {mean:+.4f} A with the loop open, beyond ± {limit:.4f} A; "
                "short the shunt's sense leads and null the meter, or look for a thermo-electric voltage"
            )
        return mean


def _accuracy(definition: Definition, role: str) -> Accuracy:
    name = definition.roles[role]
    accuracy = definition.instruments[name].accuracy.get("voltage")
    if accuracy is None:
        raise DefinitionError(
            f"{definition.source.name}, instruments.{name}.accuracy.voltage: is missing; without it a reference "
            "has no uncertainty"
        )
    return accuracy
