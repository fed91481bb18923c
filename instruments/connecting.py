"""Connect a pack: the BMS up, the bus at the pack's voltage, then the disconnect onto equal voltages."""

from __future__ import annotations

from bench.clock import wait_until
from bench.errors import SafetyError, WiringError
from bench.slopes import raise_to
from bench.stand import Stand

PRESET_A = 2.0  # current limit while the bus is brought to the pack's voltage
PRESET_WITHIN_V = 1.0
PRESET_TIMEOUT_S = 3.0
PULL_A = 2.0  # drawn from a bus that stands at the pack's voltage
PULLED_V = 3.0  # by so much an empty one falls


def connect_pack(stand: Stand) -> None:
    """Bring the BMS up, bring the bus to the pack's voltage, close the disconnect onto equal voltages.

    Raises:
        WiringError: the bus does not come to the pack's voltage, or the pack reads reversed.
    """
    stand.progress(f"bringing {stand.profile.name} up")
    stand.dut.bring_up()
    if stand.disconnect is None:
        return
    pack_v = stand.reference.pack_voltage()
    low_v, high_v = stand.definition.envelope.min_v, stand.definition.envelope.max_v
    if not low_v <= pack_v <= high_v:
        look = "; + and - of the pack or of its meter are swapped" if pack_v < 0 else ""
        raise WiringError(f"the pack reads {pack_v:.2f} V, the envelope allows {low_v:g} to {high_v:g} V{look}")
    _empty_bus(stand, pack_v)
    _preset_bus(stand, pack_v)
    stand.disconnect.close_contact()
    _end_preset(stand)
    stand.note(f"disconnect closed at {pack_v:.2f} V on both sides")


def _empty_bus(stand: Stand, pack_v: float) -> None:
    """A bus at the pack's voltage or above, its disconnect open: charge that was left, or a contact that conducts?

    It is asked by drawing a little from the bus: its capacitors are empty in a moment, a pack is not. A charge that was
    left by a run that ended while charging would otherwise keep the bus above the pack for a minute.

    Raises:
        SafetyError: the disconnect reports open and conducts.
    """
    part = stand.bidirectional or stand.load
    if part is None or stand.disconnect is None or part.measure_voltage() < pack_v - PRESET_WITHIN_V:
        return
    if stand.bidirectional is not None:
        stand.bidirectional.set_source_current(0.0)
        stand.bidirectional.set_sink_current(0.0)
        stand.bidirectional.set_voltage(0.0)
    elif stand.load is not None:
        stand.load.set_current(0.0)
    flowed_a = 0.0

    def empty() -> bool:
        nonlocal flowed_a
        flowed_a = stand.reference.current()
        return part.measure_voltage() < pack_v - PULLED_V or flowed_a < -0.5 * PULL_A

    try:
        part.output_on()
        _pull(stand)
        ended = wait_until(stand.clock, empty, timeout_s=PRESET_TIMEOUT_S, poll_s=0.02)
    finally:
        _stop_pulling(stand)
    if flowed_a < -0.5 * PULL_A:
        raise SafetyError(
            f"{stand.disconnect.name} reports open, but {PULL_A:g} A drawn from the bus came out of the pack "
            f"(reference {flowed_a:+.2f} A): its contact conducts all the same: welded or bridged, or "
            f"instruments.{stand.disconnect.name}.options.contact names the other contact (normally_open, "
            "normally_closed) than the one that is wired; nothing was connected"
        )
    if ended is None:
        raise WiringError(
            f"the bus stands at {part.measure_voltage():.2f} V behind an open disconnect, the pack at "
            f"{pack_v:.2f} V, and {part.name} could not draw it down; look at its leads, and for another source on the "
            "bus"
        )


def _pull(stand: Stand) -> None:
    if stand.bidirectional is not None:
        raise_to(stand, stand.bidirectional.set_sink_current, stand.bidirectional.get_sink_current, PULL_A)
    elif stand.load is not None:
        raise_to(stand, stand.load.set_current, stand.load.get_current, PULL_A)


def _stop_pulling(stand: Stand) -> None:
    if stand.bidirectional is not None:
        stand.bidirectional.set_sink_current(0.0)
        stand.bidirectional.output_off()
    elif stand.load is not None:
        stand.load.set_current(0.0)
        stand.load.output_off()


def _preset_bus(stand: Stand, pack_v: float) -> None:
    """Charge the bench's output capacitors, so that the disconnect does not close onto a short."""
    part = stand.bidirectional or stand.supply
    if part is None:
        return
    part.set_voltage(pack_v)
    if stand.bidirectional is not None:
        stand.bidirectional.set_sink_current(0.0)
        stand.bidirectional.set_source_current(0.0)
    elif stand.supply is not None:
        stand.supply.set_current_limit(0.0)
    part.output_on()
    _push(stand)
    near = wait_until(
        stand.clock,
        lambda: abs(part.measure_voltage() - pack_v) < PRESET_WITHIN_V,
        timeout_s=PRESET_TIMEOUT_S,
        poll_s=0.02,
    )
    if near is None:
        found_v = part.measure_voltage()
        raise WiringError(
            f"{part.name} was set to the pack's {pack_v:.2f} V and measures {found_v:.2f} V; look at its power "
            "leads: a load or a short hangs on the bus, or pack meter and supply measure different things"
        )


def _push(stand: Stand) -> None:
    if stand.bidirectional is not None:
        raise_to(stand, stand.bidirectional.set_source_current, stand.bidirectional.get_source_current, PRESET_A)
    elif stand.supply is not None:
        raise_to(stand, stand.supply.set_current_limit, stand.supply.get_current_limit, PRESET_A)


def _end_preset(stand: Stand) -> None:
    if stand.bidirectional is not None:
        stand.bidirectional.set_source_current(0.0)
        stand.bidirectional.output_off()
    elif stand.supply is not None:
        stand.supply.set_current_limit(0.0)
        stand.supply.output_off()
