"""A stretch of time in which nothing changes its mode: current and bus voltage in closed form."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, expm1, inf

from instruments.virtual.circuit_waveform import Waveform, driven
from instruments.virtual.pack import Integrals, Pack

_EXHAUSTED = -1e-9  # volts or amperes: less than this is rounding, not an event


class Stretch:
    """One stretch, t in seconds from its start.

    From `from_v` the bus fades by `delta_v` with `rate`, ramps, stays, or (with `follow_s`, the conductance of the
    branch) follows the pack at the distance that the current makes.
    """

    __slots__ = (
        "arrives",
        "base",
        "delta_v",
        "drop_v",
        "end_v",
        "follow_s",
        "from_v",
        "length_s",
        "moving",
        "pack",
        "ramp_v_per_s",
        "rate",
        "wave",
    )

    def __init__(self, pack: Pack, base: Integrals, from_v: float, drop_v: float) -> None:
        self.pack, self.base, self.from_v, self.drop_v = pack, base, from_v, drop_v
        self.wave = Waveform((0.0, 0.0))
        self.rate = self.delta_v = self.ramp_v_per_s = self.follow_s = 0.0
        self.length_s = inf
        self.moving = self.arrives = False
        self.end_v: float | None = None  # where it ends, exactly, if it ends by itself

    def integrals(self, t: float) -> Integrals:
        """Return the integrals of the current from the pack's anchor to t."""
        elapsed, charge, remembered, square = self.base
        wave, rate = self.wave, self.pack.pair_rate
        return (
            elapsed + t,
            charge + wave.charge_c(t),
            remembered * exp(-rate * t) + wave.remembered_a(t, rate),
            square + wave.square_a2s(t),
        )

    def emf_v(self, t: float) -> float:
        """Return the inner voltage of the pack at t, in volts."""
        return self.pack.emf_v(self.integrals(t))

    def bus_v(self, t: float, integrals: Integrals | None = None) -> float:
        """Return the bus voltage at t, in volts."""
        if self.follow_s:
            emf_v = self.pack.emf_v(self.integrals(t) if integrals is None else integrals)
            return emf_v + self.drop_v + self.wave.current_a(t) / self.follow_s
        if self.rate > 0.0:
            return self.from_v + self.delta_v * expm1(-self.rate * t)
        return self.from_v + self.ramp_v_per_s * t

    def bus_v_per_s(self, t: float) -> float:
        """Return how fast the bus voltage moves at t; zero once it rests or follows, in volts per second."""
        if self.rate > 0.0:
            return -self.rate * self.delta_v * exp(-self.rate * t)
        return self.ramp_v_per_s


def first_zero(margin: Callable[[float], float], end_s: float) -> float:
    """Return when a margin that is positive at first runs out, or infinity if it lasts to the end."""
    if margin(end_s) >= _EXHAUSTED:
        return inf
    low, high = 0.0, end_s
    if margin(low) <= 0.0:
        return 0.0
    while high - low > 1e-10:  # bisection: events are rare, and nothing here can go wrong
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if margin(middle) < 0.0:
            high = middle
        else:
            low = middle
    return high


def held(
    pack: Pack, start_a: float, resistance_ohm: float, base: Integrals, to_grid_s: float, *, anchored: bool
) -> Waveform:
    """Return the current that a fixed voltage drives into the pack; `anchored` says that the stretch begins there."""
    for _attempt in range(3):
        wave = driven(
            start_a=start_a,
            resistance_ohm=resistance_ohm,
            stiffness_v_per_c=pack.stiffness_v_per_c,
            pair_ohm=pack.r1_sum_ohm,
            pair_rate=pack.pair_rate,
            pair_v=pack.polarisation_v(base),
            sinking_v_per_s=pack.bleeding.chord_v_per_s,
            bled_v=pack.bleeding.r1_v,
        )
        moved_c = wave.charge_c(to_grid_s)
        # The chord must fit the charge that will move; one that began earlier is in use and must stay.
        if not anchored or abs(moved_c - pack.expected_c) <= 0.02 * abs(moved_c) + 1e-3:
            break
        pack.expect_charge(moved_c)
    return wave
