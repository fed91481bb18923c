"""The first contact with what only looks: interlock, emergency stop, and the bench's own eyes on the cells."""

from __future__ import annotations

from bench.clock import wait_until
from bench.guard import CELLS_S, WATCH_S
from bench.quantities import show
from instruments.first_contact import CannotTell, ContactSheet, Disagrees, Place, identify

READINGS = 10
FOLLOWS_WITHIN_S = 2.0
SUM_SHARE = 0.005  # by which the cells' sum and the pack meter may differ: taps and leads between them


def contact_input(place: Place, sheet: ContactSheet) -> None:
    """Meet an interlock or an emergency stop: closed now, follows when it is opened, follows back, quick enough."""
    part, clock = place.part, place.clock

    def clear() -> str:
        if not part.is_clear():
            raise Disagrees("reads open; close doors, release buttons, and begin again")
        return "the loop reads closed"

    def opens() -> str:
        move = place.move_loop
        if move is None:
            raise CannotTell("nobody can open the loop here")
        move(False)
        try:
            took_s = wait_until(clock, lambda: not part.is_clear(), timeout_s=FOLLOWS_WITHIN_S)
        finally:
            move(True)
        if took_s is None:
            raise Disagrees(f"still reads closed {FOLLOWS_WITHIN_S:g} s after the loop was opened")
        if wait_until(clock, part.is_clear, timeout_s=FOLLOWS_WITHIN_S) is None:
            raise Disagrees(f"still reads open {FOLLOWS_WITHIN_S:g} s after the loop was closed again")
        return "reads open when the loop is opened, and closed again"

    def rate() -> str:
        begin_s = clock.now()
        for _ in range(READINGS):
            part.is_clear()
        sheet.figures["reading_s"] = took_s = (clock.now() - begin_s) / READINGS
        if took_s > WATCH_S:
            raise Disagrees(f"a reading takes {took_s:.2f} s, longer than the {WATCH_S:g} s between two watches")
        return f"a reading takes {1000 * took_s:.1f} ms"

    sheet.judge("identity", lambda: identify(place, sheet), essential=True)
    sheet.judge("clear", clear, essential=True)
    sheet.judge("opens", opens)
    sheet.judge("update rate", rate)


def contact_monitor(place: Place, sheet: ContactSheet) -> None:
    """Meet the cell monitor: every cell once, together the pack's voltage; temperatures that can be; quick enough."""
    part, clock, envelope = place.part, place.clock, place.definition.envelope

    def cells() -> str:
        if place.connected != "pack":
            raise CannotTell(f"a {place.connected} has no cells: connect a pack")
        cells_v = part.measure_cell_voltages()
        pack_v = place.reference.pack_voltage()
        sum_v = sum(cells_v)
        if abs(sum_v - pack_v) > SUM_SHARE * pack_v:
            raise Disagrees(
                f"{len(cells_v)} cells add up to {sum_v:.3f} V, {place.reference.pack_name} reads {pack_v:.3f} V: a "
                "cell is missing, counted twice or reversed"
            )
        worst = min(cells_v), max(cells_v)
        if worst[0] < envelope.min_v / len(cells_v) * 0.8 or worst[1] > envelope.max_v / len(cells_v) * 1.2:
            raise Disagrees(f"cells from {worst[0]:.3f} to {worst[1]:.3f} V; look at the order of the taps")
        return f"{len(cells_v)} cells from {worst[0]:.3f} to {worst[1]:.3f} V, together {sum_v:.3f} V; {pack_v:.3f} V"

    def temperatures() -> str:
        found = part.measure_temperatures()
        if not found:
            raise Disagrees("measures no temperature; real cells need at least one")
        for name, degc in found.items():
            low, high = envelope.temperatures(name)
            if not low <= degc <= high:
                raise Disagrees(f"{name} reads {degc:.1f} degC, the envelope allows {low:g} to {high:g} degC")
        return ", ".join(f"{name} {degc:.1f} degC" for name, degc in found.items())

    def rate() -> str:
        begin_s = clock.now()
        part.measure_cell_voltages()
        part.measure_temperatures()
        sheet.figures["scan_s"] = took_s = clock.now() - begin_s
        if took_s > CELLS_S:
            raise Disagrees(f"one look takes {took_s:.2f} s, longer than the {CELLS_S:g} s between two looks")
        return f"one look at cells and sensors takes {took_s:.2f} s"

    def still() -> str:
        current_a = place.reference.current()
        if abs(current_a) >= place.reference.off_limit_a:
            raise Disagrees(f"{show(current_a, 'A')} flow while the bench is off")
        return f"{show(current_a, 'A')} at the reference"

    sheet.judge("identity", lambda: identify(place, sheet), essential=True)
    sheet.judge("off at opening", still, essential=True)
    sheet.judge("cells", cells)
    sheet.judge("temperatures", temperatures)
    sheet.judge("update rate", rate)
