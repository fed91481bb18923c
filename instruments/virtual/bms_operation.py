"""How a virtual BMS comes to closed switches on a cyclic state request, and what makes it open them again.

It is foxBMS 2's state machine (link reference, section 3.1) in terms of the profile's own state words and sequence;
words that a profile lacks are not shown (see `_show`).

Without a section `precharge` precharging takes its declared time, whatever the bus does. The timing of the request is
checked from the first request on; a missing one is left to the diagnosis `link_lost` where the profile declares one.

Not simulated: the pause of 0.1 s between a fatal flag and the error state, contactors' break current, interlock,
insulation measurement.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.operation import StateRequest
from instruments.virtual.bms_always_on import Host
from instruments.virtual.bms_precharge import PrechargeControl

# foxBMS 2, v1.11.0: the request is checked every 10 ms; 100 bad checks, then 200 ms more, are fatal.
CHECK_S = 0.01
BAD_CHECKS, GRACE_S = 100, 0.2
_BOOT = ((0.1, "uninitialized"), (0.3, "initialization"), (0.5, "initialized"))
_OPENING_S = 0.1


class StateRequestOperation:
    """The state machine behind a cyclic request."""

    timing_error: bool
    precharge_failed_since_s: float | None = None  # when the first of the tries in vain began

    def __init__(
        self,
        host: Host,
        operation: StateRequest,
        words: Mapping[int, str],
        *,
        precharge: PrechargeControl | None = None,
        watches_silence: bool = True,
    ) -> None:
        self._host = host
        self._control, self._watches_silence = precharge, watches_silence
        self._operation = operation
        self._raw = {word: raw for raw, word in words.items()}
        spoken = {operation.operating, operation.error, *(step.until for step in operation.sequence)}
        silent = [raw for raw, word in words.items() if word not in spoken]
        self._first_raw = min(silent, default=min(words, default=0))
        window = operation.period_window_s
        self._window_s = window if window is not None else (0.0, 3.0 * operation.period_s)
        self.power_on()

    def power_on(self) -> None:
        """Begin anew: no request heard, everything open."""
        self.phase = "boot"
        self._shown = self._first_raw
        self._step = -1
        self._since_s = 0.0
        self._precharge_at_s: float | None = None
        self._asked: Mapping[str, float] = {}
        self._heard_at_s: float | None = None
        self._gap_s: float | None = None
        self._bad = 0
        self._fatal_at_s: float | None = None
        self.timing_error = False
        self.precharge_failed_since_s = None
        if self._control is not None:
            self._control.done()
        self._closed: tuple[str, ...] = ()
        self._show("uninitialized")

    def request(self, values: Mapping[str, float], at_s: float) -> None:
        """Take a request frame, decoded, with the time of its arrival since power-on."""
        self._gap_s = None if self._heard_at_s is None else at_s - self._heard_at_s
        self._heard_at_s = at_s
        self._asked = values
        if self._asks(self._operation.clear):
            self._host.clear()

    def tripped(self, opens: tuple[str, ...]) -> None:
        """A protection of the highest level has tripped: error state at once, the switches follow in their time."""
        self._enter_error()

    def opened(self, opens: tuple[str, ...]) -> None:
        """These switches were opened by a protection: they stay open until the sequence closes them."""
        if self._control is not None:
            opens = (*opens, "precharge")  # a supervised precharge does not outlive what it was for
        self._closed = tuple(name for name in self._closed if name not in opens)
        self._host.want(*self._closed)

    def check(self) -> None:
        """Called every 10 ms: supervise the request, then follow it."""
        now_s = self._host.now_s()
        self._check_timing(now_s)
        getattr(self, f"_in_{self.phase}")(now_s)

    def state_raw(self) -> int:
        """The value of the state signal."""
        return self._shown

    # -- phases ----------------------------------------------------------------------------------------------

    def _in_boot(self, now_s: float) -> None:
        for until_s, word in _BOOT:
            if now_s < until_s:
                self._show(word)
                return
        self.phase = "idle"
        self._show("idle")

    def _in_idle(self, now_s: float) -> None:
        if self._asks(self._operation.sequence[0].request):
            self._enter(0, now_s)

    def _in_ready(self, now_s: float) -> None:
        sequence = self._operation.sequence
        here = sequence[self._step]
        if here.until == self._operation.operating:
            if self._asks(self._operation.open) and not self._asks(here.request):
                self._open(now_s)
            return
        if self._step + 1 < len(sequence) and self._asks(sequence[self._step + 1].request):
            self._enter(self._step + 1, now_s)

    def _in_precharge(self, now_s: float) -> None:
        if self._asks(self._operation.open) and not self._asks(self._operation.sequence[self._step].request):
            self._open(now_s)
        elif self._control is None:
            if now_s - self._since_s >= self._operation.precharge_s - 1e-9:
                self._connect()
        elif self._control.charged():
            self._control.done()
            self._connect()
        elif self._control.late(self._since_s, now_s):
            self._close()
            self.phase = "cooling"
            if self._control.spent():
                self.precharge_failed_since_s = self._control.began_s
                self._enter_error()

    def _in_cooling(self, now_s: float) -> None:
        """Between two tries."""
        if self._asks(self._operation.open) and not self._asks(self._operation.sequence[self._step].request):
            self._open(now_s)
        else:
            self._enter(self._step, now_s)

    def _connect(self) -> None:
        self._close(*(name for name in self._host.switches if name != "precharge"))
        self.phase = "ready"
        self._show(self._operation.sequence[self._step].until)

    def _in_opening(self, now_s: float) -> None:
        if now_s - self._since_s >= _OPENING_S:
            self._fall_back(now_s)

    def _in_error(self, now_s: float) -> None:
        """Ends only when no fatal flag is left and the first step of the sequence is requested."""
        if not (self._host.fatal() or self.timing_error) and self._asks(self._operation.sequence[0].request):
            self._close()
            self._fall_back(now_s)

    # -- transitions -----------------------------------------------------------------------------------------

    def _enter(self, step: int, now_s: float) -> None:
        target = self._operation.sequence[step].until
        if target != self._operation.operating:
            self.phase, self._step = "ready", step
            self._show(target)
            return
        last_s = self._precharge_at_s
        if last_s is not None and now_s - last_s < self._operation.reclose_wait_s - 1e-9:
            return  # the precharge resistor must cool: the request stays pending
        self.phase, self._step, self._since_s = "precharge", step, now_s
        self._precharge_at_s = now_s
        if self._control is not None:
            self._control.begin(now_s)
        self._show("precharge")
        self._close(*(name for name in self._host.switches if name in ("precharge", "main_minus", "fuse")))

    def _open(self, now_s: float) -> None:
        if self._control is not None:
            self._control.done()
        self._close()
        self.phase, self._since_s = "opening", now_s
        self._show("open_contactors")

    def _fall_back(self, now_s: float) -> None:
        """To the first state of the sequence, or to idle where that state would close the switches."""
        self.phase, self._step = "idle", -1
        if self._operation.sequence[0].until == self._operation.operating:
            self._show("idle")
        else:
            self._enter(0, now_s)

    def _enter_error(self) -> None:
        if self._control is not None:
            self._control.done()
        self.phase = "error"
        self._show(self._operation.error)

    def _close(self, *names: str) -> None:
        self._closed = names
        self._host.want(*names)

    def _check_timing(self, now_s: float) -> None:
        if self._heard_at_s is None:
            return
        low_s, high_s = self._window_s
        bad = self._watches_silence and now_s - self._heard_at_s > high_s + 1e-9
        if self._gap_s is not None:
            bad = bad or not low_s - 1e-9 <= self._gap_s <= high_s + 1e-9
        if not bad:
            self._bad = max(0, self._bad - 1)
            if self._bad == 0:
                self._fatal_at_s, self.timing_error = None, False
            return
        self._bad = min(BAD_CHECKS, self._bad + 1)
        if self._bad == BAD_CHECKS and self._fatal_at_s is None:
            self._fatal_at_s = now_s + GRACE_S
        if self._fatal_at_s is not None and now_s >= self._fatal_at_s - 1e-9 and not self.timing_error:
            self.timing_error = True
            self._close()
            self._enter_error()

    def _show(self, word: str) -> None:
        """Show a state; without a word for the precharge the last one stays, any other place before or after
        operation shows the profile's first word that is no step of the sequence."""
        self._shown = self._raw.get(word, self._shown if word == "precharge" else self._first_raw)

    def _asks(self, wanted: Mapping[str, float]) -> bool:
        asked = self._asked
        return bool(asked) and all(asked.get(name) == value for name, value in wanted.items())
