"""Whatever arrives on the wire, a face neither breaks nor changes what it was not allowed to change."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.simulated_clock import SimulatedClock
from instruments.virtual.instruments import start_instrument
from instruments.virtual.wire import Wire

WORDS = [
    b"VOLT", b"CURR", b"OUTP", b"INP", b"SYST:ERR?", b"SYST:LOCK", b"MEAS:ARR?", b"READ?", b"SAMP:COUN", b"INIT",
    b"(@101:116)", b"(@117,", b"ROUT:SCAN ", b"CONF:TEMP TC,K,", b"TRIG:COUN INF", b"TRIG:TIM 0", b"FORM:READ:UNIT ON",
    b"CONF:VOLT:DC", b"*RST", b"*IDN?", b" ", b"?", b";", b":", b",", b"\n", b"\r\n", b"ON", b"OFF", b"MAX", b"-1",
    b"SOUR1:VOLT 3", b"OUTP:ONOFF 1(@1,2)", b"(@", b"TRAC:TRIG:DIG", b'DIG:FUNC "VOLT"', b"DIG:VOLT:SRATE ", b"INIT",
    b'TRIG:LOAD "LoopUntilEvent",ATR,50', b"TRAC:DATA? 1,5", b":OUTP CH1,ON", b":APPL CH2,", b":OUTP:OVP",
    b"FAUL1:SIMU", b"1e999", b"nan", b"12.5V", b"9" * 40, b"R?", b"*TRG", b"\xff", b"\x00", b"\x01",
    b"TRIG:SOUR BUS", b"FETC?",
]  # fmt: skip
STREAM = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=12)), max_size=30).map(b"".join)
DRIVERS = [
    "ea_psi_9000", "ea_el_9000", "ea_psb_9000", "keysight_34465a", "waveshare_modbus_relay",
    "icpdas_m7000", "waveshare_modbus_inputs", "keysight_daq970a", "ngi_n83624", "keithley_dmm6500", "rigol_dp800",
    "resistor_ladder",
]  # fmt: skip


@pytest.mark.parametrize("driver", DRIVERS)
@given(chunks=st.lists(STREAM, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_stream_of_bytes_breaks_a_face(driver: str, chunks: list[bytes]) -> None:
    clock = SimulatedClock()
    with start_instrument(driver, clock=clock) as started:
        for make_session in started.instruments.face("dut").languages.values():
            session = make_session()
            session.wire = Wire(clock, 1, lambda _: None, lambda _: None)
            for chunk in chunks:
                assert isinstance(session.feed(chunk), bytes)
            clock.settle()
            clock.sleep(0.05)
            session.closed()


@given(value=st.integers(0, 0xFFFF), address=st.integers(0, 0xFFFF), function=st.sampled_from([5, 6, 15, 16]))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_without_remote_control_no_write_changes_anything(value: int, address: int, function: int) -> None:
    if (function, address) == (5, 402):
        return  # taking remote control is allowed
    with start_instrument("ea_psb_9000") as started:
        session = started.instruments.face("dut").languages["modbus_tcp"]()
        session.wire = Wire(started.clock, 1, lambda _: None, lambda _: None)
        before = dict(vars(started.behaviour)["settings"]), vars(started.behaviour)["on"]
        pdu = bytes((function,)) + address.to_bytes(2, "big") + value.to_bytes(2, "big")
        reply = session.feed(b"\x00\x01\x00\x00" + (len(pdu) + 1).to_bytes(2, "big") + b"\x00" + pdu)
        assert reply[7] == function | 0x80
        started.clock.sleep(0.05)
        assert (vars(started.behaviour)["settings"], vars(started.behaviour)["on"]) == before
