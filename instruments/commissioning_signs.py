"""Which way an instrument's readings count, whether they are right, and how fast its output stops."""

from __future__ import annotations

from bench.quantities import Direction, show
from bench.way_out import OFF_WITHIN_S
from instruments.driving import HEADROOM_V, Hand
from instruments.first_contact import CannotTell, ContactSheet, Disagrees


class Signs:
    """The instrument in a hand against the reference meter, one direction at a time."""

    def __init__(self, hand: Hand, sheet: ContactSheet) -> None:
        self.hand, self.sheet = hand, sheet
        self.part, self.place, self.clock = hand.part, hand.place, hand.clock

    def judge(self, direction: Direction) -> None:
        """Judge sign and size of the readings in one direction, and how fast it stops."""
        if {"supply": Direction.CHARGE, "load": Direction.DISCHARGE}.get(self.place.role, direction) is not direction:
            return  # it has one quadrant, and this is the other
        self.sheet.judge(f"sign while {direction.verb}", lambda: self._sign(direction))
        self.sheet.judge(f"stop while {direction.verb}", lambda: self._stop(direction))

    def _need(self, direction: Direction) -> float:
        if direction not in self.hand.directions():
            raise CannotTell(f"nothing flows out of a {self.place.connected}: connect a pack")
        return self.hand.level_a(direction)

    def _sign(self, direction: Direction) -> str:
        level_a, reference = self._need(direction), self.hand.reference
        seen = []
        try:
            self.hand.drive(direction, level_a / 2)
            seen.append((reference.current(), self.part.measure_current()))
            self.hand.change(direction, level_a)
            seen.append((reference.current(), self.part.measure_current()))
            pack_v, own_v = reference.pack_voltage(), self.part.measure_voltage()
        finally:
            self.hand.off()
        (half_a, own_half_a), (full_a, own_a) = seen
        forced_a, allowed_a = direction.sign * level_a, self.hand.allowed_a(level_a)
        if full_a * direction.sign < -0.5 * level_a:
            raise Disagrees(
                f"was told to {direction.word}, the reference shows {show(full_a, 'A')}: look at the sense leads of "
                "the reference shunt and at the power leads"
            )
        self._resistor(pack_v, full_a)
        if abs(full_a - forced_a) > allowed_a:
            raise Disagrees(f"{show(forced_a, 'A')} was set, the reference shows {show(full_a, 'A')}")
        if abs(own_a - own_half_a) < 0.5 * abs(full_a - half_a):
            raise Disagrees(
                f"its current reading stands still: {show(own_half_a, 'A')}, then {show(own_a, 'A')}, while the "
                f"reference went from {show(half_a, 'A')} to {show(full_a, 'A')}"
            )
        if own_a * full_a < 0:
            raise Disagrees(
                f"its current reading has the other sign: it says {show(own_a, 'A')}, the reference "
                f"{show(full_a, 'A')}; the sign in its driver is not this unit's"
            )
        if abs(own_a - full_a) > allowed_a:
            raise Disagrees(
                f"it reads {show(own_a, 'A')}, the reference {show(full_a, 'A')}, allowed are {allowed_a:.2f} A between"
            )
        self._voltage(own_v, pack_v, full_a)
        return f"it reads {show(own_a, 'A')}, the reference {show(full_a, 'A')} at {pack_v:.2f} V"

    def _voltage(self, own_v: float, pack_v: float, current_a: float) -> None:
        accuracy = self.place.section.accuracy.get("voltage")
        allowed_v = 0.25 * HEADROOM_V + (0.02 * pack_v if accuracy is None else accuracy.half_width(pack_v))
        if abs(own_v - pack_v) > allowed_v:
            raise Disagrees(
                f"it reads {own_v:.2f} V at its terminals, the pack meter {pack_v:.2f} V at {show(current_a, 'A')}, "
                f"allowed are {allowed_v:.2f} V between"
            )

    def _resistor(self, pack_v: float, current_a: float) -> None:
        ohm = self.place.resistor_ohm
        if ohm and abs(pack_v / ohm - current_a) > 0.05 * abs(current_a):
            raise Disagrees(
                f"{pack_v:.3f} V at {ohm:g} Ohm would be {pack_v / ohm:.2f} A, the reference shows "
                f"{show(current_a, 'A')}: is that the resistor, and the shunt's value right?"
            )

    def _stop(self, direction: Direction) -> str:
        level_a = self._need(direction)
        self.hand.drive(direction, level_a)
        before_a = self.hand.reference.current()
        since_s = self.clock.now()
        self.hand.off()
        took_s = self.hand.time_to_off(since_s)
        if abs(before_a) < 0.5 * level_a:
            raise Disagrees(f"{level_a:g} A were set and {show(before_a, 'A')} flowed: nothing to stop")
        if took_s is None:
            current_a = self.hand.reference.current()
            self.hand.cut_off()
            self.sheet.stop("its output says off and conducts")
            raise Disagrees(f"says off, and {show(current_a, 'A')} still flows after {OFF_WITHIN_S:g} s")
        self.sheet.figures["stop_latency_s"] = max(took_s, self.sheet.figures.get("stop_latency_s", 0.0))
        return f"from {show(before_a, 'A')} to off within {took_s:.3f} s of the command"
