"""The link to a BMS with a Modbus map, polled on the clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import RLock
from typing import Protocol

from bench.clock import Clock, Rank, Tick
from bench.errors import (
    ConnectionLost,
    DefinitionError,
    InstrumentError,
    InstrumentTimeout,
    LinkError,
    NotDue,
    NotImplementedByDut,
)
from bench.profile import ModbusLink, Profile
from bench.roles import LinkHealth, Reading
from bench.signals import ModbusSignal
from instruments.links.modbus_settings import ModbusSettings, RegisterConversation
from instruments.links.registers import Group, decode, plan
from instruments.links.values import Board, Decoded

PROVEN_POLLS = 3  # an answer within so many polls proves the bench's own link


class ModbusConversation(RegisterConversation, Protocol):
    """What this link needs of `instruments.transports.modbus.ModbusTransport`."""

    def operation(self) -> AbstractContextManager[None]:
        """Several messages that belong together, inside a callback too."""

    def read_coils(self, address: int, count: int = 1) -> list[bool]:
        """Function 01."""

    def read_discrete_inputs(self, address: int, count: int = 1) -> list[bool]:
        """Function 02."""

    def close(self) -> None:
        """End the conversation."""


class ModbusMapLink:
    """Polls the registers and bits of the profile in as few requests as their places allow.

    A read that is not yet due or a time-out in a poll leaves the old values, which then become stale; only a
    connection that cannot be had makes `read` raise `LinkError`.
    """

    def __init__(
        self, name: str, profile: Profile, transport: ModbusConversation, *, clock: Clock, where: str = ""
    ) -> None:
        link = profile.links[name]
        if not isinstance(link, ModbusLink):
            raise DefinitionError(f"{profile.source.name}, links.{name}: {link.kind!r} is not a Modbus link")
        self.name = name
        self._where = f"{name} ({where})" if where else name
        self._clock, self._transport = clock, transport
        self._poll_s, self._unit_id = link.poll_s, link.unit_id
        self._signals: dict[str, ModbusSignal] = {
            key: signal
            for key, signal in profile.signals.items()
            if isinstance(signal, ModbusSignal) and signal.link == name
        }
        for key, signal in self._signals.items():
            if signal.max_age_s < link.poll_s:
                raise DefinitionError(
                    f"{profile.source.name}, links.{name}.poll_s: polling every {link.poll_s:g} s is slower than "
                    f"signals.{key} may be old ({signal.max_age_s:g} s): every reading would be stale"
                )
        self._groups = plan(self._signals, link.unit_id)
        self._board = Board(self._signals, clock, self._where)
        self._on_reading: Callable[[Reading], None] | None = None
        self._tick: Tick | None = None
        self._answered: tuple[float, str] | None = None
        self._problems: dict[int, str] = {}  # unit -> why its last request failed
        self._lost = ""
        self.not_due = 0
        self._talking = RLock()  # the unit to ask is a state of the transport; in simulated time a poll nests
        self._settings = ModbusSettings(name, profile, transport, self._talking, self._where)

    def start(self, on_reading: Callable[[Reading], None]) -> None:
        """Poll once now and then on the clock's grid; every value goes to `on_reading` as it arrives.

        Raises:
            LinkError: the connection cannot be had.
        """
        self._on_reading = on_reading
        self._poll()
        if self._lost:
            raise LinkError(f"{self._where}: {self._lost}")
        self._tick = self._clock.every(self._poll_s, self._poll, rank=Rank.LINK)

    def signals(self) -> tuple[str, ...]:
        """Return the names of the profile's signals that this link carries."""
        return tuple(self._signals)

    def read(self, signal: str) -> Reading:
        """Return the newest value, in inside units and pack sign; see `bench.roles.BmsLink.read`.

        Raises:
            LinkError: the connection is gone; otherwise the errors of `BmsLink.read`.
        """
        if self._lost:
            raise LinkError(f"{self._where}: {self._lost}")
        known = self._signals.get(signal)
        unit = self._unit_id if known is None or known.unit_id is None else known.unit_id
        trouble = self._problems.get(unit, "")
        return self._board.read(signal, missing=trouble or "nothing was asked yet", stale=trouble)

    def request(self, values: dict[str, float]) -> None:
        """Always refused: a polled map has no cyclic request.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(f"{self.name}: this BMS takes no request on this link, asked for {values}")

    def read_identity(self, fact: str) -> str:
        """Read `serial`, `firmware` or `hardware` now; see `bench.settings.ReadsIdentity`."""
        return self._settings.read_identity(fact)

    def read_setting(self, name: str) -> float:
        """Read a setting now; see `bench.settings.ReadsSettings`."""
        return self._settings.read_setting(name)

    def write_setting(self, name: str, value: float) -> None:
        """Write a setting once; see `bench.settings.WritesSettings`."""
        self._settings.write_setting(name, value)

    def prove(self) -> LinkHealth:
        """Say what the bench can prove about its own link: an answer to one of the last polls, whoever gave it."""
        if self._lost:
            return LinkHealth(False, f"{self._where}: {self._lost}")
        if self._answered is None:
            return LinkHealth(False, f"{self._where}: no answer yet; {self._trouble() or 'nothing was asked'}")
        at_s, what = self._answered
        age_s = self._clock.now() - at_s
        if age_s <= PROVEN_POLLS * self._poll_s:
            return LinkHealth(True, f"{self._where}: {what} was answered {age_s:.3f} s ago")
        return LinkHealth(False, f"{self._where}: the last answer is {age_s:.3f} s old; {self._trouble()}")

    def close(self) -> None:
        """Stop polling and end the conversation."""
        if self._tick is not None:
            self._tick.cancel()
        self._transport.close()

    def _poll(self) -> None:
        """Ask for everything, unless somebody asks for a setting just now; the next tick asks again."""
        if not self._talking.acquire(blocking=False):
            self.not_due += 1
            return
        try:
            self._ask_all()
        finally:
            self._talking.release()

    def _ask_all(self) -> None:
        silent: set[int] = set()
        try:
            with self._transport.operation():
                for group in list(self._groups):
                    if group.unit_id not in silent and not self._ask(group):
                        silent.add(group.unit_id)  # its other requests would only wait as long again
        except NotDue:
            self.not_due += 1
        except ConnectionLost as problem:
            self._lost = str(problem)

    def _ask(self, group: Group) -> bool:
        """Ask for one group; False if the unit stayed silent."""
        try:
            answer = self._fetch(group)
        except (NotDue, ConnectionLost):
            raise
        except InstrumentTimeout as problem:
            self._problems[group.unit_id] = str(problem)
            return False
        except InstrumentError as problem:
            self._refused(group, problem)
            return True
        self._heard(group)
        self._problems.pop(group.unit_id, None)
        self._publish(decode(group, answer, self._where))
        return True

    def _fetch(self, group: Group) -> list[int] | list[bool]:
        transport = self._transport
        transport.device_id = group.unit_id
        if group.function == 1:
            return transport.read_coils(group.address, group.count)
        if group.function == 2:
            return transport.read_discrete_inputs(group.address, group.count)
        if group.function == 3:
            return transport.read_holding_registers(group.address, group.count)
        return transport.read_input_registers(group.address, group.count)

    def _refused(self, group: Group, problem: InstrumentError) -> None:
        self._problems[group.unit_id] = str(problem)
        if not self._transport.is_open:
            return  # garbled or out of step: no answer to this request; old values become stale
        self._heard(group)
        parts = plan(dict(group.signals), group.unit_id, gap=0)
        if len(parts) > 1:  # perhaps only a hole in between was refused: never ask for it again
            at = self._groups.index(group)
            self._groups[at : at + 1] = parts
            for part in parts:
                if not self._ask(part):
                    return
            return
        text = f"the BMS refuses {group} on {self._where}: {problem}"
        refusals = [Decoded(name, None, problem=NotImplementedByDut(f"{name}: {text}")) for name, _ in group.signals]
        self._publish(refusals)

    def _trouble(self) -> str:
        return "; ".join(self._problems.values())

    def _heard(self, group: Group) -> None:
        self._answered = (self._clock.now(), str(group))
        self._lost = ""

    def _publish(self, results: list[Decoded]) -> None:
        readings = self._board.put(results, self._clock.now())
        if self._on_reading is not None:
            for reading in readings:
                self._on_reading(reading)
