"""What every conversation with an instrument keeps, whatever language is spoken.

- One owner: a message and its answer are atomic, under one lock.
- A time-out means that the conversation is out of step: the connection is closed. The next use opens a new
  one, asks who answers, compares that with the first time, and has the driver look at its state (`on_reopen`)
  before anything else is sent. A change of state is never repeated by itself.
- Minimum spacing between messages is waited for outside the lock. Inside a clock callback nobody may wait:
  there the first message raises `NotDue` when it is too early after the main thread's last.
- Every message is recorded with the clock's time, in a ring and through the `Record` handed in.
- In a simulated run the answer is served before anything waits for it, and an announced silence costs
  simulated time only.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from bench.clock import NS, Clock, to_ns
from bench.errors import ConnectionLost, InstrumentError, InstrumentTimeout, NotDue
from bench.roles import Dialogue, Record
from instruments.transports.address import Address
from instruments.transports.language import Language

Answer = TypeVar("Answer")
_Step = Literal["ready", "early", "opened", "refused"]

RING = 200  # messages kept for the error report
AGAIN_S = 0.5  # between two attempts to open a connection that is refused
LATE_S, REST_S = 0.2, 0.05  # how long an answer is waited for that nobody wants any more; an EA needs 5 ms


class Wire(Language):
    """The conversation with one instrument; a language adds how to ask and how to read the answer."""

    def __init__(
        self,
        name: str,
        address: Address,
        *,
        clock: Clock,
        record: Record,
        timeout_s: float,
        spacing_s: float = 0.0,
        reopen_within_s: float = 0.0,
    ) -> None:
        self.name = name
        self.address = address
        self.clock = clock
        self.timeout_s = timeout_s
        self.trace: deque[Dialogue] = deque(maxlen=RING)
        self.on_reopen: Callable[[], None] | None = None
        self.identity: str | None = None
        self._record = record
        self._spacing_ns = to_ns(spacing_s)
        self._reopen_within_s = reopen_within_s
        self._refused_s: float | None = None  # since when it cannot be opened
        self._lock = threading.RLock()
        self._due_ns = 0
        self._unasked = ""  # what came without a question, before the message that is due now
        self._last: tuple[int, bool] | None = None  # who had the last exchange, and at which instant
        self._last_ns = -1
        self._busy = False
        self._unchecked = False
        self._opening: tuple[int, bool] | None = None
        self._bursts: set[tuple[int, bool]] = set()  # (thread, in a callback) that is inside an operation

    def connect(self) -> str:
        """Open the connection, ask who answers, and return that.

        An instrument that may still count somebody's old connection is tried again, as when reopening.

        Raises:
            ConnectionLost: nothing listens there. InstrumentTimeout: something listens but does not answer.
        """
        while True:
            with self._lock:
                opened = self._is_opened()
            if opened:
                break
            self.clock.sleep(AGAIN_S)
        self.clock.settle()
        assert self.identity is not None
        return self.identity

    def close(self) -> None:
        """End the conversation; what the driver has to say before is the driver's."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def operation(self, *, urgent: bool = False) -> Iterator[None]:
        """Several messages that belong together: inside a callback only the first can be too early.

        An `urgent` one (switching off) is never too early, and does not wait for `on_reopen`.
        """
        me = self._me()
        if me in self._bursts or not (urgent or self.clock.in_callback):
            yield
            return
        if not urgent:
            self._take_turn(urgent=False)
            self._lock.release()
        self._bursts.add(me)
        try:
            yield
        finally:
            self._bursts.discard(me)

    def exchange(
        self, talk: Callable[..., Answer], *arguments: Any, what: str, patience_s: float | None = None
    ) -> Answer:
        """Run `talk(*arguments)`, one message with its answer if it has one, as the only user of the connection.

        Raises:
            InstrumentTimeout: no answer in time; the connection is closed.
            ConnectionLost: the peer closed it, or cannot be reached.
            NotDue: too early, and this is a callback.
        """
        self._lock.acquire()
        undisturbed = not (self._busy or self._unchecked or self._opening or self._due_ns) and self._is_quiet()
        if not undisturbed:
            self._lock.release()
            self._take_turn(urgent=bool(self._bursts) and self._me() in self._bursts)
        try:
            answer = self._talk(talk, arguments, what, patience_s)
        finally:
            self._lock.release()
        if self.clock.simulated:
            self.clock.settle()
        return answer

    def note(self, sent: bool, text: str) -> None:
        """Put one message into the ring and hand it to the record."""
        dialogue = Dialogue(self.clock.now_ns() / NS, self.name, sent, text)
        self.trace.append(dialogue)
        self._record(dialogue)

    def _me(self) -> tuple[int, bool]:
        return threading.get_ident(), self.clock.in_callback

    def _talk(
        self, talk: Callable[..., Answer], arguments: tuple[Any, ...], what: str, patience_s: float | None
    ) -> Answer:
        self._busy = True
        try:
            return talk(*arguments)
        except TimeoutError:
            self._disconnect()
            problem = InstrumentTimeout(
                f"{self.where}: no answer to {what} within {patience_s or self.timeout_s:g} s; the connection was "
                "closed, the next use opens a new one and asks who answers"
            )
            problem.add_note("last messages:\n" + "\n".join(map(str, list(self.trace)[-6:])))
            raise problem from None
        except OSError as problem:
            raise self.lost(f"the connection broke at {what} ({problem})") from problem
        except InstrumentError:
            raise  # a refusal came in step; what is out of step has been closed where it was found
        except BaseException:  # Ctrl-C between question and answer: the answer must not meet the next question
            self._recover()
            raise
        finally:
            self._busy = False
            if self._spacing_ns:
                self._last = self._me()
                self._last_ns = self.clock.now_ns()
                self._due_ns = self._last_ns + self._spacing_ns

    def _recover(self) -> None:
        """Get back into step after an interruption, so that the way out finds the connection open; else close it.

        An instrument that takes one client (EA) could otherwise not be switched off for 3 s. What was asked is
        listened for and dropped; who then answers the question who it is, is in step.
        """
        in_step = False
        self._busy, self._opening = False, self._me()
        try:
            if self.is_open and self.identity:  # "": it cannot say who it is
                self._let_pass()
                in_step = self._who() == self.identity
        except Exception as problem:  # noqa: BLE001 - then it is closed, which was the first choice anyway
            self.note(False, f"(not in step after an interruption: {problem})")
        finally:
            self._opening = None
            if not in_step:
                self._disconnect()

    def _let_pass(self) -> None:
        """Drop the answer that nobody wants any more; in simulated time it is there already or never comes."""
        if self.clock.simulated:
            self.clock.serve()
            self._is_stale()
            return
        self._listen(LATE_S)
        self._listen(REST_S)  # the rest of an answer in pieces, and what came of a second question

    def _take_turn(self, *, urgent: bool) -> None:
        """Return with the lock held, the spacing kept, the connection open and its driver satisfied."""
        opened = 0
        while True:
            self._lock.acquire()
            try:
                step = self._prepare(urgent=urgent)
                opened += step == "opened"
                if opened > 2:
                    raise self.lost("it answers, but closes every connection")
            except BaseException:
                self._lock.release()
                raise
            if step == "ready":
                return
            self._lock.release()
            if step == "refused":  # without the lock: a watch that comes meanwhile must not wait behind this
                self.clock.sleep(AGAIN_S)
                continue
            wait_ns = self._due_ns - self.clock.now_ns()
            if wait_ns <= 0:
                continue
            if not self.clock.in_callback:
                self.clock.sleep(wait_ns / NS)
            else:
                with self._lock:
                    self._listen(wait_ns / NS)

    def _prepare(self, *, urgent: bool) -> _Step:
        in_callback = self.clock.in_callback
        opening = self._opening is not None and self._opening == self._me()
        if self._busy or (self._opening is not None and not opening):
            raise NotDue(f"{self.name}: an exchange is under way; ask at the next tick")
        now_ns = self.clock.now_ns()
        if self._due_ns > now_ns:
            if not in_callback:
                return "early"
            # Several questions of one callback follow each other: on the wall with the pause between them
            # spent listening, in simulated time at the same instant, since there it stands still.
            same = self._last == self._me() and (self._last_ns == now_ns or not self.clock.simulated)
            if not (urgent or opening or same):
                raise NotDue(f"{self.name}: its minimum spacing has not passed; ask at the next tick")
            if not self.clock.simulated:
                return "early"
        if opening:
            return "ready"
        if self.is_open:
            self._unasked = ""
            if self._is_stale():
                self.note(False, "(the instrument closed the connection)")
                self._disconnect()
            elif self._unasked:
                self._distrust(urgent=urgent)
        if not self.is_open:
            return "opened" if self._is_opened() else "refused"
        if self._unchecked and not urgent and self.on_reopen is not None:
            self._unchecked = False
            with self.operation(urgent=True):
                self.on_reopen()
            return "early"
        return "ready"

    def _distrust(self, *, urgent: bool) -> None:
        """Unasked bytes may be the answer that an earlier question never got, and then its answer was another's.

        Nothing that comes over this connection is trusted any more. Switching off goes on over a new one.

        Raises:
            InstrumentError: unless it is urgent.
        """
        self._disconnect()
        if not urgent:
            raise InstrumentError(
                f"{self.where}: sent {self._unasked} that nobody asked for, so question and answer are out of step; "
                "the connection was closed, the next use opens a new one and asks who answers"
            )

    def _is_opened(self) -> bool:
        """Open, and say whether that worked; an instrument may still count the old connection (EA: one, about 3 s).

        The patience is one for each outage, not for each message: who is gone for good does not cost it every time.

        Raises:
            ConnectionLost: it did not, and nobody may wait here, or not any more.
        """
        try:
            self._open()
        except ConnectionLost:
            now_s = self.clock.now()
            self._refused_s = now_s if self._refused_s is None else self._refused_s
            if self.clock.in_callback or now_s >= self._refused_s + self._reopen_within_s:
                raise
            return False
        self._refused_s = None
        return True

    def _open(self) -> None:
        self._connect()
        self._opening = self._me()
        try:
            identity = self._who()
        except BaseException:
            self._disconnect()
            raise
        finally:
            self._opening = None
        if self.identity is None:
            self.identity = identity
            return
        self._unchecked = True
        if identity != self.identity:
            self._disconnect()
            raise InstrumentError(
                f"{self.where}: after reopening the connection {identity!r} answers, before it was "
                f"{self.identity!r}; another instrument has this address now"
            )
