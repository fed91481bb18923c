"""Faults of virtual instruments that can be switched on: what a driver must survive.

Source: the list of behaviours met on real instruments (late replies, half-open sockets, lost remote, ...).
Faults of the conversation act in `FaultySession`, between server and face; those of the instrument act in its
behaviour, which reads `fault.name`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.clock import NS
from bench.errors import DefinitionError
from instruments.virtual.behaviour_base import ActiveFault, Behaviour
from instruments.virtual.modbus_face import crc16
from instruments.virtual.wire import Session, Wire

# name -> its options with their defaults
FAULTS: dict[str, dict[str, float]] = {
    "none": {},
    "silent": {},  # hung: reads nothing it is told, answers nothing
    "dropped_command": {"count": 1},  # the next messages are lost
    "late_reply": {"s": 5.0},  # answers, and does it, but after the client's time-out
    "slow_reply": {"s": 0.5},  # answers within the time-out, and the time passes
    "no_terminator": {},  # the last byte of the answer never comes
    "extra_line": {},  # a spurious second line after each answer
    "partial": {},  # only half of the answer comes
    "crc_error": {},  # the last byte of each RTU frame is wrong
    "exception_7": {},  # Modbus writes are refused: access denied
    "connection_reset": {},  # every message ends its connection
    "mains_loss": {},  # a power cycle whose second half is `none`: until then every message ends its connection
    "power_cycle": {},  # at once: settings gone, remote given back, sockets closed
    "remote_lost": {"locked": 0},  # at once: the operator pressed LOCAL; locked: and keeps it
    "frozen_measurement": {},
    "stuck_output": {},  # an off command is accepted and ignored
    "sign_inverted": {},
    "wrong_value": {"gain": 1.1},
    "refuse_values": {},  # set values are ignored and refused
    "clear_reenables": {},  # acknowledging an alarm switches the output on again
    "protection_dead": {},  # trip limits are accepted, read back, and never act
    "watchdog_dead": {},  # the interface monitoring is accepted, read back, and does nothing
    "welded": {},  # a relay's contact conducts whatever its coil says
    "flickers": {"s": 0.05, "every_s": 3.0},  # a safety loop opens for a moment every few seconds
    "stuck_closed": {},  # an input tells "closed" whatever its loop does
    "stuck_open": {},
    "open_thermocouple": {"channel": 0},  # 0: all of them
}

# what only some kinds of instruments can play (`Behaviour.own_faults`)
OF_SOME_KINDS = {
    "crc_error",
    "exception_7",
    "remote_lost",
    "frozen_measurement",
    "stuck_output",
    "sign_inverted",
    "wrong_value",
    "refuse_values",
    "clear_reenables",
    "protection_dead",
    "watchdog_dead",
    "welded",
    "flickers",
    "stuck_closed",
    "stuck_open",
    "open_thermocouple",
}


def choose(behaviour: Behaviour, fault: str, options: Mapping[str, float]) -> ActiveFault:
    """Return the fault with its options, defaults filled in.

    Raises:
        DefinitionError: no such fault or option, or this kind of instrument cannot have it.
    """
    if fault not in FAULTS:
        raise DefinitionError(f"virtual instruments have no fault {fault!r}; there are: {', '.join(FAULTS)}")
    if fault in OF_SOME_KINDS - behaviour.own_faults:
        raise DefinitionError(f"virtual instrument {behaviour.name!r} cannot have the fault {fault!r}")
    strangers = set(options) - set(FAULTS[fault])
    if strangers:
        known = ", ".join(FAULTS[fault]) or "none"
        raise DefinitionError(f"fault {fault!r} has no option {sorted(strangers)[0]!r}; its options: {known}")
    values = {**FAULTS[fault], **options}
    if not all(math.isfinite(value) and value >= 0 for value in values.values()):
        raise DefinitionError(f"fault {fault!r}: its options must be finite and not negative, not {values}")
    if fault == "flickers" and not all(value >= 1e-3 for value in values.values()):
        raise DefinitionError(f"fault {fault!r}: its times must be at least 0.001 s, not {values}")
    return ActiveFault(fault, values)


class FaultySession:
    """A session with faults in front of it; healthy, it only passes on."""

    def __init__(self, inner: Session, behaviour: Behaviour) -> None:
        self._inner = inner
        self._behaviour = behaviour
        self._fault = behaviour.fault
        self._left = 0.0

    @property
    def max_connections(self) -> int:
        """How many connections the port takes now."""
        return self._inner.max_connections

    @property
    def wire(self) -> Wire:
        """The connection, shared with the session behind."""
        return self._inner.wire

    @wire.setter
    def wire(self, wire: Wire) -> None:
        self._inner.wire = wire

    def closed(self) -> None:
        """The connection has ended."""
        self._inner.closed()

    def feed(self, data: bytes) -> bytes:
        """Pass on what was received and what is answered, unless a fault is on."""
        fault = self._behaviour.fault
        if fault.name == "none":
            return self._inner.feed(data)
        if fault is not self._fault:
            self._fault = fault
            self._left = fault.options.get("count", 0.0)
        if fault.name == "silent" or (fault.name == "dropped_command" and self._left > 0):
            self._left -= 1
            self.wire.silence()
            return b""
        if fault.name in ("connection_reset", "mains_loss"):
            self.wire.drop(reset=True)
            return b""
        reply = self._inner.feed(data)
        return self._spoilt(fault, reply) if reply else reply

    def _spoilt(self, fault: ActiveFault, reply: bytes) -> bytes:
        wire = self.wire
        match fault.name:
            case "late_reply":
                wire.silence()
                due_ns = self._behaviour.clock.now_ns() + round(fault.options["s"] * NS)
                self._behaviour.at_ns(due_ns, lambda: wire.send(reply))
                return b""
            case "slow_reply":
                wire.owe(fault.options["s"])
            case "no_terminator":
                wire.silence()
                return reply[:-1]
            case "partial":
                wire.silence()
                return reply[: len(reply) // 2]
            case "extra_line":
                return reply + b"0\n"
            case "crc_error" if crc16(reply[:-2]) == reply[-2:]:  # a text has no checksum to spoil
                return reply[:-1] + bytes((reply[-1] ^ 0xFF,))
        return reply
