"""Boards of eight relays each on one RS485 line (or behind one bridge), counted through: relay 9 is the second's first.

Source of facts: Waveshare's protocol page (address 1 to 255 for each board on a line). Every board is asked by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.clock import Clock
from bench.errors import DefinitionError, InstrumentError
from bench.roles import Record
from instruments.modbus_board import greet
from instruments.transports.modbus import ModbusTransport

RELAYS = 8  # of one board
SPACING_S = 0.005  # 3.5 characters at 9600 baud are 4 ms
ARMATURE_S = 0.03  # electro-mechanical relays need 10 to 20 ms, and bounce


class RelayBoards:
    """The relays of some boards as one row, from 1."""

    def __init__(self, link: ModbusTransport, device_ids: tuple[int, ...]) -> None:
        self.link = link
        self._ids = device_ids
        self.count = RELAYS * len(device_ids)

    def read(self, relays: Iterable[int] | None = None) -> dict[int, bool]:
        """Ask which relays are on, those of the boards on which the named ones sit (none named: all)."""
        boards = range(len(self._ids)) if relays is None else sorted({(relay - 1) // RELAYS for relay in relays})
        states: dict[int, bool] = {}
        with self.link.operation():
            for board in boards:
                coils = self.link.read_coils(0, RELAYS, device_id=self._ids[board])
                states.update({RELAYS * board + index + 1: on for index, on in enumerate(coils)})
        return states

    def write(self, relay: int, on: bool) -> None:
        """Tell one relay; whether it obeyed must be asked."""
        board, coil = divmod(relay - 1, RELAYS)
        self.link.write_coil(coil, on, device_id=self._ids[board])

    def move(self, relay: int, on: bool) -> None:
        """Tell one relay, ask whether it obeyed, and wait for its armature where that is possible.

        Raises:
            InstrumentError: it did not.
        """
        with self.link.operation(urgent=not on):
            self.write(relay, on)
            if self.read([relay])[relay] != on:
                raise InstrumentError(
                    f"{self.link.where}: relay {relay} did not switch {'on' if on else 'off'} when told"
                )
        if not self.link.clock.in_callback:
            self.link.clock.sleep(ARMATURE_S)


def open_boards(
    name: str, address: str, device_ids: tuple[int, ...], *, clock: Clock, record: Record, timeout_s: float
) -> RelayBoards:
    """Connect to the boards on a line and see that every one of them answers; nothing is changed.

    Raises:
        ConnectionLost, InstrumentTimeout: a board does not answer.
    """
    link = ModbusTransport(
        name,
        address,
        clock=clock,
        record=record,
        device_id=device_ids[0],
        framing="rtu",
        timeout_s=timeout_s,
        spacing_s=SPACING_S,
    )
    boards = RelayBoards(link, device_ids)
    greet(link, boards.read)
    return boards


def device_ids_of(name: str, options: Mapping[str, object]) -> tuple[int, ...]:
    """Return the addresses of the boards on the line: option `device_ids`, or `device_id` (1) of a single one.

    Raises:
        DefinitionError: both are there, one is no address, or one stands twice.
    """
    if "device_ids" not in options:
        given: Any = [options.get("device_id", 1)]
    elif "device_id" in options:
        raise DefinitionError(f"{name}: option 'device_id' beside 'device_ids'; write only the latter")
    else:
        given = options["device_ids"]
    if not isinstance(given, list | tuple) or not given:
        raise DefinitionError(f"{name}: option 'device_ids' is {given!r}, but must list addresses, such as [1, 2]")
    for index, address in enumerate(given):
        if type(address) is not int or not 1 <= address <= 247 or address in given[:index]:
            raise DefinitionError(f"{name}: option device_ids[{index}] is {address!r}: 1 to 247, each once")
    return tuple(given)
