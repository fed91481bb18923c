"""Profiles: what loads, what units become, and the exact words in which each mistake is refused."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DefinitionError
from bench.loading import content_hash, nearest, read_toml, validate
from bench.operation import StateRequest
from bench.profile import PROFILES, Profile, find_profile, load_profile
from bench.quantities import Direction
from bench.signals import CanSignal, ModbusSignal

Tree = dict[str, Any]
Change = Callable[[str, str, Any], Tree]
Remove = Callable[[str, str], Tree]

MODBUS_PROFILE = """
[bms]
maker = "Acme"
model = "8S"
cells = 8
capacity_ah = 50.0
upper_limit_cell_v = 3.70
measuring_range_a = 100.0
switches = ["charge", "discharge"]

[absolute]
charge_a = 60.0
discharge_a = 100.0
cell_high_v = 3.80
cell_low_v = 2.20

[links.rs485]
kind = "modbus"
unit_id = 7
poll_s = 0.5

[operation]
kind = "always_on"

[signals.pack_current]
link = "rs485"
address = 16
type = "int16"
scale = 10.0
unit = "mA"
positive_means = "discharge"
provenance = "assumed"
period_s = 0.5
range = [-320000.0, 320000.0]
accuracy = { reading_pct = 0.5, offset = 100.0, resolution = 10.0 }

[signals.temperature]
link = "rs485"
address = 17
type = "uint16"
scale = 0.1
unit = "K"
period_s = 0.5

[signals.too_high]
link = "rs485"
function = 1
address = 3
type = "bit"
period_s = 0.5

[[protections]]
name = "charge_1"
kind = "charge_overcurrent"
threshold = 40000.0
unit = "mA"
tolerance = 800.0
delay_s = { min = 1.0, max = 2.0 }
opens = ["charge"]
release = { kind = "value", value = 5000.0 }
flag = "too_high"

[[protections]]
name = "cell_high"
kind = "cell_overvoltage"
threshold = 3650.0
unit = "mV"
tolerance = 10.0
delay_s = { min = 1.0, max = 2.0 }
opens = ["charge"]
release = { kind = "value", value = 3400.0 }

[[protections]]
name = "hot"
kind = "charge_overtemperature"
threshold = 328.15
unit = "K"
tolerance = 2.0
delay_s = { min = 1.0, max = 2.0 }
opens = ["charge"]
release = { kind = "value", value = 318.15 }
"""

CAN_PROFILE = """
[bms]
maker = "Acme"
model = "CAN"
cells = 16
capacity_ah = 100.0
upper_limit_cell_v = 3.75
measuring_range_a = 150.0
switches = ["main_plus", "main_minus"]

[absolute]
charge_a = 150.0
discharge_a = 150.0
cell_high_v = 3.90
cell_low_v = 2.00

[links.bus]
kind = "can_dbc"
dbc = "acme.dbc"

[operation]
kind = "state_request"
link = "bus"
message = "Request"
period_s = 0.1
operating = "on"
error = "fault"
open = { Mode = 0 }
clear = { Mode = 2 }

[[operation.sequence]]
request = { Mode = 1 }
until = "on"
timeout_s = 5.0

[signals.pack_current]
link = "bus"
message = "Values"
signal = "Current"
unit = "A"
positive_means = "charge"
provenance = "declared"
period_s = 0.1

[signals.state]
link = "bus"
message = "State"
signal = "State"
period_s = 0.1
values = { 0 = "off", 1 = "on", 2 = "fault" }
"""

SHIPPED = sorted(path.stem for path in PROFILES.glob("*.toml"))


def refusal(tree: Tree) -> str:
    """Return the message with which a profile is refused."""
    with pytest.raises(DefinitionError) as caught:
        validate(Profile, tree, "acme.toml")
    return str(caught.value)


# -- what loads ----------------------------------------------------------------------------------------------------


@pytest.fixture
def acme(tmp_path: Path) -> Profile:
    path = tmp_path / "acme_8s.toml"
    path.write_text(MODBUS_PROFILE, encoding="utf-8")
    return load_profile(path)


def test_a_modbus_profile_written_from_scratch_loads_and_knows_its_name(acme: Profile, tmp_path: Path) -> None:
    assert acme.name == "acme_8s"
    assert acme.source == (tmp_path / "acme_8s.toml").resolve()
    current = acme.signals["pack_current"]
    assert isinstance(current, ModbusSignal)
    assert (current.function, current.word_order, current.kind) == (4, "high_first", "modbus")
    assert acme.bms.separate_switches


def test_a_can_profile_written_from_scratch_loads(tmp_path: Path) -> None:
    path = tmp_path / "acme_can.toml"
    path.write_text(CAN_PROFILE, encoding="utf-8")
    profile = load_profile(path)
    assert isinstance(profile.signals["pack_current"], CanSignal)
    assert isinstance(profile.operation, StateRequest)
    assert profile.operation.sequence[0].request == {"Mode": 1.0}
    assert not profile.bms.separate_switches
    assert profile.signals["state"].values == {0: "off", 1: "on", 2: "fault"}


def test_thresholds_in_milliamperes_millivolts_and_kelvin_are_si_inside(acme: Profile) -> None:
    charge, cell, hot = acme.protections
    assert (charge.threshold_si, charge.tolerance_si, charge.release_value_si) == (40.0, 0.8, 5.0)
    assert (cell.threshold_si, cell.tolerance_si, cell.release_value_si) == pytest.approx((3.65, 0.01, 3.4))
    # A tolerance in kelvin is a difference: 2 K are 2 degC, not -271.15 degC.
    assert (hot.threshold_si, hot.tolerance_si, hot.release_value_si) == pytest.approx((55.0, 2.0, 45.0))


def test_a_signal_is_turned_round_and_scaled_in_one_place(acme: Profile) -> None:
    current = acme.signals["pack_current"]
    assert current.to_inside(12_300.0) == pytest.approx(-12.3)
    assert current.to_link(-12.3) == pytest.approx(12_300.0)
    assert current.positive_direction is Direction.DISCHARGE
    assert current.inside_unit == "A"
    assert current.max_age_s == 1.5
    assert acme.signals["temperature"].to_inside(298.15) == pytest.approx(25.0)
    assert acme.signals["temperature"].to_link(25.0) == pytest.approx(298.15)
    assert acme.signals["too_high"].quantity == "none"


def test_a_promised_accuracy_is_in_the_inside_unit(acme: Profile) -> None:
    current = acme.signals["pack_current"]
    # 0.5 % of 20 A and 100 mA
    assert current.accuracy_si(20.0) == pytest.approx(0.2)
    assert current.accuracy_si(-20.0) == pytest.approx(0.2)
    assert current.accuracy_parameters() == pytest.approx(
        {"reading_pct": 0.5, "range_pct": 0.0, "range": 0.0, "offset": 0.1, "resolution": 0.01}
    )
    assert acme.signals["temperature"].accuracy_si(25.0) is None


@pytest.mark.parametrize("value", [-500.0, -0.01, 0.0, 3.3, 120.0])
@pytest.mark.parametrize("name", ["pack_current", "temperature"])
def test_to_link_undoes_to_inside(acme: Profile, name: str, value: float) -> None:
    signal = acme.signals[name]
    assert signal.to_inside(signal.to_link(value)) == pytest.approx(value)


def test_a_protection_is_found_by_name_and_a_misspelt_one_with_advice(acme: Profile) -> None:
    assert acme.protection("hot").about.quantity == "temperature"
    with pytest.raises(DefinitionError, match="no protection called 'charge1'; did you mean 'charge_1'"):
        acme.protection("charge1")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_load(name: str) -> None:
    assert load_profile(find_profile(name)).name == name


def test_a_labs_own_profile_comes_before_the_shipped_one(tmp_path: Path) -> None:
    mine = tmp_path / "profiles" / "foxbms_2.toml"
    mine.parent.mkdir()
    mine.write_text(MODBUS_PROFILE, encoding="utf-8")
    assert find_profile("foxbms_2", tmp_path) == mine
    assert find_profile("seplos_v3", tmp_path) == PROFILES / "seplos_v3.toml"
    assert find_profile("some/where.toml") == Path("some/where.toml")


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="no BMS profile called 'foxbms2'; did you mean 'foxbms_2'"):
        find_profile("foxbms2")


# -- each mistake, with file, key path, value and the nearest spelling ---------------------------------------------

SIGNED_ADVICE = "write 'charge', 'discharge' or, for a number without direction, 'magnitude'"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "signals.pack_current.positive_means",
            f"acme.toml, signals.pack_current: positive_means is missing: a current has no sign by itself; "
            f"{SIGNED_ADVICE}",
        ),
        (
            "signals.pack_current.provenance",
            "acme.toml, signals.pack_current: provenance is missing: write 'declared' (the maker says so), 'observed' "
            "(measured here) or 'assumed'",
        ),
        ("bms.measuring_range_a", "acme.toml, bms.measuring_range_a: is missing and has no default"),
        ("bms.upper_limit_cell_v", "acme.toml, bms.upper_limit_cell_v: is missing and has no default"),
        ("absolute", "acme.toml, absolute: is missing and has no default"),
        ("operation", "acme.toml, operation: is missing and has no default"),
        ("signals.pack_current.type", "acme.toml, signals.pack_current.type: is missing and has no default"),
        ("links.rs485.unit_id", "acme.toml, links.rs485.unit_id: is missing and has no default"),
        (
            "links.rs485.kind",
            "acme.toml, links.rs485.kind: is missing and has no default; write one of can_dbc, modbus",
        ),
        (
            "operation.kind",
            "acme.toml, operation.kind: is missing and has no default; write one of state_request, always_on",
        ),
        ("protections.0.threshold", "acme.toml, protections.0.threshold: is missing and has no default"),
        ("protections.0.delay_s.max", "acme.toml, protections.0.delay_s.max: is missing and has no default"),
        ("protections.0.opens", "acme.toml, protections.0: a protection must say which switches it opens"),
        ("signals.pack_current", "acme.toml: signals: 'pack_current' is mandatory; known are temperature, too_high"),
    ],
)
def test_what_is_missing_is_named(without: Remove, path: str, message: str) -> None:
    assert refusal(without(MODBUS_PROFILE, path)) == message


@pytest.mark.parametrize(
    ("path", "where", "wrong", "meant"),
    [
        ("signal", "the top level", "signal", "signals"),
        ("bms.cels", "bms", "cels", "cells"),
        ("absolute.charge", "absolute", "charge", "charge_a"),
        ("links.rs485.poll", "links.rs485", "poll", "poll_s"),
        ("operation.settle", "operation", "settle", "settle_s"),
        ("signals.pack_current.positve_means", "signals.pack_current", "positve_means", "positive_means"),
        ("signals.pack_current.accuracy.ofset", "signals.pack_current.accuracy", "ofset", "offset"),
        ("protections.0.treshold", "protections.0", "treshold", "threshold"),
        ("protections.0.delay_s.maximum", "protections.0.delay_s", "maximum", "max"),
        ("protections.0.release.valu", "protections.0.release", "valu", "value"),
    ],
)
def test_a_misspelt_key_names_its_path_and_the_nearest_spelling(
    changed: Change, path: str, where: str, wrong: str, meant: str
) -> None:
    assert refusal(changed(MODBUS_PROFILE, path, 1)) == (
        f"acme.toml, {path}: {where} has no key {wrong!r}; did you mean {meant!r}?"
    )


def test_a_key_of_another_kind_of_link_is_no_key_here(changed: Change) -> None:
    # `message` belongs to CAN; the advice lists what a Modbus signal may have, not what a CAN signal may have.
    text = refusal(changed(MODBUS_PROFILE, "signals.pack_current.mux", 0))
    assert text.startswith("acme.toml, signals.pack_current.mux: signals.pack_current has no key 'mux'")
    assert "word_order" in text
    assert "message" not in text


def test_a_misspelt_key_in_the_steps_of_an_operation_has_its_index(changed: Change) -> None:
    assert refusal(changed(CAN_PROFILE, "operation.sequence.0.timeout", 1.0)) == (
        "acme.toml, operation.sequence.0.timeout: operation.sequence.0 has no key 'timeout'; did you mean 'timeout_s'?"
    )


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "signals.pack_current.positive_means",
            "discharging",
            "signals.pack_current.positive_means: 'discharging' is not valid; did you mean 'discharge'?",
        ),
        (
            "signals.pack_current.provenance",
            "declare",
            "signals.pack_current.provenance: 'declare' is not valid; did you mean 'declared'?",
        ),
        ("signals.pack_current.type", "bits", "signals.pack_current.type: 'bits' is not valid; did you mean 'bit'?"),
        (
            "protections.0.kind",
            "charge_overcurent",
            "protections.0.kind: 'charge_overcurent' is not valid; did you mean 'charge_overcurrent'?",
        ),
        (
            "protections.0.level",
            "alarm",
            "protections.0.level: 'alarm' is not valid; known are information, protection, warning",
        ),
        (
            "protections.0.release.kind",
            "tme",
            "protections.0.release.kind: 'tme' is not valid; did you mean 'time'?",
        ),
        ("links.rs485.kind", "modbuss", "links.rs485.kind: 'modbuss' is not valid; did you mean 'modbus'?"),
        ("operation.kind", "always-on", "operation.kind: 'always-on' is not valid; did you mean 'always_on'?"),
        ("schema_version", 2, "schema_version: 2 is not valid; known are 1"),
    ],
)
def test_a_wrong_word_names_the_nearest_valid_one(changed: Change, path: str, value: Any, message: str) -> None:
    assert refusal(changed(MODBUS_PROFILE, path, value)) == f"acme.toml, {message}"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("signals.pack_current.unit", "mAmp", "signals.pack_current: unit 'mAmp' is not known; did you mean 'mA'?"),
        (
            "signals.temperature.positive_means",
            "charge",
            "signals.temperature: positive_means does not apply to a temperature",
        ),
        (
            "signals.pack_current.provenance",
            "observed",
            "signals.pack_current: provenance 'observed' needs observed = { date = ..., firmware = ... }",
        ),
        (
            "signals.pack_current.range",
            [5.0, -5.0],
            "signals.pack_current: range [5.0, -5.0] is empty: write [low, high]",
        ),
        ("signals.too_high.type", "int16", "signals.too_high: function 1 reads bits: write type = 'bit'"),
        ("signals.too_high.function", 4, "signals.too_high: a bit of a register needs bit = 0..15"),
        ("signals.pack_current.scale", 0.0, "signals.pack_current: scale 0 would make every reading zero"),
        (
            "signals.pack_current.accuracy.range_pct",
            0.1,
            "signals.pack_current.accuracy: range_pct needs the range that it refers to: add range",
        ),
        (
            "protections.0.unit",
            "mV",
            "protections.0: unit 'mV' does not measure a current; write one of A, mA, kA",
        ),
        (
            "protections.0.threshold",
            -40.0,
            "protections.0: threshold -40: a current limit is a magnitude, its direction is in the kind",
        ),
        (
            "protections.0.release.value",
            41_000.0,
            "protections.0: release.value 41000 lies beyond the threshold 40000",
        ),
        ("protections.0.delay_s.min", 3.0, "protections.0.delay_s: min 3 s is larger than max 2 s"),
        ("protections.0.release", {"kind": "value"}, "protections.0.release: a release by value needs the value"),
        ("protections.0.release", {"kind": "time"}, "protections.0.release: a release by time needs after_s > 0"),
        (
            "bms.switches",
            ["charge", "discharg"],
            "bms: switch 'discharg' is not known; did you mean 'discharge'?",
        ),
        ("bms.switches", ["fuse"], "bms: switches need either 'charge' and 'discharge', or 'main_plus'"),
        ("bms.cells", "eight", "bms: cells = 'eight' is not a number; write it without quotes"),
        ("bms.cells", "8", "bms: cells = '8' is not a number; write it without quotes"),
        ("protections.0.threshold", True, "protections.0: threshold = True is not a number; write it without quotes"),
        ("bms.cells", 0, "bms.cells: 0: input should be greater than 0"),
        ("links.rs485.unit_id", 300, "links.rs485.unit_id: 300: input should be less than or equal to 255"),
        ("signals.pack_current.period_s", float("nan"), "signals.pack_current.period_s: nan: input should be"),
        ("protections.0.threshold", float("inf"), "protections.0.threshold: inf: input should be a finite number"),
        ("protections.0.tolerance", float("nan"), "protections.0.tolerance: nan: input should be"),
        ("links", 3, "links: 3: input should be a valid dictionary"),
        ("links.rs485", "x", "links.rs485: 'x': input should be a valid dictionary"),
        ("protections.0.name", "Over Current", "protections.0.name: 'Over Current': string should match pattern"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(changed: Change, path: str, value: Any, message: str) -> None:
    text = refusal(changed(MODBUS_PROFILE, path, value))
    assert text.startswith(f"acme.toml, {message}")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "protections.0.threshold",
            60_500.0,
            "protections.0 (charge_1).threshold: 60.5 A lies outside the absolute maximum 60 A of section [absolute]",
        ),
        (
            "protections.1.threshold",
            3_850.0,
            "protections.1 (cell_high).threshold: 3.85 V lies outside the absolute maximum 3.8 V of section [absolute]",
        ),
        (
            "protections.2.threshold",
            360.0,
            "protections.2 (hot).threshold: 86.85 degC lies outside the absolute maximum 80 degC of section [absolute]",
        ),
        (
            "protections.0.flag",
            "to_high",
            "protections.0 (charge_1).flag: 'to_high' is no signal; did you mean 'too_high'?",
        ),
        (
            "protections.0.opens",
            ["chrge"],
            "protections.0 (charge_1).opens: 'chrge' is no switch; did you mean 'charge'?",
        ),
        ("protections.1.name", "charge_1", "protections: the name 'charge_1' is used twice"),
        (
            "signals.pack_current.link",
            "rs458",
            "signals.pack_current.link: 'rs458' is not a link; did you mean 'rs485'?",
        ),
        ("signals.pack_current.link", ["rs485"], "signals.pack_current.link: ['rs485'] is not a link"),
        (
            "bms.upper_limit_cell_v",
            3.9,
            "bms.upper_limit_cell_v: 3.9 V is above the absolute maximum of a cell, absolute.cell_high_v = 3.8 V",
        ),
    ],
)
def test_parts_that_do_not_fit_each_other_are_named(changed: Change, path: str, value: Any, message: str) -> None:
    assert refusal(changed(MODBUS_PROFILE, path, value)).startswith(f"acme.toml: {message}")


def test_the_pack_current_must_be_a_current() -> None:
    tree = tomllib.loads(MODBUS_PROFILE)
    tree["signals"]["pack_current"] = dict(tree["signals"]["temperature"])
    assert refusal(tree) == "acme.toml: signals.pack_current.unit: 'K' is no current"


@pytest.mark.parametrize("level", ["information", "warning"])
def test_levels_out_of_order_are_refused(changed: Change, level: str) -> None:
    tree = tomllib.loads(MODBUS_PROFILE)
    tree["protections"].append(
        {**tree["protections"][0], "name": "charge_alarm", "level": level, "threshold": 45_000.0, "opens": []}
    )
    assert refusal(tree) == (
        f"acme.toml: protections: charge_alarm ({level}) at 45000 lies beyond charge_1 (protection) at 40000; levels "
        "must be in order"
    )
    tree["protections"][-1]["threshold"] = 39_000.0
    assert validate(Profile, tree, "acme.toml").protections[-1].threshold_si == pytest.approx(39.0)


def test_levels_of_an_under_voltage_are_in_order_the_other_way_round() -> None:
    tree = tomllib.loads(MODBUS_PROFILE)
    row = {
        **tree["protections"][1],
        "kind": "cell_undervoltage",
        "release": {"kind": "command"},
        "opens": ["discharge"],
    }
    low = {**row, "name": "low", "threshold": 2500.0}
    tree["protections"] += [
        low,
        {
            **row,
            "name": "alarm",
            "threshold": 2400.0,
            "level": "warning",
            "opens": [],
            "flag": tree["protections"][0]["flag"],
        },
    ]
    assert "alarm (warning) at 2400 lies beyond low (protection) at 2500" in refusal(tree)
    tree["protections"][-1]["threshold"] = 2600.0
    validate(Profile, tree, "acme.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("operation.link", "buss", "operation.link: 'buss' is no link; did you mean 'bus'?"),
        ("operation.state", "stat", "operation.state: 'stat' is no signal; did you mean 'state'?"),
        ("operation.operating", "one", "operation: 'one' is no value of state; did you mean 'on'?"),
        ("operation.sequence.0.until", "onn", "operation: 'onn' is no value of state; did you mean 'on'?"),
    ],
)
def test_an_operation_that_names_nothing_is_refused(changed: Change, path: str, value: Any, message: str) -> None:
    assert refusal(changed(CAN_PROFILE, path, value)) == f"acme.toml: {message}"


def test_several_mistakes_are_told_together_and_many_are_counted() -> None:
    tree = tomllib.loads(MODBUS_PROFILE)
    tree["bms"]["cels"] = 8
    tree["protections"][0]["treshold"] = 1.0
    assert refusal(tree).count("\n") == 1
    tree["absolute"] |= {f"key_{number}": 1 for number in range(9)}
    lines = refusal(tree).splitlines()
    assert len(lines) == 7
    assert lines[-1] == "acme.toml: and 5 more"


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_missing_file_names_the_nearest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "acme_8s.toml").write_text(MODBUS_PROFILE, encoding="utf-8")
    missing = tmp_path / "acme8s.toml"
    with pytest.raises(DefinitionError) as caught:
        load_profile(missing)
    assert str(caught.value) == f"{missing}: there is no such file; did you mean 'acme_8s'?"


def test_a_missing_folder_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"there is no such file$"):
        read_toml(tmp_path / "nowhere" / "acme.toml")


def test_a_file_that_is_not_toml_is_told_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_text("[bms]\nmaker = Acme\n", encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"acme.toml: this is not TOML: .*line 2, column 9"):
        read_toml(path)


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "acme.toml"
    path.write_bytes("remark = 'Grüße'".encode("latin-1"))
    with pytest.raises(DefinitionError, match=r"acme.toml: cannot be read: .*utf-8"):
        read_toml(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_toml(tmp_path)


def test_a_profile_cannot_say_where_it_came_from(changed: Change) -> None:
    assert refusal(changed(MODBUS_PROFILE, "source", "x")).startswith(
        "acme.toml, source: the top level has no key 'source'"
    )


def test_the_hash_of_a_file_is_its_sha_256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert content_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_far_spelling_lists_what_is_known() -> None:
    assert nearest("sign", ["b", "a"]) == "; known are a, b"
    assert nearest("x", []) == ""


# -- any spoilt profile is refused or loads, and never crashes -----------------------------------------------------

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(),
    st.text(max_size=6),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["kind", "link", "x"]), st.text(max_size=3), max_size=2),
)


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in pairs for path in [(*above, key), *places(value, (*above, key))]]


SPOILT = {text: places(tomllib.loads(text)) for text in (MODBUS_PROFILE, CAN_PROFILE)}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_junk_anywhere_in_a_profile_crashes_the_loader(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(list(SPOILT)))
    tree = copy.deepcopy(tomllib.loads(text))
    *above, last = data.draw(st.sampled_from(SPOILT[text]))
    here: Any = tree
    for key in above:
        here = here[key]
    here[last] = data.draw(JUNK)
    said = "acme.toml"
    try:
        validate(Profile, tree, "acme.toml")
    except DefinitionError as problem:
        said = str(problem)
    assert said.startswith("acme.toml")
