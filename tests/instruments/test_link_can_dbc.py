"""The CAN link: frames into readings, readings into errors where there is no number, and the state request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.can_hub import CanHub, CanNode
from bench.clock import Rank
from bench.errors import BadFrame, DefinitionError, LinkError, Missing, OutOfRange, ReadingError, Stale
from bench.frames import CanFrame
from bench.profile import find_profile, load_profile
from bench.roles import BmsLink, Reading
from bench.simulated_clock import SimulatedClock
from instruments.links.can_dbc import CanDbcLink
from instruments.links.opening import open_link

FOXBMS = load_profile(find_profile("foxbms_2"))
BINDING = {"interface": "bmsbench", "channel": "link-test"}


class Bench:
    """A link, and a node that plays the BMS with frames typed by hand."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.hub = CanHub("link-test", self.clock)
        self.asked: list[CanFrame] = []
        self.bms: CanNode = self.hub.attach("bms", self.asked.append)
        self.log: list[CanFrame] = []
        self.readings: list[Reading] = []
        self.link = open_link(FOXBMS, "can", BINDING, self.clock, print, self.log.append)
        self.link.start(self.readings.append)

    def say(self, can_id: int, data: str, *, extended: bool = False) -> None:
        self.bms.send(CanFrame(0, can_id, bytes.fromhex(data), extended=extended))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.link.close()
    bench.hub.close()


def test_ten_amperes_on_this_bms_are_ten_amperes_discharging(bench: Bench) -> None:
    bench.say(0x233, "0000000000 0003E8")
    reading = bench.link.read("pack_current")
    assert (reading.value, reading.unit, reading.raw) == (pytest.approx(-10.0), "A", 1000)
    bench.say(0x233, "0000000000 01FE0C")
    assert bench.link.read("pack_current").value == pytest.approx(5.0)


def test_it_is_a_bms_link(bench: Bench) -> None:
    assert isinstance(bench.link, BmsLink)
    assert set(bench.link.signals()) == set(FOXBMS.signals)


def test_every_value_is_handed_on_as_it_arrives_with_the_time_of_the_bus(bench: Bench) -> None:
    bench.clock.every(0.1, lambda: bench.say(0x233, "0000000000 0003E8"), rank=Rank.CAN)
    bench.clock.sleep(0.3)
    currents = [reading for reading in bench.readings if reading.signal == "pack_current"]
    assert [reading.at_s for reading in currents] == pytest.approx([0.1, 0.2, 0.3])


def test_power_has_its_own_sign_and_unit(bench: Bench) -> None:
    # 25|17 big-endian: -1.50 kW is raw -150 = 1 1111 1111 0110 1010, its highest bit is bit 1 of byte 3.
    # Discharge positive, so the pack is charged with 1500 W.
    bench.say(0x233, "00 00 00 03 FE D4 00 00")
    assert bench.link.read("pack_power").value == pytest.approx(1500.0)
    assert bench.link.read("pack_current").value == 0.0


def test_frames_of_both_directions_reach_the_raw_log(bench: Bench) -> None:
    bench.say(0x7AA, "01")
    bench.link.request({"RequestMode": 1})
    assert [(frame.can_id, frame.outgoing) for frame in bench.log] == [(0x7AA, False), (0x210, True)]


def test_what_was_never_received_is_missing_and_says_which_message(bench: Bench) -> None:
    with pytest.raises(Missing, match=r"soc: never received .* message 0x235 StateEstimation never came"):
        bench.link.read("soc")


def test_a_multiplexed_signal_waits_for_its_multiplexer_value(bench: Bench) -> None:
    bench.say(0x243, "20 00 00 00 00 00 00 00")  # string 1: another string's current
    with pytest.raises(Missing, match=r"message 0x243 StringValues comes, but not with multiplexer value 0"):
        bench.link.read("string_current")
    bench.say(0x243, "00 C7 C8 00 00 00 00 00")
    assert bench.link.read("string_current").value == 0.0


def test_a_value_older_than_three_periods_is_stale(bench: Bench) -> None:
    bench.say(0x233, "0000000000 0003E8")
    bench.clock.sleep(0.3)
    assert bench.link.read("pack_current").value == pytest.approx(-10.0)
    bench.clock.sleep(0.001)
    with pytest.raises(Stale, match=r"pack_current: .* is 0\.301 s old, allowed are 0\.3 s \(last was -10 A\)"):
        bench.link.read("pack_current")


@pytest.mark.parametrize("data", ["", "00", "0000000000 0003"])
def test_a_frame_of_another_length_is_no_number(bench: Bench, data: str) -> None:
    bench.say(0x233, "0000000000 0003E8")
    bench.say(0x233, data)
    with pytest.raises(BadFrame, match=rf"PackValues has {len(bytes.fromhex(data))} bytes instead of 8"):
        bench.link.read("pack_current")


def test_an_extended_identifier_is_another_message(bench: Bench) -> None:
    bench.say(0x233, "0000000000 0003E8", extended=True)
    with pytest.raises(Missing):
        bench.link.read("pack_current")


def test_a_value_outside_the_profiles_range_is_no_number(bench: Bench) -> None:
    bench.say(0x233, "7F FE 00 00 00 00 00 00")  # 15 bits at 0.1 V: 1638.3 V
    with pytest.raises(OutOfRange, match=r"pack_voltage: 1638\.3 V is outside .* profile declares, 0 \.\.\. 100 V"):
        bench.link.read("pack_voltage")
    assert bench.link.read("pack_current").value == 0.0


def test_an_out_of_range_reading_is_a_reading_error_too(bench: Bench) -> None:
    bench.say(0x233, "7F FE 00 00 00 00 00 00")
    with pytest.raises(ReadingError):
        bench.link.read("pack_voltage")


def test_a_state_that_the_profile_does_not_know_is_no_number(bench: Bench) -> None:
    bench.say(0x220, "07 00 00 00 00 00 00 00")
    assert bench.link.read("state").value == 7
    bench.say(0x220, "08 00 00 00 00 00 00 00")
    with pytest.raises(OutOfRange, match="state: 8 is none of its declared values"):
        bench.link.read("state")


def test_a_bad_frame_is_forgotten_when_a_good_one_comes(bench: Bench) -> None:
    bench.say(0x233, "00")
    bench.say(0x233, "0000000000 0003E8")
    assert bench.link.read("pack_current").value == pytest.approx(-10.0)


def test_a_signal_of_another_name_is_refused_with_the_nearest(bench: Bench) -> None:
    with pytest.raises(DefinitionError, match=r"did you mean 'pack_current'\?"):
        bench.link.read("pack_curent")


def test_nothing_is_sent_before_the_first_request(bench: Bench) -> None:
    bench.clock.sleep(1.0)
    assert bench.asked == []


def test_the_request_is_sent_at_once_and_then_every_100_ms_with_the_newest_values(bench: Bench) -> None:
    bench.link.request({"RequestMode": 0, "ClearPersistentFlags": 1})
    bench.clock.sleep(0.15)
    bench.link.request({"RequestMode": 2})
    bench.clock.sleep(0.1)
    assert [frame.at_s for frame in bench.asked] == pytest.approx([0.0, 0.1, 0.2])
    # Byte 0: mode in bits 0-1, +4 clears persistent flags; everything else zero.
    assert [frame.data.hex() for frame in bench.asked] == ["04" + "00" * 7, "04" + "00" * 7, "02" + "00" * 7]
    assert all(frame.can_id == 0x210 and not frame.extended for frame in bench.asked)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"RequestMod": 1}, r"StateRequest has no signal 'RequestMod'; did you mean 'RequestMode'\?"),
        ({"RequestMode": 4}, r"RequestMode = 4 does not fit into 2 bits"),
        ({"RequestMode": -1}, r"RequestMode = -1 does not fit"),
    ],
)
def test_a_request_that_the_message_cannot_hold_is_refused(
    bench: Bench, values: dict[str, float], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        bench.link.request(values)
    assert bench.asked == []


def test_a_node_heard_in_the_last_second_proves_the_link(bench: Bench) -> None:
    assert not bench.link.prove().proven
    bench.say(0x7AA, "01")  # anybody's frame will do
    assert bench.link.prove().proven
    bench.clock.sleep(1.1)
    health = bench.link.prove()
    assert not health.proven
    assert "last 1.100 s ago" in health.evidence


def test_acknowledged_frames_prove_the_link_of_a_silent_bms(bench: Bench) -> None:
    bench.link.request({"RequestMode": 0})
    bench.clock.sleep(10.0)
    health = bench.link.prove()
    assert health.proven
    assert "our frames are acknowledged" in health.evidence


def test_frames_that_nobody_acknowledges_prove_nothing(bench: Bench) -> None:
    bench.bms.detach()
    bench.link.request({"RequestMode": 0})
    bench.clock.sleep(2.0)
    health = bench.link.prove()
    assert not health.proven
    assert "nobody acknowledges" in health.evidence


def test_error_frames_take_the_proof_away(bench: Bench) -> None:
    bench.say(0x233, "0000000000 0003E8")
    bench.bms.send(CanFrame(0, 0x20, bytes(8), error=True))
    health = bench.link.prove()
    assert not health.proven
    assert "1 error frames" in health.evidence
    assert bench.link.read("pack_current").value == pytest.approx(-10.0)


def test_the_bench_takes_no_adapter_when_the_profile_is_wrong(bench: Bench) -> None:
    operation = FOXBMS.operation.model_copy(update={"message": "StateReqest"})
    profile = FOXBMS.model_copy(update={"operation": operation})
    nodes = len(bench.hub._nodes)
    with pytest.raises(DefinitionError, match=r"no message 'StateReqest'; did you mean 'StateRequest'\?"):
        open_link(profile, "can", BINDING, bench.clock, print, bench.log.append)
    assert len(bench.hub._nodes) == nodes


@pytest.mark.parametrize("binding", [{}, {"interface": "bmsbench"}, {"channel": "can0"}])
def test_a_binding_needs_interface_and_channel(bench: Bench, binding: dict[str, str]) -> None:
    with pytest.raises(DefinitionError, match=r"links\.can: .* is missing"):
        open_link(FOXBMS, "can", binding, bench.clock, print, bench.log.append)


def test_after_closing_nothing_is_sent_or_decoded(bench: Bench) -> None:
    bench.link.request({"RequestMode": 1})
    bench.link.close()
    bench.asked.clear()
    bench.readings.clear()
    bench.clock.sleep(1.0)
    bench.hub.attach("listener", lambda _: None)
    bench.say(0x233, "0000000000 0003E8")
    assert bench.asked == []
    assert bench.readings == []


# What the database and the profile may not disagree about.


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., CanDbcLink]:
    """Open a link on a copy of the profile and its database, each changed by (old, new) pairs."""

    def make(*, dbc: tuple[str, str] = ("", ""), toml: tuple[str, str] = ("", "")) -> CanDbcLink:
        source = FOXBMS.source
        texts = {"foxbms_2.dbc": dbc, "foxbms_2.toml": toml}
        for name, (old, new) in texts.items():
            text = (source.parent / name).read_text(encoding="utf-8")
            assert old in text
            (tmp_path / name).write_text(text.replace(old, new) if old else text, encoding="utf-8")
        # No bus of this name is open: whatever is found wrong was found before an adapter was touched.
        profile = load_profile(tmp_path / "foxbms_2.toml")
        return CanDbcLink(
            "can", profile, {"interface": "bmsbench", "channel": "-"}, clock=SimulatedClock(), on_frame=print
        )

    return make


def test_a_profile_and_database_that_agree_get_as_far_as_the_adapter(edited: Callable[..., CanDbcLink]) -> None:
    with pytest.raises(LinkError, match="cannot be opened"):
        edited()


def test_an_unsigned_current_with_a_negative_range_is_refused(edited: Callable[..., CanDbcLink]) -> None:
    with pytest.raises(DefinitionError) as caught:
        edited(dbc=("PackCurrent : 40|17@0-", "PackCurrent : 40|17@0+"))
    assert "foxbms_2.toml, signals.pack_current: foxbms_2.dbc, message PackValues, signal PackCurrent is declared " in (
        str(caught.value)
    )
    assert "unsigned although its own range begins at -655.36" in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            {"toml": ('dbc = "foxbms_2.dbc"', 'dbc = "foxbms_3.dbc"')},
            r"there is no file .*did you mean 'foxbms_2.dbc'",
        ),
        (
            {"dbc": ("BO_ 563 PackValues", "BO_ 563 PackValue")},
            r"no message 'PackValues'; did you mean 'PackValue'\?",
        ),
        ({"toml": ('"PackCurrent"', '"PackCurent"')}, r"no signal 'PackCurent'; did you mean 'PackCurrent'\?"),
        ({"dbc": ("SG_ PackCurrent : 40|17@0- (0.01,0)", "SG_ PackCurrent")}, r"foxbms_2\.dbc is not a usable CAN"),
        ({"dbc": ('[-655.36|655.35] "A"', '[-655.36|655.35] "mA"')}, r"unit: 'A', but .* has unit 'mA'"),
        ({"toml": ('"StringCurrent"\nmux = 0', '"StringCurrent"')}, r"string_current\.mux: is missing: .* value 0"),
        ({"toml": ('"StringCurrent"\nmux = 0', '"StringCurrent"\nmux = 3')}, r"mux: 3, but .* is sent under 0"),
        ({"toml": ('"PackCurrent"\n', '"PackCurrent"\nmux = 0\n')}, r"mux: 0, but .* is not multiplexed"),
        ({"toml": ("open = { RequestMode = 0 }", "open = { Mode = 0 }")}, r"StateRequest has no signal 'Mode'"),
        ({"toml": ("open = { RequestMode = 0 }", "open = { RequestMode = 9 }")}, r"9 does not fit into 2 bits"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_opened(
    edited: Callable[..., CanDbcLink], edit: dict[str, tuple[str, str]], message: str
) -> None:
    with pytest.raises(DefinitionError, match=message):
        edited(**edit)


def test_another_period_in_the_database_is_a_warning(bench: Bench) -> None:
    assert isinstance(bench.link, CanDbcLink)
    assert bench.link.warnings == ()
    signal = FOXBMS.signals["pack_current"].model_copy(update={"period_s": 0.5})
    profile = FOXBMS.model_copy(update={"signals": {**FOXBMS.signals, "pack_current": signal}})
    link = CanDbcLink("can", profile, BINDING, clock=bench.clock, on_frame=print)
    [warning] = link.warnings
    assert warning.startswith("foxbms_2.toml, signals.pack_current.period_s: 0.5 s, but the database says that ")
    assert warning.endswith("PackValues comes every 0.1 s")
    link.close()
