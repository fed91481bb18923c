"""What is special about one virtual BMS unit: its measuring errors, its actual thresholds and delays.

A healthy unit is healthy by construction. Errors of reading use at most about 60 % of the accuracy that the profile
promises; a threshold's own spread plus the measuring error at the threshold use at most 70 % of its tolerance; the
delay lies in the middle half of its window. All of it is a hash of (seed, quantity), never a random stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.profile import Profile
from bench.protection import DelayWindow, Protection
from bench.signals import SignalBase
from instruments.virtual.noise import uniform

SLOW_PERIOD_S = 0.1  # cell voltages and temperatures
_WHO = "bms"
_CELL_V, _CELL_NOISE_V, _TEMPERATURE_K = 1.5e-3, 0.3e-3, 0.3
_FASTEST_S = 50e-6  # a comparator of the front end, for windows far shorter than the current's sampling


@dataclass(frozen=True, slots=True)
class UnitProtection:
    """One protection as this unit really has it. Thresholds apply to what the unit measures, in inside units."""

    row: Protection
    threshold_si: float
    period_s: float
    samples: int
    switch_s: float
    opens: tuple[str, ...]
    lockout_count: int | None
    dead: bool = False
    releases: bool = True
    welds: bool = False
    both_directions: bool = False
    flags: bool = True

    @property
    def flag_delay_s(self) -> float:
        """Mean time from crossing the threshold to the flag; one sample period more or less by half."""
        return (self.samples - 0.5) * self.period_s

    @property
    def delay_s(self) -> float:
        """Mean time from crossing the threshold to the open switch (to the flag, if it opens nothing)."""
        return self.flag_delay_s + (self.switch_s if self.opens else 0.0)


@dataclass(frozen=True, slots=True)
class Unit:
    """The fixed errors of one unit. `measured = true * gain + offset + noise`."""

    gain: float
    offset_a: float
    noise_a: float
    voltage_gain: float
    cell_offsets_v: tuple[float, ...]
    cell_noise_v: float
    temperature_offsets_k: tuple[float, ...]
    soc_error_pct: float
    protections: tuple[UnitProtection, ...]


def make_unit(profile: Profile, seed: int) -> Unit:
    """Draw a healthy unit of this product."""
    gain, offset_a, noise_a = _current_errors(profile, seed)
    cell_half_v, cell_noise_v = _cell_errors(profile)
    cells = range(profile.bms.cells)
    cell_offsets_v = tuple(cell_half_v * uniform(seed, _WHO, f"cell{k}") for k in cells)
    hot = _tolerances(profile, "temperature")
    half_k = min([_TEMPERATURE_K, *(0.3 * tolerance for tolerance in hot)])
    return Unit(
        gain=gain,
        offset_a=offset_a,
        noise_a=noise_a,
        voltage_gain=1.0 + 5e-4 * uniform(seed, _WHO, "pack_voltage"),
        cell_offsets_v=cell_offsets_v,
        cell_noise_v=cell_noise_v,
        temperature_offsets_k=tuple(half_k * uniform(seed, _WHO, f"temperature{k}") for k in cells),
        soc_error_pct=uniform(seed, _WHO, "soc"),
        protections=tuple(
            _protection(
                profile, row, seed, _worst_error(row, gain, offset_a, noise_a, cell_half_v, cell_noise_v, half_k)
            )
            for row in profile.protections
        ),
    )


def _accuracy(signal: SignalBase | None) -> tuple[float, float] | None:
    """Percent of reading and constant part in inside units; None where the profile promises nothing."""
    if signal is None or signal.accuracy is None:
        return None
    promised = signal.accuracy
    constant = promised.offset + promised.range_pct / 100.0 * promised.range
    return promised.reading_pct, constant * signal.about.factor


def _tolerances(profile: Profile, quantity: str) -> list[float]:
    return [row.tolerance_si for row in profile.protections if row.about.quantity == quantity]


def _current_errors(profile: Profile, seed: int) -> tuple[float, float, float]:
    reading_pct, constant_a = _accuracy(profile.signals["pack_current"]) or (
        0.5,
        0.001 * profile.bms.measuring_range_a,
    )
    gain_half, offset_half_a, noise_a = 0.005 * reading_pct, 0.4 * constant_a, 0.04 * constant_a
    for row in profile.protections:
        if row.about.quantity == "current":
            gain_half = min(gain_half, 0.3 * row.tolerance_si / row.threshold_si)
            offset_half_a = min(offset_half_a, 0.1 * row.tolerance_si)
            noise_a = min(noise_a, 0.02 * row.tolerance_si)
    gain = 1.0 + gain_half * uniform(seed, _WHO, "current_gain")
    return gain, offset_half_a * uniform(seed, _WHO, "current_offset"), noise_a


def _cell_errors(profile: Profile) -> tuple[float, float]:
    half_v, noise_v = _CELL_V, _CELL_NOISE_V
    for name, signal in profile.signals.items():
        promised = _accuracy(signal)
        if name.startswith("cell_voltage_") and promised is not None:
            half_v, noise_v = min(half_v, 0.4 * promised[1]), min(noise_v, 0.1 * promised[1])
    for row in profile.protections:
        if row.kind in ("cell_overvoltage", "cell_undervoltage"):
            half_v, noise_v = min(half_v, 0.3 * row.tolerance_si), min(noise_v, 0.05 * row.tolerance_si)
    return half_v, noise_v


def _worst_error(
    row: Protection, gain: float, offset_a: float, noise_a: float, cell_v: float, cell_noise_v: float, half_k: float
) -> float:
    """How far this unit's measurement can be off at the threshold, in inside units."""
    if row.about.quantity == "current":
        return abs(gain - 1.0) * row.threshold_si + abs(offset_a) + 4.0 * noise_a
    if row.about.quantity == "temperature":
        return half_k
    if row.kind in ("cell_overvoltage", "cell_undervoltage"):
        return cell_v + cell_noise_v
    return 5e-4 * row.threshold_si


def _protection(profile: Profile, row: Protection, seed: int, error_si: float) -> UnitProtection:
    spread = max(0.0, 0.7 * row.tolerance_si - error_si)
    base_s = profile.behaviour.sample_s if row.about.quantity == "current" else SLOW_PERIOD_S
    windows = [row.delay_s] if row.flag_delay_s is None else [row.delay_s, row.flag_delay_s]
    period_s = min(base_s, *(_finest(window, base_s) for window in windows))
    delay_s = _inside(row.delay_s, seed, f"{row.name}.delay", 0.0)
    if row.flag_delay_s is not None:
        flag_s = min(_inside(row.flag_delay_s, seed, f"{row.name}.flag", period_s), delay_s)
    elif row.opens:
        flag_s = delay_s - profile.behaviour.switch_s
    else:
        flag_s = _inside(row.delay_s, seed, f"{row.name}.delay", period_s)
    # n bad samples in a row end between (n - 1) and n periods after the crossing: on average (n - 1/2) periods.
    samples = max(1, int(flag_s / period_s + 0.5)) if flag_s > 0.0 else 1
    return UnitProtection(
        row=row,
        threshold_si=row.threshold_si + spread * uniform(seed, _WHO, f"{row.name}.threshold"),
        period_s=period_s,
        samples=samples,
        switch_s=max(0.0, delay_s - (samples - 0.5) * period_s),
        opens=row.opens if row.level == "protection" else (),
        lockout_count=row.lockout_count,
    )


def _finest(window: DelayWindow, base_s: float) -> float:
    """How often to look so that the phase of the sampling fits into a quarter of the window."""
    width_s = window.max - window.min
    return max(width_s / 4.0, _FASTEST_S if width_s > 0.0 else min(base_s, 1e-3))


def _inside(window: DelayWindow, seed: int, what: str, period_s: float) -> float:
    """A mean in the middle half of the window, from which the sampling's phase does not lead out."""
    width_s = window.max - window.min
    room_s = max(0.0, 0.25 * width_s - period_s)
    if period_s == 0.0:
        room_s = 0.125 * width_s  # the phase takes up to another eighth
    return window.min + 0.5 * width_s + room_s * uniform(seed, _WHO, what)
