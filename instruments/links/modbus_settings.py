"""Identity and settings of a BMS with a Modbus map: read when asked for, written once, never polled.

Each value is a message of its own. Reading back is a separate message, so that what is compared was kept by the BMS
and not only repeated by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Protocol

from bench.errors import (
    BadFrame,
    ConnectionLost,
    DefinitionError,
    Inconclusive,
    InstrumentError,
    InstrumentTimeout,
    LinkError,
    Missing,
    NotImplementedByDut,
)
from bench.loading import nearest
from bench.profile import ModbusLink, Profile
from bench.settings import BITS, Setting


class RegisterConversation(Protocol):
    """What this needs of `instruments.transports.modbus.ModbusTransport`."""

    device_id: int

    @property
    def is_open(self) -> bool:
        """True while the connection is in step: an error that leaves it open was an answer."""

    def read_holding_registers(self, address: int, count: int = 1) -> list[int]:
        """Function 03."""

    def read_input_registers(self, address: int, count: int = 1) -> list[int]:
        """Function 04."""

    def write_register(self, address: int, value: int) -> None:
        """Function 06; the answer must repeat the request."""

    def write_registers(self, address: int, values: list[int]) -> None:
        """Function 16; the answer must repeat address and count."""


class ModbusSettings:
    """Reads and writes for one link. `talking` keeps a poll from changing the unit between here and the wire."""

    def __init__(
        self, link_name: str, profile: Profile, transport: RegisterConversation, talking: RLock, where: str
    ) -> None:
        link = profile.links[link_name]
        assert isinstance(link, ModbusLink)
        self._name, self._where, self._unit_id = link_name, where, link.unit_id
        self._profile, self._transport, self._talking = profile, transport, talking

    def read_identity(self, fact: str) -> str:
        """Read a fact of the profile's section `identity` as text; see `bench.settings.ReadsIdentity`."""
        place = self._profile.identity.place(fact)
        if place is None or place.link != self._name:
            raise DefinitionError(f"{self._where}: the profile does not say that this link tells {fact}")
        words = self._read(fact, place.unit_id, place.function, place.address, place.words)
        text = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0", 1)[0].decode("latin-1").strip()
        if not text:
            raise NotImplementedByDut(f"{fact}: the BMS left the field empty, on {self._where}")
        if not (text.isascii() and text.isprintable()):
            raise BadFrame(f"{fact}: {text!r} is no text, on {self._where}")
        return text

    def read_setting(self, name: str) -> float:
        """Read a setting in its inside unit; see `bench.settings.ReadsSettings`."""
        setting, bits = self._setting(name)
        words = self._read(name, setting.unit_id, setting.function, setting.address, bits // 16)
        if setting.word_order == "low_first":
            words = words[::-1]
        count = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
        if setting.type.startswith("int") and count >> (bits - 1):
            count -= 1 << bits
        return setting.inside(count, self._profile.limited_direction(name))

    def write_setting(self, name: str, value: float) -> None:
        """Write a setting, given in its inside unit, once; see `bench.settings.WritesSettings`."""
        setting, bits = self._setting(name)
        pattern = setting.count(value, self._profile.limited_direction(name)) & ((1 << bits) - 1)
        words = [pattern >> shift & 0xFFFF for shift in range(bits - 16, -1, -16)]
        if setting.word_order == "low_first":
            words = words[::-1]
        address = setting.address if setting.write_address is None else setting.write_address
        if setting.write_function == 6 and len(words) > 1:
            raise DefinitionError(
                f"{self._profile.source.name}, settings.{name}.write_function: 6 writes one register, "
                f"{setting.type} takes {len(words)}; write 16"
            )
        with self._asking(setting.unit_id):
            try:
                if setting.write_function == 6:
                    self._transport.write_register(address, words[0])
                else:
                    self._transport.write_registers(address, words)
            except InstrumentError as problem:
                raise self._not_written(name, problem) from problem

    def _setting(self, name: str) -> tuple[Setting, int]:
        setting = self._profile.settings.get(name)
        if setting is None or setting.link != self._name:
            mine = [key for key, one in self._profile.settings.items() if one.link == self._name]
            raise DefinitionError(f"{self._where} carries no setting {name!r}{nearest(name, mine)}")
        return setting, BITS[setting.type]

    def _read(self, what: str, unit_id: int | None, function: int, address: int, count: int) -> list[int]:
        transport = self._transport
        ask: Callable[[int, int], list[int]] = (
            transport.read_holding_registers if function == 3 else transport.read_input_registers
        )
        with self._asking(unit_id):
            try:
                return ask(address, count)
            except ConnectionLost as problem:
                raise LinkError(f"{self._where}: {problem}") from problem
            except InstrumentTimeout as problem:
                raise Missing(f"{what}: {problem}") from problem
            except InstrumentError as problem:
                if transport.is_open:
                    raise NotImplementedByDut(f"{what}: {problem}") from problem
                raise BadFrame(f"{what}: {problem}") from problem

    def _not_written(self, name: str, problem: InstrumentError) -> Exception:
        if isinstance(problem, ConnectionLost):
            return LinkError(f"{self._where}: {problem}")
        if isinstance(problem, InstrumentTimeout) or not self._transport.is_open:
            return Missing(f"{name}: whether it was taken is not known: {problem}")
        return Inconclusive(
            f"{name}: the BMS refuses to have it written: {problem}; is it locked by a password or a state, or is "
            "write_function or write_address of the profile wrong?"
        )

    @contextmanager
    def _asking(self, unit_id: int | None) -> Iterator[None]:
        with self._talking:
            self._transport.device_id = self._unit_id if unit_id is None else unit_id
            yield
