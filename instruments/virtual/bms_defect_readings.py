"""Defects of the reported current as transfer functions: what is true, charging positive, to what is reported."""

from __future__ import annotations

from collections import deque

from bench.profile import Profile
from instruments.virtual.defects import Defect, Transfer, has_direction

_OFFSET_SHARE, _DEAD_SHARE, _SATURATION_SHARE = 0.12, 0.08, 0.3  # of the measuring range
_DELAY_S, _SLOW_TAU_S, _REST_A = 5.0, 20.0, 0.5
_SIGN = ("current_sign", "CS-SIGN")


def _frozen(profile: Profile) -> Transfer:
    held: list[float] = []

    def transfer(current_a: float, now_s: float) -> float:
        if not held:
            held.append(current_a)
        return held[0]

    return transfer


def _delayed(profile: Profile) -> Transfer:
    queue: deque[tuple[float, float]] = deque()
    shown = [0.0]

    def transfer(current_a: float, now_s: float) -> float:
        queue.append((now_s, current_a))
        while queue and queue[0][0] <= now_s - _DELAY_S:
            shown[0] = queue.popleft()[1]
        return shown[0]

    return transfer


def _slow(profile: Profile) -> Transfer:
    share = min(1.0, profile.behaviour.sample_s / _SLOW_TAU_S)
    state = [0.0]

    def transfer(current_a: float, now_s: float) -> float:
        state[0] += share * (current_a - state[0])
        return state[0]

    return transfer


def _stale_direction(profile: Profile) -> Transfer:
    state = {"sign": 1.0, "rested": True}

    def transfer(current_a: float, now_s: float) -> float:
        if abs(current_a) < _REST_A:
            state["rested"] = True
        elif state["rested"]:
            state.update(sign=1.0 if current_a > 0.0 else -1.0, rested=False)
        return float(state["sign"]) * abs(current_a)

    return transfer


def _share(profile: Profile, share: float) -> float:
    return share * profile.bms.measuring_range_a


def _offset(profile: Profile) -> Transfer:
    offset_a = _share(profile, _OFFSET_SHARE)
    return lambda current_a, now_s: current_a + offset_a


def _dead_band(profile: Profile) -> Transfer:
    band_a = _share(profile, _DEAD_SHARE)
    return lambda current_a, now_s: current_a if abs(current_a) >= band_a else 0.0


def _saturation(profile: Profile) -> Transfer:
    end_a = _share(profile, _SATURATION_SHARE)
    return lambda current_a, now_s: min(end_a, max(-end_a, current_a))


READING_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "inverted_sign",
        "The reported current has the opposite sign; the protections see it right.",
        ("M01", "M05"),
        _SIGN,
        "magnitude fits, sign inverted",
        applies_to=has_direction,
        transfer=lambda profile: lambda current_a, now_s: -current_a,
    ),
    Defect(
        "swapped_shunt_wires",
        "The shunt's sense wires are exchanged: reading, counters and protections all see the opposite current.",
        ("M01",),
        (*_SIGN, "protections"),
        "magnitude fits, sign inverted; the other direction's protection trips",
        applies_to=has_direction,
        sense=lambda current_a: -current_a,
    ),
    Defect(
        "saturates_early",
        "The reported current ends at 30 % of the measuring range, in both directions.",
        ("M13", "M14"),
        ("current_sign", "CS-SAT"),
        "flat top far below the end of the range",
        transfer=_saturation,
    ),
    Defect(
        "wide_dead_band",
        "Currents below 8 % of the measuring range are reported as zero.",
        ("M15",),
        ("current_sign", "CS-DEAD"),
        "zero is reported for small currents in both directions",
        transfer=_dead_band,
    ),
    Defect(
        "charge_clipped",
        "Charging is reported as zero.",
        ("M16", "M31"),
        _SIGN,
        "zero while charging, right while discharging",
        transfer=lambda profile: lambda current_a, now_s: min(current_a, 0.0),
    ),
    Defect(
        "discharge_clipped",
        "Discharging is reported as zero.",
        ("M16", "M31"),
        _SIGN,
        "right while charging, zero while discharging",
        transfer=lambda profile: lambda current_a, now_s: max(current_a, 0.0),
    ),
    Defect(
        "magnitude_only",
        "The magnitude is reported in both directions, as if charging.",
        ("M17",),
        _SIGN,
        "magnitude fits, one direction has the wrong sign",
        applies_to=has_direction,
        transfer=lambda profile: lambda current_a, now_s: abs(current_a),
    ),
    Defect(
        "whole_amperes",
        "The current is cut to whole amperes, toward zero.",
        ("M18",),
        ("current_accuracy", "CS-LIN"),
        "up to 1 A short in both directions",
        transfer=lambda profile: lambda current_a, now_s: float(int(current_a)),
    ),
    Defect(
        "coarse_step",
        "The current is rounded to steps of 5 A.",
        ("M19",),
        ("current_accuracy", "CS-LIN"),
        "the reading moves in steps of 5 A",
        transfer=lambda profile: lambda current_a, now_s: 5.0 * round(current_a / 5.0),
    ),
    Defect(
        "scale_1000",
        "The current is a thousandth of the true one.",
        ("M20",),
        _SIGN,
        "a power of ten too small",
        transfer=lambda profile: lambda current_a, now_s: current_a / 1000.0,
    ),
    Defect(
        "scale_10",
        "The current is a tenth of the true one.",
        ("M20",),
        _SIGN,
        "a power of ten too small",
        transfer=lambda profile: lambda current_a, now_s: current_a / 10.0,
    ),
    Defect(
        "gain_wrong",
        "The current is 10 % too large.",
        ("M21",),
        _SIGN,
        "the same factor at every current in both directions",
        transfer=lambda profile: lambda current_a, now_s: 1.1 * current_a,
    ),
    Defect(
        "gain_by_direction",
        "Discharging reads 15 % low, charging is right.",
        ("M22",),
        _SIGN,
        "the slopes of the two directions differ",
        transfer=lambda profile: lambda current_a, now_s: current_a if current_a > 0.0 else 0.85 * current_a,
    ),
    Defect(
        "half_scale",
        "Half of the current is reported, as by one of two packs.",
        ("M39",),
        _SIGN,
        "half the magnitude in both directions",
        transfer=lambda profile: lambda current_a, now_s: 0.5 * current_a,
    ),
    Defect(
        "large_offset",
        "A constant of 12 % of the measuring range is added, more than the small test current.",
        ("M23",),
        ("current_sign", "CS-ZERO"),
        "a constant at every current; it turns the sign of small discharging currents",
        transfer=_offset,
    ),
    Defect(
        "slow_filter",
        "The reported current follows with a time constant of 20 s.",
        ("M26",),
        ("current_sign", "CS-REV"),
        "the sign stays wrong for seconds after a reversal",
        transfer=_slow,
    ),
    Defect(
        "frozen_current",
        "The reported current stays at the value of power-on.",
        ("M27",),
        ("current_sign", "communication"),
        "the reference moved and the reading did not",
        transfer=_frozen,
    ),
    Defect(
        "delayed_value",
        "The reported current is that of 5 s ago.",
        ("M28",),
        ("current_sign", "CS-REV"),
        "right in the end, but late",
        transfer=_delayed,
    ),
    Defect(
        "stale_direction",
        "The direction is renewed only from rest: a reversal without a pause keeps the old sign.",
        ("M29",),
        ("current_sign", "CS-REV"),
        "magnitude fits, sign of the old direction after a reversal",
        applies_to=has_direction,
        transfer=_stale_direction,
    ),
)
