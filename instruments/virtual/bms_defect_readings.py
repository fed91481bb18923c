"""Defects of what a BMS reports: transfer functions on the current, and changes in its encoder."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bench.profile import Profile
from instruments.virtual.bms_encoding import Word, pack_word
from instruments.virtual.defects import Defect, Transfer

_OFFSET_SHARE, _DEAD_SHARE, _SATURATION_SHARE = 0.12, 0.08, 0.3  # of the measuring range
_DELAY_S, _SLOW_TAU_S, _REST_A = 5.0, 20.0, 0.5
_SIGN = ("current_sign", "CS-SIGN")


# -- where a defect means something ------------------------------------------------------------------------------


def _directed(profile: Profile) -> str | None:
    if profile.signals["pack_current"].positive_means == "magnitude":
        return "its pack current carries no direction"
    return None


def _integer(profile: Profile) -> str | None:
    signal = profile.signals["pack_current"]
    if getattr(signal, "type", "") == "float32":
        return "its pack current is a floating-point number, which carries its own sign"
    return _directed(profile)


def _sixteen(profile: Profile) -> str | None:
    reason = _integer(profile)
    if reason is None and pack_word(profile).bits < 16:
        return "its pack current is narrower than two bytes"
    return reason


def _has(*names: str, directed: bool = True) -> Callable[[Profile], str | None]:
    def applies(profile: Profile) -> str | None:
        present = [profile.signals[name] for name in names if name in profile.signals]
        if not present:
            return f"it reports none of {', '.join(names)}"
        if directed and all(signal.positive_means == "magnitude" for signal in present):
            return f"its {present[0].quantity} carries no direction"
        return None

    return applies


# -- transfer functions: pack current in A, charging positive -> what is reported --------------------------------


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


# -- encoder: the firmware's integer of the pack current, in the device's own sign, before it goes into a field ---


def _unsigned(count: int, word: Word) -> int:
    """The sign bit is lost on the way through a word one bit narrower: -q reads as half the field's span - q."""
    return count if count >= 0 else count + (1 << (word.bits - 1))


def _sign_magnitude(count: int, word: Word) -> int:
    """Sent as sign and magnitude; read as two's complement a negative becomes -(H - |t|)."""
    return count if count >= 0 else -(1 << (word.bits - 1)) - count


def _ones_complement(count: int, word: Word) -> int:
    return count if count >= 0 else count - 1


def _offset_kept(count: int, word: Word) -> int:
    """Offset binary sent where a signed number is promised: a constant of 5/16 of the field's span."""
    return count + 5 * (1 << (word.bits - 4))


def _bytes_swapped(count: int, word: Word) -> int:
    low = count & 0xFFFF
    swapped = (low >> 8) | ((low & 0xFF) << 8)
    return swapped - 0x10000 if swapped & 0x8000 else swapped


READING_DEFECTS: tuple[Defect, ...] = (
    Defect(
        "inverted_sign",
        "The reported current has the opposite sign; the protections see it right.",
        ("M01", "M05"),
        _SIGN,
        "magnitude fits, sign inverted",
        applies_to=_directed,
        transfer=lambda profile: lambda current_a, now_s: -current_a,
    ),
    Defect(
        "swapped_shunt_wires",
        "The shunt's sense wires are exchanged: reading, counters and protections all see the opposite current.",
        ("M01",),
        (*_SIGN, "protections"),
        "magnitude fits, sign inverted; the other direction's protection trips",
        applies_to=_directed,
        sense=lambda current_a: -current_a,
    ),
    Defect(
        "unsigned_negative",
        "A negative two's complement number is taken as unsigned on the way, so that it reads huge and positive.",
        ("M02", "M34"),
        _SIGN,
        "one direction right, the other a large constant away: two's complement read unsigned",
        applies_to=_integer,
        recode=_unsigned,
    ),
    Defect(
        "sign_magnitude",
        "Negative currents are sent as sign and magnitude where two's complement is promised.",
        ("M03", "M04"),
        _SIGN,
        "small negative currents read near the negative end of the field",
        applies_to=_integer,
        recode=_sign_magnitude,
    ),
    Defect(
        "ones_complement",
        "Negative currents are one count off (ones' complement).",
        ("M06",),
        ("current_accuracy", "CS-LIN"),
        "one count off for negative currents, seen only as a step at zero (below most accuracies)",
        applies_to=_integer,
        recode=_ones_complement,
    ),
    Defect(
        "offset_not_subtracted",
        "The current is sent as offset binary where a signed number is promised.",
        ("M07",),
        ("current_sign", "CS-ZERO"),
        "a large constant at every current, at zero too",
        applies_to=_integer,
        recode=_offset_kept,
    ),
    Defect(
        "bytes_swapped",
        "The two bytes of the current are exchanged.",
        ("M10",),
        _SIGN,
        "reading jumps with the low byte and does not follow the current",
        applies_to=_sixteen,
        recode=_bytes_swapped,
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
        applies_to=_directed,
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
        applies_to=_directed,
        transfer=_stale_direction,
    ),
    Defect(
        "counter_inverted",
        "The current is right, but charge is counted the wrong way: counters and state of charge run backwards.",
        ("M35",),
        ("current_sign", "CS-SIGN"),
        "current right, counters and state of charge in the wrong direction",
        applies_to=_has("soc", "remaining_charge", "charged_charge", "discharged_charge", directed=False),
        counter=lambda current_a: -current_a,
    ),
    Defect(
        "power_inverted",
        "The current is right, the power has the opposite sign.",
        ("M35",),
        ("current_sign", "CS-SIGN"),
        "power contradicts current times voltage",
        applies_to=_has("pack_power"),
        power=lambda power_w: -power_w,
    ),
    Defect(
        "power_unsigned",
        "The current is right, the power is a magnitude.",
        ("M36",),
        ("current_sign", "CS-SIGN"),
        "power keeps its sign when the current reverses",
        applies_to=_has("pack_power"),
        power=abs,
    ),
)
