"""Defects, seen on the wire and in the circuit. The current's counts are worked out by hand for both encodings.

foxBMS: discharge positive, 17 bits of 10 mA, so +10 A charging is the count -1000; Seplos: charge positive, 16 bits of
10 mA, so +10 A charging is +1000. H is half of the field's span: 65536 and 32768 counts.
"""

from __future__ import annotations

import pytest

from bench.errors import DefinitionError
from instruments.virtual.defects import choose_defects, find_defect, parse_defects, registry

BOTH = ["foxbms_2", "seplos_v3"]
# defect, true current, count of foxBMS, count of Seplos
COUNTS = [
    ("inverted_sign", 10.0, 1000, -1000),
    ("inverted_sign", -10.0, -1000, 1000),
    ("inverted_sign", 0.0, 0, 0),
    ("swapped_shunt_wires", 10.0, 1000, -1000),
    ("magnitude_only", 10.0, -1000, 1000),
    ("magnitude_only", -10.0, -1000, 1000),
    ("unsigned_negative", 10.0, 65536 - 1000, 1000),
    ("unsigned_negative", -10.0, 1000, 32768 - 1000),
    ("unsigned_negative", -0.01, 1, 32767),
    ("sign_magnitude", 10.0, -65536 + 1000, 1000),
    ("sign_magnitude", -10.0, 1000, -32768 + 1000),
    ("ones_complement", 10.0, -1001, 1000),
    ("ones_complement", -10.0, 1000, -1001),
    ("offset_not_subtracted", 0.0, 40960, 20480),
    ("offset_not_subtracted", -10.0, 41960, 19480),
    ("bytes_swapped", 10.0, 0x18FC, 0xE803 - 0x10000),  # -1000 = FC18, 1000 = 03E8
    ("bytes_swapped", -10.0, 0xE803 - 0x10000, 0x18FC),
    ("bytes_swapped", -0.01, 256, -1),
    ("saturates_early", 80.0, -4500, 4500),
    ("saturates_early", -80.0, 4500, -4500),
    ("saturates_early", 40.0, -4000, 4000),
    ("wide_dead_band", 11.9, 0, 0),
    ("wide_dead_band", -12.1, 1210, -1210),
    ("charge_clipped", 10.0, 0, 0),
    ("charge_clipped", -10.0, 1000, -1000),
    ("discharge_clipped", 10.0, -1000, 1000),
    ("discharge_clipped", -10.0, 0, 0),
    ("whole_amperes", 10.75, -1000, 1000),
    ("whole_amperes", -10.75, 1000, -1000),
    ("coarse_step", 12.0, -1000, 1000),
    ("coarse_step", -13.0, 1500, -1500),
    ("scale_1000", 80.0, -8, 8),
    ("scale_10", -80.0, 800, -800),
    ("gain_wrong", 10.0, -1100, 1100),
    ("gain_by_direction", 10.0, -1000, 1000),
    ("gain_by_direction", -10.0, 850, -850),
    ("half_scale", -10.0, 500, -500),
    ("large_offset", 0.0, -1800, 1800),
    ("large_offset", -10.0, -800, 800),
    ("counter_inverted", 10.0, -1000, 1000),
    ("stale_direction", -10.0, 1000, -1000),
]
LOGIC = [
    "swapped_flags",
    "dead_charge_protection",
    "dead_discharge_protection",
    "dead_cell_overvoltage",
    "dead_cell_undervoltage",
    "trips_late",
    "trips_early",
    "wrong_switch",
    "opens_but_conducts",
    "never_releases",
    "no_flag",
    "blind_to_direction",
]


def flows(rig):
    return abs(rig.circuit.pack_current_a()) > 1.0


def flags(rig):
    """Charge and discharge over-current, as they stand on the wire now."""
    if rig.node is not None:
        byte = rig.newest(0x220)[3]
        return bool(byte & 0x02), bool(byte & 0x04)
    return rig.bit(0x2221) == 1, rig.bit(0x2224) == 1


def provoke(rig, direction, current_a=115.0):
    """Let a current flow, for at most a little longer than the longest delay; return what was seen."""
    getattr(rig, direction)(current_a)
    began_s = rig.clock.now()
    ever, stopped_s = [False, False], None
    longest_s = rig.profile.protections[1].delay_s.max
    rig.sleep(0.002)
    while rig.clock.now() - began_s < 1.3 * longest_s + 0.3:
        if stopped_s is None and not flows(rig):
            stopped_s = rig.clock.now() - began_s
        for index, up in enumerate(flags(rig)):
            ever[index] = ever[index] or up
        rig.sleep(0.01)
    rig.rest()
    return stopped_s, tuple(ever)


@pytest.mark.parametrize(("defect", "true_a", "fox", "seplos"), COUNTS)
def test_the_reported_current_of_each_defect(make_rig, defect, true_a, fox, seplos):
    for name, expected in zip(BOTH, (fox, seplos), strict=True):
        rig = make_rig(name, perfect=True, defects=(defect,))
        rig.circuit.knob_a = 0.0
        rig.bms.power_on()
        rig.sleep(0.3)
        rig.circuit.knob_a = true_a
        rig.sleep(0.3)
        assert rig.count() == expected, name


def test_the_coarser_register_tells_the_same_story(make_rig):
    rig = make_rig("seplos_v3", perfect=True, defects=("unsigned_negative",))
    rig.start()
    rig.circuit.knob_a = -10.0
    rig.sleep(0.2)
    # 32768 - 1000 counts of 10 mA, cut to 3176 of 100 mA = 0x0C68, low word first
    assert rig.feed("00 04 20 02 00 02") == "00 04 04 0C 68 00 00"


@pytest.mark.parametrize("name", BOTH)
def test_a_frozen_current_does_not_move_and_its_frames_go_on(make_rig, name):
    rig = make_rig(name, defects=("frozen_current",))
    rig.start()
    first = rig.count()
    sent = len(rig.frames)
    for true_a in (50.0, -50.0, 5.0):
        rig.circuit.knob_a = true_a
        rig.sleep(2.0)
        assert rig.count() == first
    assert rig.node is None or len(rig.frames) > sent


@pytest.mark.parametrize("name", BOTH)
def test_a_delayed_value_is_that_of_five_seconds_ago(make_rig, name):
    rig = make_rig(name, perfect=True, defects=("delayed_value",))
    rig.start()
    rig.circuit.knob_a = 20.0
    rig.sleep(4.7)
    assert abs(rig.count()) < 10
    rig.sleep(0.7)
    assert abs(rig.count()) == 2000


@pytest.mark.parametrize("name", BOTH)
def test_a_slow_filter_keeps_the_old_sign_for_seconds_after_a_reversal(make_rig, name):
    rig = make_rig(name, perfect=True, defects=("slow_filter",))
    rig.start()
    rig.circuit.knob_a = 50.0
    rig.sleep(200.0)
    before = rig.count()
    rig.circuit.knob_a = -50.0
    rig.sleep(13.0)
    assert rig.count() * before > 0, "20 s x ln 2 = 13.9 s"
    rig.sleep(2.0)
    assert rig.count() * before < 0


@pytest.mark.parametrize("name", BOTH)
def test_a_stale_direction_keeps_the_old_sign_until_it_has_rested(make_rig, name):
    rig = make_rig(name, perfect=True, defects=("stale_direction",))
    rig.circuit.knob_a = 0.0
    rig.start()
    rig.circuit.knob_a = 50.0
    rig.sleep(1.0)
    before = rig.count()
    rig.circuit.knob_a = -50.0
    rig.sleep(1.0)
    assert rig.count() == before
    rig.circuit.knob_a = 0.0
    rig.sleep(1.0)
    rig.circuit.knob_a = -50.0
    rig.sleep(1.0)
    assert rig.count() == -before


def test_an_inverted_counter_lets_the_charge_run_backwards_while_the_current_is_right(make_rig):
    rig = make_rig("seplos_v3", perfect=True, defects=("counter_inverted",))
    rig.start()
    before = int.from_bytes(rig.ask(1, 4, 0x1002, 1), "big")
    rig.circuit.knob_a = 36.0
    rig.sleep(100.0)
    assert rig.count() == 3600
    assert int.from_bytes(rig.ask(1, 4, 0x1002, 1), "big") - before == pytest.approx(-100, abs=1)  # 1 Ah of 10 mAh


@pytest.mark.parametrize(
    ("defect", "sign_charging", "sign_discharging"), [("power_inverted", 1, -1), ("power_unsigned", -1, -1)]
)
def test_power_tells_another_story_than_the_current(make_rig, defect, sign_charging, sign_discharging):
    rig = make_rig("foxbms_2", perfect=True, defects=(defect,))
    rig.bms.power_on()
    for true_a, sign in ((20.0, sign_charging), (-20.0, sign_discharging)):
        rig.circuit.knob_a = true_a
        rig.sleep(0.2)
        data = rig.newest(0x233)
        raw = (data[3] & 0b11) << 15 | data[4] << 7 | data[5] >> 1
        power = raw - (1 << 17) if raw & (1 << 16) else raw
        assert power * sign > 50, "discharge positive, 0.01 kW: about 1.05 kW"
        assert rig.count() == (-2000 if true_a > 0 else 2000)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("direction", "raised"), [("charge", (True, False)), ("discharge", (False, True))])
def test_a_healthy_unit_stops_the_current_and_raises_only_the_right_flag(make_rig, name, direction, raised):
    rig = make_rig(name)
    rig.start()
    stopped_s, ever = provoke(rig, direction)
    window = rig.profile.protections[1].delay_s
    assert stopped_s is not None and window.min < stopped_s < window.max
    assert ever == raised


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("direction", "raised"), [("charge", (False, True)), ("discharge", (True, False))])
def test_swapped_flags_name_the_other_direction_while_the_right_switch_opens(make_rig, name, direction, raised):
    rig = make_rig(name, defects=("swapped_flags",))
    rig.start()
    stopped_s, ever = provoke(rig, direction)
    assert stopped_s is not None
    assert ever == raised


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("dead", ["charge", "discharge"])
def test_a_dead_protection_lets_the_current_flow_in_its_direction_only(make_rig, name, dead):
    rig = make_rig(name, defects=(f"dead_{dead}_protection",))
    rig.start()
    stopped_s, ever = provoke(rig, dead)
    assert stopped_s is None and ever == (False, False)
    other = "discharge" if dead == "charge" else "charge"
    stopped_s, _ = provoke(rig, other)
    assert stopped_s is not None


@pytest.mark.parametrize("name", BOTH)
def test_a_late_trip_comes_after_the_window_but_before_the_abort(make_rig, name):
    for seed in range(3):
        rig = make_rig(name, seed=seed, defects=("trips_late",))
        rig.start()
        stopped_s, _ = provoke(rig, "discharge")
        longest_s = rig.profile.protections[1].delay_s.max
        assert stopped_s is not None
        assert longest_s + 0.1 < stopped_s < 1.2 * longest_s + 0.1


@pytest.mark.parametrize("name", BOTH)
def test_an_early_trip_opens_where_it_must_stay_quiet(make_rig, name):
    rig = make_rig(name, defects=("trips_early",))
    rig.start()
    stopped_s, _ = provoke(rig, "charge", current_a=106.0)  # threshold 110 A, tolerance 3 A
    assert stopped_s is not None
    healthy = make_rig(name)
    healthy.start()
    assert provoke(healthy, "charge", current_a=106.0) == (None, (False, False))


def test_the_wrong_switch_of_two_lets_the_current_go_on(make_rig):
    rig = make_rig("seplos_v3", defects=("wrong_switch",))
    rig.start()
    stopped_s, ever = provoke(rig, "charge")
    assert stopped_s is None and ever == (True, False)
    assert rig.bms.truth.closed == {"charge"}
    assert (rig.bit(0x2238), rig.bit(0x2239)) == (0, 1)


def test_the_wrong_contactor_of_one_path_lets_the_current_go_on(make_rig):
    rig = make_rig("foxbms_2", defects=("wrong_switch",))
    rig.start()
    stopped_s, ever = provoke(rig, "charge")
    assert stopped_s is None and ever == (True, False)
    assert rig.bms.truth.closed == {"main_plus", "main_minus"}


@pytest.mark.parametrize("name", BOTH)
def test_a_welded_switch_reports_open_and_conducts_until_the_unit_is_exchanged(make_rig, name):
    rig = make_rig(name, defects=("opens_but_conducts",))
    rig.start()
    stopped_s, _ = provoke(rig, "discharge")
    assert stopped_s is None
    assert "main_plus" not in rig.bms.closed and "discharge" not in rig.bms.closed
    if name == "seplos_v3":
        assert rig.bit(0x2238) == 0
    else:
        assert rig.newest(0x240)[0] & 0x10 == 0, "string connected: bit 4"
    rig.bms.power_off()
    rig.discharge(10.0)
    rig.sleep(0.1)
    assert not flows(rig)


def test_a_unit_that_never_releases_stays_tripped(make_rig):
    rig = make_rig("seplos_v3", defects=("never_releases",))
    rig.start()
    provoke(rig, "discharge")
    rig.sleep(3600.0)
    assert rig.bms.truth.closed == {"charge"}
    rig = make_rig("foxbms_2", defects=("never_releases",))
    rig.start()
    provoke(rig, "discharge")
    rig.ask_mode(0)
    rig.sleep(60.0)
    assert rig.newest(0x220)[0] & 0x0F == 10


def test_a_unit_that_releases_at_once_does_not_wait(make_rig):
    rig = make_rig("seplos_v3", defects=("releases_at_once",))
    rig.start()
    rig.discharge(115.0)
    rig.until(lambda: "discharge" not in rig.bms.closed, limit_s=12.0)
    rig.rest()
    assert rig.until(lambda: "discharge" in rig.bms.closed, limit_s=2.0) < 0.8


def test_a_unit_without_lock_out_closes_after_the_fifth_trip(make_rig):
    rig = make_rig("seplos_v3", defects=("no_lockout",))
    rig.start()
    for _ in range(6):
        rig.discharge(115.0)
        rig.until(lambda: "discharge" not in rig.bms.closed, limit_s=12.0, step_s=0.1)
        rig.rest()
        rig.until(lambda: "discharge" in rig.bms.closed, limit_s=70.0, step_s=0.1)


def test_opening_all_switches_takes_the_other_direction_too(make_rig):
    rig = make_rig("seplos_v3", defects=("opens_all_switches",))
    rig.start()
    stopped_s, _ = provoke(rig, "charge")
    assert stopped_s is not None
    assert rig.bms.truth.closed == frozenset()


@pytest.mark.parametrize("name", BOTH)
def test_without_its_flag_it_opens_silently(make_rig, name):
    rig = make_rig(name, defects=("no_flag",))
    rig.start()
    stopped_s, ever = provoke(rig, "discharge")
    assert stopped_s is not None and ever == (False, False)


@pytest.mark.parametrize("name", BOTH)
def test_blind_to_direction_raises_both_flags(make_rig, name):
    rig = make_rig(name, defects=("blind_to_direction",))
    rig.start()
    assert provoke(rig, "discharge")[1] == (True, True)


@pytest.mark.parametrize("name", BOTH)
def test_swapped_shunt_wires_trip_the_other_direction(make_rig, name):
    rig = make_rig(name, defects=("swapped_shunt_wires",))
    rig.start()
    assert provoke(rig, "discharge")[1] == (True, False)


@pytest.mark.parametrize("name", BOTH)
def test_an_inverted_reading_leaves_the_protections_right(make_rig, name):
    rig = make_rig(name, defects=("inverted_sign",))
    rig.start()
    stopped_s, ever = provoke(rig, "discharge")
    assert stopped_s is not None and ever == (False, True)


def test_defects_combine(make_rig):
    rig = make_rig("foxbms_2", perfect=True, defects=("inverted_sign", "saturates_early"))
    rig.bms.power_on()
    rig.circuit.knob_a = -80.0
    rig.sleep(0.2)
    assert rig.count() == -4500


# -- the registry --------------------------------------------------------------------------------------------


def test_every_defect_says_what_it_is_and_who_should_catch_it():
    for name, defect in registry().items():
        assert defect.name == name
        assert defect.description.endswith(".") and defect.reason and defect.caught_by
        assert all(label[0] == "M" and 1 <= int(label[1:]) <= 41 for label in defect.classes)


def test_every_defect_is_seen_somewhere_in_these_tests():
    seen = {row[0] for row in COUNTS} | set(LOGIC)
    seen |= {"frozen_current", "delayed_value", "slow_filter", "power_inverted", "power_unsigned"}
    seen |= {"releases_at_once", "no_lockout", "opens_all_switches"}
    seen |= {"setting_ignores_write", "setting_written_wrong", "setting_lost_on_power_cycle"}  # test_bms_settings
    assert seen == set(registry())


def test_at_least_twelve_defects_apply_to_both_profiles(profiles):
    for profile in profiles.values():
        fitting = [defect for defect in registry().values() if defect.applies_to(profile) is None]
        assert len(fitting) >= 30


def test_the_thirteen_defects_of_the_kill_matrix_fit_both_profiles(profiles):
    matrix = [
        "inverted_sign",
        "unsigned_negative",
        "magnitude_only",
        "large_offset",
        "swapped_flags",
        "frozen_current",
        "dead_charge_protection",
        "dead_discharge_protection",
        "trips_late",
        "trips_early",
        "wrong_switch",
        "opens_but_conducts",
        "never_releases",
    ]
    for profile in profiles.values():
        assert len(choose_defects(matrix, profile)) == 13


def test_an_unknown_name_gets_the_nearest_spelling():
    with pytest.raises(DefinitionError, match="'invertd_sign' is not known; did you mean 'inverted_sign'"):
        find_defect("invertd_sign")


def test_a_list_is_split_at_its_commas():
    assert [defect.name for defect in parse_defects("inverted_sign, trips_late")] == ["inverted_sign", "trips_late"]
    assert parse_defects("") == ()
    with pytest.raises(DefinitionError, match="named twice"):
        parse_defects("trips_late,trips_late")


@pytest.mark.parametrize(
    ("name", "defect", "reason"),
    [
        ("foxbms_2", "opens_all_switches", "one path for both directions"),
        ("foxbms_2", "releases_at_once", "only on request"),
        ("foxbms_2", "no_lockout", "no lock-out"),
        ("seplos_v3", "power_inverted", "reports none of pack_power"),
    ],
)
def test_a_defect_without_meaning_is_refused_with_the_reason(profiles, name, defect, reason):
    with pytest.raises(DefinitionError, match=f"{defect}.*{name}.*{reason}"):
        choose_defects([defect], profiles[name])


def test_a_magnitude_has_no_sign_to_invert(profiles):
    plain = profiles["seplos_v3"]
    signals = dict(plain.signals)
    signals["pack_current"] = signals["pack_current"].model_copy(update={"positive_means": "magnitude"})
    with pytest.raises(DefinitionError, match="carries no direction"):
        choose_defects(["inverted_sign"], plain.model_copy(update={"signals": signals}))
