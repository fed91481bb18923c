"""The link to a BMS on a CAN bus that a database file describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bench.clock import Clock
from bench.errors import DefinitionError, LinkError
from bench.frames import CanFrame
from bench.operation import StateRequest
from bench.profile import Profile
from bench.roles import LinkHealth, Reading
from instruments.links.dbc import DbcMap
from instruments.links.values import Board
from instruments.transports.can import CanTransport
from instruments.transports.can_cyclic import CyclicMessage

if TYPE_CHECKING:
    from cantools.database.can import Message

HEARD_WITHIN_S = 1.0  # another node heard, or an acknowledgement, in this time proves the bench's own link


class CanDbcLink:
    """Decodes on arrival the messages that the profile uses, and sends the state request cyclically.

    Nothing is sent before the first `request`. `warnings` tells what profile and database disagree about
    without making either unusable.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        binding: Mapping[str, Any],
        *,
        clock: Clock,
        on_frame: Callable[[CanFrame], None],
    ) -> None:
        """Check the database against the profile, then open the adapter that the binding names.

        Raises:
            DefinitionError: profile, database or binding are wrong; nothing was opened.
            LinkError: the adapter cannot be opened.
        """
        self.name = name
        self._map = DbcMap(profile, name)
        self.warnings: tuple[str, ...] = tuple(self._map.warnings)
        self._request = _request_message(profile, self._map)
        interface, channel, options = _binding(binding, name)
        self._where = f"{name} ({interface}:{channel})"
        self._clock = clock
        self._on_frame = on_frame
        self._on_reading: Callable[[Reading], None] | None = None
        self._board = Board(self._map.signals, clock, self._where)
        self._seen: set[tuple[int, bool]] = set()
        self._cyclic: CyclicMessage | None = None
        self._transport = CanTransport.open(interface, channel, clock, self._arrived, **options)

    def start(self, on_reading: Callable[[Reading], None]) -> None:
        """Begin to listen; every decoded value goes to `on_reading` as it arrives."""
        self._on_reading = on_reading

    def signals(self) -> tuple[str, ...]:
        """Return the names of the profile's signals that this link carries."""
        return tuple(self._map.signals)

    def read(self, signal: str) -> Reading:
        """Return the newest value, in inside units and pack sign; see `bench.roles.BmsLink.read`.

        Raises:
            LinkError: the adapter is gone; otherwise the errors of `BmsLink.read`.
        """
        if self._transport.lost:
            raise LinkError(f"{self._where}: the adapter is gone: {self._transport.lost}")
        return self._board.read(signal, missing=self._why_missing(signal))

    def request(self, values: dict[str, float]) -> None:
        """Send the state request with these values (all other signals 0) from now on, cyclically.

        The first time it is sent at once; later from the next slot on, so that the period stays as declared.

        Raises:
            DefinitionError: the profile has no state request, or a value does not fit into the message.
        """
        if self._request is None:
            raise DefinitionError(f"{self.name}: this BMS takes no request on this link (operation of its profile)")
        data = self._request.encode(values)
        if self._cyclic is not None:
            self._cyclic.update(data)
            return
        message = self._request.message
        frame = CanFrame(self._clock.now(), message.frame_id, data, extended=message.is_extended_frame)
        self._cyclic = self._transport.send_cyclic(frame, self._request.period_s)

    def prove(self) -> LinkHealth:
        """Say what the bench can prove about its own link: silence counts against the BMS only if it can."""
        health, now_s = self._transport.health(), self._clock.now()
        if health.lost:
            return LinkHealth(False, f"{self._where}: the adapter is gone: {health.lost}")
        if health.error_frame_at_s is not None and now_s - health.error_frame_at_s <= HEARD_WITHIN_S:
            return LinkHealth(
                False, f"{self._where}: {health.error_frames} error frames, the newest within {HEARD_WITHIN_S:g} s"
            )
        if health.state in ("error", "passive"):
            return LinkHealth(False, f"{self._where}: the controller is {health.state}; is the bit rate right?")
        for what, at_s in (
            ("another node was heard", health.heard_at_s),
            ("our frames are acknowledged", health.acknowledged_at_s),
        ):
            if at_s is not None and now_s - at_s <= HEARD_WITHIN_S:
                return LinkHealth(True, f"{self._where}: {what} ({now_s - at_s:.3f} s ago), no error frames")
        heard = "never" if health.heard_at_s is None else f"{now_s - health.heard_at_s:.3f} s ago"
        problem = f"; our last frame failed: {health.send_problem}" if health.send_problem else ""
        return LinkHealth(
            False, f"{self._where}: no other node heard within {HEARD_WITHIN_S:g} s (last {heard}){problem}"
        )

    @property
    def skipped_slots(self) -> int:
        """How many slots of the cyclic request were skipped because the bench was late."""
        return 0 if self._cyclic is None else self._cyclic.skipped

    def close(self) -> None:
        """Stop sending and let go of the adapter."""
        self._transport.close()

    def _arrived(self, frame: CanFrame) -> None:
        self._on_frame(frame)
        if frame.error or frame.outgoing:
            return
        key = (frame.can_id, frame.extended)
        decoder = self._map.decoders.get(key)
        if decoder is None:
            return
        self._seen.add(key)
        on_reading = self._on_reading
        for reading in self._board.put(decoder.decode(frame.data), frame.at_s):
            if on_reading is not None:
                on_reading(reading)

    def _why_missing(self, name: str) -> str:
        signal = self._map.signals.get(name)
        if signal is None:
            return ""
        for key, decoder in self._map.decoders.items():
            if decoder.name == signal.message:
                ident = f"{key[0]:08X}" if key[1] else f"{key[0]:03X}"
                if key in self._seen:
                    return f"message 0x{ident} {signal.message} comes, but not with multiplexer value {signal.mux}"
                return f"message 0x{ident} {signal.message} never came; is the BMS on, is the bit rate right?"
        return ""


class _RequestMessage:
    """The state request of a profile, as its database describes it."""

    def __init__(self, profile: Profile, operation: StateRequest, table: DbcMap) -> None:
        self._map = table
        self._key_path = f"{profile.source.name}, operation"
        self.message: Message = table.message(operation.message, f"{self._key_path}.message")
        self.period_s = operation.period_s
        for values in (*(step.request for step in operation.sequence), operation.open, operation.clear):
            self.encode(values)

    def encode(self, values: dict[str, float]) -> bytes:
        return self._map.encode(self.message, values, f"{self._key_path}.request")


def _request_message(profile: Profile, table: DbcMap) -> _RequestMessage | None:
    operation = profile.operation
    if isinstance(operation, StateRequest) and operation.link == table.link_name:
        return _RequestMessage(profile, operation, table)
    return None


def _binding(binding: Mapping[str, Any], name: str) -> tuple[str, str, dict[str, Any]]:
    """Return interface, channel and options of a bench definition's link section."""
    missing = [key for key in ("interface", "channel") if not binding.get(key)]
    if missing:
        raise DefinitionError(
            f"links.{name}: {' and '.join(missing)} is missing; write for example "
            'interface = "socketcan", channel = "can0"'
        )
    return str(binding["interface"]), str(binding["channel"]), dict(binding.get("options") or {})
