"""Waveshare Modbus RTU Relay, 8 channels: RS485 9600 8N1, or the same frames through a TCP bridge.

Source of facts: the maker's protocol page (boards from September 2021; older ones are not Modbus-conformant).
Never seen on hardware. The board has no register that says who it is, no watchdog, and keeps its state when
the bench disappears: a disconnect that must open by itself needs another board.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import InstrumentError
from bench.roles import Identity, Record
from instruments.driver import check_options, option
from instruments.modbus_board import channel_of, closed_when_on, greet, rtu_link
from instruments.transports.modbus import ModbusTransport

_CHANNELS = 8
_SPACING_S = 0.005  # 3.5 characters at 9600 baud are 4 ms
_ARMATURE_S = 0.02  # electro-mechanical relays need 10 to 20 ms, and bounce


class WaveshareModbusRelay:
    """One relay of the board as a switch. Switch it without current: its contacts are not made for more."""

    role: ClassVar[str] = "switch"
    family: ClassVar[str] = "Waveshare Modbus RTU Relay (8 channels)"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "modbus_rtu"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {"channel": 1}  # with which the contract tests open it

    def __init__(self, name: str, link: ModbusTransport, channel: int, closed_when_on: bool, serial: str) -> None:
        self.name = name
        self.link = link
        self._coil = channel - 1
        self._closed_when_on = closed_when_on
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

        Options: `channel` (1 to 8, as printed on the board; mandatory), `contact` (`normally_open` or
        `normally_closed`: which one is wired), `device_id` (1), `serial` (what the definition calls this board).
        """
        check_options(name, options, ("channel", "contact", "device_id", "serial"))
        channel = channel_of(name, options, _CHANNELS, "a relay")
        closes_when_on = closed_when_on(name, options)
        link = rtu_link(
            name, address, clock=clock, record=record, options=options, timeout_s=timeout_s, spacing_s=_SPACING_S
        )
        relay = cls(name, link, channel, closes_when_on, option(name, options, "serial", ""))
        greet(link, relay.is_closed)
        return relay

    def identify(self) -> Identity:
        """See that it answers. Its serial number is the definition's: the board knows none."""
        self.is_closed()
        return Identity("Waveshare", "Modbus RTU Relay", self._serial, "")

    def close(self) -> None:
        """End the conversation; the relay stays as it is."""
        self.link.close()

    def close_contact(self) -> None:
        """Close the contact and ask whether it closed."""
        self._move(closed=True)

    def open_contact(self) -> None:
        """Open the contact and ask whether it opened."""
        self._move(closed=False)

    def is_closed(self) -> bool:
        """Ask whether the contact is closed, as far as the board knows: it reads its coil, not the contact."""
        return self.link.read_coils(0, _CHANNELS)[self._coil] == self._closed_when_on

    def _move(self, *, closed: bool) -> None:
        with self.link.operation(urgent=not closed):
            self.link.write_coil(self._coil, closed == self._closed_when_on)
            if self.is_closed() != closed:
                raise InstrumentError(
                    f"{self.link.where}: relay {self._coil + 1} did not {'close' if closed else 'open'} when told"
                )
        if not self.link.clock.in_callback:
            self.link.clock.sleep(_ARMATURE_S)
