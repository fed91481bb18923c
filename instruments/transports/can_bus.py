"""Our python-can interface `bmsbench`: a bus inside this process, on the bench's clock.

python-can's own ways to receive and to send cyclically need threads and wall time (`Notifier` and
`send_periodic` give different evidence in every simulated run). This interface delivers synchronously, stamps
with the hub's clock and sends cyclic messages from `clock.every`.

It does not simulate: arbitration, bit timing, error frames, bus-off, CAN FD. A frame that no other node is
there to acknowledge is refused.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any

import can
from can import broadcastmanager

from bench.can_hub import CanHub
from bench.clock import Clock, Rank, Tick
from bench.frames import CanFrame

Sink = Callable[[CanFrame], None]


def to_frame(message: can.Message, at_s: float, *, outgoing: bool = False) -> CanFrame:
    """Turn python-can's message into the bench's word, stamped with the given time of the bench's clock."""
    return CanFrame(
        at_s=at_s,
        can_id=message.arbitration_id,
        data=bytes(message.data),
        extended=message.is_extended_id,
        outgoing=outgoing,
        error=message.is_error_frame,
        channel=str(message.channel or ""),
    )


def to_message(frame: CanFrame) -> can.Message:
    """Turn the bench's word into python-can's message; the kind of identifier is always said."""
    return can.Message(
        timestamp=frame.at_s,
        arbitration_id=frame.can_id,
        data=frame.data,
        is_extended_id=frame.extended,
        is_error_frame=frame.error,
        channel=frame.channel or None,
        check=True,
    )


class SimulatedBus(can.BusABC):
    """One node on a `bench.can_hub.CanHub`, found by the channel's name.

    With `set_sink` each frame is handed over while it is sent; without it frames wait in a queue for `recv`.
    """

    def __init__(self, channel: str, can_filters: Any = None, name: str = "bench", **kwargs: object) -> None:
        self._queue: queue.SimpleQueue[can.Message] = queue.SimpleQueue()
        self._sink: Sink | None = None
        try:
            self._hub = CanHub.find(channel)
        except ConnectionError as problem:
            raise can.CanInitializationError(str(problem)) from problem
        self._node = self._hub.attach(name, self._arrived)
        self.channel_info = f"in-process CAN bus {channel}"
        super().__init__(channel=channel, can_filters=can_filters, **kwargs)

    def set_sink(self, sink: Sink | None) -> None:
        """Hand every frame to `sink` at once, in the sender's thread, instead of queueing it."""
        self._sink = sink

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send; it has been received by all others when this returns.

        Raises:
            can.CanOperationError: no other node is on the bus (nobody acknowledges), or it is closed.
        """
        if msg.is_fd or msg.is_remote_frame:
            raise can.CanOperationError("the in-process bus carries classic data frames only")
        try:
            self._node.send(to_frame(msg, 0.0))
        except ConnectionError as problem:
            raise can.CanOperationError(str(problem)) from problem

    def shutdown(self) -> None:
        """Stop cyclic messages and leave the bus."""
        super().shutdown()
        self._node.detach()

    def _arrived(self, frame: CanFrame) -> None:
        if self._sink is not None:
            self._sink(frame)
        else:
            self._queue.put(to_message(frame))

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        try:
            # Simulated time stands still while we wait here, so nothing more could arrive.
            wait = not self._hub.clock.simulated and timeout != 0
            return self._queue.get(block=wait, timeout=timeout), False
        except queue.Empty:
            return None, False

    def _send_periodic_internal(
        self,
        msgs: Sequence[can.Message] | can.Message,
        period: float,
        duration: float | None = None,
        autostart: bool = True,
        modifier_callback: Callable[[can.Message], None] | None = None,
    ) -> broadcastmanager.CyclicSendTaskABC:
        messages = [msgs] if isinstance(msgs, can.Message) else list(msgs)
        task = _ClockTask(self, self._hub.clock, messages, period, duration, modifier_callback)
        if autostart:
            task.start()
        return task

    @staticmethod
    def _detect_available_configs() -> list[Any]:
        return [{"interface": "bmsbench", "channel": name} for name in CanHub._open]


class _ClockTask(
    broadcastmanager.LimitedDurationCyclicSendTaskABC,
    broadcastmanager.ModifiableCyclicTaskABC,
    broadcastmanager.RestartableCyclicTaskABC,
):
    """A cyclic message of python-can that keeps the hub's time."""

    def __init__(
        self,
        bus: SimulatedBus,
        clock: Clock,
        messages: Sequence[can.Message],
        period_s: float,
        duration_s: float | None,
        modifier: Callable[[can.Message], None] | None,
    ) -> None:
        super().__init__(messages, period_s, duration_s)
        self._bus, self._clock, self._modifier = bus, clock, modifier
        self._tick: Tick | None = None
        self._end_s: float | None = None
        self._next = 0

    def start(self) -> None:
        """Send the first message now and the others on the grid."""
        self.stop()
        self._end_s = None if self.duration is None else self._clock.now() + self.duration
        self._next = 0
        self._send()
        self._tick = self._clock.every(self.period, self._send, rank=Rank.CAN)

    def stop(self) -> None:
        """Send no more."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def _send(self) -> None:
        if self._end_s is not None and self._clock.now() >= self._end_s:
            self.stop()
            return
        message = self.messages[self._next]
        self._next = (self._next + 1) % len(self.messages)
        if self._modifier is not None:
            self._modifier(message)
        self._bus.send(message)
