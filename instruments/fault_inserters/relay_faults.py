"""Faults in the BMS's wiring, put in by the relays of Waveshare Modbus RTU Relay boards.

RS485 9600 8N1, or the same frames through a TCP bridge. Source of facts: the maker's protocol page of the board (from
September 2021; older ones are not Modbus-conformant). Never seen on hardware. The board cannot say who it is, has no
watchdog and **keeps a fault in when the bench disappears**; without its own supply all its relays fall.

    [instruments.faults.options]
    device_ids = [1, 2]
    faults = { open_sense_wire_8 = 1, short_circuit = 9 }

A relay that is on is a fault that is in: wire a wire to be opened over the normally closed contact, what is to be
bridged over the normally open one, and two wires to be exchanged over a relay with two changeover contacts. The board's
contacts carry 10 A: a short circuit, a weld and a large capacitor need a contactor that the relay drives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from bench.clock import Clock
from bench.emulation import SHORT_CIRCUIT, fault_kind
from bench.errors import DefinitionError, OutOfRange
from bench.roles import Identity, Record
from instruments.driver import check_options, option
from instruments.relay_boards import RelayBoards, device_ids_of, open_boards


class RelayFaults:
    """One relay for each fault."""

    role: ClassVar[str] = "fault_inserter"
    family: ClassVar[str] = "fault relays on Waveshare Modbus RTU Relay boards"
    models: ClassVar[tuple[str, ...]] = ()
    transport: ClassVar[str] = "modbus_rtu"
    commissioned: ClassVar[bool] = False
    example_options: ClassVar[Mapping[str, object]] = {  # with which the contract tests open it
        "device_ids": [1, 2],
        "faults": {"open_sense_wire_8": 1, "swapped_sense_wires_3_4": 2, "shunt_open": 8, "short_circuit": 9},
    }

    def __init__(self, name: str, boards: RelayBoards, relays: Mapping[str, int], serial: str) -> None:
        self.name = name
        self.link, self._boards = boards.link, boards
        self._relays = dict(relays)
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
        """Connect and see that every board answers; nothing is changed.

        Options: `faults` (relay of each fault, counted through the boards, eight each; mandatory), `device_id` (1) or,
        of several boards on one line, `device_ids`, `serial` (what the definition calls it).

        Raises:
            DefinitionError: an option is wrong. ConnectionLost, InstrumentTimeout: a board does not answer.
        """
        check_options(name, options, ("faults", "device_id", "device_ids", "serial"))
        device_ids = device_ids_of(name, options)
        relays = _relays_of(name, options, 8 * len(device_ids))
        serial = option(name, options, "serial", "")
        boards = open_boards(name, address, device_ids, clock=clock, record=record, timeout_s=timeout_s)
        return cls(name, boards, relays, serial)

    def identify(self) -> Identity:
        """See that every board answers. Its serial number is the definition's: the boards know none."""
        self._boards.read()
        return Identity("Waveshare", "Modbus RTU Relay", self._serial, "")

    def close(self) -> None:
        """End the conversation; the relays stay as they are."""
        self.link.close()

    def faults(self) -> tuple[str, ...]:
        """Return the names of the faults that it is wired for."""
        return tuple(self._relays)

    def insert(self, fault: str) -> None:
        """Put a fault in and ask whether the relay obeyed; what its contact does nobody says.

        Raises:
            OutOfRange: not wired for it; nothing was sent. InstrumentError: the relay did not obey.
        """
        self._boards.move(self._relay(fault), True)

    def remove(self, fault: str) -> None:
        """Take a fault away and ask whether the relay obeyed."""
        self._boards.move(self._relay(fault), False)

    def remove_all(self) -> None:
        """Take every fault away, the short circuit first; one relay that does not obey does not keep the others.

        Raises:
            ExceptionGroup: of what went wrong.
        """
        problems: list[Exception] = []
        for fault in sorted(self.inserted(), key=lambda name: name != SHORT_CIRCUIT):
            try:
                self.remove(fault)
            except Exception as problem:  # noqa: BLE001 - raised below, after the others had their chance
                problems.append(problem)
        if problems:
            raise problems[0] if len(problems) == 1 else ExceptionGroup(f"{self.name}: faults stayed in", problems)

    def inserted(self) -> tuple[str, ...]:
        """Ask which faults are in now, as far as the boards know: they read their coils, not the contacts."""
        states = self._boards.read()
        return tuple(fault for fault, relay in self._relays.items() if states[relay])

    def _relay(self, fault: str) -> int:
        if fault not in self._relays:
            raise OutOfRange(f"{self.name}: not wired for {fault!r}, but for {', '.join(self._relays)}")
        return self._relays[fault]


def _relays_of(name: str, options: Mapping[str, object], count: int) -> dict[str, int]:
    faults = options.get("faults")
    if not isinstance(faults, Mapping) or not faults:
        raise DefinitionError(f"{name}: option 'faults' must name relays, such as {{ open_sense_wire_8 = 1 }}")
    relays: dict[str, int] = {}
    for fault, relay in faults.items():
        try:
            fault_kind(str(fault))
        except DefinitionError as problem:
            raise DefinitionError(f"{name}: option faults: {problem}") from None
        if type(relay) is not int or not 1 <= relay <= count:
            raise DefinitionError(f"{name}: option faults.{fault} is {relay!r}, but must be a relay, 1 to {count}")
        if relay in relays.values():
            other = next(each for each, taken in relays.items() if taken == relay)
            raise DefinitionError(f"{name}: option faults.{fault}: relay {relay} is already used by {other}")
        relays[str(fault)] = relay
    return relays
