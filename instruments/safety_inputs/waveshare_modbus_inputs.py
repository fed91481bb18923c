"""Inputs of the Waveshare Modbus RTU Relay (D), 8 channels: RS485 9600 8N1, or the same frames through a TCP bridge.

Source of facts: the maker's protocol page (boards from September 2021; older ones are not Modbus-conformant): inputs
are function 02, addresses 0 to 7. Never seen on hardware. The board has no register that says who it is. Whether an
input reads on while its circuit is closed depends on how it is wired: to be tried at each one, by opening the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.errors import DefinitionError
from bench.roles import Identity, Record
from instruments.driver import check_options, option
from instruments.modbus_board import channel_of, greet, rtu_link
from instruments.transports.modbus import ModbusTransport

_CHANNELS = 8
_SPACING_S = 0.005  # 3.5 characters at 9600 baud are 4 ms


class WaveshareModbusInputs:
    """One input of the board as the end of an interlock loop or an emergency stop."""

    role: ClassVar[str] = "safety_input"
    family: ClassVar[str] = "Waveshare Modbus RTU Relay (D), inputs"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "modbus_rtu"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {"channel": 1}  # with which the contract tests open it

    def __init__(self, name: str, link: ModbusTransport, channel: int, closed_when_on: bool, serial: str) -> None:
        self.name = name
        self.link = link
        self._input = channel - 1
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

        Options: `channel` (1 to 8, as printed on the board; mandatory), `closed_reads` (`on` or `off`: what the input
        reads while the loop is closed; with `off` a cut wire may read as closed), `device_id` (1), `serial` (what the
        definition calls this board).

        Raises:
            DefinitionError: an option is wrong. ConnectionLost, InstrumentTimeout: nothing answers there.
        """
        check_options(name, options, ("channel", "closed_reads", "device_id", "serial"))
        channel = channel_of(name, options, _CHANNELS, "an input")
        closed_reads = option(name, options, "closed_reads", "on")
        if closed_reads not in ("on", "off"):
            raise DefinitionError(f"{name}: option 'closed_reads' is {closed_reads!r}, but must be 'on' or 'off'")
        link = rtu_link(
            name, address, clock=clock, record=record, options=options, timeout_s=timeout_s, spacing_s=_SPACING_S
        )
        loop = cls(name, link, channel, closed_reads == "on", option(name, options, "serial", ""))
        greet(link, loop.is_clear)
        return loop

    def identify(self) -> Identity:
        """See that it answers. Its serial number is the definition's: the board knows none."""
        self.is_clear()
        return Identity("Waveshare", "Modbus RTU Relay (D)", self._serial, "")

    def close(self) -> None:
        """End the conversation."""
        self.link.close()

    def is_clear(self) -> bool:
        """Ask whether the loop is closed now.

        Raises:
            InstrumentError: no answer, or not a usable one.
        """
        return self.link.read_discrete_inputs(0, _CHANNELS)[self._input] == self._closed_when_on
