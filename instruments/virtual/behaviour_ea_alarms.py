"""Protections and supervision of the virtual EA family: thresholds, actions, latched alarms, counters.

Source: EA programming guide (ModBus & SCPI), status registers and register 505; over-voltage acts at once, the
over-current and over-power protections after two consecutive looks 10 ms apart, so that the discharge of an
output capacitor does not count.

Not simulated: over-temperature, power fail and safety OVP; their counters stay at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

ACTIONS = ("NONE", "SIGN", "WARN", "ALAR")
EVENTS = ("uvd", "ovd", "ucd", "ocd", "opd", "sink_ucd", "sink_ocd", "sink_opd")


@dataclass(slots=True)
class Supervision:
    """One supervision event: its threshold, a magnitude, and an index into `ACTIONS`."""

    threshold: float
    action: int = 0


class Alarms:
    """What is watched and what has tripped."""

    def __init__(self, protections: dict[str, float], supervision: dict[str, Supervision]) -> None:
        self.protections = protections
        self.supervision = supervision
        self.latched: set[str] = set()
        self.signals: set[str] = set()  # conditions reported only while they last
        self.counters: dict[str, int] = {}
        self.cause_is_sink = False
        self._seen_once: str | None = None

    def trip(self, alarm: str, *, sink: bool) -> None:
        """Latch an alarm and count it."""
        self.latched.add(alarm)
        self.cause_is_sink = sink
        counter = f"sink_{alarm}" if sink and alarm != "ovp" else alarm
        self.counters[counter] = self.counters.get(counter, 0) + 1

    def acknowledge(self, voltage_v: float) -> None:
        """Forget alarms whose cause is gone: with DC off only an over-voltage can persist."""
        if voltage_v > self.protections["voltage"]:
            self.latched &= {"ovp"}
        else:
            self.latched.clear()

    def look(self, voltage_v: float, current_a: float) -> tuple[str, bool] | None:
        """Judge one acquisition while DC is on; return what trips and whether the sink caused it.

        `current_a` is positive out of the terminals (source) and negative into them (sink).
        """
        limits = self.protections
        if voltage_v > limits["voltage"]:
            return "ovp", current_a < 0
        sink = current_a < 0 and "sink_current" in limits
        prefix = "sink_" if sink else ""
        magnitude_a = abs(current_a)
        seen = None
        if magnitude_a >= limits[f"{prefix}current"]:
            seen = "ocp"
        elif magnitude_a * voltage_v >= limits[f"{prefix}power"]:
            seen = "opp"
        before, self._seen_once = self._seen_once, seen
        if seen is not None and before == seen:
            return seen, sink
        return self._supervise(voltage_v, magnitude_a, sink) if self.supervised else None

    @property
    def supervised(self) -> bool:
        """Whether any supervision event has an action."""
        return any(event.action for event in self.supervision.values())

    def forget_first_look(self) -> None:
        """DC was switched on: the next look is a first one."""
        self._seen_once = None
        self.signals.clear()

    def _supervise(self, voltage_v: float, magnitude_a: float, sink: bool) -> tuple[str, bool] | None:
        self.signals.clear()
        values = {"v": voltage_v, "c": magnitude_a, "p": magnitude_a * voltage_v}
        for name, event in self.supervision.items():
            if not event.action:
                continue
            kind = name.removeprefix("sink_")
            if kind[1] != "v" and name.startswith("sink_") is not sink and "sink_ocd" in self.supervision:
                continue  # the other quadrant's event
            value = values[kind[1]]
            beyond = value < event.threshold if kind[0] == "u" else value > event.threshold
            if beyond and ACTIONS[event.action] == "ALAR":
                return kind, sink
            if beyond:
                self.signals.add(kind)
        return None
