"""A battery pack: cells in series, each an equivalent circuit with temperature.

Per cell, current positive when charging (standards reference, section 9)::

    dz/dt  = I / (3600 C)                              z  state of charge, coulomb efficiency 1
    dV1/dt = (R1(z,T) I - V1) / tau                    one RC pair, tau fixed, so C1 = tau / R1
    v      = OCV(z) + I R0(z,T) + V1
    Cth dT/dt = I² R0 + V1²/R1 - (T - Tamb) / Rth

The time constant is the same in every cell. Between two *anchors* the resistances are frozen (taken at the
middle of the stretch) and the open-circuit voltage is a chord; then the whole pack follows from three integrals of
the current, and reading it changes nothing. `Circuit` decides the anchors and hands the integrals in; `advance`
does the same for a constant current without a circuit.

Bleeders across single cells (`pack_bleeding`) are real. Not modelled: hysteresis, entropic heat, self-discharge,
ageing, heat between neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import exp

from instruments.virtual.chemistry import OcvCurve
from instruments.virtual.pack_bleeding import LONGEST_S, Bleeder, Bleeding
from instruments.virtual.pack_cell import Cell, demonstration_cells, resistances_ohm
from instruments.virtual.pack_heat import temperatures_degc

TAU_S = 30.0  # standards reference 9.2: tau of the RC pair
# Longest stretch between anchors, as change of state of charge, tighter where the curve bends: chord and frozen
# resistances then stay within some 50 µV per cell.
_STRIDE, _STRIDE_AT_EDGE, _LONGEST_S = 4e-4, 4e-5, 1024.0

#: Since the anchor: elapsed time (s), charge (C), current remembered by the RC pair (A), squared current (A² s).
Integrals = tuple[float, float, float, float]


class Pack:
    """Cells in series. Every reading first asks the circuit that owns it to catch up with time."""

    def __init__(self, cells: Sequence[Cell], *, curve: OcvCurve, ambient_degc: float = 25.0) -> None:
        if not cells:
            raise ValueError("pack: needs at least one cell")
        self.cells = tuple(cells)
        self.curve = curve
        self.pair_rate = 1.0 / TAU_S
        #: Called before every reading and before and after a change of ambient; the circuit puts itself here.
        self.before_reading: Callable[[], None] = _nothing
        self.after_change: Callable[[], None] = _nothing
        self._ambient_degc = ambient_degc
        self._per_c = [1.0 / (3600.0 * cell.capacity_ah) for cell in cells]
        self._z = [cell.soc_pct / 100.0 for cell in cells]
        self._v1 = [0.0] * len(cells)
        self._temp = [ambient_degc + cell.ambient_offset_k for cell in cells]
        self.bleeding = Bleeding((), len(cells))
        self.integrals: Integrals = (0.0, 0.0, 0.0, 0.0)
        self.anchor(0.0, 1.0)

    @classmethod
    def demonstration(
        cls,
        *,
        seed: int,
        soc_pct: float = 50.0,
        ambient_degc: float = 25.0,
        cells: int = 16,
        capacity_ah: float = 100.0,
        chemistry: str = "lfp_a",
    ) -> Pack:
        """Return the demonstration pack of standards reference 9.2; see `demonstration_cells` for its spread."""
        made = demonstration_cells(seed=seed, soc_pct=soc_pct, cells=cells, capacity_ah=capacity_ah)
        return cls(made, curve=OcvCurve.named(chemistry), ambient_degc=ambient_degc)

    # -- readings --------------------------------------------------------------------------------------------

    @property
    def ambient_degc(self) -> float:
        """Temperature around the pack, in degrees Celsius."""
        return self._ambient_degc

    @ambient_degc.setter
    def ambient_degc(self, value_degc: float) -> None:
        if not -273.15 < value_degc < 1000.0:  # a NaN lands here too
            raise ValueError(f"ambient temperature: {value_degc!r} °C is not a temperature")
        self.before_reading()
        self.anchor(0.0, 0.0)  # what was, was under the old ambient
        self._ambient_degc = value_degc
        self.after_change()

    def cell_voltages_v(self, current_a: float) -> list[float]:
        """Return the voltage of each cell while this current (positive charging) flows, in volts."""
        self.before_reading()
        elapsed, q, j, _ = self.integrals
        e = exp(-self.pair_rate * elapsed)
        if self.bleeding.bleeders:
            rows = zip(self._ocv, self._chord, self._v1, self._r1, self._r0, self.bleeding.drawn_a, strict=True)
            return [
                ocv + chord * (q - i * elapsed) + v1 * e + r1 * (j - i * (1.0 - e)) + r0 * (current_a - i)
                for ocv, chord, v1, r1, r0, i in rows
            ]
        return [
            ocv + chord * q + v1 * e + r1 * j + r0 * current_a
            for ocv, chord, v1, r1, r0 in zip(self._ocv, self._chord, self._v1, self._r1, self._r0, strict=True)
        ]

    def terminal_v(self, current_a: float) -> float:
        """Return the voltage between the pack's cell terminals while this current flows, in volts."""
        self.before_reading()
        return self.emf_v(self.integrals) + self.r0_sum_ohm * current_a

    def temperatures_degc(self) -> list[float]:
        """Return the temperature of each cell, in degrees Celsius."""
        self.before_reading()
        return self._temperatures()

    def soc_pct(self) -> float:
        """Return the mean state of charge of the cells, in percent."""
        states = self.states_of_charge_pct()
        return sum(states) / len(states)

    def states_of_charge_pct(self) -> list[float]:
        """Return the state of charge of each cell, in percent."""
        self.before_reading()
        return [100.0 * z for z in self._states()]

    def charge_ah(self) -> float:
        """Return the mean charge in the cells above their empty mark, in ampere-hours."""
        self.before_reading()
        held = sum(z / k for z, k in zip(self._states(), self._per_c, strict=True))
        return held / 3600.0 / len(self._z)

    def advance(self, current_a: float, duration_s: float) -> None:
        """Let a constant current flow for a time. For a pack without a circuit; a circuit advances its own."""
        left_s = duration_s
        while left_s > 0.0:
            step_s = min(left_s, self.stride_s(current_a))
            self.anchor(current_a, step_s)
            fade = exp(-self.pair_rate * step_s)
            self.moment((step_s, current_a * step_s, current_a * (1.0 - fade), current_a**2 * step_s))
            left_s -= step_s
        self.anchor(current_a, self.stride_s(current_a))

    # -- for the circuit: stretches between anchors ----------------------------------------------------------

    def stride_s(self, current_a: float) -> float:
        """Return how long a stretch with this current may be before a new anchor, in seconds."""
        edge = max(self._z) > 0.94 or min(self._z) < 0.16
        limit = _STRIDE_AT_EDGE if edge else _STRIDE
        longest_s = _LONGEST_S
        if self.bleeding.bleeders:
            current_a, longest_s = abs(current_a) + max(self.bleeding.drawn_a), LONGEST_S
        drift_per_s = abs(current_a) * max(self._per_c)
        return longest_s if drift_per_s * longest_s <= limit else limit / drift_per_s

    def anchor(self, expected_a: float, stretch_s: float) -> None:
        """Start a new stretch here: keep this moment's state, refresh resistances and chords for what is ahead."""
        self._commit()
        half_c = 0.5 * expected_a * stretch_s
        ahead = [z + half_c * per_c for z, per_c in zip(self._z, self._per_c, strict=True)]
        r0s, r1s = resistances_ohm(self.cells, ahead, self._temp)
        self._r0, self._r1 = r0s, r1s
        self.r0_sum_ohm, self.r1_sum_ohm = sum(r0s), sum(r1s)
        self._ocv = self.curve.volts(self._z)
        self._ocv_sum, self.pair_v = sum(self._ocv), sum(self._v1)
        if self.bleeding.bleeders:
            inner = zip(self._ocv, self._v1, r0s, strict=True)
            self.bleeding.fix([ocv + v1 + r0 * expected_a for ocv, v1, r0 in inner], r0s, r1s)
        self.expect_charge(2.0 * half_c)

    def expect_charge(self, charge_c: float) -> None:
        """Lay the chords of the open-circuit voltage over the charge that this stretch is expected to move."""
        self.expected_c = charge_c
        if abs(charge_c) < 1e-3:  # a chord this short loses its digits: take the tangent
            self._chord = [self.curve.slope_v(z) * k for z, k in zip(self._z, self._per_c, strict=True)]
        else:
            ends = self.curve.volts([z + charge_c * k for z, k in zip(self._z, self._per_c, strict=True)])
            self._chord = [(end - start) / charge_c for end, start in zip(ends, self._ocv, strict=True)]
        self.stiffness_v_per_c = sum(self._chord)
        if self.bleeding.bleeders:
            self.bleeding.lay(self._chord)

    def inner_v(self) -> float:
        """Return open-circuit voltage plus polarisation at the moment of the last reading, in volts."""
        return self.emf_v(self.integrals)

    def polarisation_v(self, integrals: Integrals | None = None) -> float:
        """Return the polarisation of all cells for these integrals or the last reading, in volts."""
        elapsed, _, remembered, _ = self.integrals if integrals is None else integrals
        fade = exp(-self.pair_rate * elapsed)
        return self.pair_v * fade + self.r1_sum_ohm * remembered - self.bleeding.r1_v * (1.0 - fade)

    def emf_v(self, integrals: Integrals) -> float:
        """Return open-circuit voltage plus polarisation of all cells for these integrals, in volts."""
        elapsed, charge, remembered, _ = integrals
        fade = exp(-self.pair_rate * elapsed)
        inner_v = self._ocv_sum + self.stiffness_v_per_c * charge + self.pair_v * fade + self.r1_sum_ohm * remembered
        return inner_v - self.bleeding.moved_v(elapsed, fade) if self.bleeding.bleeders else inner_v

    def powers_w(self, current_a: float) -> dict[str, float]:
        """Return the power that each part of the cells gives while this current flows, in watts."""
        cells_v, e = self.cell_voltages_v(current_a), exp(-self.pair_rate * self.integrals[0])
        total = {"cell_resistance": 0.0, "cell_polarisation": 0.0, "cell_chemistry": 0.0, "bleeders": 0.0}
        for cell_v, i, v1, r1, r0 in zip(cells_v, self.bleeding.drawn_a, self._v1, self._r1, self._r0, strict=True):
            through_a, pair_v = current_a - i, v1 * e + r1 * (self.integrals[2] - i * (1.0 - e))
            total["cell_resistance"] -= through_a * through_a * r0
            total["cell_polarisation"] -= through_a * pair_v
            total["cell_chemistry"] -= through_a * (cell_v - pair_v - through_a * r0)
            total["bleeders"] -= i * cell_v
        return total

    def bleed(self, bleeders: Iterable[Bleeder]) -> None:
        """Put exactly these bleeders across the cells, from now on."""
        self.before_reading()
        self.anchor(0.0, 0.0)  # what was, was with the old ones
        self.bleeding = Bleeding(bleeders, len(self.cells))
        self.after_change()

    def moment(self, integrals: Integrals) -> None:
        """Say which moment after the anchor the readings are for."""
        self.integrals = integrals

    def _commit(self) -> None:
        elapsed, _, remembered, _ = self.integrals
        if elapsed == 0.0:
            return
        fade = exp(-self.pair_rate * elapsed)
        self._temp = self._temperatures()
        self._z = self._states()
        self._v1 = [v1 * fade + r1 * remembered for v1, r1 in zip(self._v1, self._r1, strict=True)]
        if self.bleeding.bleeders:
            pairs = zip(self._v1, self._r1, self.bleeding.drawn_a, strict=True)
            self._v1 = [v1 - r1 * i * (1.0 - fade) for v1, r1, i in pairs]
        self.integrals = (0.0, 0.0, 0.0, 0.0)

    def _temperatures(self) -> list[float]:
        t, charge, _, square = self.integrals
        if t == 0.0:
            return list(self._temp)
        charges_c, squares = self.bleeding.charges_c(charge, t), self.bleeding.squares_a2s(charge, square, t)
        states = zip(self.cells, self._temp, self._v1, self._r0, self._r1, charges_c, squares, strict=True)
        return temperatures_degc(states, self._ambient_degc, self.pair_rate, t)

    def _states(self) -> list[float]:
        """Return each cell's state of charge at the moment of the last reading, as a fraction."""
        charges_c = self.bleeding.charges_c(self.integrals[1], self.integrals[0])
        return [z + k * q for z, k, q in zip(self._z, self._per_c, charges_c, strict=True)]


def _nothing() -> None:
    """Stand for the circuit of a pack that has none."""
