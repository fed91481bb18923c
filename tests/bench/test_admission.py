"""What hardware needs before it is energised: each thing that is missing is named, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from bench.admission import Admission, Presence, admit
from bench.commissioning import NEEDED, Commissioning, ContactLine, store_commissioning
from bench.definition import Definition, find_definition, load_definition
from bench.errors import DefinitionError
from bench.profile import find_profile, load_profile
from bench.wiring_confirmation import confirm_wiring, content_hash

PROFILE = load_profile(find_profile("seplos_v3"))
GUARDED = load_definition(find_definition("virtual_guarded"))
ADA = Presence("person", "Ada")
ALONE = Presence("unattended", why="--unattended")


def hardware(**changes: Any) -> Definition:
    """The guarded bench, as if it stood on a table."""
    bench = GUARDED.bench.model_copy(update={"simulated": False, "clock": "wall", "name": "lab-3"})
    return GUARDED.model_copy(update={"bench": bench, **changes})


def commissioned(definition: Definition, *, only: str | None = None, **changes: Any) -> None:
    """Keep evidence that every instrument was met and obeyed."""
    for role, name in definition.roles.items():
        if only is not None and name != only:
            continue
        facts: dict[str, Any] = {
            "bench": definition.name,
            "definition_digest": "",
            "role": role,
            "instrument": name,
            "driver": definition.instruments[name].driver,
            "driver_digest": "d1",
            "maker": "M",
            "model": "X",
            "serial": f"SN-{name}",
            "firmware": "1",
            "virtual": False,
            "at": "2026-11-20T08:00:00Z",
            "connected": "a pack",
            "lines": tuple(ContactLine(check, "pass", "") for check in NEEDED[role]),
        }
        store_commissioning(Commissioning(**{**facts, **changes}))


def refusal(definition: Definition, presence: Presence = ADA, **options: Any) -> list[str]:
    """Return what is named as missing."""
    with pytest.raises(DefinitionError) as caught:
        admit(definition, PROFILE, presence, **{"named": True, **options})
    first, *missing = str(caught.value).splitlines()
    assert first.endswith("is hardware (bench.simulated = false) and was not energised; missing:")
    return [line.removeprefix("  - ") for line in missing]


def ready(**changes: Any) -> Definition:
    """A bench on a table for which everything was done."""
    definition = hardware(**changes)
    confirm_wiring(definition, "Bo", ("everything",))
    commissioned(definition)
    return definition


def test_a_simulated_bench_needs_nothing() -> None:
    assert admit(GUARDED, PROFILE, Presence("nobody"), named=False) is None


def test_a_bench_that_is_ready_is_admitted_with_the_serials_that_were_commissioned() -> None:
    definition = ready()
    admission = admit(definition, PROFILE, ADA, named=True, driver_digests={"charger": "d1"})
    assert admission is not None
    assert admission.serials["charger"] == "SN-charger"
    assert admission.words() == "hardware admitted: Ada is at the bench; wiring confirmed by Bo"
    admission.check(definition)
    changed = definition.model_copy(update={"envelope": definition.envelope.model_copy(update={"charge_a": 131.0})})
    with pytest.raises(DefinitionError, match="has changed since it was admitted"):
        admission.check(changed)


def test_everything_that_is_missing_is_named_at_once() -> None:
    missing = refusal(hardware(), Presence("nobody", why="no terminal"), named=False)
    assert missing[0].startswith("hardware is only used by naming it: --bench ")
    assert missing[1].startswith("nobody is at the bench (no terminal)")
    assert missing[2].startswith("nobody has confirmed its wiring; print the sheet with 'bmsbench wiring --bench ")
    assert [line.split(" was never")[0] for line in missing[3:]] == list(hardware().roles.values())


def test_a_confirmed_wiring_that_has_changed_since_must_be_confirmed_again() -> None:
    ready()
    changed = hardware(environment=GUARDED.environment.model_copy(update={"temperature_degc": 30.0}))
    [missing] = refusal(changed)
    assert missing.startswith("its definition has changed since Bo confirmed the wiring")


@pytest.mark.parametrize("role", ["interlock", "disconnect"])
def test_unattended_needs_interlock_and_disconnect(role: str) -> None:
    roles = {name: who for name, who in GUARDED.roles.items() if name != role}
    missing = refusal(ready(roles=roles), ALONE)
    assert missing[0] == f"--unattended without {role}: add them to [roles], or stay at the bench"


def test_unattended_with_both_is_admitted() -> None:
    admission = admit(ready(), PROFILE, ALONE, named=True)
    assert isinstance(admission, Admission)
    assert admission.presence.kind == "unattended"


@pytest.mark.parametrize(
    ("changes", "begin"),
    [
        ({"safety": GUARDED.safety.model_copy(update={"stop_latency": None})}, "safety.stop_latency: is not declared"),
        (
            {"safety": GUARDED.safety.model_copy(update={"cell_voltage_stop": ""})},
            "safety.cell_voltage_stop: real cells",
        ),
        (
            {"roles": {name: who for name, who in GUARDED.roles.items() if name != "cell_monitor"}},
            "real cells without roles.cell_monitor",
        ),
        (
            {"roles": {name: who for name, who in GUARDED.roles.items() if name != "interlock"}},
            "roles.interlock: the hard-wired cell-voltage stop acts on it",
        ),
        (
            {"bench": hardware().bench.model_copy(update={"clock": "simulated"})},
            "bench.clock: hardware lives on the wall clock",
        ),
    ],
)
def test_what_the_bench_itself_lacks_is_named(changes: dict[str, Any], begin: str) -> None:
    [missing] = refusal(ready(**changes))
    assert missing.startswith(begin)


@pytest.mark.parametrize(
    ("options", "begin"),
    [
        ({"sensors": {}}, "instruments.cell_scanner.options.sensors: real cells need at least one temperature sensor"),
        ({"cells": [101, 102]}, "instruments.cell_scanner.options.cells: 2 channels for 16 cells of seplos_v3"),
    ],
)
def test_a_cell_monitor_must_see_every_cell_and_a_temperature(options: dict[str, Any], begin: str) -> None:
    scanner = GUARDED.instruments["cell_scanner"]
    changed = scanner.model_copy(update={"options": {**scanner.options, **options}})
    [missing] = refusal(ready(instruments={**GUARDED.instruments, "cell_scanner": changed}))
    assert missing.startswith(begin)


def test_a_disconnect_that_closes_without_its_coil_is_none() -> None:
    relays = GUARDED.instruments["relays"]
    changed = relays.model_copy(update={"options": {**relays.options, "contact": "normally_closed"}})
    [missing] = refusal(ready(instruments={**GUARDED.instruments, "relays": changed}))
    assert missing.startswith("instruments.relays.options.contact: 'normally_closed'")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"driver": "other"}, "charger was commissioned with driver other"),
        ({"driver_digest": "d0"}, "the driver of charger has changed since it was commissioned on 2026-11-21"),
        ({"lines": ()}, "charger did not pass its commissioning of 2026-11-21: too little could be tested"),
        (
            {"lines": (ContactLine("sign while charging", "fail", "inverted"),)},
            "charger did not pass its commissioning of 2026-11-21: sign while charging",
        ),
    ],
)
def test_the_newest_first_contact_counts(changes: dict[str, Any], words: str) -> None:
    definition = ready()
    commissioned(definition, only="charger", at="2026-11-21T08:00:00Z", **changes)
    [missing] = refusal(definition, driver_digests={"charger": "d1"})
    assert missing.startswith(words)
    assert "bmsbench commission charger --bench" in missing


def test_a_first_contact_needs_a_person_and_a_confirmed_wiring_and_no_earlier_contact() -> None:
    definition = hardware()
    assert refusal(definition, ALONE, first_contact=True)[0] == (
        "a first contact is made by a person; leave --unattended out"
    )
    confirm_wiring(definition, "Bo", ("everything",))
    admission = admit(definition, PROFILE, ADA, named=True, first_contact=True)
    assert admission is not None
    assert admission.digest == content_hash(definition)
