"""How the circuit moves through time: stretch by stretch, each in closed form, cut only where something changes.

A stretch ends at a change of settings, where an element changes its mode (found exactly), or at a point of a fixed
grid of absolute time where resistances and open-circuit voltages are refreshed. Reading evaluates the stretch and
leaves it as it was: how often somebody looks changes nothing, to the last bit.

Two time scales are kept apart. While the bus capacitors move (some 40 µs through the pack, seconds through a
precharge resistor), the inner voltage of the pack stands still. Once the bus rests, it follows the pack at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, exp, inf, log

from bench.errors import BenchError
from instruments.virtual.circuit_node import Branch, Step, next_piece, push, resting_v
from instruments.virtual.circuit_waveform import Waveform, driven
from instruments.virtual.pack import Pack

_GRID_NS = 125_000_000  # finest refresh; coarser ones are this times a power of two
_LONGEST_MOVE_S = 16.0  # refresh while the bus still moves: the pack's inner voltage is frozen that long
_ARRIVED_V = 1e-10
_SNAP_V = 5e-3  # a refresh of resistances moves the resting place by microvolts; more than this is a real transient
_LEAST_S = 1e-7  # progress after an event, so that rounding cannot stop time


class Flow:
    """The state between the settings: current, bus voltage, and the integrals that the pack needs."""

    def __init__(
        self,
        pack: Pack,
        now_ns: Callable[[], int],
        sources: Callable[[], list[Step]],
        branch: Callable[[], Branch],
        capacitance_f: Callable[[], float],
    ) -> None:
        self._pack, self._now_ns = pack, now_ns
        self._sources, self._make_branch, self._make_capacitance = sources, branch, capacitance_f
        #: Valid for the moment of the last catch-up.
        self.bus_v, self.bus_v_per_s, self.current_a = 0.0, 0.0, 0.0
        self.branch_drop_v = 0.0
        self._start_ns = self._seen_ns = now_ns()
        self._start_s = 0.0  # start of the stretch beyond _start_ns, below one nanosecond
        self._base = (0.0, 0.0, 0.0, 0.0)  # elapsed, charge, remembered, square since the pack's anchor
        self._start_v = self._length_s = 0.0
        self.changed()

    # -- for the circuit -------------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Bring bus voltage, current and pack to now."""
        now_ns = self._now_ns()
        if now_ns == self._seen_ns:
            return
        if now_ns < self._seen_ns:
            raise BenchError(f"virtual circuit: time went back from {self._seen_ns} ns to {now_ns} ns")
        while now_ns >= self._end_ns:
            self._finish()
        self._seen_ns = now_ns
        self._look((now_ns - self._start_ns) * 1e-9 - self._start_s)

    def changed(self) -> None:
        """Start a new stretch now, with new settings; the caller has caught up before it changed them."""
        self._start_ns, self._start_s = self._seen_ns, 0.0
        self._base, self._start_v = self._pack.integrals, self.bus_v
        self._refresh(at_rest=False)
        while self._seen_ns >= self._end_ns:
            self._finish()
        self._look((self._seen_ns - self._start_ns) * 1e-9 - self._start_s)

    # -- one stretch -----------------------------------------------------------------------------------------

    def _integrals(self, t: float) -> tuple[float, float, float, float]:
        elapsed, charge, remembered, square = self._base
        wave, rate = self._wave, self._pack.pair_rate
        return (
            elapsed + t,
            charge + wave.charge_c(t),
            remembered * exp(-rate * t) + wave.remembered_a(t, rate),
            square + wave.square_a2s(t),
        )

    def _emf_v(self, t: float) -> float:
        elapsed, charge, remembered, _ = self._integrals(t)
        return self._pack.emf_v(exp(-self._pack.pair_rate * elapsed), charge, remembered)

    def _look(self, t: float) -> None:
        """Set what is readable to the moment t of this stretch."""
        integrals = self._integrals(t)
        self._pack.moment(integrals)
        self.current_a = current_a = self._wave.current_a(t)
        if self._follow_s:
            emf_v = self._pack.emf_v(exp(-self._pack.pair_rate * integrals[0]), integrals[1], integrals[2])
            self.bus_v = emf_v + self.branch_drop_v + current_a / self._follow_s
            return
        self.bus_v, self.bus_v_per_s = self._moving_v(t), 0.0
        if self._rate > 0.0:
            self.bus_v_per_s = -self._rate * self._delta_v * exp(-self._rate * t)
        elif self._ramp_v_per_s:
            self.bus_v_per_s = self._ramp_v_per_s

    def _moving_v(self, t: float) -> float:
        if self._rate > 0.0:
            return self._rest_v + self._delta_v * exp(-self._rate * t)
        return self._rest_v + self._ramp_v_per_s * t

    def _finish(self) -> None:
        """Go to the end of the stretch and plan the next."""
        self._base = self._integrals(self._length_s)
        self._pack.moment(self._base)
        if self._follow_s:
            self._start_v = self._pack_bus_v()
        else:
            self._start_v = self._moving_v(self._length_s) if self._end_v is None else self._end_v
        if self._at_grid:
            self._start_ns, self._start_s = self._grid_end_ns, 0.0
        else:
            total_s = self._start_s + self._length_s
            whole_ns = int(total_s * 1e9)
            self._start_ns += whole_ns
            self._start_s = total_s - whole_ns * 1e-9
        if self._moving and not self._at_grid:
            self._plan(at_rest=self._arrives)
        else:
            self._refresh(at_rest=not self._moving)

    def _pack_bus_v(self) -> float:
        elapsed, charge, remembered, _ = self._base
        emf_v = self._pack.emf_v(exp(-self._pack.pair_rate * elapsed), charge, remembered)
        return emf_v + self.branch_drop_v + self._wave.current_a(self._length_s) / self._follow_s

    # -- planning --------------------------------------------------------------------------------------------

    def _refresh(self, at_rest: bool) -> None:
        """Anchor the pack here, for the stretch up to the next grid point that suits the current."""
        pack = self._pack
        self._source_steps, self._capacitance = self._sources(), self._make_capacitance()
        branch = self._make_branch()
        elapsed, charge, remembered, _ = self._base
        fade = exp(-pack.pair_rate * elapsed)
        emf_v = pack.emf_v(fade, charge, remembered)
        rest_v = resting_v(self._source_steps + branch.steps(emf_v), self._start_v)
        conductance, drop_v = branch.side(rest_v, emf_v)
        expected_a = conductance * (rest_v - emf_v - drop_v)
        # A pair that still relaxes against a held voltage moves the current even if none flows now.
        restless_a = conductance * abs(pack.pair_v * fade + pack.r1_sum_ohm * remembered)
        if conductance * 1e3 < 1.0 or self._gives(rest_v) is None:
            restless_a = 0.0
        stride_s = pack.stride_s(abs(expected_a) + restless_a)
        if not at_rest:
            stride_s = min(stride_s, _LONGEST_MOVE_S)
        step_ns = _GRID_NS
        while 2e-9 * step_ns <= stride_s:
            step_ns *= 2
        self._grid_end_ns = (self._start_ns // step_ns + 1) * step_ns
        pack.anchor(expected_a, self._to_grid_s())
        self._base = (0.0, 0.0, 0.0, 0.0)
        self._branch = self._make_branch()  # with the refreshed R0
        self._plan(at_rest)

    def _to_grid_s(self) -> float:
        return (self._grid_end_ns - self._start_ns) * 1e-9 - self._start_s

    def _gives(self, voltage_v: float) -> tuple[float, float] | None:
        """Return the range of current that a source holding this voltage can give, or None if none holds it."""
        a, g = push(self._source_steps, voltage_v, up=True)
        low_a = a - g * voltage_v
        a, g = push(self._source_steps, voltage_v, up=False)
        high_a = a - g * voltage_v
        return (low_a, high_a) if high_a - low_a > 1e-9 else None

    def _plan(self, at_rest: bool) -> None:
        """Decide what the next stretch looks like and where it ends."""
        elapsed, charge, remembered, _ = self._base
        emf_v = self._pack.emf_v(exp(-self._pack.pair_rate * elapsed), charge, remembered)
        steps = self._source_steps + self._branch.steps(emf_v)
        if at_rest:
            rest_v = resting_v(steps, self._start_v)
            at_rest = abs(rest_v - self._start_v) <= _SNAP_V
            if at_rest:
                self._start_v = rest_v
        self._end_v: float | None = None
        self._rate = self._ramp_v_per_s = self._follow_s = self.bus_v_per_s = 0.0
        if at_rest or not self._plan_move(steps, emf_v):
            self._plan_rest(emf_v)
        to_grid_s = self._to_grid_s()
        self._at_grid = self._length_s >= to_grid_s
        if self._at_grid:
            self._length_s, self._end_v = to_grid_s, None
            self._end_ns = self._grid_end_ns
        else:
            self._end_ns = self._start_ns + ceil((self._start_s + self._length_s) * 1e9)

    def _plan_move(self, steps: list[Step], emf_v: float) -> bool:
        """Plan a stretch of moving bus voltage; False if it rests."""
        piece = next_piece(steps, self._start_v)
        if piece is None:
            return False
        a, g, limit_v = piece
        start_v, target_v = self._start_v, piece.target_v
        up = a - g * start_v > 0.0
        arrives = target_v <= limit_v if up else target_v >= limit_v
        end_v = target_v if arrives else limit_v
        if arrives and abs(target_v - start_v) <= _ARRIVED_V:
            self._start_v = target_v
            return False
        self._end_v, self._moving, self._arrives = end_v, True, arrives
        conductance, drop_v = self._branch.side(0.5 * (start_v + end_v), emf_v)
        self.branch_drop_v = drop_v
        if g > 0.0:
            self._rate, self._rest_v, self._delta_v = g / self._capacitance, target_v, start_v - target_v
            left_v = _ARRIVED_V if arrives else abs(limit_v - target_v)
            self._length_s = log(abs(self._delta_v) / left_v) / self._rate if left_v > 0.0 else inf
            self._wave = Waveform(
                (conductance * (target_v - emf_v - drop_v), 0.0), (conductance * self._delta_v, self._rate)
            )
        else:
            self._rest_v, self._ramp_v_per_s = start_v, a / self._capacitance
            self._length_s = (limit_v - start_v) / self._ramp_v_per_s
            self._wave = Waveform((0.0, 0.0))
        return True

    def _plan_rest(self, emf_v: float) -> None:
        """Plan a stretch in which the bus rests: held by a source, or following the pack."""
        self._moving = False
        branch, bus_v = self._branch, self._start_v
        conductance, drop_v = branch.side(bus_v, emf_v)
        self.branch_drop_v = drop_v
        self._rest_v = bus_v
        start_a = conductance * (bus_v - emf_v - drop_v)
        to_grid_s = self._to_grid_s()
        given = self._gives(bus_v)
        a, g = push(self._source_steps, bus_v, up=True)
        margins: list[Callable[[float], float]] = []
        if conductance == 0.0:
            self._wave = Waveform((0.0, 0.0))
            if branch.charge_s or branch.discharge_s:  # between the two diode voltages
                margins.append(lambda t: self._emf_v(t) + branch.charge_drop_v - bus_v)
                margins.append(lambda t: bus_v - self._emf_v(t) + branch.discharge_drop_v)
        elif given is None and g <= 1e-3 * conductance:
            self._wave = Waveform((a - g * bus_v, 0.0))
            self._follow_s = conductance
        else:
            resistance_ohm = 1.0 / conductance + (1.0 / g if given is None else 0.0)
            self._drive(start_a, resistance_ohm, to_grid_s)
            if given is None:
                self._follow_s = conductance
            else:
                low_a, high_a = given
                margins.append(lambda t: high_a - self._wave.current_a(t))
                margins.append(lambda t: self._wave.current_a(t) - low_a)
            if not branch.symmetric:
                sign = 1.0 if start_a > 0.0 else -1.0
                margins.append(lambda t: sign * self._wave.current_a(t))
        if self._follow_s:
            follow_s = self._follow_s
            above_v = min((s.at_v for s in self._source_steps if s.at_v > bus_v), default=inf)
            below_v = max((s.at_v for s in self._source_steps if s.at_v < bus_v), default=-inf)

            def follows_v(t: float) -> float:
                return self._emf_v(t) + drop_v + self._wave.current_a(t) / follow_s

            if above_v < inf:
                margins.append(lambda t: above_v - follows_v(t))
            if below_v > -inf:
                margins.append(lambda t: follows_v(t) - below_v)
        self._length_s = min((_first_zero(m, to_grid_s) for m in margins), default=inf)

    def _drive(self, start_a: float, resistance_ohm: float, to_grid_s: float) -> None:
        """Plan the current that a fixed voltage drives into the pack."""
        pack = self._pack
        elapsed, charge, remembered, _ = self._base
        for _attempt in range(3):
            self._wave = driven(
                start_a=start_a,
                resistance_ohm=resistance_ohm,
                stiffness_v_per_c=pack.stiffness_v_per_c,
                pair_ohm=pack.r1_sum_ohm,
                pair_rate=pack.pair_rate,
                pair_v=pack.pair_v * exp(-pack.pair_rate * elapsed) + pack.r1_sum_ohm * remembered,
            )
            if charge:
                return  # the chord in use began earlier and must stay
            moved_c = self._wave.charge_c(to_grid_s)
            if abs(moved_c - pack.expected_c) <= 0.02 * abs(moved_c) + 1e-3:
                return
            pack.expect_charge(moved_c)


def _first_zero(margin: Callable[[float], float], end_s: float) -> float:
    """Return when a margin that is positive at first runs out, or infinity if it lasts to the end."""
    if margin(end_s) >= 0.0:
        return inf
    low, high = 0.0, end_s
    if margin(low) <= 0.0:
        return _LEAST_S
    while high - low > 1e-10:  # bisection: events are rare, and nothing here can go wrong
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if margin(middle) < 0.0:
            high = middle
        else:
            low = middle
    return max(high, _LEAST_S)
