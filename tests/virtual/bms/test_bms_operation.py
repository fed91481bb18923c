"""foxBMS's way to closed contactors, on the wire: states from byte 0 of 0x220, times from its documentation."""

from __future__ import annotations

import pytest

UNINITIALIZED, IDLE, STANDBY, PRECHARGE, NORMAL, ERROR = 0, 3, 5, 6, 7, 10


def states(rig):
    """Return the states in the order they were seen on the wire, with the time each was first seen."""
    seen = []
    for frame in rig.frames:
        if frame.can_id == 0x220 and (not seen or seen[-1][0] != frame.data[0] & 0x0F):
            seen.append((frame.data[0] & 0x0F, frame.at_s))
    return seen


def current_flows(rig):
    return abs(rig.circuit.pack_current_a()) > 1.0


def test_without_a_request_it_waits_in_idle(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.45)
    assert rig.state < IDLE
    rig.sleep(0.2)
    assert rig.state == IDLE
    rig.sleep(20.0)
    assert rig.state == IDLE
    assert rig.bms.truth.closed == frozenset()


def test_the_documented_sequence_closes_the_contactors_in_the_documented_order(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.6)
    rig.ask_mode(0)
    rig.sleep(0.25)
    assert rig.state == STANDBY
    assert rig.bms.truth.closed == frozenset()
    rig.ask_mode(1)
    rig.until(lambda: "precharge" in rig.bms.closed, limit_s=0.2)
    assert rig.bms.closed == {"precharge", "main_minus"}
    assert rig.until(lambda: "main_plus" in rig.bms.closed, limit_s=1.0) == pytest.approx(0.5, abs=0.02)
    assert rig.bms.closed == {"main_plus", "main_minus"}
    rig.sleep(0.2)
    assert [state for state, _ in states(rig)][-3:] == [STANDBY, PRECHARGE, NORMAL]


def test_idle_leaves_only_on_the_first_step(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.6)
    rig.ask_mode(1)
    rig.sleep(2.0)
    assert rig.state == IDLE


def test_the_request_to_open_opens_and_leads_back_to_standby(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.discharge(20.0)
    rig.sleep(0.2)
    assert current_flows(rig)
    rig.ask_mode(0)
    rig.sleep(0.5)
    assert not current_flows(rig)
    assert rig.state == STANDBY
    assert rig.bms.truth.closed == frozenset()


def test_a_new_precharge_waits_for_ten_seconds_after_the_last(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.6)
    rig.ask_mode(0)
    rig.sleep(0.3)
    rig.ask_mode(1)
    rig.until(lambda: "precharge" in rig.bms.closed, limit_s=0.3)
    first_s = rig.clock.now()
    rig.sleep(1.0)
    rig.ask_mode(0)
    rig.sleep(0.5)
    rig.ask_mode(1)
    rig.sleep(3.0)
    assert rig.state == STANDBY, "the request is pending"
    rig.until(lambda: "precharge" in rig.bms.closed, limit_s=10.0)
    assert rig.clock.now() - first_s == pytest.approx(10.0, abs=0.02)


def test_overcurrent_raises_its_flag_first_and_opens_after_three_quarters_of_a_second(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.discharge(115.0)
    began_s = rig.clock.now()
    took_s = rig.until(lambda: not current_flows(rig), limit_s=2.0)
    assert 0.45 < took_s < 1.05
    rig.sleep(0.1)
    risen = [frame.at_s - began_s for frame in rig.frames if frame.can_id == 0x220 and frame.data[3] & 0x04]
    assert 0.05 < risen[0] < 0.45, "PackOvercurrentDischarge: bit 26, byte 3 bit 2"
    assert not any(frame.data[3] & 0x02 for frame in rig.frames if frame.can_id == 0x220), "charge flag"
    assert rig.state == ERROR
    assert rig.bms.truth.closed == frozenset()
    assert any(frame.data[1] & 0x04 for frame in rig.frames if frame.can_id == 0x220), "GeneralError: bit 10"


def test_the_flag_clears_by_itself_but_the_error_state_stays_until_standby_is_requested(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.charge(115.0)
    rig.until(lambda: not current_flows(rig), limit_s=2.0)
    rig.rest()
    rig.sleep(1.0)
    assert not rig.newest(0x220)[3] & 0x02
    rig.sleep(20.0)
    assert rig.state == ERROR
    rig.ask_mode(0)
    rig.sleep(0.3)
    assert rig.state == STANDBY
    rig.ask_mode(1)
    rig.sleep(1.0)
    assert rig.state == NORMAL


def test_error_does_not_end_while_the_cause_is_there(make_rig):
    rig = make_rig("foxbms_2", perfect=True)
    rig.start()
    rig.circuit.knob_a = 115.0
    rig.sleep(1.5)
    rig.ask_mode(0)
    rig.sleep(5.0)
    assert rig.state == ERROR
    rig.circuit.knob_a = 0.0
    rig.sleep(0.6)
    assert rig.state == STANDBY


def test_a_short_pulse_is_counted_down_again(make_rig):
    """A few bad samples, then as many good ones: pulses apart do not add up."""
    rig = make_rig("foxbms_2", perfect=True)
    rig.start()
    rows = {row.row.name: row for row in rig.bms.unit.protections}
    samples = rows["charge_overcurrent_msl"].samples
    assert samples > 4
    for _ in range(30):
        rig.circuit.knob_a = 115.0
        rig.sleep(0.01 * (samples - 2))
        rig.circuit.knob_a = 0.0
        rig.sleep(0.01 * samples)
    assert rig.state == NORMAL


def test_a_missing_request_is_fatal_after_a_hundred_bad_checks_and_two_hundred_milliseconds(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.discharge(20.0)
    rig.sleep(0.5)
    rig.silence_request()
    took_s = rig.until(lambda: not current_flows(rig), limit_s=3.0)
    # up to 0.105 s until the request is late, 100 checks of 10 ms, 0.2 s; the last request came up to 0.1 s ago
    assert 1.19 < took_s < 1.33
    rig.sleep(0.15)
    assert rig.state == ERROR
    assert rig.newest(0x220)[3] & 0x01, "CanTimingError: bit 24"


def test_a_request_every_120_milliseconds_is_fatal_too(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.silence_request()
    rig.ask_mode(1, period_s=0.12)
    rig.sleep(2.0)
    assert rig.state == ERROR


def test_one_lost_request_is_forgiven(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    for _ in range(20):
        rig.silence_request()
        rig.sleep(0.2)
        rig.ask_mode(1)
        rig.sleep(2.0)
    assert rig.state == NORMAL


def test_after_a_timing_error_good_requests_lead_back(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.silence_request()
    rig.sleep(2.0)
    assert rig.state == ERROR
    rig.ask_mode(0)
    rig.sleep(0.5)
    assert rig.state == ERROR, "a hundred good checks first"
    rig.sleep(1.0)
    assert rig.state == STANDBY


def test_a_request_of_another_length_is_none(make_rig):
    rig = make_rig("foxbms_2")
    rig.bms.power_on()
    rig.sleep(0.6)
    rig.ask_mode(0)
    rig.request = bytes(4)
    rig.sleep(0.05)
    heard = rig.bms.operation._heard_at_s
    rig.sleep(1.0)
    assert rig.bms.operation._heard_at_s == heard


def test_the_hot_discharge_flag_is_held_at_rest(make_rig):
    """Temperature flags clear only while current flows in their own direction; rest counts as charging."""
    rig = make_rig("foxbms_2", perfect=True)
    rig.start()
    rig.circuit.knob_a = -20.0
    rig.bms.readings.measure_cells = lambda at_ns: None
    rig.bms.readings.temperatures_degc = [70.0] * 16
    rig.sleep(8.0)
    assert "discharge_overtemperature_msl" in rig.bms.truth.tripped
    assert "charge_overtemperature_msl" not in rig.bms.truth.tripped, "70 °C, but discharging"
    rig.bms.readings.temperatures_degc = [25.0] * 16
    rig.circuit.knob_a = 0.0
    rig.sleep(20.0)
    assert "discharge_overtemperature_msl" in rig.bms.truth.tripped
    rig.circuit.knob_a = -20.0
    rig.sleep(8.0)
    assert "discharge_overtemperature_msl" not in rig.bms.truth.tripped


def test_power_off_silences_it_and_opens_the_contactors(make_rig):
    rig = make_rig("foxbms_2")
    rig.start()
    rig.discharge(20.0)
    rig.sleep(0.1)
    rig.bms.power_off()
    assert not current_flows(rig)
    count = len(rig.frames)
    rig.sleep(2.0)
    assert len(rig.frames) == count
