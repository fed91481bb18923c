"""Who the unit under test is: asked before power, kept in the record, refused while its settings are not its own."""

from __future__ import annotations

from collections.abc import Mapping

from bench import quarantine
from bench.dut import Dut
from bench.errors import DefinitionError, Missing, ReadingError, SafetyError
from bench.observer import Event
from bench.settings import FACTS, ReadsIdentity
from bench.stand import Stand


def check_dut(stand: Stand, told_serial: str = "") -> None:
    """Ask the unit under test who it is, note that for the record, and refuse one that is quarantined.

    For whoever opens a bench: after the links are open, before power. `told_serial` is what the operator says.

    Raises:
        DefinitionError: the operator names another unit than the one that answers.
        SafetyError: its settings were never put back; or it cannot be told from one of which that is so.
        LinkError: the bench's own link is broken.
    """
    dut, name = stand.dut, stand.profile.name
    facts, why_not = identify(dut)
    found = facts.get("serial", "")
    if told_serial and found and told_serial != found:
        raise DefinitionError(f"--dut-serial: {told_serial!r} is told, but the BMS says it is {found!r}")
    dut.identified, dut.serial = True, told_serial or found
    told = {**{fact: f"not known: {why}" for fact, why in why_not.items()}, **facts}
    if dut.serial:
        told["serial"] = dut.serial
    stand.observers.event(Event("dut", stand.clock.now(), "unit under test", dict(told)))
    stand.note(f"unit under test: {_words(dut.serial, facts, why_not)}")
    if stand.clock.simulated:
        return
    if dut.serial:
        quarantine.check_dut(dut.serial)
    elif others := quarantine.quarantined_duts(name):
        raise SafetyError(
            f"the unit under test does not say who it is ({told['serial']}), and may be {' or '.join(others)}, whose "
            "settings were never put back; if it is another one, name it with --dut-serial"
        )


def _words(serial: str, facts: Mapping[str, str], why_not: Mapping[str, str]) -> str:
    words = [f"serial {serial} (so says the operator)"] if serial and "serial" not in facts else []
    words += [f"{fact} {text}" for fact, text in facts.items()]
    reasons: dict[str, list[str]] = {}
    for fact, why in why_not.items():
        if fact != "serial" or not serial:
            reasons.setdefault(why, []).append(fact)
    words += [f"{', '.join(missing)} not known: {why}" for why, missing in reasons.items()]
    return "; ".join(words)


def identify(dut: Dut) -> tuple[dict[str, str], dict[str, str]]:
    """Read who a unit is: facts by name, and for each other one why it is not known.

    Raises:
        LinkError: the bench's own link is broken.
    """
    facts: dict[str, str] = {}
    why_not: dict[str, str] = {}
    silent: dict[str, str] = {}
    for fact in FACTS:
        place = dut.profile.identity.place(fact)
        link = None if place is None else dut.links[place.link]
        if place is None or not isinstance(link, ReadsIdentity):
            why_not[fact] = f"profile {dut.profile.name} does not say where it is read"
            continue
        if place.link in silent:
            why_not[fact] = silent[place.link]  # its other answers would only be waited for as long again
            continue
        try:
            facts[fact] = link.read_identity(fact)
        except ReadingError as problem:
            why_not[fact] = str(problem).splitlines()[0]
            if isinstance(problem, Missing):
                silent[place.link] = why_not[fact]
    return facts, why_not
