"""What feeds the BMS itself: the pack, or an auxiliary supply on the bench, whose dips can reset it.

Without an auxiliary supply the BMS feeds itself and is never short of it. With one, its input is a resistor and,
behind a diode, a capacitor that carries it through dips: from V0 it reaches the brown-out voltage after
R C ln(V0 / V_brownout). Below, it resets: what it forgets and opens is `VirtualBms.power_off`. It starts again at a
somewhat higher voltage.

Values are typical ones (about 0.1 A at 24 V, 0.12 s from 24 V down); no reference names any.
Not simulated: inrush into the capacitor, consumption that depends on the state, sleep and wake, damage by too much.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, isfinite, log

from bench.clock import Clock, Rank, Tick

INPUT_OHM, HOLD_UP_F = 240.0, 470e-6
BROWN_OUT_V, START_V = 8.0, 9.0


class DutSupply:
    """The BMS's supply terminals. `attach` puts an auxiliary supply there; from then on only it counts."""

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        input_ohm: float = INPUT_OHM,
        hold_up_f: float = HOLD_UP_F,
        brown_out_v: float = BROWN_OUT_V,
        start_v: float = START_V,
    ) -> None:
        if not 0.0 < brown_out_v <= start_v:
            raise ValueError(
                f"supply of the BMS: brown-out {brown_out_v!r} V must be above 0, start {start_v!r} V above it"
            )
        self._now_ns = now_ns
        self.input_ohm, self.hold_up_s = input_ohm, input_ohm * hold_up_f
        self.brown_out_v, self.start_v = brown_out_v, start_v
        self.attached = False
        self._source_v = self._limit_a = 0.0
        self._held_v, self._held_ns = 0.0, now_ns()
        self._fed = True
        self._clock: Clock | None = None
        self._tell: Callable[[bool], None] = _nothing
        self._pending: Tick | None = None

    def attach(self) -> None:
        """An auxiliary supply is wired to the terminals, at 0 V."""
        self.attached = True
        self._held_v, self._fed = 0.0, False

    def set(self, *, source_v: float, limit_a: float) -> None:
        """The auxiliary supply holds this voltage as long as the current stays below its limit; 0 V when off."""
        for value, what in ((source_v, "voltage in V"), (limit_a, "current limit in A")):
            if not (isfinite(value) and value >= 0.0):
                raise ValueError(f"supply of the BMS, {what}: {value!r} is not a finite magnitude")
        self._held_v, self._held_ns = self.held_v(), self._now_ns()
        if self._fed and self._held_v < self.brown_out_v:
            self._turn(False)  # it was empty, and nobody's clock had said so
        self._source_v, self._limit_a = source_v, limit_a
        self._judge()

    def terminal_v(self) -> float:
        """Return the voltage at the supply terminals, in volts: the source's, or what its current limit leaves."""
        return min(self._source_v, self._limit_a * self.input_ohm)

    def current_a(self) -> float:
        """Return the current out of the auxiliary supply, in amperes; none while the capacitor still stands above."""
        terminal_v = self.terminal_v()
        return terminal_v / self.input_ohm if terminal_v >= self.held_v() else 0.0

    def held_v(self) -> float:
        """Return the voltage behind the diode, in volts."""
        faded_v = self._held_v * exp(-(self._now_ns() - self._held_ns) * 1e-9 / self.hold_up_s)
        return max(faded_v, self.terminal_v())

    @property
    def fed(self) -> bool:
        """Whether the BMS has what it needs to run."""
        return not self.attached or (self._fed and self.held_v() >= self.brown_out_v)

    def watch(self, clock: Clock, tell: Callable[[bool], None]) -> None:
        """Call `tell(fed)` whenever the BMS loses its supply or gets it back."""
        self._clock, self._tell = clock, tell

    def _judge(self) -> None:
        """Decide anew whether it is fed, and when the capacitor will be empty."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        held_v = self.held_v()
        if not self._fed and held_v >= self.start_v:
            self._turn(True)
        if not self._fed:
            return
        if held_v < self.brown_out_v:
            self._turn(False)
        elif self.terminal_v() < self.brown_out_v and self._clock is not None:
            left_s = self.hold_up_s * log(held_v / self.brown_out_v)
            self._pending = self._clock.at(self._clock.now() + left_s, self._empty, rank=Rank.BMS)

    def _empty(self) -> None:
        self._pending = None
        self._turn(False)

    def _turn(self, fed: bool) -> None:
        self._fed = fed
        self._tell(fed)


def _nothing(fed: bool) -> None:
    """Stand for a BMS that nobody watches."""
