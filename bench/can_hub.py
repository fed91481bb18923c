"""An in-process CAN bus: what one node sends, every other node has at once, stamped by the bench's clock.

It is neutral ground between the bench's own python-can interface and the virtual BMS, so that neither imports
the other. Delivery is synchronous: a frame sent during `Clock.sleep` has arrived before `sleep` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.clock import Clock
from bench.frames import CanFrame

Sink = Callable[[CanFrame], None]


class CanNode:
    """One participant of a `CanHub`."""

    def __init__(self, hub: CanHub, name: str, sink: Sink) -> None:
        self._hub = hub
        self.name = name
        self.sink = sink

    def send(self, frame: CanFrame) -> None:
        """Put a frame on the bus; it is stamped with the clock's time.

        Raises:
            ConnectionError: the hub is closed, or nobody acknowledges (no other node is there).
        """
        self._hub.deliver(self, frame)

    def detach(self) -> None:
        """Leave the bus."""
        self._hub.remove(self)


class CanHub:
    """A bus with its participants. Named hubs are found by `CanHub.find` while they are open."""

    _open: dict[str, CanHub] = {}  # noqa: RUF012 - the one registry of open in-process buses

    def __init__(self, name: str, clock: Clock) -> None:
        if name in CanHub._open:
            raise ConnectionError(f"an in-process CAN bus called {name!r} is open already")
        self.name = name
        self.clock = clock
        self._nodes: list[CanNode] = []
        CanHub._open[name] = self

    @classmethod
    def find(cls, name: str) -> CanHub:
        """Return the open hub of that name.

        Raises:
            ConnectionError: there is none.
        """
        try:
            return cls._open[name]
        except KeyError:
            raise ConnectionError(f"no in-process CAN bus called {name!r} is open") from None

    def attach(self, name: str, sink: Sink) -> CanNode:
        """Join the bus; `sink` is called with every frame that another node sends."""
        node = CanNode(self, name, sink)
        self._nodes.append(node)
        return node

    def remove(self, node: CanNode) -> None:
        """Let a node leave; twice is once."""
        if node in self._nodes:
            self._nodes.remove(node)

    def deliver(self, sender: CanNode, frame: CanFrame) -> None:
        """Hand a frame from one node to all others; see `CanNode.send`."""
        if sender not in self._nodes:
            raise ConnectionError(f"CAN node {sender.name!r} is not on bus {self.name!r} any more")
        others = [node for node in self._nodes if node is not sender]
        if not others:
            raise ConnectionError(f"nobody acknowledges on CAN bus {self.name!r}: no other node is connected")
        stamped = replace(frame, at_s=self.clock.now())
        for node in others:
            node.sink(stamped)

    def close(self) -> None:
        """Close the bus for everybody."""
        self._nodes.clear()
        CanHub._open.pop(self.name, None)
