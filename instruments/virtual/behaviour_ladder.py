"""Resistors that the relays of a board switch into the places of temperature sensors.

Source: the board's relays as in `behaviour_relays`: contacts follow their coils 10 to 20 ms later, each in its own
time, so that between two settings the BMS sees what the contacts make of it.

Each ladder is wired in one of two ways. `parallel`: a closed relay lays its resistor across the terminals; with none
closed and no base resistor the sensor is open. `series`: every resistor is bridged by a contact that opens when the
relay pulls in, so that a closed relay adds its resistor to the base. Two relays more may interrupt and short it.

Not simulated: contact bounce and resistance, the resistors' tolerance and their own temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

from bench.simulated_clock import SimulatedClock
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.behaviour_relays import RelayBoard
from instruments.virtual.noise import uniform
from instruments.virtual.sensors import Sensors


@dataclass(frozen=True, slots=True)
class Ladder:
    """The resistors of one sensor and the relays (from 1) they hang on."""

    sensor: int
    relays: tuple[int, ...]
    ohm: tuple[float, ...]
    base_ohm: float | None = None
    wiring: Literal["series", "parallel"] = "parallel"
    open_relay: int | None = None
    short_relay: int | None = None

    def used(self) -> tuple[int, ...]:
        """The relays that belong to it."""
        return (*self.relays, *(relay for relay in (self.open_relay, self.short_relay) if relay is not None))

    def resistance_ohm(self, pulled: Mapping[int, bool]) -> float:
        """Return what lies at the sensor's terminals, in ohms, with these relays pulled in."""
        if self.open_relay is not None and pulled[self.open_relay]:
            return inf
        if self.short_relay is not None and pulled[self.short_relay]:
            return 0.0
        chosen = [ohm for relay, ohm in zip(self.relays, self.ohm, strict=True) if pulled[relay]]
        if self.wiring == "series":
            return (self.base_ohm or 0.0) + sum(chosen)
        siemens = sum(1.0 / ohm for ohm in chosen) + (1.0 / self.base_ohm if self.base_ohm else 0.0)
        return 1.0 / siemens if siemens else inf


class LadderBoard(RelayBoard):
    """Relay boards all of whose contacts matter."""

    own_faults = frozenset({"stuck_output", "exception_7", "crc_error"})

    def __init__(
        self,
        name: str,
        serial: str,
        ladders: Mapping[str, Ladder],
        sensors: Sensors,
        relays: int,
        clock: SimulatedClock,
        seed: int,
    ) -> None:
        self.ladders = dict(ladders)
        self._sensors = sensors
        self.contacts = [False] * relays
        self._moves_ns = [0] * relays
        super().__init__(name, serial, 1, False, lambda closed: None, clock, seed, relays)

    def resistance_ohm(self, name: str) -> float:
        """Return what really lies at the terminals of a sensor now, in ohms."""
        return self.ladders[name].resistance_ohm({k + 1: pulled for k, pulled in enumerate(self.contacts)})

    def fault_changed(self, before: ActiveFault) -> None:
        """Contacts that are free again go where their coils want them."""
        if before.name == "stuck_output":
            self._follow()

    def _set(self, relay: int, on: bool) -> None:
        self.coils[relay] = on
        now_ns = self.clock.now_ns()
        delay_ns = round(15e6 + 5e6 * uniform(self.seed, self.name, f"armature {relay}", now_ns))
        self._moves_ns[relay] = max(self._moves_ns[relay], now_ns + delay_ns)

        def move() -> None:
            if self.fault.name != "stuck_output":
                self.contacts[relay] = self.coils[relay]
                self._show()

        self.at_ns(self._moves_ns[relay], move)

    def _follow(self) -> None:
        """Every contact where its coil says."""
        self.contacts = list(self.coils)
        self._moves_ns = [self.clock.now_ns()] * len(self.coils)
        self._show()

    def _show(self) -> None:
        for name, ladder in self.ladders.items():
            self._sensors.place(ladder.sensor, self.resistance_ohm(name))
