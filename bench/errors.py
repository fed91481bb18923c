"""What can go wrong on a bench, and who should look at it.

BenchError
├── DefinitionError     a profile or bench file is wrong: correct the file
├── WiringError         polarity or topology is not what the definition says
├── InstrumentError     an instrument was silent, refused, or was asked too much
├── LinkError           the bench's own link to the BMS is broken
├── Inconclusive        the bench cannot tell: uncertainty too large, or an instrument limited first
├── Occupied            another run has the bench
└── SafetyError         the envelope was breached, or safe state was not reached: the run stops

A BMS that does the wrong thing is not in this tree. That is a failed assertion (`ProductFailure`).
"""

from __future__ import annotations


class BenchError(Exception):
    """The bench, not the product, is in trouble. Reported as *broken*."""


class DefinitionError(BenchError):
    """A profile or a bench definition is wrong; the message names file, key path, value and what to try."""


class WiringError(BenchError):
    """Polarity or topology is not what the definition says; the message names the wire to look at."""


class InstrumentError(BenchError):
    """An instrument was silent, refused a command, lost remote control, or was asked beyond its range."""


class InstrumentTimeout(InstrumentError):
    """No answer in time. The conversation may be out of step, so the connection is no longer trusted."""


class ConnectionLost(InstrumentError):
    """The instrument closed the connection or cannot be reached."""


class OutOfRange(InstrumentError):
    """A value outside what the instrument, the type or the envelope allows. Nothing is ever clipped."""


class NotDue(InstrumentError):
    """The instrument's minimum spacing between messages has not passed, and here nobody may wait.

    Raised inside clock callbacks only; the caller leaves the reading to its next tick.
    """


class LinkError(BenchError):
    """The bench's own link is broken: adapter gone, connection refused, bus off by our doing."""


class ReadingError(LinkError):
    """A BMS reading that cannot be used as a number; nothing is put in its place."""


class Stale(ReadingError):
    """The newest value is older than the signal's declared period allows."""


class Missing(ReadingError):
    """The signal was never received, or its message is absent."""


class NotImplementedByDut(ReadingError):
    """The BMS sends its 'not implemented' or 'not available' pattern for this signal."""


class BadFrame(ReadingError):
    """A frame is too short, fails its checksum, or does not fit the database."""


class Inconclusive(BenchError):
    """The bench cannot tell. Neither a pass nor a failure of the product."""


class Occupied(BenchError):
    """Another process uses this bench or one of its instruments; the message names it."""


class SafetyError(BenchError):
    """The envelope was breached or safe state was not reached. The run stops."""


class ProductFailure(AssertionError):
    """The BMS did the wrong thing. Nothing else means that."""
