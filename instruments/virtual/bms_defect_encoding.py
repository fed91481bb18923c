"""Defects of encoding: of the current's integer on its way into a field, and of power and counters beside it.

A change works on the firmware's integer of the pack current, in the device's own sign, before it goes into a field.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.profile import Profile
from instruments.virtual.bms_encoding import Word, pack_word
from instruments.virtual.defects import Defect, has_direction

_SIGN = ("current_sign", "CS-SIGN")


def _integer(profile: Profile) -> str | None:
    signal = profile.signals["pack_current"]
    if getattr(signal, "type", "") == "float32":
        return "its pack current is a floating-point number, which carries its own sign"
    return has_direction(profile)


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


ENCODING_DEFECTS: tuple[Defect, ...] = (
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
