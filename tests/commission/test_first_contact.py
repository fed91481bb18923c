"""The first contact: a healthy instrument is commissioned, and each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from bench.commissioning import Commissioning
from bench.definition import find_definition, load_definition
from bench.errors import DefinitionError
from bench.profile import find_profile, load_profile
from bmsbench import commissioning_world as assembly
from bmsbench.commissioning import commission, role_of
from bmsbench.commissioning_world import Wanted
from instruments.virtual.passive_bench import PassiveBench

Meet = Callable[..., Commissioning]
PARTS = (("virtual", "supply"), ("virtual", "load"), ("virtual_bidirectional", "bidirectional"))
METERS = (("virtual", "reference_meter"), ("virtual", "pack_meter"), ("virtual", "disconnect"))


def found(record: Commissioning, check: str) -> tuple[str, str]:
    """Return verdict and text of one line."""
    [line] = [line for line in record.lines if line.check == check]
    return line.verdict, line.found


@pytest.mark.parametrize(("bench", "target"), [*PARTS, *METERS])
def test_a_healthy_instrument_is_commissioned(meet: Meet, bench: str, target: str) -> None:
    record = meet(bench, target)
    assert record.failed == ()
    assert record.commissioned
    assert record.virtual
    assert record.serial.startswith("VIRTUAL")
    assert record.role == target
    assert found(record, "left safely")[0] == "pass"


@pytest.mark.parametrize(("bench", "target"), PARTS)
def test_what_matters_of_a_power_instrument_is_looked_at(meet: Meet, bench: str, target: str) -> None:
    record = meet(bench, target)
    ways = {"supply": ["charging"], "load": ["discharging"]}.get(target, ["charging", "discharging"])
    passed = {line.check for line in record.lines if line.verdict == "pass"}
    assert passed >= {f"{what} while {way}" for way in ways for what in ("sign", "stop")}
    assert passed >= {"identity", "ratings", "off at opening", "settings", "over-current trip", "remote lost"}
    assert passed >= {"clear after over-current", "update rate", "off at the end"}
    assert 0.0 < record.figures["stop_latency_s"] < 0.5
    assert 0.0 < record.figures["reading_s"] < 0.1
    assert not any("while charging" in line.check for line in record.lines) or target != "load"


def test_a_driver_with_a_watchdog_has_it_judged_and_one_without_says_what_remains(meet: Meet) -> None:
    verdict, text = found(meet("virtual", "supply"), "watchdog")
    assert verdict == "pass"
    assert "fell silent" in text
    verdict, text = found(meet("virtual_bidirectional", "bidirectional"), "watchdog")
    assert verdict == "not tested"
    assert "what remains" in text


@pytest.mark.parametrize(("bench", "target"), PARTS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("sign_inverted", "has the other sign"),
        ("stuck_output", "does not switch off when told"),
        ("frozen_measurement", "stands still"),
        ("refuse_values", "refused"),
        ("clear_reenables", "the clear switched its output on again"),
        ("protection_dead", "it did not act"),
        ("wrong_value", "it reads"),
        ("silent", "no answer"),
    ],
)
def test_a_planted_fault_is_named(meet: Meet, bench: str, target: str, fault: str, words: str) -> None:
    record = meet(bench, target, fault)
    assert not record.commissioned
    assert any(words in line.found for line in record.failed), record.failed
    assert not any("NOT safe" in line.found for line in record.failed), "the bench is left safely all the same"


@pytest.mark.parametrize("target", ["supply", "load"])
def test_a_watchdog_that_does_nothing_is_named(meet: Meet, target: str) -> None:
    record = meet("virtual", target, "watchdog_dead")
    assert [line.check for line in record.failed] == ["watchdog"]
    assert "did nothing" in record.failed[0].found


@pytest.mark.parametrize(
    ("fault", "words"),
    [("sign_inverted", "other sign"), ("frozen_measurement", "stands still"), ("wrong_value", "reference_shunt.ohm")],
)
def test_a_reference_meter_with_a_fault_is_named(meet: Meet, fault: str, words: str) -> None:
    record = meet("virtual", "reference_meter", fault)
    assert words in record.failed[0].found
    assert not record.commissioned


def test_a_disconnect_that_says_open_and_conducts_is_named(meet: Meet) -> None:
    record = meet("virtual", "disconnect", "stuck_output", resistor=1.0)
    assert "welded" in record.failed[0].found


def test_an_output_that_does_not_obey_ends_the_contact(meet: Meet) -> None:
    record = meet("virtual", "supply", "stuck_output")
    after = [line for line in record.lines if line.check.startswith(("sign", "stop", "over-", "watchdog"))]
    assert after
    assert {line.verdict for line in after} == {"not tested"}


@pytest.mark.parametrize("target", ["supply", "disconnect"])
def test_a_known_resistor_is_enough_for_a_source(meet: Meet, target: str) -> None:
    record = meet("virtual", target, resistor=1.0)
    assert record.commissioned, record.lines
    assert record.connected == "a resistor of 1 Ohm"


def test_another_resistor_than_told_is_noticed(meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    """1 Ohm is told, 1.5 Ohm is connected: three witnesses do not agree."""
    wired = partial(PassiveBench, seed=1, ohm=1.5)
    monkeypatch.setattr(assembly, "PassiveBench", lambda definition, clock, **_: wired(definition, clock))
    verdict, text = found(meet("virtual", "supply", resistor=1.0), "sign while charging")
    assert verdict == "fail"
    assert "is that the resistor" in text


def test_a_short_makes_no_over_voltage_trip(meet: Meet) -> None:
    record = meet("virtual", "supply", short=True)
    assert record.commissioned
    assert record.not_tested == ("over-voltage trip",)


def test_a_resistor_that_lets_too_little_flow_commissions_nothing(meet: Meet) -> None:
    record = meet("virtual", "supply", resistor=100.0)
    assert record.failed == ()
    assert not record.commissioned
    assert "take a smaller resistor" in found(record, "sign while charging")[1]


def test_a_load_cannot_be_met_on_a_short(meet: Meet) -> None:
    record = meet("virtual", "load", short=True)
    assert not record.commissioned
    assert "connect a pack" in found(record, "sign while discharging")[1]


def test_another_instrument_than_declared_is_named() -> None:
    definition = load_definition(find_definition("virtual"))
    charger = definition.instruments["charger"].model_copy(update={"serial": "12345"})
    changed = definition.model_copy(update={"instruments": {**definition.instruments, "charger": charger}})
    record = commission(changed, load_profile(find_profile("seplos_v3")), Wanted("supply"))
    assert record.failed[0].check == "identity"
    assert "'12345' is declared, 'VIRTUAL-CHARGER' answered" in record.failed[0].found


def test_roles_and_instruments_are_both_names() -> None:
    definition = load_definition(find_definition("virtual"))
    assert role_of(definition, "supply") == role_of(definition, "charger") == "supply"
    with pytest.raises(DefinitionError, match="did you mean 'charger'"):
        role_of(definition, "chrger")


def test_a_fault_cannot_be_planted_in_what_is_not_ours(meet: Meet) -> None:
    with pytest.raises(DefinitionError, match="no fault 'nonsense'"):
        meet("virtual", "supply", "nonsense")
    with pytest.raises(DefinitionError, match="cannot have the fault"):
        meet("virtual", "pack_meter", "watchdog_dead")
