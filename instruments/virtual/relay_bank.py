"""Several boards of eight relays on one line, behind one bridge: each hears its own address and no other.

Source: the board's requests as in `face_waveshare_modbus_relay`; relays of the second board follow those of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.errors import DefinitionError
from instruments.virtual.behaviour_base import ActiveFault
from instruments.virtual.behaviour_relays import RELAYS, RelayBoard
from instruments.virtual.face_waveshare_modbus_relay import UNIT, RelayCommands


class _Board:
    """Eight relays of a bank, as its commands see them."""

    def __init__(self, bank: RelayBoard, first: int) -> None:
        self._bank, self._first = bank, first

    @property
    def fault(self) -> ActiveFault:
        return self._bank.fault

    @property
    def coils(self) -> list[bool]:
        return self._bank.coils[self._first : self._first + RELAYS]

    def set(self, relay: int, on: bool) -> None:
        self._bank.set(self._first + relay, on)

    def flash(self, relay: int, on: bool, seconds: float) -> None:
        self._bank.flash(self._first + relay, on, seconds)


class BankCommands:
    """The requests to all boards of a bank."""

    def __init__(self, bank: RelayBoard, units: Sequence[int]) -> None:
        self._boards = [RelayCommands(_Board(bank, RELAYS * index), unit) for index, unit in enumerate(units)]

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Answer one request; see `ModbusUnit`."""
        for board in self._boards:
            if board.unit == unit:
                return board.answer(unit, pdu)
        return None


def units_of(where: str, options: Mapping[str, object]) -> list[int]:
    """Return the addresses on the line: option `units`, or `unit` (1) of a single board.

    Raises:
        DefinitionError: one is no address, or stands twice.
    """
    units = options.get("units", [options.get("unit", UNIT)])
    if not isinstance(units, list) or not units:
        raise DefinitionError(f"{where}: option units = {units!r} must list addresses, such as [1, 2]")
    for index, unit in enumerate(units):
        if not isinstance(unit, int) or not 1 <= unit <= 247 or unit in units[:index]:
            raise DefinitionError(f"{where}: option unit = {unit!r} must be from 1 to 247, each once")
    return units
