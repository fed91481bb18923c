"""Bringing a BMS back after a trip, as its profile says, and seeing that it carries current again."""

from __future__ import annotations

from bench import stimulus
from bench.errors import Inconclusive
from bench.protection import Protection
from bench.quantities import Direction, show
from bench.search_plan import NotReleased
from bench.stand import Stand

PROBE_A = 10.0  # offered to see whether the path is open
PROBE_S = 1.0
MARGIN = 1.1  # on times that a profile declares
AFTER_S = 2.0
OFF_S = 3.0  # without supply, so that a BMS has surely forgotten
FLOWS = 0.5  # of what was offered, from which on it counts as flowing


def let_go(stand: Stand, protection: Protection, tripped_s: float) -> None:
    """Do what releases a protection that tripped, with its cause gone; judge nothing.

    Raises:
        Inconclusive: the bench cannot do what its release asks for.
    """
    release = protection.release
    stand.progress(f"{protection.name}: release by {release.kind}")
    if release.kind == "command":
        stand.clock.sleep(1.0)
        stand.dut.clear()
        stand.clock.sleep(max(1.0, getattr(stand.profile.operation, "reclose_wait_s", 0.0)))
        stand.dut.ask_operation()
        return
    if release.kind == "opposite_current":
        with stimulus.stepping(stand, -protection.about.direction.sign * PROBE_A):
            stand.clock.sleep(release.after_s + AFTER_S)
        return
    if release.kind == "action":
        if release.action != "power_cycle":
            raise Inconclusive(
                f"{protection.name} releases by {release.action}; between two probes this bench can only wait, clear, "
                "force the other current or cycle the BMS's supply"
            )
        power_cycle(stand)
        return
    wait_s = MARGIN * release.after_s + AFTER_S + (release.window_s.max if release.window_s else 0.0)
    stand.clock.sleep_until(max(tripped_s + wait_s, stand.clock.now()))


def confirm_release(stand: Stand, direction: Direction) -> None:
    """Offer a small current and see that it flows.

    Raises:
        NotReleased: it does not.
    """
    level_a = min(PROBE_A, stimulus.largest_current_a(stand, direction))
    with stimulus.stepping(stand, direction.sign * level_a):
        stand.clock.sleep(PROBE_S)
        found_a = stand.reference.current() * direction.sign
    if found_a < FLOWS * level_a:
        raise NotReleased(
            f"{level_a:.0f} A {direction.word} were offered after the release, {show(found_a, 'A', signed=False)} "
            "flow: it did not release, or has locked itself"
        )


def can_power_cycle(stand: Stand) -> bool:
    """Say whether the bench feeds the BMS, so that it can make it forget."""
    return stand.auxiliary_supply is not None


def power_cycle(stand: Stand) -> None:
    """Take the BMS's supply away and bring it up again: latches and lock-out counters are forgotten.

    Raises:
        Inconclusive: the bench does not feed it.
    """
    auxiliary = stand.auxiliary_supply
    if auxiliary is None:
        raise Inconclusive(
            f"bench {stand.definition.name} has no auxiliary_supply: it cannot power-cycle {stand.profile.name}"
        )
    stimulus.release(stand)
    stand.progress(f"{stand.profile.name}: supply off and on again")
    auxiliary.output_off()
    stand.clock.sleep(OFF_S)
    auxiliary.output_on()
    stand.dut.bring_up()
    stand.trips.spent.clear()
