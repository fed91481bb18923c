"""The digitiser of Keithley's touch-screen multimeters: samples in a ring, until the level is crossed.

Source of facts: the maker's DMM7510 reference manual (2015), whose command set the DMM6500 shares, for the analog
trigger, the trigger model `LoopUntilEvent`, the states of `TRIG:STAT?` and the circular filling of a buffer; public
drivers of the DMM6500 for the rest. Observed on a DMM6500 and published by its user: `LoopUntilEvent` fills the
buffer in a ring until the event, then takes (100 - position) per cent of it; it takes 2 ms from `INIT` until an event
counts, the state follows up to 0.23 s late, and the comparator is 7.3 us late whatever the rate. To be seen at the
first unit: from which index `TRAC:DATA?` begins after the ring has turned (here the time stamps decide), that
`FORM:ASC:PREC 16` reaches them, and the comparator's resolution.
"""

from __future__ import annotations

from bench.emulator_roles import Waveform
from bench.errors import InstrumentError, OutOfRange
from bench.quantities import Range
from instruments.capture import Capture, plan_capture
from instruments.driver import confirm
from instruments.scpi import Scpi, parse_number

RANGES_V = (0.1, 1.0, 10.0, 100.0, 1000.0)
RATES = Range(1000.0, 1_000_000.0, "Hz")
_MOST_SAMPLES = 100_000  # what defbuffer1 holds as delivered
_CHUNK = 500  # samples per answer, about 25 kB
_LATENCY_S = 20e-6  # of the comparator, with a margin
_LEVEL_STEP = 0.005  # of the range: how far the level may be from what was asked for
_STARTED_S, _LIVE_S = 1.0, 0.01  # until the state shows it, until an event counts
_WAITS = ("RUNNING", "WAITING")  # states of the trigger model
_BUFFER = '"defbuffer1"'


class KeithleyDigitiser:
    """Arms, asks, fetches and disarms. Between arming and disarming there are no single readings."""

    def __init__(self, name: str, link: Scpi) -> None:
        self.name = name
        self.link = link
        self._range_v: float | None = None  # of single readings; None: not known to be as set
        self._capture: Capture | None = None

    def arm_digitiser(
        self, *, range_v: float, rate_hz: float, duration_s: float, level_v: float, rising: bool, before_s: float
    ) -> None:
        """Set it up, read it back, and let it wait for the level: `duration_s` in all, `before_s` of it before.

        Returns once it waits and enough was kept from before.

        Raises:
            OutOfRange: not a range of its own, not a whole rate from 1000 to 1000000 Hz, a level outside the range,
                more than 100000 samples with the margin that finding the crossing takes; nothing was sent.
            InstrumentError: a setting was refused or not taken, or it did not start (or triggered at once).
        """
        what = f"{self.name}, digitiser"
        if range_v not in RANGES_V:
            raise OutOfRange(f"{what}: {range_v!r} V is not one of its ranges {RANGES_V} V")
        if RATES.check(rate_hz, f"{what}, rate") != int(rate_hz):
            raise OutOfRange(f"{what}: {rate_hz!r} Hz is not a whole number of samples per second")
        Range(-range_v, range_v, "V").check(level_v, f"{what}, level")
        asked = {"rate_hz": rate_hz, "duration_s": duration_s, "level_v": level_v, "before_s": before_s}
        capture = plan_capture(what, rising=rising, latency_s=_LATENCY_S, **asked)
        if capture.points > _MOST_SAMPLES:
            raise OutOfRange(
                f"{what}: {duration_s:g} s at {rate_hz:g} Hz need {capture.points} samples with their margin, "
                f"more than {_MOST_SAMPLES}; take a lower rate or a shorter duration"
            )
        self._capture = None
        single_range_v, self._range_v = self._range_v, None
        clock = self.link.transport.clock
        with self.link.transport.operation():
            self._set_up(capture, range_v)
            self.link.write_checked("INIT")
            confirm(
                clock,
                lambda: self._state() in _WAITS,
                lambda: f"{self.link.transport.where}: does not wait for {level_v:g} V (or met it at once)",
                within_s=_STARTED_S,
            )
        if not clock.in_callback:
            clock.sleep(_LIVE_S + capture.trigger / rate_hz)
        self._capture, self._range_v = capture, single_range_v

    def has_triggered(self) -> bool:
        """Ask whether the samples are complete.

        Raises:
            InstrumentError: not armed, stopped by somebody, or triggered before enough was kept from before.
        """
        capture = self._armed()
        with self.link.transport.operation():
            state = self._state()
            if state in _WAITS:
                return False
            if state != "IDLE":
                raise InstrumentError(f"{self.link.transport.where}: the digitiser is {state}, not armed any more")
            found = self.link.query_bits(f"TRAC:ACT? {_BUFFER}")
        if found != capture.points:
            raise InstrumentError(
                f"{self.link.transport.where}: triggered with {found} samples instead of {capture.points}: before "
                "it had kept enough, or stopped by somebody; disarm and arm again"
            )
        return True

    def fetch_waveform(self) -> Waveform:
        """Return the samples, in volts; zero is the first one beyond the level.

        Raises:
            InstrumentError: not complete yet, a sample missing or overloaded, or none that crosses the level.
        """
        capture = self._armed()
        if not self.has_triggered():
            raise InstrumentError(f"{self.name}: the digitiser has not triggered yet; ask has_triggered first")
        values_v: list[float] = []
        stamps_s: list[float] = []
        for first in range(1, capture.points + 1, _CHUNK):
            last = min(first + _CHUNK - 1, capture.points)
            question = f"TRAC:DATA? {first},{last},{_BUFFER},READ,REL"
            fields = self.link.query(question).split(",")
            if len(fields) != 2 * (last - first + 1):
                raise InstrumentError(
                    f"{self.link.transport.where}: {question} answered {len(fields)} numbers, two per sample expected"
                )
            what = f"{self.name}, {question}"
            values_v += [parse_number(field, "V", what).value for field in fields[::2]]
            stamps_s += [parse_number(field, "s", what).value for field in fields[1::2]]
        return capture.cut(values_v, stamps_s, self.link.transport.where)

    def disarm_digitiser(self) -> None:
        """Stop waiting, and go back to single readings, in the range that was set before. Needs no earlier state."""
        with self.link.transport.operation():
            for command in ("ABOR", "DIG:VOLT:ATR:MODE OFF", 'SENS:FUNC "VOLT"'):
                self.link.write_checked(command)
            self._expect("SENS:FUNC?", "VOLT")
        self._capture = None

    def _set_up(self, capture: Capture, range_v: float) -> None:
        """Tell everything, then ask for everything that can be asked for; the buffer is emptied by its new size."""
        slope = "RIS" if capture.rising else "FALL"
        for command in (
            "ABOR",
            'DIG:FUNC "VOLT"',
            f"DIG:VOLT:RANG {range_v:g}",
            f"DIG:VOLT:SRATE {capture.rate_hz:.0f}",
            "DIG:VOLT:APER AUTO",
            "DIG:VOLT:ATR:MODE EDGE",
            f"DIG:VOLT:ATR:EDGE:LEV {capture.level_v:.6g}",
            f"DIG:VOLT:ATR:EDGE:SLOP {slope}",
            "FORM:DATA ASC",
            "FORM:ASC:PREC 16",
            f"TRAC:FILL:MODE CONT,{_BUFFER}",
            f"TRAC:POIN {capture.points},{_BUFFER}",
            f'TRIG:LOAD "LoopUntilEvent",ATR,{capture.position_pct},ENT,0,{_BUFFER}',
        ):
            self.link.write_checked(command)
        self._expect("DIG:FUNC?", "VOLT")
        self._compare("DIG:VOLT:RANG?", range_v, "V")
        self._compare("DIG:VOLT:SRATE?", capture.rate_hz, "Hz")
        self._expect("DIG:VOLT:ATR:MODE?", "EDGE")
        self._compare("DIG:VOLT:ATR:EDGE:LEV?", capture.level_v, "V", _LEVEL_STEP * range_v)
        self._expect("DIG:VOLT:ATR:EDGE:SLOP?", slope)
        self._compare(f"TRAC:POIN? {_BUFFER}", capture.points, "1")

    def _state(self) -> str:
        """Return the trigger model's state, the first of three fields such as `WAITING;WAITING;4`."""
        return self.link.query("TRIG:STAT?").partition(";")[0].strip().upper()

    def _armed(self) -> Capture:
        if self._capture is None:
            raise InstrumentError(f"{self.name}: the digitiser is not armed; call arm_digitiser first")
        return self._capture

    def _refuse_while_armed(self) -> None:
        if self._capture is not None:
            raise InstrumentError(f"{self.name}: the digitiser is armed; call disarm_digitiser first")

    def _compare(self, question: str, expected: float, unit: str, tolerance: float | None = None) -> None:
        found = self.link.query_float(question, unit)
        if abs(found - expected) > (1e-6 * abs(expected) if tolerance is None else tolerance):
            raise InstrumentError(f"{self.name}: {question} says {found:g}, expected {expected:g}")

    def _expect(self, question: str, word: str) -> None:
        """Compare a word, which the instrument may give in quotes, in full or with what follows (`"VOLT:DC"`)."""
        found = self.link.query(question)
        if not found.strip().strip('"').upper().startswith(word):
            raise InstrumentError(f"{self.name}: {question} says {found}, expected {word}")

    def _check_ring(self) -> None:
        """After a lost connection: a power cycle would have left no trigger model and a buffer of another size."""
        if self._capture is not None:
            capture, self._capture = self._capture, None
            self._compare(f"TRAC:POIN? {_BUFFER}", capture.points, "1")
            self._expect("DIG:VOLT:ATR:MODE?", "EDGE")
            self._capture = capture
