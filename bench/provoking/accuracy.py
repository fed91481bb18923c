"""How well this bench knows the voltage of a cell and the temperature at a sensor's pins, from its definition."""

from __future__ import annotations

from bench.definition import Definition
from bench.errors import DefinitionError
from bench.uncertainty import Accuracy, Budget


def cell_accuracy(definition: Definition) -> Accuracy:
    """Return the accuracy of whatever measures the cells: the emulator, otherwise the cell monitor.

    Raises:
        DefinitionError: it is not declared; without it a reference has no uncertainty.
    """
    role = "cell_emulator" if "cell_emulator" in definition.roles else "cell_monitor"
    name = definition.roles.get(role)
    if name is None:
        raise DefinitionError(f"{definition.source.name}, roles: nothing measures single cells on this bench")
    found = definition.instruments[name].accuracy.get("voltage")
    if found is None:
        raise DefinitionError(
            f"{definition.source.name}, instruments.{name}.accuracy.voltage: is missing; without it a reference has no "
            "uncertainty"
        )
    return found


def cell_budget(definition: Definition, cell_v: float) -> Budget:
    """Return the uncertainty budget of one cell voltage, in volts."""
    return Budget("V", cell_accuracy(definition).contributions(cell_v, "cell measurement"))


def resistance_accuracy(definition: Definition) -> Accuracy:
    """Return how well the resistances of the sensor emulator are known.

    Raises:
        DefinitionError: it is not declared; without it an emulated temperature has no uncertainty.
    """
    name = definition.roles["sensor_emulator"]
    found = definition.instruments[name].accuracy.get("resistance")
    if found is None:
        raise DefinitionError(
            f"{definition.source.name}, instruments.{name}.accuracy.resistance: is missing; without it an emulated "
            "temperature has no uncertainty"
        )
    return found


def sensor_budget(definition: Definition, ohm: float, kelvin_per_share: float) -> Budget:
    """Return the uncertainty budget of an emulated temperature, in kelvin.

    `kelvin_per_share` is the slope of the sensor's curve there: kelvin for each relative change of the resistance.
    """
    lines = resistance_accuracy(definition).contributions(ohm, "resistors", kelvin_per_share / ohm, unit="ohm")
    return Budget("K", lines)
