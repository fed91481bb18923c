"""A ladder of resistors in the place of each temperature sensor, on the relays of Waveshare Modbus RTU Relay boards.

RS485 9600 8N1, or the same frames through a TCP bridge. Source of facts: the maker's protocol page of the board (from
September 2021; older ones are not Modbus-conformant). Never seen on hardware. The board cannot say who it is, has no
watchdog and keeps its state when the bench disappears. Resistances are those of the definition: contacts (about
0.1 ohm), wires and what the BMS itself loads are not in them.

    [instruments.ntc.options]
    wiring = "parallel"
    tolerance_pct = 2.0
    sensors.cell_1 = { channels = [1, 2, 3, 4], ohm = [4700.0, 10000.0, 22000.0, 47000.0], base_ohm = 100000.0 }

A relay that is on puts its resistor in, in both wirings:

- `parallel`: its normally open contact connects the resistor across the sensor's terminals, where `base_ohm`, if
  there is one, always is. All off: the base, or an open sensor.
- `series`: its normally closed contact bridges the resistor, in a chain with `base_ohm` (mandatory; 0 for none). All
  off: the base, so a board without supply reads as hot as an NTC can.

Relays are counted through the boards of option `device_ids`, eight each: relay 9 is the second board's first.
`open_channel` is a relay whose normally closed contact lies in the sensor's wire, `short_channel` one whose normally
open contact lies across its terminals; both are optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import InstrumentError, OutOfRange
from bench.quantities import finite
from bench.roles import Identity, Record
from instruments.driver import check_options, option
from instruments.relay_boards import ARMATURE_S, RelayBoards, device_ids_of, open_boards
from instruments.resistor_networks import Network, networks_of


class ResistorLadder:
    """Sensors made of resistors. On the way from one resistance to another none is below both: never towards a short,
    which an NTC's reader takes for heat."""

    role: ClassVar[str] = "sensor_emulator"
    family: ClassVar[str] = "resistor ladder on a Waveshare Modbus RTU Relay (8 channels)"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "modbus_rtu"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {  # with which the contract tests open it
        "wiring": "parallel",
        "tolerance_pct": 10.0,
        "sensors": {
            "cell_1": {"channels": [1, 2, 3, 4], "ohm": [4700.0, 10000.0, 22000.0, 47000.0]},
            "cell_16": {"channels": [5, 6], "ohm": [10000.0, 33000.0], "open_channel": 7, "short_channel": 8},
        },
    }

    def __init__(
        self, name: str, boards: RelayBoards, networks: Mapping[str, Network], tolerance_pct: float, serial: str
    ) -> None:
        self.name = name
        self.link, self._boards = boards.link, boards
        self._networks = networks
        self._tolerance_pct = tolerance_pct
        self._serial = serial

    @classmethod
    def open(
        cls,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float = 2.0,
        options: Mapping[str, object] = {},
    ) -> Self:
        """Connect and see that the board answers; nothing is changed.

        Options: `wiring` (`parallel` or `series`), `sensors` (see above), `tolerance_pct` (how far the nearest
        resistance may be from what is asked for; all three mandatory), `device_id` (1) or, of several boards on one
        line, `device_ids`, `serial` (what the definition calls this board).

        Raises:
            DefinitionError: an option is wrong. ConnectionLost: nothing listens there.
        """
        check_options(name, options, ("wiring", "sensors", "tolerance_pct", "device_id", "device_ids", "serial"))
        device_ids = device_ids_of(name, options)
        networks, tolerance_pct = networks_of(name, options, 8 * len(device_ids))
        serial = option(name, options, "serial", "")
        boards = open_boards(name, address, device_ids, clock=clock, record=record, timeout_s=timeout_s)
        return cls(name, boards, networks, tolerance_pct, serial)

    def identify(self) -> Identity:
        """See that it answers. Its serial number is the definition's: the board knows none."""
        self._boards.read()
        return Identity("Waveshare", "Modbus RTU Relay", self._serial, "")

    def close(self) -> None:
        """End the conversation; the relays stay as they are."""
        self.link.close()

    def sensors(self) -> tuple[str, ...]:
        """Return the names of its channels."""
        return tuple(self._networks)

    def get_resistances(self) -> dict[str, float]:
        """Ask what stands in the place of every sensor now, in ohm: infinite where it is open, 0 where shorted."""
        states = self._boards.read()
        return {sensor: network.now_ohm(_on(states, network)) for sensor, network in self._networks.items()}

    def set_resistance(self, sensor: str, ohm: float) -> float:
        """Set the nearest resistance that it can, ask whether that happened, and return what it is, in ohm.

        Raises:
            OutOfRange: none within `tolerance_pct`, or no such sensor; nothing was changed.
            InstrumentError: a relay did not move as told; the sensor may read colder than both.
        """
        network = self._network(sensor)
        if finite(ohm, f"{self.name}, {sensor}") <= 0.0:
            raise OutOfRange(f"{self.name}, {sensor}: {ohm:g} ohm is no resistance; open_sensor or short_sensor?")
        on, reached_ohm = network.nearest(ohm)
        off_pct = 100.0 * abs(reached_ohm - ohm) / ohm
        if not off_pct <= self._tolerance_pct:
            raise OutOfRange(
                f"{self.name}, {sensor}: the nearest to {ohm:g} ohm is {reached_ohm:g} ohm, {off_pct:.2g} % away, but "
                f"tolerance_pct is {self._tolerance_pct:g}; it can do {network.span()}"
            )
        self._switch(network, on, sensor)
        return reached_ohm

    def open_sensor(self, sensor: str) -> None:
        """Interrupt a sensor, as a broken wire does: by its `open_channel`, or all relays of a ladder without a base.

        Raises:
            OutOfRange: it has neither.
        """
        network = self._network(sensor)
        on = network.opened()
        if on is None:
            raise OutOfRange(f"{self.name}, {sensor}: cannot be opened; its ladder has a base and no 'open_channel'")
        self._switch(network, on, sensor)

    def short_sensor(self, sensor: str) -> None:
        """Short a sensor by its `short_channel`.

        Raises:
            OutOfRange: it has none.
        """
        network = self._network(sensor)
        if network.short_channel is None:
            raise OutOfRange(f"{self.name}, {sensor}: cannot be shorted; its ladder has no 'short_channel'")
        self._switch(network, frozenset({network.short_channel}), sensor)

    def _network(self, sensor: str) -> Network:
        if sensor not in self._networks:
            raise OutOfRange(f"{self.name}: there is no sensor {sensor!r}, but {', '.join(self._networks)}")
        return self._networks[sensor]

    def _switch(self, network: Network, on: frozenset[int], sensor: str) -> None:
        """Move what raises the resistance, wait for the armatures, then what lowers it; ask what came of it."""
        clock = self.link.clock
        if clock.in_callback:
            raise InstrumentError(f"{self.name}, {sensor}: not inside a callback, where relays cannot be waited for")
        with self.link.operation():
            now_on = self._read(network)
            for moves in network.moves(now_on, on):
                for channel in moves:
                    self._boards.write(channel, channel in on)
                if moves:
                    clock.sleep(ARMATURE_S)
            found = self._read(network)
        if found != on:
            stuck = ", ".join(map(str, sorted(found ^ on)))
            raise InstrumentError(f"{self.link.where}: sensor {sensor}, relay {stuck} did not move when told")

    def _read(self, network: Network) -> frozenset[int]:
        return _on(self._boards.read(network.channels()), network)


def _on(states: Mapping[int, bool], network: Network) -> frozenset[int]:
    return frozenset(channel for channel in network.channels() if states[channel])
