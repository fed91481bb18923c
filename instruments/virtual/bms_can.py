"""The virtual BMS on a CAN bus: cyclic messages after the profile's database, and an ear for the state request.

Sent are all messages that carry a signal of the profile, and messages whose signals are called CellVoltageNN. A
multiplexed message sends its multiplexer values in turn, so often that each renews at its promised period. Bits are
placed by `bms_packing`.

Not simulated: signals that the profile does not name (sent as 0), multiplexers inside multiplexers, arbitration, bus
load, bit errors, bus-off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bench.can_hub import CanHub
from bench.clock import Rank, Tick
from bench.errors import DefinitionError
from bench.frames import CanFrame
from bench.loading import nearest
from bench.operation import StateRequest
from bench.profile import CanDbcLink
from bench.signals import CanSignal
from instruments.virtual.bms import VirtualBms
from instruments.virtual.bms_encoding import Field, database, dbc_signal, make_encoder, message_of
from instruments.virtual.bms_packing import Encoder, Message, Payload, place
from instruments.virtual.bms_values import source_of
from instruments.virtual.noise import uniform

_CELL_PERIOD_S = 0.1
_RequestField = tuple[str, int, int, bool, float, float]  # name, shift, length, big-endian, factor, offset


class CanFace:
    """One virtual BMS as a node of one bus."""

    def __init__(self, bms: VirtualBms, hub: CanHub, link_name: str) -> None:
        self._bms = bms
        self._link = link_name
        self.unacknowledged = 0
        self.messages = self._messages()
        self._request: tuple[int, bool, int, list[_RequestField]] | None = None
        operation = bms.profile.operation
        if isinstance(operation, StateRequest) and operation.link == link_name:
            self._request = self._request_layout(operation)
        self._node = hub.attach(f"bms {bms.profile.name}", self._hear)
        self._ticks: list[Tick] = []
        bms.on_power.append(self._power_changed)
        if bms.talks:
            self._power_changed()

    def detach(self) -> None:
        """Leave the bus."""
        self._stop()
        self._node.detach()
        self._bms.on_power.remove(self._power_changed)

    # -- sending ---------------------------------------------------------------------------------------------

    def _messages(self) -> list[Message]:
        profile = self._bms.profile
        recodes = tuple(defect.recode for defect in self._bms.defects if defect.recode is not None)
        wanted: dict[str, dict[int | None, list[tuple[Any, Encoder]]]] = {}
        periods: dict[str, float] = {}
        for name, signal in profile.signals.items():
            if not isinstance(signal, CanSignal) or signal.link != self._link:
                continue
            entry = dbc_signal(profile, name, signal)
            encode = make_encoder(profile, name, signal, source_of(self._bms, name, signal), recodes)
            muxes = [signal.mux] if signal.mux is not None else list(entry.multiplexer_ids or [None])
            for mux in muxes:
                wanted.setdefault(signal.message, {}).setdefault(mux, []).append((entry, encode))
            periods[signal.message] = min(signal.period_s, periods.get(signal.message, signal.period_s))
        for message, groups, period_s in self._cell_messages():
            known = wanted.setdefault(message, {})
            named = {entry.name for parts in known.values() for entry, _ in parts}
            for mux, parts in groups.items():
                known.setdefault(mux, []).extend(part for part in parts if part[0].name not in named)
            periods.setdefault(message, period_s)
        return [self._message(name, groups, periods[name]) for name, groups in wanted.items()]

    def _message(self, name: str, groups: dict[int | None, list[tuple[Any, Encoder]]], period_s: float) -> Message:
        entry = message_of(self._bms.profile, self._link, name, "signals")
        if entry.length == 0 or entry.length > 64:
            raise DefinitionError(f"database: message {name!r} has {entry.length} bytes")
        selector = next((signal for signal in entry.signals if signal.is_multiplexer), None)
        common = groups.pop(None, [])
        message = Message(entry, period_s)
        muxes: list[int | None] = [*sorted(key for key in groups if key is not None)]
        for mux in muxes or [None]:
            payload = Payload(entry.length)
            if mux is not None:
                if selector is None:
                    raise DefinitionError(f"database: message {name!r} has no multiplexer for mux = {mux}")
                payload.add_fixed(selector, mux)
            for part, encode in [*common, *(groups[mux] if mux is not None else [])]:
                payload.add(part, encode)
            message.payloads.append(payload)
        return message

    def _cell_messages(self) -> list[tuple[str, dict[int | None, list[tuple[Any, Encoder]]], float]]:
        """Messages with signals called CellVoltageNN: a rotation of frames, one about every 100 ms."""
        found = []
        bms = self._bms
        for entry in database(bms.profile, self._link).messages:
            groups: dict[int | None, list[tuple[Any, Encoder]]] = {}
            for part in entry.signals:
                match = re.fullmatch(r"[Cc]ell_?[Vv]oltage_?(\d+)", part.name)
                if match is None or not 1 <= int(match[1]) <= bms.profile.bms.cells:
                    continue
                factor = float(part.scale) * (1e-3 if part.unit == "mV" else 1.0)
                encode = _cell_encoder(bms, int(match[1]) - 1, Field(part.length, part.is_signed, factor))
                for mux in part.multiplexer_ids or [None]:
                    groups.setdefault(mux, []).append((part, encode))
            if groups:
                # A cycle of many seconds is the time of a full rotation (foxBMS's own database), not of a frame.
                cycle_s = (entry.cycle_time or 0) / 1000.0
                period_s = cycle_s if 0.0 < cycle_s <= 1.0 else _CELL_PERIOD_S
                found.append((entry.name, groups, period_s * len(groups)))
        return found

    def _power_changed(self) -> None:
        self._stop()
        if not self._bms.talks:
            return
        clock, seed = self._bms.clock, self._bms.seed
        for message in self.messages:
            message.turn = 0
            # Each message has its own place in the period, as tasks and arbitration give it in a real unit.
            share = 0.5 + 0.5 * uniform(seed, "bms", f"phase {message.name}")
            first_s = round(share * message.interval_s, 3)
            start = self._starter(message)
            self._ticks.append(clock.at(clock.now() + first_s, start, rank=Rank.CAN))

    def _starter(self, message: Message) -> Callable[[], None]:
        def send() -> None:
            try:
                self._node.send(message.next_frame())
            except ConnectionError:  # nobody acknowledges: a controller tries again, here with the next cycle
                self.unacknowledged += 1

        def start() -> None:
            send()
            self._ticks.append(self._bms.clock.every(message.interval_s, send, rank=Rank.CAN))

        return start

    def _stop(self) -> None:
        for tick in self._ticks:
            tick.cancel()
        self._ticks = []

    # -- listening -------------------------------------------------------------------------------------------

    def _request_layout(self, operation: StateRequest) -> tuple[int, bool, int, list[_RequestField]]:
        profile = self._bms.profile
        entry = message_of(profile, self._link, operation.message, "operation.message")
        names = {part.name for part in entry.signals}
        for request in (operation.open, operation.clear, *(step.request for step in operation.sequence)):
            for name in request:
                if name not in names:
                    raise DefinitionError(
                        f"{profile.source.name}, operation: message {operation.message!r} has no signal "
                        f"{name!r}{nearest(name, names)}"
                    )
        layout = []
        for part in entry.signals:
            big = part.byte_order == "big_endian"
            shift = place(part.start, part.length, big, entry.length)
            layout.append((part.name, shift, part.length, big, float(part.scale), float(part.offset)))
        return entry.frame_id, entry.is_extended_frame, entry.length, layout

    def _hear(self, frame: CanFrame) -> None:
        request = self._request
        if not self._bms.powered:
            return
        if request is None:
            self._bms.heard()  # whatever the bench says
            return
        if frame.can_id != request[0] or frame.extended != request[1]:
            return
        if len(frame.data) != request[2]:
            return  # a request of another length is none
        big, little = int.from_bytes(frame.data, "big"), int.from_bytes(frame.data, "little")
        values = {
            name: (((big if motorola else little) >> shift) & ((1 << length) - 1)) * scale + offset
            for name, shift, length, motorola, scale, offset in request[3]
        }
        self._bms.heard()
        self._bms.operation.request(values, self._bms.now_s())


def _cell_encoder(bms: VirtualBms, index: int, field: Field) -> Encoder:
    return lambda: field.bits_of(field.saturate(round(bms.readings.shown_cells_v[index] / field.factor)))


def attach_can(bms: VirtualBms, hub: CanHub, link_name: str | None = None) -> CanFace:
    """Let the BMS join a bus, with its only CAN link or the one named.

    Raises:
        DefinitionError: the profile has no such link, or its database does not fit.
    """
    links = [name for name, link in bms.profile.links.items() if isinstance(link, CanDbcLink)]
    name = link_name if link_name is not None else (links[0] if links else "")
    if name not in links:
        raise DefinitionError(f"{bms.profile.source.name}: {name!r} is no CAN link{nearest(name, links)}")
    return CanFace(bms, hub, name)
