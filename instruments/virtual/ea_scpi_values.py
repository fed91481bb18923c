"""Values in the SCPI dialect of the virtual EA family: numbers with units, settings, supervision events.

Source: EA programming guide, SCPI part.
"""

from __future__ import annotations

from collections.abc import Callable

from instruments.virtual.behaviour_ea import EaDevice
from instruments.virtual.behaviour_ea_alarms import ACTIONS
from instruments.virtual.behaviour_ea_remote import ETHERNET
from instruments.virtual.instrument_errors import Refused
from instruments.virtual.scpi_face import Handler, parse_number

UNITS = {
    "voltage": {"V": 1.0, "MV": 1e-3, "KV": 1e3},
    "current": {"A": 1.0, "MA": 1e-3},
    "power": {"W": 1.0, "KW": 1e3},
}
LETTER = {"voltage": "V", "current": "A", "power": "W"}
NODES = {
    "voltage": "[SOURce:]VOLTage",
    "current": "[SOURce:]CURRent",
    "power": "[SOURce:]POWer",
    "sink_current": "SINK:CURRent",
    "sink_power": "SINK:POWer",
}
EVENT_UNIT = {"v": "voltage", "c": "current", "p": "power"}
ACTION_WORDS = ("NONE", "SIGNAL", "WARNING", "ALARM")


class EaValues:
    """Reads and writes values with the units and digits of one unit."""

    def __init__(self, device: EaDevice) -> None:
        self.device = device
        model = device.model
        self._decimals = {
            "voltage": 2 if model.voltage_v < 100 else 1,
            "current": 2 if model.current_a < 100 else 1,
            "power": 0 if model.power_w >= 1000 else 1,
        }

    def show(self, value: float, quantity: str) -> str:
        """Write a value the way the family does: `43.50V`, `100.1A`, `2534W`."""
        text = f"{value:.{self._decimals[quantity]}f}"
        if float(text) == 0.0:
            text = text.removeprefix("-")
        return f"{text}{LETTER[quantity]}"

    def number(self, text: str, quantity: str, low: float, high: float) -> float:
        """Read a parameter in the units of a quantity, or MIN or MAX."""
        word = text.strip().upper()
        if not word:
            raise Refused(-102, 3)
        if "," in word:
            raise Refused(-108, 3)
        if word in ("MIN", "MINIMUM"):
            return low
        if word in ("MAX", "MAXIMUM"):
            return high
        return parse_number(word, UNITS.get(quantity, {}), syntax=-102, suffix=-102)

    def whole(self, text: str, low: int, high: int, *, zero: bool = False) -> float:
        """Read a whole number; with `zero`, 0 is allowed beside the range."""
        value = self.number(text, "", low, high)
        if not (low <= value <= high or (zero and value == 0)) or value != int(value):
            raise Refused(-222, 3)
        return value

    def setting(self, key: str) -> dict[str, Handler]:
        """Return the commands of one setting, its protection and its limits."""
        device, node = self.device, NODES[key]
        quantity = key.removeprefix("sink_")

        def set_value(text: str) -> None:
            low, high = device.limits[key]
            device.set_value(ETHERNET, key, self.number(text, quantity, low, high))

        def set_protection(text: str) -> None:
            over_pct = device.model.overvoltage_pct if key == "voltage" else 110.0
            high = device.nominal(key) * over_pct / 100.0
            device.set_protection(ETHERNET, key, self.number(text, quantity, 0.0, high))

        def limit(side: str) -> Callable[[str], None]:
            def set_limit(text: str) -> None:
                value = self.number(text, quantity, 0.0, 1.02 * device.nominal(key))
                low, high = (value, None) if side == "low" else (None, value)
                device.set_limit(ETHERNET, key, low=low, high=high)

            return set_limit

        commands: dict[str, Handler] = {
            node: set_value,
            f"{node}?": lambda _: self.show(device.settings[key], quantity),
            f"{node}:PROTection[:LEVel]": set_protection,
            f"{node}:PROTection[:LEVel]?": lambda _: self.show(device.alarms.protections[key], quantity),
            f"{node}:LIMit:HIGH": limit("high"),
            f"{node}:LIMit:HIGH?": lambda _: self.show(device.limits[key][1], quantity),
        }
        if quantity != "power":
            commands[f"{node}:LIMit:LOW"] = limit("low")
            commands[f"{node}:LIMit:LOW?"] = lambda _: self.show(device.limits[key][0], quantity)
        return commands

    def supervision(self, name: str) -> dict[str, Handler]:
        """Return the commands of one supervision event."""
        device = self.device
        quantity = EVENT_UNIT[name[-2]]
        node = "SYSTem:SINK:CONFigure:" if name.startswith("sink_") else "SYSTem:CONFigure:"
        node += name.removeprefix("sink_").upper()

        def threshold(text: str) -> None:
            device.require(ETHERNET)
            value = self.number(text, quantity, 0.0, 1.1 * device.nominal(quantity))
            if not 0.0 <= value <= 1.1 * device.nominal(quantity):
                raise Refused(-222, 3)
            device.alarms.supervision[name].threshold = value

        def action(text: str) -> None:
            device.require(ETHERNET)
            word = text.strip().upper()[:4]
            if word not in ACTIONS:
                raise Refused(-224, 3)
            device.alarms.supervision[name].action = ACTIONS.index(word)

        def show_action(_: str) -> str:
            return ACTION_WORDS[device.alarms.supervision[name].action]

        return {
            node: threshold,
            f"{node}?": lambda _: self.show(device.alarms.supervision[name].threshold, quantity),
            f"{node}:ACTion": action,
            f"{node}:ACTion?": show_action,
        }
