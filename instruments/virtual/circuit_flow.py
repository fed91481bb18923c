"""How the circuit moves through time: stretch by stretch, each in closed form, cut only where something changes.

A stretch ends at a change of settings, where an element changes its mode (found to 0.1 ns), or at a point of a
fixed grid of absolute time where resistances and open-circuit voltages are refreshed. Reading evaluates the
stretch and leaves it as it was: how often somebody looks changes nothing, to the last bit.

Two time scales are kept apart. While the bus capacitors move (some 40 µs through the pack, seconds through a
precharge resistor), the inner voltage of the pack stands still. Once the bus rests, it follows the pack at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, log, log1p

from bench.errors import BenchError
from instruments.virtual.circuit_history import History, Piece
from instruments.virtual.circuit_node import Branch, Step, next_piece, push, resting_v
from instruments.virtual.circuit_stretch import Stretch, first_zero, held
from instruments.virtual.circuit_waveform import Waveform
from instruments.virtual.pack import Integrals, Pack

_GRID_NS = 125_000_000  # finest refresh; coarser ones are this times a power of two
# Refresh while the bus still moves, connected to the pack or not: the pack's inner voltage is frozen that long.
_LONGEST_MOVE_S, _LONGEST_MOVE_APART_S = 1.0, 16.0
_ARRIVED_V = 1e-10
_SKIPPED_V = 1e-6  # a piece narrower than this is passed without taking time (4 nC)
_LEAST_S = 1e-7  # progress after an event, so that rounding cannot stop time
_SNAP_V = 5e-3  # a refresh of resistances moves the resting place by microvolts; more than this is a real transient
_ANCHORED: Integrals = (0.0, 0.0, 0.0, 0.0)


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
        self._make_sources, self._make_branch, self._make_capacitance = sources, branch, capacitance_f
        #: Valid for the moment of the last catch-up.
        self.bus_v, self.bus_v_per_s, self.current_a = 0.0, 0.0, 0.0
        self._start_ns = self._seen_ns = now_ns()
        self._start_s = 0.0  # start of the stretch beyond _start_ns, below one nanosecond
        self.history: History | None = None  # somebody keeps what the current was
        self.after_change: Callable[[], None] | None = None  # somebody watches what it will be
        self.changed()

    @property
    def branch_drop_v(self) -> float:
        """Diode drop in the branch, with the sign of the current, in volts."""
        return self._stretch.drop_v

    def catch_up(self) -> None:
        """Bring bus voltage, current and pack to now."""
        now_ns = self._now_ns()
        if now_ns == self._seen_ns:
            return
        if now_ns < self._seen_ns:
            raise BenchError(f"virtual circuit: time went back from {self._seen_ns} ns to {now_ns} ns")
        self._look(now_ns)

    def changed(self) -> None:
        """Start a new stretch now, with new settings; the caller has caught up before it changed them."""
        if self.history is not None:
            self.history.keep(self.live())
        self._start_ns, self._start_s, self._patience = self._seen_ns, 0.0, 0
        self._refresh(self.bus_v, self._pack.integrals, at_rest=False)
        self._look(self._seen_ns)
        if self.after_change is not None:
            self.after_change()

    def live(self) -> Piece:
        """Return the current since the last stretch ended, up to the moment of the last catch-up."""
        length_s = (self._seen_ns - self._start_ns) * 1e-9 - self._start_s
        return Piece(self._start_ns, self._start_s, length_s, self._stretch.wave)

    def ahead(self) -> tuple[Piece, int]:
        """Return the whole stretch that is running, with its future, and the nanosecond at which it has ended."""
        stretch = self._stretch
        return Piece(self._start_ns, self._start_s, stretch.length_s, stretch.wave), self._end_ns

    def _look(self, now_ns: int) -> None:
        while now_ns >= self._end_ns:
            self._finish()
        self._seen_ns = now_ns
        t, stretch = (now_ns - self._start_ns) * 1e-9 - self._start_s, self._stretch
        integrals = stretch.integrals(t)
        self._pack.moment(integrals)
        self.current_a = stretch.wave.current_a(t)
        self.bus_v, self.bus_v_per_s = stretch.bus_v(t, integrals), stretch.bus_v_per_s(t)

    def _finish(self) -> None:
        """Go to the end of the stretch and plan the next."""
        stretch, length_s = self._stretch, self._stretch.length_s
        if self.history is not None:
            self.history.keep(Piece(self._start_ns, self._start_s, length_s, stretch.wave))
        base = stretch.integrals(length_s)
        self._pack.moment(base)
        bus_v = stretch.bus_v(length_s, base) if stretch.end_v is None else stretch.end_v
        if self._at_grid:
            self._start_ns, self._start_s = self._grid_end_ns, 0.0
        else:
            total_s = self._start_s + length_s
            whole_ns = int(total_s * 1e9)
            self._start_ns += whole_ns
            self._start_s = total_s - whole_ns * 1e-9
        self._patience = 0 if self._at_grid else self._patience + 1
        if stretch.moving and not self._at_grid:
            self._plan(bus_v, base, at_rest=stretch.arrives)
        else:
            self._refresh(bus_v, base, at_rest=not stretch.moving)

    def _refresh(self, bus_v: float, base: Integrals, *, at_rest: bool) -> None:
        """Anchor the pack here, for the stretches up to the next grid point that suits the current."""
        pack = self._pack
        self._sources, self._capacitance = self._make_sources(), self._make_capacitance()
        branch, emf_v = self._make_branch(), pack.emf_v(base)
        rest_v = resting_v(self._sources + branch.steps(emf_v), bus_v)
        conductance, drop_v = branch.side(rest_v, emf_v)
        expected_a = conductance * (rest_v - emf_v - drop_v)
        stride_s = pack.stride_s(expected_a)
        if self._gives(rest_v) is not None:
            # A pair that still relaxes against a held voltage moves the current even if none flows now.
            stride_s = min(stride_s, pack.stride_s(abs(expected_a) + conductance * abs(pack.polarisation_v())))
        if not at_rest:
            apart = branch.side(bus_v, emf_v)[0] == 0.0
            stride_s = min(stride_s, _LONGEST_MOVE_APART_S if apart else _LONGEST_MOVE_S)
        step_ns = _GRID_NS
        while 2e-9 * step_ns <= stride_s:
            step_ns *= 2
        self._grid_end_ns = (self._start_ns // step_ns + 1) * step_ns
        pack.anchor(expected_a, self._to_grid_s())
        self._branch = self._make_branch()  # with the refreshed R0
        self._plan(bus_v, _ANCHORED, at_rest=at_rest)

    def _to_grid_s(self) -> float:
        return (self._grid_end_ns - self._start_ns) * 1e-9 - self._start_s

    def _gives(self, voltage_v: float) -> tuple[float, float] | None:
        """Return the range of current that a source holding this voltage can give, or None if none holds it."""
        a, g = push(self._sources, voltage_v, up=True)
        low_a = a - g * voltage_v
        a, g = push(self._sources, voltage_v, up=False)
        high_a = a - g * voltage_v
        return (low_a, high_a) if high_a - low_a > 1e-9 else None

    def _plan(self, bus_v: float, base: Integrals, *, at_rest: bool) -> None:
        """Decide what the next stretch looks like and where it ends."""
        emf_v = self._pack.emf_v(base)
        steps = self._sources + self._branch.steps(emf_v)
        stretch = None
        rest_v = resting_v(steps, bus_v)
        if not (at_rest and abs(rest_v - bus_v) <= _SNAP_V):
            stretch = self._move(steps, emf_v, bus_v, base)
        self._stretch = stretch if stretch is not None else self._rest(emf_v, rest_v, base)
        to_grid_s = self._to_grid_s()
        self._at_grid = self._stretch.length_s >= to_grid_s
        if self._at_grid:
            self._stretch.length_s, self._stretch.end_v = to_grid_s, None
            self._end_ns = self._grid_end_ns
        else:
            self._end_ns = self._start_ns + ceil((self._start_s + self._stretch.length_s) * 1e9)

    def _move(self, steps: list[Step], emf_v: float, bus_v: float, base: Integrals) -> Stretch | None:
        """Return a stretch of moving bus voltage, to where it rests or a piece ends; None if it rests."""
        while True:
            piece = next_piece(steps, bus_v)
            if piece is None:
                return None
            a, g, limit_v = piece
            target_v = piece.target_v
            arrives = target_v <= limit_v if a - g * bus_v > 0.0 else target_v >= limit_v
            if arrives and abs(target_v - bus_v) <= _ARRIVED_V:
                return None
            end_v = target_v if arrives else limit_v
            if arrives or abs(end_v - bus_v) > _SKIPPED_V * self._coarser():
                break
            bus_v = end_v  # otherwise it would chase an edge that moves with the pack, microvolt by microvolt
        conductance, drop_v = self._branch.side(0.5 * (bus_v + end_v), emf_v)
        stretch = Stretch(self._pack, base, bus_v, drop_v)
        stretch.end_v, stretch.moving, stretch.arrives = end_v, True, arrives
        if g > 0.0:
            # A weak pull aims far beyond (at 1e11 V for a nanosiemens): expm1 and log1p keep the digits.
            stretch.rate, stretch.delta_v = g / self._capacitance, bus_v - target_v
            if arrives:
                stretch.length_s = log(abs(stretch.delta_v) / _ARRIVED_V) / stretch.rate
            elif limit_v != target_v:
                stretch.length_s = log1p((limit_v - bus_v) / (target_v - limit_v)) / stretch.rate
            rest_a = conductance * (target_v - emf_v - drop_v)
            stretch.wave = Waveform((rest_a, 0.0), (conductance * stretch.delta_v, stretch.rate))
        else:  # nothing but constant currents, so the branch does not conduct
            stretch.ramp_v_per_s = a / self._capacitance
            stretch.length_s = (limit_v - bus_v) / stretch.ramp_v_per_s
        return stretch

    def _rest(self, emf_v: float, bus_v: float, base: Integrals) -> Stretch:
        """Return a stretch in which the bus rests: held by a source, or following the pack."""
        branch, given = self._branch, self._gives(bus_v)
        conductance, drop_v = branch.side(bus_v, emf_v)
        a, g = push(self._sources, bus_v, up=True)
        stretch = Stretch(self._pack, base, bus_v, drop_v)
        margins: list[Callable[[float], float]] = []
        if conductance == 0.0:
            if branch.charge_s:  # not yet far enough above the pack to go through a diode
                margins.append(lambda t: stretch.emf_v(t) + branch.charge_drop_v - bus_v)
            if branch.discharge_s:
                margins.append(lambda t: bus_v - stretch.emf_v(t) + branch.discharge_drop_v)
        elif given is None and g * abs(self._pack.polarisation_v(base)) <= 1e-5 * abs(a - g * bus_v):
            stretch.wave, stretch.follow_s = Waveform((a - g * bus_v, 0.0)), conductance
        else:
            start_a = conductance * (bus_v - emf_v - drop_v) if given is not None else a - g * bus_v
            resistance_ohm = 1.0 / conductance + (1.0 / g if given is None else 0.0)
            anchored = base is _ANCHORED
            stretch.wave = held(self._pack, start_a, resistance_ohm, base, self._to_grid_s(), anchored=anchored)
            if given is None:
                stretch.follow_s = conductance
            else:
                low_a, high_a = given
                margins.append(lambda t: high_a - stretch.wave.current_a(t))
                margins.append(lambda t: stretch.wave.current_a(t) - low_a)
            if not branch.symmetric:
                sign = 1.0 if start_a > 0.0 else -1.0
                margins.append(lambda t: sign * stretch.wave.current_a(t))
        if stretch.follow_s:
            above_v = min((s.at_v for s in self._sources if s.at_v > bus_v), default=inf)
            below_v = max((s.at_v for s in self._sources if s.at_v < bus_v), default=-inf)
            margins.append(lambda t: above_v - stretch.bus_v(t))
            margins.append(lambda t: stretch.bus_v(t) - below_v)
        to_grid_s = self._to_grid_s()
        zeros_s = (first_zero(margin, to_grid_s) for margin in margins)
        stretch.length_s = max(min(zeros_s, default=inf), _LEAST_S * self._coarser())
        return stretch

    def _coarser(self) -> float:
        """Return how much coarser to be: a bus balanced on an edge must not stop time with ever more events."""
        return 1.0 if self._patience <= 8 else 2.0 ** (self._patience - 8)
