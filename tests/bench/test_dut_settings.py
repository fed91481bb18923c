"""Settings of a unit under test are changed for the length of a test: refused early, judged, and put back always."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench import stimulus
from bench.definition import find_definition, load_definition
from bench.dut_identity import check_dut
from bench.dut_settings import changed, check_values, put_back, read_settings
from bench.errors import BenchError, DefinitionError, Missing, OutOfRange, ProductFailure, SafetyError
from bench.observer import Event, Observers
from bench.profile import find_profile, load_profile
from bench.quarantine import quarantine_dut, quarantine_folder
from bench.roles import Dialogue
from instruments.stand import open_stand

SEPLOS = load_profile(find_profile("seplos_v3"))
FOXBMS = load_profile(find_profile("foxbms_2"))


class Watcher:
    """Keeps events, and how often something was written to the BMS's settings."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.writes: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def sample(self, channel: str, at_s: float, value: float) -> None:
        """Not looked at."""

    def frame(self, frame: object) -> None:
        """Not looked at."""

    def dialogue(self, dialogue: Dialogue) -> None:
        if dialogue.sent and dialogue.text.startswith("e0 10"):
            self.writes.append(dialogue.text)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@contextmanager
def opened(watcher: Watcher, profile: Any = SEPLOS, **options: Any) -> Iterator[Any]:
    definition = load_definition(find_definition("virtual"))
    with open_stand(definition, profile, observers=Observers(watcher), **options) as stand:
        check_dut(stand)
        yield stand


# --- who it is ----------------------------------------------------------------------------------------------------


def test_the_record_is_told_who_the_unit_is(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        assert stand.dut.serial.startswith("VIRTUAL-BMS-")
    told = next(event for event in watcher.events if event.kind == "dut")
    assert told.data == {"serial": stand.dut.serial, "firmware": "10", "hardware": "VIRTUAL"}


def test_the_record_is_told_what_is_not_known_and_why(watcher: Watcher) -> None:
    with opened(watcher, FOXBMS) as stand:
        assert stand.dut.serial == ""
    told = next(event for event in watcher.events if event.kind == "dut")
    assert told.data["serial"] == "not known: profile foxbms_2 does not say where it is read"


def test_the_operator_may_say_it_but_not_contradict_the_unit(watcher: Watcher) -> None:
    with opened(watcher, FOXBMS) as stand:
        check_dut(stand, "A-17")
        assert stand.dut.serial == "A-17"
    assert any("A-17 (so says the operator)" in event.text for event in watcher.events)
    with opened(watcher) as stand:
        with pytest.raises(DefinitionError, match=r"--dut-serial: 'A-17' is told, but the BMS says"):
            check_dut(stand, "A-17")


def test_in_simulated_time_an_old_quarantine_bars_nobody_and_none_is_made(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        serial = stand.dut.serial
    quarantine_dut(serial, {"charge_overcurrent": 110.0}, cause="earlier", profile="seplos_v3")
    with opened(watcher) as stand, changed(stand, {"charge_overcurrent": 60.0}):
        assert [path.name for path in quarantine_folder().glob("*.json")] != []
    assert len(list(quarantine_folder().glob("dut-*.json"))) == 1


# --- refused before anything is written ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "why"),
    [
        ({"charge_overcurrent": 151.0}, OutOfRange, r"settings\.charge_overcurrent: 151 A is outside"),
        ({"charge_overcurrent": 60.5}, OutOfRange, "no whole number of steps"),
        ({"charge_overcurrent": 60.0, "discharge_overcurrent": 1.0}, OutOfRange, r"settings\.discharge_overcurrent"),
        ({"charge_overcurent": 60.0}, DefinitionError, "no setting 'charge_overcurent'; did you mean"),
        ({"cell_overvoltage": 3.35}, DefinitionError, "cell_overvoltage_1 would contradict itself"),
        ({}, DefinitionError, "no setting was named"),
    ],
)
def test_what_may_not_be_is_refused_and_nothing_is_written(
    watcher: Watcher, values: dict[str, float], error: type[Exception], why: str
) -> None:
    with opened(watcher) as stand:
        with pytest.raises(error, match=why):
            with changed(stand, values):
                pytest.fail("it was changed")
    assert watcher.writes == []


def test_a_threshold_beyond_the_absolute_maxima_is_refused_even_inside_the_range() -> None:
    wide = SEPLOS.settings["charge_overcurrent"].model_copy(update={"range": (5.0, 500.0)})
    profile = SEPLOS.model_copy(update={"settings": {**SEPLOS.settings, "charge_overcurrent": wide}})
    with pytest.raises(
        OutOfRange, match=r"charge_overcurrent_1\.threshold 160 A lies outside the absolute maximum 150"
    ):
        check_values(profile, {"charge_overcurrent": 160.0})


def test_a_threshold_and_its_release_may_be_moved_together() -> None:
    wanted, promises = check_values(SEPLOS, {"cell_overvoltage": 3.35, "cell_overvoltage_release": 3.3})
    assert wanted == pytest.approx({"cell_overvoltage": 3.35, "cell_overvoltage_release": 3.3})
    assert promises.protection("cell_overvoltage_1").threshold_si == pytest.approx(3.35)
    assert SEPLOS.protection("cell_overvoltage_1").threshold_si == pytest.approx(3.65)


def test_a_unit_that_cannot_be_recognised_is_not_changed(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        stand.dut.serial = ""
        with pytest.raises(
            DefinitionError, match=r"cannot be recognised must not be changed; name it with --dut-serial"
        ):
            with changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")
    assert watcher.writes == []


def test_one_change_inside_another_is_refused(watcher: Watcher) -> None:
    with opened(watcher) as stand, changed(stand, {"charge_overcurrent": 60.0}):
        with pytest.raises(DefinitionError, match="changed already"):
            with changed(stand, {"discharge_overcurrent": 60.0}):
                pytest.fail("it was changed")


def test_a_snapshot_that_is_not_whole_forbids_the_change(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(watcher) as stand:
        link = stand.dut.links["modbus"]
        read = link.read_setting

        def one_is_missing(name: str) -> float:
            if name == "overcurrent_lock_after":
                raise Missing(f"{name}: no answer")
            return float(read(name))

        monkeypatch.setattr(link, "read_setting", one_is_missing)
        with pytest.raises(Missing, match="overcurrent_lock_after"):
            with changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")
    assert watcher.writes == []


# --- changed, and put back ----------------------------------------------------------------------------------------


def test_a_change_holds_for_the_block_and_is_put_back(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        before = read_settings(stand.dut)
        with changed(stand, {"charge_overcurrent": 60.0, "charge_overcurrent_delay": 5.0}) as now:
            assert now.values == {"charge_overcurrent": 60.0, "charge_overcurrent_delay": 5.0}
            assert now.snapshot == before
            assert now.protection("charge_overcurrent_1").threshold == 60.0
            assert read_settings(stand.dut) == {**before, **now.values}
        assert read_settings(stand.dut) == before
        with changed(stand, {"charge_overcurrent": 70.0}):
            pass
    notes = [event.text for event in watcher.events if event.kind == "note"]
    assert any(
        "charge_overcurrent from 110 A to 60 A, charge_overcurrent_delay from 10.0 s to 5.0 s" in one for one in notes
    )
    assert any(one.endswith("read as before") for one in notes)


def test_the_protection_really_acts_at_the_changed_threshold(watcher: Watcher) -> None:
    with opened(watcher) as stand, changed(stand, {"discharge_overcurrent": 40.0, "discharge_overcurrent_delay": 2.0}):
        stimulus.force(stand, -50.0)
        stand.clock.sleep(5.0)
        assert stand.reference.current() == pytest.approx(0.0, abs=0.5)
        assert stand.dut.flag("discharge_overcurrent_protection")


def _mistaken(stand: Any) -> None:
    stimulus.force(stand, -20.0)
    stimulus.settle(stand, -20.0)
    raise RuntimeError("a mistake in a suite")


def test_settings_are_put_back_without_current_whatever_happened(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        before = read_settings(stand.dut)
        with pytest.raises(RuntimeError, match="a mistake in a suite"), changed(stand, {"discharge_overcurrent": 60.0}):
            _mistaken(stand)
        assert len(watcher.writes) == 2
        assert not any(part.is_output_on() for part in stand.guard.drivers.values())
        assert stand.reference.current() == pytest.approx(0.0, abs=0.2)
        assert read_settings(stand.dut) == before


def test_outputs_are_off_before_the_first_write(watcher: Watcher) -> None:
    with opened(watcher) as stand:
        stimulus.force(stand, -20.0)
        stimulus.settle(stand, -20.0)
        with changed(stand, {"discharge_overcurrent": 60.0}):
            assert stand.reference.current() == pytest.approx(0.0, abs=0.2)


# --- units that do not obey -----------------------------------------------------------------------------------------


def test_a_unit_that_ignores_a_write_has_failed(watcher: Watcher) -> None:
    with opened(watcher, defects=("setting_ignores_write",)) as stand:
        with pytest.raises(ProductFailure, match="after writing: charge_overcurrent reads 110 A, should be 60 A"):
            with changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")


def test_a_unit_that_keeps_another_value_has_failed_and_cannot_be_put_back(watcher: Watcher) -> None:
    with opened(watcher, defects=("setting_written_wrong",)) as stand:
        with pytest.raises(
            SafetyError, match=r"were not put back: charge_overcurrent = 111\.0 instead of 110\.0"
        ) as caught:
            with changed(stand, {"charge_overcurrent": 60.0}):
                pytest.fail("it was changed")
    assert isinstance(caught.value.__context__, ProductFailure)
    assert "charge_overcurrent reads 61 A, should be 60 A" in str(caught.value.__context__)


def test_a_setting_that_was_lost_meanwhile_is_a_failure(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(watcher) as stand:
        with pytest.raises(ProductFailure, match=r"at the end, .*: charge_overcurrent reads 110 A, should be 60 A"):
            with changed(stand, {"charge_overcurrent": 60.0}):
                stand.dut.links["modbus"].write_setting("charge_overcurrent", 110.0)  # as a unit that forgets
        assert not stand.dut.settings_changed


class Moody:
    """Settings in memory; refuses a threshold as long as the release is above it, and the first write of all."""

    def __init__(self) -> None:
        self.kept = {"cell_overvoltage": 3.65, "cell_overvoltage_release": 3.4}
        self.moods = 1

    def read_setting(self, name: str) -> float:
        return self.kept[name]

    def write_setting(self, name: str, value: float) -> None:
        if self.moods:
            self.moods -= 1
            raise Missing("no answer")
        if name == "cell_overvoltage" and value < self.kept["cell_overvoltage_release"]:
            raise BenchError("refused")
        self.kept[name] = value


class UnitOnShelf:
    """As much of a `Dut` as putting back needs."""

    def __init__(self, link: Moody) -> None:
        self.links = {"modbus": link}
        names = ("cell_overvoltage", "cell_overvoltage_release")
        self.profile = SEPLOS.model_copy(update={"settings": {name: SEPLOS.settings[name] for name in names}})


def test_putting_back_takes_a_second_round_where_one_setting_waits_for_another() -> None:
    unit = Moody()
    snapshot = {"cell_overvoltage": 3.3, "cell_overvoltage_release": 3.2}
    assert put_back(UnitOnShelf(unit), snapshot) == snapshot  # type: ignore[arg-type]


def test_what_is_refused_for_good_is_told() -> None:
    unit = Moody()
    unit.moods = 99
    with pytest.raises(Missing, match="no answer"):
        put_back(UnitOnShelf(unit), {"cell_overvoltage": 3.3})  # type: ignore[arg-type]
