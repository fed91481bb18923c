"""The door to python-can: open an adapter, send, send cyclically, and hear every frame on the bench's clock.

python-can is imported when an adapter is opened, never before: with asammdf installed its import costs more than
a second, which no command line should pay for.

Faults of the library cured here: cyclic sending in a thread per message that repeats missed slots back to back
(replaced by `clock.every`, which skips); a socketcand peer that goes away (100 % CPU and no error); a refused
socketcand connection tried again and again for 10 s at 100 % CPU; a server that says nothing, waited for without
end; `< ok >` and a first frame in one packet.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.clock import Clock, ClockMisuse
from bench.errors import DefinitionError, LinkError
from bench.frames import CanFrame
from bench.loading import nearest
from instruments.transports.can_cyclic import CyclicMessage
from instruments.transports.can_stamps import StampConverter

if TYPE_CHECKING:
    import can

OnFrame = Callable[[CanFrame], None]
READ_SLICE_S = 0.2  # how long the reader waits before it looks whether it should end
OPEN_TRIES = 3
OWN_INTERFACE = "bmsbench"


@dataclass(frozen=True, slots=True)
class BusHealth:
    """What the transport knows of its bus; times in seconds of the bench's clock, None if it never happened."""

    heard_at_s: float | None
    acknowledged_at_s: float | None
    error_frame_at_s: float | None
    error_frames: int
    send_problem: str
    state: str
    lost: str


class CanTransport:
    """One adapter, one channel. Every frame, heard or sent, goes to `on_frame` in the order of the bus."""

    def __init__(self, bus: can.BusABC, where: str, clock: Clock, on_frame: OnFrame) -> None:
        import can

        self._bus, self.where, self._clock, self._on_frame = bus, where, clock, on_frame
        # OSError: what socketcand, slcan and friends let through from their sockets and ports.
        self._send_errors: tuple[type[Exception], ...] = (can.CanError, OSError)
        self._read_errors = (*self._send_errors, ValueError)  # ValueError: the socket was closed under us
        self._unknown_state = (*self._send_errors, NotImplementedError)
        self._lock = threading.RLock()  # a synchronous listener may send in turn
        self._stamps = StampConverter()
        self._closed = threading.Event()
        self._cyclic: list[CyclicMessage] = []
        self._heard_at_s: float | None = None
        self._acknowledged_at_s: float | None = None
        self._error_frame_at_s: float | None = None
        self._error_frames = 0
        self._send_problem = ""
        self._lost = ""
        self._reader: threading.Thread | None = None
        # In this process a send returns only after another node has it; an adapter only says that it was queued.
        self._send_is_acknowledged = hasattr(bus, "set_sink")
        if hasattr(bus, "set_sink"):
            bus.set_sink(self._arrived)
        else:
            self._reader = threading.Thread(target=self._read, name=f"bmsbench-{where}", daemon=True)
            self._reader.start()

    @classmethod
    def open(cls, interface: str, channel: str, clock: Clock, on_frame: OnFrame, **options: Any) -> CanTransport:
        """Open an adapter by python-can's interface and channel; options are the interface's own.

        Raises:
            DefinitionError: python-can has no such interface.
            LinkError: no such adapter or channel, or nobody serves it; says what to try.
        """
        import can

        from instruments.transports.can_bus import SimulatedBus

        if interface not in can.VALID_INTERFACES | {OWN_INTERFACE}:
            known = nearest(interface, can.VALID_INTERFACES | {OWN_INTERFACE})
            raise DefinitionError(f"CAN interface {interface!r} is not one of python-can's{known}")
        where = f"{interface}:{channel}"
        if interface == "socketcand":
            _check_served(options, channel, where)
            options.setdefault("tcp_tune", os.name != "nt")
        problem: Exception | None = None
        for _ in range(OPEN_TRIES if interface == "socketcand" else 1):
            try:
                if interface == OWN_INTERFACE:  # needs no registered entry point, so no installed package
                    return cls(SimulatedBus(channel, **options), where, clock, on_frame)
                bus = can.Bus(channel=channel, interface=interface, ignore_config=True, **options)
            except can.CanError as error:
                problem = error.with_traceback(None)  # the traceback would keep the library's socket open
                if "got: '< ok >" not in str(error):  # a frame glued to the answer: try again
                    break
            except (OSError, ValueError, TypeError, ImportError) as error:
                problem = error
                break
            else:
                return cls(bus, where, clock, on_frame)
        raise LinkError(
            f"CAN {where} cannot be opened: {problem}; is the adapter plugged in, the channel's name right and "
            "its bit rate set?"
        ) from problem

    def send(self, frame: CanFrame) -> None:
        """Send one frame now.

        Raises:
            LinkError: the adapter is gone, its queue is full, or nobody acknowledges.
        """
        if not self.try_send(frame):
            raise LinkError(f"CAN {self.where}: cannot send {frame}: {self._lost or self._send_problem}")

    def try_send(self, frame: CanFrame) -> bool:
        """Send one frame; False if that failed, which `health` then tells."""
        from instruments.transports.can_bus import to_message

        if self._lost:
            return False
        try:
            with self._lock:
                self._bus.send(to_message(frame))
        except self._send_errors as problem:
            self._send_problem = f"{type(problem).__name__}: {problem}"
            return False
        self._send_problem = ""
        now_s = self._clock.now()
        if self._send_is_acknowledged:
            self._acknowledged_at_s = now_s
        self._on_frame(replace(frame, at_s=now_s, outgoing=True))
        return True

    def send_cyclic(self, frame: CanFrame, period_s: float) -> CyclicMessage:
        """Send the frame now and then every period, on the clock's grid for CAN."""
        message = CyclicMessage(self.try_send, self._clock, frame, period_s)
        self._cyclic.append(message)
        return message

    @property
    def lost(self) -> str:
        """Why the adapter is gone; empty while it is there."""
        return self._lost

    def health(self) -> BusHealth:
        """Say what is known of the bus, without sending anything."""
        try:
            state = self._bus.state.name.lower()
        except self._unknown_state:
            state = "unknown"
        return BusHealth(
            heard_at_s=self._heard_at_s,
            acknowledged_at_s=self._acknowledged_at_s,
            error_frame_at_s=self._error_frame_at_s,
            error_frames=self._error_frames,
            send_problem=self._send_problem,
            state=state,
            lost=self._lost,
        )

    def close(self) -> None:
        """Stop cyclic messages and the reader, and let go of the adapter; twice is once."""
        if self._closed.is_set():
            return
        self._closed.set()
        for message in self._cyclic:
            message.stop()
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(5.0)
        self._bus.shutdown()

    def _arrived(self, frame: CanFrame) -> None:
        if frame.error:
            self._error_frames += 1
            self._error_frame_at_s = frame.at_s
        else:
            self._heard_at_s = frame.at_s
        self._on_frame(frame)

    def _read(self) -> None:
        from instruments.transports.can_bus import to_frame

        peer = getattr(self._bus, "_SocketCanDaemonBus__socket", None)
        while not self._closed.is_set():
            try:
                message = self._bus.recv(0.0 if peer is not None else READ_SLICE_S)
                if message is None and peer is not None:
                    ready, _, _ = select.select([peer], [], [], READ_SLICE_S)
                    if ready and peer.recv(1, socket.MSG_PEEK) == b"":
                        self._lost = "the socketcand server closed the connection"
                        return
            except self._read_errors as problem:
                if not self._closed.is_set():
                    self._lost = f"{type(problem).__name__}: {problem}"
                return
            if message is not None:
                at_s = self._stamps.to_bench(message.timestamp, self._clock.now())
                try:
                    self._arrived(to_frame(message, at_s))
                except Exception as problem:  # noqa: BLE001 - raised again at the owner's next sleep
                    self._hand_over(problem)

    def _hand_over(self, problem: Exception) -> None:
        try:
            self._clock.at(self._clock.now(), partial(_raise, problem))
        except ClockMisuse:  # the clock is closed, so nobody will sleep on it any more
            self._lost = f"{type(problem).__name__}: {problem}"


def _raise(problem: Exception) -> None:
    raise problem


def _check_served(options: dict[str, Any], channel: str, where: str) -> None:
    """Fail at once if nobody serves this bus: python-can would try for 10 s at full speed, or wait for ever."""
    missing = [key for key in ("host", "port") if key not in options]
    if missing:
        raise LinkError(f"CAN {where}: options need {' and '.join(missing)} of the socketcand server")
    place = f"{options['host']}:{options['port']}"
    try:
        with socket.create_connection((options["host"], options["port"]), timeout=5.0) as peer:
            answer = peer.recv(100)
            if answer == b"< hi >":
                peer.sendall(f"< open {channel} >".encode())
                answer = peer.recv(200)
    except OSError as problem:
        raise LinkError(f"CAN {where}: no socketcand server at {place}: {problem}; is it running?") from problem
    if answer != b"< ok >":
        raise LinkError(f"CAN {where}: {place} does not open this bus, it says {answer.decode('ascii', 'replace')!r}")
