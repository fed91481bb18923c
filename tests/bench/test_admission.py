"""What hardware needs before it is energised: each thing that is missing is named, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest

from bench.admission import Admission, Presence, admit
from bench.commissioning import NEEDED, Commissioning, ContactLine, section_digest, store_commissioning
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
            "figures": {"stop_latency_s": 0.3},
            "section_digest": section_digest(definition.instruments[name]),
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
            {"safety": GUARDED.safety.model_copy(update={"cell_voltage_stop": " \t"})},
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
        ({"role": "bidirectional"}, "charger did not pass its commissioning of 2026-11-21: too little could be tested"),
        (
            {"section_digest": ""},
            "instruments.charger: driver, model or options are not those with which it was commissioned on 2026-11-21",
        ),
        ({"figures": {}}, "charger was commissioned without measuring how fast it stops"),
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


def test_an_instrument_that_plays_another_role_is_met_again() -> None:
    definition = ready()
    commissioned(definition, only="door", role="emergency_stop", at="2026-11-21T08:00:00Z")
    [missing] = refusal(definition)
    assert missing.startswith("door was commissioned as emergency_stop, and is now interlock; run 'bmsbench commission")


@pytest.mark.parametrize(
    "changes",
    [{"options": {"device_id": 2}}, {"model": "PSI 9200-70"}, {"driver": "ea_psi_9000_other"}],
)
def test_a_section_that_was_changed_must_be_met_again(changes: dict[str, Any]) -> None:
    ready()
    charger = GUARDED.instruments["charger"].model_copy(update=changes)
    definition = hardware(instruments={**GUARDED.instruments, "charger": charger})
    confirm_wiring(definition, "Bo", ("everything",))
    [missing] = refusal(definition)
    assert missing.startswith("charger was commissioned with" if "driver" in changes else "instruments.charger: driver")


def test_a_serial_number_and_a_calibration_that_are_added_are_no_other_instrument() -> None:
    ready()
    charger = GUARDED.instruments["charger"].model_copy(update={"serial": "SN-charger", "certificate": "2027-3"})
    definition = hardware(instruments={**GUARDED.instruments, "charger": charger})
    confirm_wiring(definition, "Bo", ("everything",))
    assert admit(definition, PROFILE, ADA, named=True) is not None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sink", "safety.stop_latency.outputs_off_s: 0.5 s is declared, 0.62 s were measured at sink on 2026-11-21"),
        ("relays", "safety.stop_latency.disconnect_s: 0.5 s is declared, 0.62 s were measured at relays on 2026-11-21"),
    ],
)
def test_a_time_to_stop_that_is_declared_shorter_than_it_was_measured_is_named(name: str, words: str) -> None:
    definition = ready()
    commissioned(definition, only=name, at="2026-11-21T08:00:00Z", figures={"stop_latency_s": 0.62})
    [missing] = refusal(definition)
    assert missing == f"{words}; declare what was measured, rounded up"
    commissioned(definition, only=name, at="2026-11-22T08:00:00Z", figures={"stop_latency_s": 0.5})
    assert admit(definition, PROFILE, ADA, named=True) is not None


def test_evidence_from_virtual_instruments_is_none_where_hardware_can_be_reached() -> None:
    instruments = {
        name: part.model_copy(update={"address": f"tcp:192.0.2.{number}:5025"})
        for number, (name, part) in enumerate(GUARDED.instruments.items(), start=1)
    }
    for name in instruments:  # one that leaves this machine is enough
        one = {**GUARDED.instruments, name: instruments[name]}
        definition = hardware(instruments=one)
        confirm_wiring(definition, "Bo", ("everything",))
        commissioned(definition, virtual=True)
        missing = refusal(definition)
        assert len(missing) == len(definition.roles)
        assert missing[0].startswith("charger was commissioned on 2026-11-20 as a virtual instrument, hardware was not")
    definition = hardware(instruments=instruments)
    confirm_wiring(definition, "Bo", ("everything",))
    commissioned(definition, at="2026-11-21T08:00:00Z")
    assert admit(definition, PROFILE, ADA, named=True) is not None


def test_evidence_from_a_lab_admits_what_leads_to_nothing_but_this_machine() -> None:
    definition = hardware()
    confirm_wiring(definition, "Bo", ("everything",))
    commissioned(definition, virtual=True)
    assert admit(definition, PROFILE, ADA, named=True) is not None


@pytest.mark.parametrize("role", ["interlock", "emergency_stop"])
def test_a_file_that_may_be_old_is_no_interlock(role: str) -> None:
    name = GUARDED.roles[role]

    def with_file(**options: Any) -> Definition:
        plc = GUARDED.instruments[name].model_copy(
            update={"driver": "file_input", "address": "file:/run/bench/plc", "options": options}
        )
        return ready(instruments={**GUARDED.instruments, name: plc})

    [missing] = refusal(with_file())
    assert missing.startswith(f"instruments.{name}.options.max_age_s: is not given; a file says 'clear' long after")
    assert admit(with_file(max_age_s=1.0), PROFILE, ADA, named=True) is not None


@pytest.mark.parametrize("direction", ["charging", "discharging"])
def test_a_bidirectional_supply_must_have_been_seen_in_both_directions(direction: str) -> None:
    roles = {name: who for name, who in GUARDED.roles.items() if name not in ("supply", "load")}
    definition = ready(roles={"bidirectional": "charger", **roles})
    assert admit(definition, PROFILE, ADA, named=True) is not None
    lines = tuple(ContactLine(f"{what} while {direction}", "pass", "") for what in ("sign", "stop"))
    commissioned(definition, only="charger", at="2026-11-21T08:00:00Z", lines=lines)
    [missing] = refusal(definition)
    assert missing.startswith("charger did not pass its commissioning of 2026-11-21: too little could be tested")
