"""What is special about one virtual BMS unit: its measuring errors, its actual thresholds and delays.

A healthy unit is healthy by construction. Errors of reading use at most about 60 % of the accuracy that the profile
promises; a threshold's own spread plus the measuring error at the threshold use at most 70 % of its tolerance; the
delay lies in the middle half of its window. All of it is a hash of (seed, quantity), never a random stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.profile import Profile
from bench.protection import Protection
from bench.signals import SignalBase
from instruments.virtual.bms_unit_diagnosis import UnitDiagnosis, draw_diagnosis
from instruments.virtual.bms_unit_protection import (
    SLOW_PERIOD_S,
    WHO,
    UnitProtection,
    draw_protection,
    per_ampere_si,
)
from instruments.virtual.noise import uniform

__all__ = ["SLOW_PERIOD_S", "Unit", "UnitDiagnosis", "UnitProtection", "make_unit"]
_CELL_V, _CELL_NOISE_V, _TEMPERATURE_K = 1.5e-3, 0.3e-3, 0.3


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
    diagnoses: tuple[UnitDiagnosis, ...] = ()
    bleed_factor: float = 1.0  # of the declared balancing current


def make_unit(profile: Profile, seed: int) -> Unit:
    """Draw a healthy unit of this product."""
    gain, offset_a, noise_a = _current_errors(profile, seed)
    cell_half_v, cell_noise_v = _cell_errors(profile)
    cells = range(profile.bms.cells)
    cell_offsets_v = tuple(cell_half_v * uniform(seed, WHO, f"cell{k}") for k in cells)
    half_k = min([_TEMPERATURE_K, *_rooms(profile, "temperature", 0.3)])
    return Unit(
        gain=gain,
        offset_a=offset_a,
        noise_a=noise_a,
        voltage_gain=1.0 + 5e-4 * uniform(seed, WHO, "pack_voltage"),
        cell_offsets_v=cell_offsets_v,
        cell_noise_v=cell_noise_v,
        temperature_offsets_k=tuple(half_k * uniform(seed, WHO, f"temperature{k}") for k in cells),
        soc_error_pct=uniform(seed, WHO, "soc"),
        protections=tuple(
            draw_protection(
                profile, row, seed, _worst_error(row, gain, offset_a, noise_a, cell_half_v, cell_noise_v, half_k)
            )
            for row in profile.protections
        ),
        diagnoses=tuple(draw_diagnosis(profile, row, seed) for row in profile.diagnoses),
        bleed_factor=_bleed_factor(profile, seed),
    )


def _accuracy(signal: SignalBase | None) -> tuple[float, float] | None:
    """Percent of reading and constant part in inside units; None where the profile promises nothing."""
    if signal is None or signal.accuracy is None:
        return None
    promised = signal.accuracy
    constant = promised.offset + promised.range_pct / 100.0 * promised.range
    return promised.reading_pct, constant * signal.about.factor


def _bleed_factor(profile: Profile, seed: int) -> float:
    if profile.balancing is None:
        return 1.0
    return 1.0 + 0.006 * profile.balancing.current_tolerance_pct * uniform(seed, WHO, "balancing")


def _rooms(profile: Profile, quantity: str, share: float) -> list[float]:
    """What each row leaves to one measured value: a share of its tolerance, half of that where two are subtracted."""
    rooms = []
    for row in profile.protections:
        if row.about.quantity != quantity or row.about.observable == "pack_voltage":
            continue
        half = 0.5 if row.about.difference else 1.0
        rooms.append(half * share * row.tolerance_si)
        if row.release.tolerance is not None:
            rooms.append(half * share * row.release_tolerance_si)
        if row.derating is not None:
            rooms.append(half * share * row.derating.tolerance_a * per_ampere_si(row))
    return rooms


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
    gain = 1.0 + gain_half * uniform(seed, WHO, "current_gain")
    return gain, offset_half_a * uniform(seed, WHO, "current_offset"), noise_a


def _cell_errors(profile: Profile) -> tuple[float, float]:
    half_v, noise_v = _CELL_V, _CELL_NOISE_V
    for name, signal in profile.signals.items():
        promised = _accuracy(signal)
        if name.startswith("cell_voltage_") and promised is not None:
            half_v, noise_v = min(half_v, 0.4 * promised[1]), min(noise_v, 0.1 * promised[1])
    half_v = min([half_v, *_rooms(profile, "voltage", 0.3)])
    return half_v, min([noise_v, *_rooms(profile, "voltage", 0.05)])


def _worst_error(
    row: Protection, gain: float, offset_a: float, noise_a: float, cell_v: float, cell_noise_v: float, half_k: float
) -> float:
    """How far this unit's measurement can be off at the threshold, in inside units."""
    if row.about.quantity == "current":
        return abs(gain - 1.0) * row.threshold_si + abs(offset_a) + 4.0 * noise_a
    if row.about.observable == "pack_voltage":
        return 5e-4 * row.threshold_si
    twice = 2.0 if row.about.difference else 1.0
    return twice * (half_k if row.about.quantity == "temperature" else cell_v + cell_noise_v)
