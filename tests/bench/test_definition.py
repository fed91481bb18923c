"""Bench definitions: what loads, each refusal in its exact words, and what counts as hardware."""

from __future__ import annotations

import copy
import datetime
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.definition import DEFINITIONS, Definition, check_simulated, find_definition, load_definition
from bench.errors import DefinitionError
from bench.loading import validate

Tree = dict[str, Any]
Change = Callable[[str, str, Any], Tree]
Remove = Callable[[str, str], Tree]

DEFINITION = """
[bench]
name = "table-2"
clock = "wall"
simulated = true

[instruments.source]
driver = "ea_psi_9000"
address = "tcp:127.0.0.1:5025"

[instruments.sink]
driver = "ea_el_9000"
address = "tcp:localhost:5026"

[instruments.shunt_meter]
driver = "keysight_34465a"
address = "tcp:127.0.0.1:5027"
accuracy.voltage = { reading_pct = 0.005, range_pct = 0.0035, range = 0.1 }

[instruments.pack_meter]
driver = "keysight_34465a"
address = "tcp:127.0.0.1:5028"
accuracy.voltage = { reading_pct = 0.0035, range_pct = 0.0006, range = 100.0 }

[instruments.relays]
driver = "waveshare_modbus_relay"
address = "tcp:127.0.0.1:5029"
options = { channel = 1 }

[roles]
supply = "source"
load = "sink"
reference_meter = "shunt_meter"
pack_meter = "pack_meter"
disconnect = "relays"

[links.can]
medium = "can"
interface = "socketcand"
channel = "can0"
options = { host = "127.0.0.1", port = 29536 }

[links.modbus]
medium = "modbus"
address = "tcp:127.0.0.1:5502"

[topology]
fuse_a = 160.0
wiring_a = 200.0
disconnect_a = 180.0

[topology.reference_shunt]
ohm = 0.0005
positive_means = "charge"
range_a = 200.0
uncertainty_pct = 0.02

[envelope]
max_v = 60.0
min_v = 38.0
charge_a = 130.0
discharge_a = 120.0
max_w = 7800.0
energy_wh = 2000.0
"""


def refusal(tree: Tree) -> str:
    """Return the message with which a definition is refused."""
    with pytest.raises(DefinitionError) as caught:
        validate(Definition, tree, "table-2.toml")
    return str(caught.value)


def loaded(tree: Tree) -> Definition:
    """Return the definition with the name of a file."""
    return validate(Definition, tree, "table-2.toml").model_copy(update={"source": Path("table-2.toml")})


# -- what loads ----------------------------------------------------------------------------------------------------


def test_a_bench_written_from_scratch_loads(tmp_path: Path) -> None:
    path = tmp_path / "table-2.toml"
    path.write_text(DEFINITION, encoding="utf-8")
    bench = load_definition(path)
    assert bench.name == "table-2"
    assert bench.source == path.resolve()
    assert bench.reference_meter.address == "tcp:127.0.0.1:5027"
    assert bench.topology.reference_shunt.sign == 1


def test_a_shunt_wired_the_other_way_round_turns_the_sign(changed: Change) -> None:
    tree = changed(DEFINITION, "topology.reference_shunt.positive_means", "discharge")
    assert loaded(tree).topology.reference_shunt.sign == -1


@pytest.mark.parametrize("name", sorted(path.stem for path in DEFINITIONS.glob("*.toml")))
def test_shipped_definitions_load_and_are_harmless(name: str) -> None:
    definition = load_definition(find_definition(name))
    assert definition.name == name
    check_simulated(definition)


def test_calibration_dates_are_dates(changed: Change) -> None:
    tree = changed(DEFINITION, "instruments.sink.calibration_due", datetime.date(2027, 2, 1))
    assert loaded(tree).instruments["sink"].calibration_due == datetime.date(2027, 2, 1)
    text = refusal(changed(DEFINITION, "instruments.sink.calibration_due", "soon"))
    assert text.startswith("table-2.toml, instruments.sink.calibration_due: 'soon': input should be a valid date")


def test_a_labs_own_definition_comes_first_and_a_misspelt_one_names_the_nearest(tmp_path: Path) -> None:
    mine = tmp_path / "definitions" / "virtual.toml"
    mine.parent.mkdir()
    mine.write_text(DEFINITION, encoding="utf-8")
    assert find_definition("virtual", tmp_path) == mine
    assert find_definition("virtual_bidirectional", tmp_path) == DEFINITIONS / "virtual_bidirectional.toml"
    assert find_definition("x/lab-3.toml") == Path("x/lab-3.toml")
    with pytest.raises(DefinitionError, match="no bench called 'virtua'; did you mean 'virtual'"):
        find_definition("virtua")


# -- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "roles.suply",
            "source",
            "roles.suply: is no role; did you mean 'supply'?",
        ),
        ("roles.supply", "sorce", "roles.supply: 'sorce' is no instrument; did you mean 'source'?"),
        ("roles.load", "source", "roles.load: instrument 'source' already plays supply"),
        ("roles.bidirectional", "source", "roles: write either supply and load, or bidirectional"),
        (
            "instruments.sink.address",
            "tcp:127.0.0.1:5025",
            "instruments.sink.address: 'tcp:127.0.0.1:5025' is already used by 'source'; two roles on one address "
            "would command each other",
        ),
        (
            "instruments.sink.address",
            "tcp:LOCALHOST:5025",
            "instruments.sink.address: 'tcp:LOCALHOST:5025' is already used by 'source'; two roles on one address "
            "would command each other",
        ),
        (
            "instruments.sink.address",
            "visa:TCPIP0::127.0.0.1::5025::SOCKET",
            "instruments.sink.address: 'visa:TCPIP0::127.0.0.1::5025::SOCKET' is already used by 'source'; two roles "
            "on one address would command each other",
        ),
        (
            "links.modbus.address",
            "tcp:localhost:5029",
            "links.modbus.address: 'tcp:localhost:5029' is already used by instruments.relays; a BMS and an "
            "instrument at one address would answer for each other",
        ),
        (
            "bench.clock",
            "simulated",
            "bench.clock: 'simulated' needs virtual: addresses everywhere, not at ['pack_meter', 'relays', "
            "'shunt_meter', 'sink', 'source']",
        ),
        (
            "instruments.sink.address",
            "virtual:sink",
            "instruments.sink.address: a virtual: address lives in simulated time; write bench.clock = 'simulated', "
            "or the tcp: address that 'bmsbench lab' prints",
        ),
        (
            "topology.references",
            {"source": "earth", "can": "B-"},
            "topology.references: can to B-, source to earth: two different non-isolated references carry current "
            "round the shunt; isolate all but one",
        ),
        (
            "topology.references",
            {"source": "erth"},
            "topology.references.source: 'erth' is not valid; did you mean 'earth'?",
        ),
        (
            "topology.references",
            {"sorce": "earth"},
            "topology.references: 'sorce' is no instrument or link; did you mean 'source'?",
        ),
        (
            "topology.remote_sense",
            "pack_side",
            "topology.remote_sense: 'pack_side' would let the supply regulate across the DUT's open switch; write "
            "'bench_side' or 'none'",
        ),
        (
            "topology.fuse_a",
            140.0,
            "envelope.charge_a: 130 A x 1.1 (the instruments' own trip, so that the BMS acts first) = 143 A is above "
            "topology.fuse_a = 140 A; at most 127.3 A fit, or fit a larger part",
        ),
        (
            "topology.wiring_a",
            142.0,
            "envelope.charge_a: 130 A x 1.1 (the instruments' own trip, so that the BMS acts first) = 143 A is above "
            "topology.wiring_a = 142 A; at most 129.1 A fit, or fit a larger part",
        ),
        (
            "topology.disconnect_a",
            100.0,
            "envelope.charge_a: 130 A x 1.1 (the instruments' own trip, so that the BMS acts first) = 143 A is above "
            "topology.disconnect_a = 100 A; at most 90.91 A fit, or fit a larger part",
        ),
        (
            "envelope.max_w",
            7.8,
            "envelope.max_w: 7.8 W is less than a hundredth of 38 V x 120 A = 4560 W; is it in kilowatts? Write watts",
        ),
        (
            "envelope.max_w",
            7_800_000.0,
            "envelope.max_w: 7.8e+06 W is more than 15 x 60 V x 130 A = 117000 W; is it in milliwatts? Write watts",
        ),
        (
            "envelope.energy_wh",
            7.2e7,
            "envelope.energy_wh: 7.2e+07 Wh in one test is more than a year of 60 V x 130 A = 6.8328e+07 Wh; is it in "
            "another unit? Write watt hours",
        ),
        (
            "envelope.max_v",
            60_000.0,
            "envelope.max_v: 60000 V is above 1500 V, where low voltage ends; is it in millivolts? Write volts (60 V)",
        ),
        (
            "envelope.sensors",
            {"cell_1": {"max_degc": 45.0}},
            "envelope.sensors: limits for sensors that nobody reads; name the instrument in roles.cell_monitor",
        ),
        (
            "envelope.max_v",
            61.0,
            "roles: above 60 V mandatory and missing: interlock (envelope.max_v = 61 V, voltage_class 'extra_low')",
        ),
        (
            "topology.voltage_class",
            "high",
            "roles: above 60 V mandatory and missing: interlock (envelope.max_v = 60 V, voltage_class 'high')",
        ),
    ],
)
def test_a_bench_that_is_wired_wrongly_is_refused(changed: Change, path: str, value: Any, message: str) -> None:
    assert refusal(changed(DEFINITION, path, value)) == f"table-2.toml: {message}"


def test_millivolts_are_blamed_on_the_voltage_and_not_on_the_power(changed: Change) -> None:
    envelope = {**tomllib.loads(DEFINITION)["envelope"], "max_v": 60_000.0, "min_v": 38_000.0}
    assert "table-2.toml: envelope.max_v: 60000 V" in refusal(changed(DEFINITION, "envelope", envelope))


@pytest.mark.parametrize("factor", [0.5, 14.9])
def test_a_power_limit_that_is_only_generous_is_let_pass(changed: Change, factor: float) -> None:
    assert loaded(changed(DEFINITION, "envelope.max_w", factor * 60.0 * 130.0)).envelope.max_w == factor * 7800.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "'': string should have at least 1 character"),
        (" ", "' ' begins or ends with a blank; nobody would type it so"),
        ("table-2 ", "'table-2 ' begins or ends with a blank; nobody would type it so"),
        ("table\n2", r"'table\n2' has characters that cannot be seen or typed; write letters and digits"),
        ("table\u200b2", r"'table\u200b2' has characters that cannot be seen or typed; write letters and digits"),
        ("Gru\u0308n", r"'Gru\u0308n' has characters that cannot be seen or typed; write letters and digits"),
    ],
)
def test_a_bench_s_name_is_what_a_person_can_type(changed: Change, name: str, message: str) -> None:
    assert refusal(changed(DEFINITION, "bench.name", name)) == f"table-2.toml, bench.name: {message}"


@pytest.mark.parametrize("name", ["Grün 3", "lab-3", "実験台", "3"])
def test_a_bench_s_name_may_have_blanks_inside_and_any_script(changed: Change, name: str) -> None:
    assert loaded(changed(DEFINITION, "bench.name", name)).name == name


def test_one_reference_may_be_tied_and_two_to_the_same_point(changed: Change) -> None:
    assert loaded(changed(DEFINITION, "topology.references", {"source": "earth", "can": "isolated"}))
    assert loaded(changed(DEFINITION, "topology.references", {"source": "B-", "can": "B-"}))


def test_a_bench_above_60_v_needs_interlock_and_disconnect(changed: Change) -> None:
    tree = changed(DEFINITION, "envelope.max_v", 100.0)
    del tree["roles"]["disconnect"]
    begin = "table-2.toml: roles: above 60 V mandatory and missing: "
    assert refusal(tree).startswith(f"{begin}interlock and disconnect")
    tree["interlock"] = "words alone are no interlock"
    assert refusal(tree).startswith(f"{begin}interlock and disconnect")
    tree["instruments"]["door"] = {"driver": "file_input", "address": "file:door.txt"}
    tree["roles"]["interlock"] = "door"
    assert refusal(tree).startswith(f"{begin}disconnect (")
    tree["roles"]["disconnect"] = "relays"
    assert loaded(tree).roles["interlock"] == "door"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("envelope.min_v", 60.0, "min_v: 60 V must be below max_v = 60 V"),
        ("envelope.min_degc", 60.0, "min_degc: 60 degC must be below 60 degC"),
        ("envelope.max_degc", -1.0, "min_degc: 0 degC must be below -1 degC"),
        ("envelope.sensors", {"top": {"min_degc": 70.0}}, "sensors.top.min_degc: 70 degC must be below 60 degC"),
    ],
)
def test_an_envelope_out_of_order_is_refused(changed: Change, path: str, value: Any, message: str) -> None:
    assert refusal(changed(DEFINITION, path, value)) == f"table-2.toml, envelope: {message}"


def test_two_channels_of_one_relay_board_share_its_address(changed: Change) -> None:
    tree = changed(DEFINITION, "instruments.spare", {"driver": "x", "address": "tcp:127.0.0.1:5029"})
    tree["instruments"]["spare"]["options"] = {"channel": 2}
    assert loaded(tree)
    for options in ({"channel": 1}, {}):  # without a channel it is the whole board
        tree["instruments"]["spare"]["options"] = options
        assert "instruments.spare.address: 'tcp:127.0.0.1:5029' is already used by 'relays'" in refusal(tree)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "roles.reference_meter",
            "table-2.toml: roles.reference_meter: is missing; a judgement needs a witness that is not the BMS",
        ),
        (
            "roles.pack_meter",
            "table-2.toml: roles.pack_meter: is missing; a judgement needs a witness that is not the BMS",
        ),
        ("roles.load", "table-2.toml: roles: write either supply and load, or bidirectional"),
        ("envelope.energy_wh", "table-2.toml, envelope.energy_wh: is missing and has no default"),
        (
            "topology.reference_shunt.positive_means",
            "table-2.toml, topology.reference_shunt.positive_means: is missing and has no default",
        ),
        ("links.can.interface", "table-2.toml, links.can.interface: is missing and has no default"),
        ("links.modbus.address", "table-2.toml, links.modbus.address: is missing and has no default"),
        (
            "links.modbus.medium",
            "table-2.toml, links.modbus.medium: is missing and has no default; write one of can, modbus",
        ),
        ("bench.simulated", "table-2.toml, bench.simulated: is missing and has no default"),
        ("instruments.sink.driver", "table-2.toml, instruments.sink.driver: is missing and has no default"),
    ],
)
def test_what_is_missing_is_named(without: Remove, path: str, message: str) -> None:
    assert refusal(without(DEFINITION, path)) == message


@pytest.mark.parametrize(
    ("path", "where", "wrong", "meant"),
    [
        ("toplogy", "the top level", "toplogy", "topology"),
        ("bench.simulate", "bench", "simulate", "simulated"),
        ("instruments.sink.adress", "instruments.sink", "adress", "address"),
        ("links.modbus.adress", "links.modbus", "adress", "address"),
        ("links.can.chanel", "links.can", "chanel", "channel"),
        ("topology.reference_shunt.ohms", "topology.reference_shunt", "ohms", "ohm"),
        ("envelope.charge", "envelope", "charge", "charge_a"),
    ],
)
def test_a_misspelt_key_names_its_path_and_the_nearest_spelling(
    changed: Change, path: str, where: str, wrong: str, meant: str
) -> None:
    assert refusal(changed(DEFINITION, path, 1)) == (
        f"table-2.toml, {path}: {where} has no key {wrong!r}; did you mean {meant!r}?"
    )


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("bench.clock", "real", "bench.clock: 'real' is not valid; known are simulated, wall"),
        ("links.can.medium", "cann", "links.can.medium: 'cann' is not valid; did you mean 'can'?"),
        ("topology.cells", "emulatd", "topology.cells: 'emulatd' is not valid; did you mean 'emulated'?"),
        (
            "instruments.sink.accuracy",
            {"curent": {"offset": 0.1}},
            "instruments.sink.accuracy.curent: 'curent' is not valid; did you mean 'current'?",
        ),
        ("envelope.max_w", float("nan"), "envelope.max_w: nan: input should be a finite number"),
        ("envelope.charge_a", float("inf"), "envelope.charge_a: inf: input should be a finite number"),
        ("envelope.charge_a", -5.0, "envelope.charge_a: -5.0: input should be greater than 0"),
        ("envelope.max_v", "60", "envelope: max_v = '60' is not a number; write it without quotes"),
        ("instruments", {}, "instruments: dictionary should have at least 1 item"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(changed: Change, path: str, value: Any, message: str) -> None:
    text = refusal(changed(DEFINITION, path, value))
    assert text.startswith(f"table-2.toml, {message}")
    assert "\n" not in text


# -- hardware ------------------------------------------------------------------------------------------------------


def test_a_bench_on_loopback_is_no_hardware() -> None:
    check_simulated(loaded(tomllib.loads(DEFINITION)))


def test_a_bench_that_does_not_call_itself_simulated_is_for_admission_to_judge(changed: Change) -> None:
    tree = changed(DEFINITION, "bench.simulated", False)
    tree["instruments"]["sink"]["address"] = "tcp:192.0.2.20:5025"
    check_simulated(loaded(tree))


@pytest.mark.parametrize(
    "address",
    [
        "tcp:192.0.2.20:5025",
        "tcp:lab-3:5025",
        "tcp:0.0.0.0:5025",
        "serial:/dev/ttyUSB0",
        "serial:COM3",
        "visa:TCPIP0::127.0.0.1::5999::SOCKET",
        "visa:USB0::1::2::INSTR",
        "127.0.0.1",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1.example.com:5025",
        "udp:127.0.0.1:5025",
        "",
    ],
)
def test_an_instrument_that_could_be_real_is_refused(changed: Change, address: str) -> None:
    definition = loaded(changed(DEFINITION, "instruments.sink.address", address))
    with pytest.raises(DefinitionError) as caught:
        check_simulated(definition)
    assert str(caught.value).startswith(f"table-2.toml, instruments.sink.address: {address!r} is neither in-process")


@pytest.mark.parametrize("address", ["tcp:127.0.0.1:6000", "tcp:localhost:6000", "tcp:127.3.2.1:6000"])
def test_an_instrument_on_loopback_is_let_pass(changed: Change, address: str) -> None:
    check_simulated(loaded(changed(DEFINITION, "instruments.sink.address", address)))


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ({"medium": "modbus", "address": "tcp:192.0.2.7:502"}, "tcp:192.0.2.7:502"),
        ({"medium": "modbus", "address": "serial:/dev/ttyUSB1"}, "serial:/dev/ttyUSB1"),
        ({"medium": "can", "interface": "socketcan", "channel": "can0"}, "socketcan can0"),
        ({"medium": "can", "interface": "pcan", "channel": "PCAN_USBBUS1"}, "pcan PCAN_USBBUS1"),
        (
            {"medium": "can", "interface": "socketcand", "channel": "can0", "options": {"host": "192.0.2.9"}},
            "socketcand can0 192.0.2.9",
        ),
        ({"medium": "can", "interface": "socketcand", "channel": "can0"}, "socketcand can0"),
        ({"medium": "can", "interface": "udp_multicast", "channel": "239.0.0.1"}, "udp_multicast 239.0.0.1"),
    ],
)
def test_a_link_that_could_be_real_is_refused(changed: Change, link: Tree, shown: str) -> None:
    definition = loaded(changed(DEFINITION, "links.can", link))
    with pytest.raises(DefinitionError) as caught:
        check_simulated(definition)
    assert str(caught.value) == f"table-2.toml, links.can: {shown!r} is neither in-process nor loopback"


@pytest.mark.parametrize("interface", ["bmsbench", "virtual"])
def test_an_in_process_bus_is_let_pass(changed: Change, interface: str) -> None:
    check_simulated(loaded(changed(DEFINITION, "links.can", {"medium": "can", "interface": interface})))


# -- any spoilt definition is refused or loads, and never crashes --------------------------------------------------

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(), st.text(max_size=6),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(st.sampled_from(["medium", "x"]), st.text(max_size=3)),
)  # fmt: skip


def places(tree: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a tree."""
    pairs = tree.items() if isinstance(tree, dict) else ()
    return [path for key, value in pairs for path in [(*above, key), *places(value, (*above, key))]]


@given(st.sampled_from(places(tomllib.loads(DEFINITION))), JUNK)
@settings(max_examples=200, deadline=None)
def test_no_junk_anywhere_in_a_definition_crashes_the_loader(path: tuple[Any, ...], junk: Any) -> None:
    tree = copy.deepcopy(tomllib.loads(DEFINITION))
    *above, last = path
    here: Any = tree
    for key in above:
        here = here[key]
    here[last] = junk
    said = "table-2.toml"
    try:
        validate(Definition, tree, "table-2.toml")
    except DefinitionError as problem:
        said = str(problem)
    assert said.startswith("table-2.toml")
