"""How the SCPI transport takes what instruments do: late, silent, gone, replaced, talkative."""

from __future__ import annotations

import itertools
import os
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.errors import ConnectionLost, InstrumentError, InstrumentTimeout, NotDue
from bench.roles import Dialogue
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.scpi import Scpi
from instruments.transports.visa import ScpiTransport

SHORT_S = 0.2  # a time-out where no answer comes
IDN = ("*IDN?", "Maker,Model,SN1,1.0")
OTHER = ("*IDN?", "Maker,Model,SN2,1.0")


@pytest.fixture
def transport(clock: WallClock, dialogue: list[Dialogue]) -> Iterator[Callable[..., ScpiTransport]]:
    """Open transports to scripted servers; all are closed at the end."""
    opened: list[ScpiTransport] = []

    def open_transport(server: Any, **settings: Any) -> ScpiTransport:
        settings.setdefault("timeout_s", 10.0)  # where an answer comes, a busy machine may take its time
        made = ScpiTransport("dut", f"tcp:127.0.0.1:{server.port}", clock=clock, record=dialogue.append, **settings)
        opened.append(made)
        made.connect()
        return made

    yield open_transport
    for each in opened:
        each.close()


def something_waits(link: ScpiTransport) -> None:
    """Let the scripted server's bytes, or its farewell, arrive."""
    for _ in range(1000):
        if not link._is_quiet():
            return
        time.sleep(0.01)
    raise AssertionError("nothing arrived")


def test_every_message_is_recorded_with_time_and_direction(
    script: Any, transport: Any, dialogue: list[Dialogue]
) -> None:
    link = transport(script(IDN, ("MEAS:VOLT?", "1.5")))
    assert link.query("MEAS:VOLT?") == "1.5"
    assert [(each.instrument, each.sent, each.text) for each in dialogue] == [
        ("dut", True, "*IDN?"),
        ("dut", False, "Maker,Model,SN1,1.0"),
        ("dut", True, "MEAS:VOLT?"),
        ("dut", False, "1.5"),
    ]
    assert list(link.trace) == dialogue
    assert dialogue[0].at_s <= dialogue[-1].at_s


def test_an_address_where_nothing_listens_is_named_at_once(clock: WallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{port}", clock=clock, record=lambda _: None, timeout_s=30.0)
    begin_s = clock.now()
    with pytest.raises(ConnectionLost, match=rf"dut at tcp:127\.0\.0\.1:{port}.*is the instrument on"):
        link.connect()
    assert clock.now() - begin_s < 15.0  # at once, compared with the time-out


def test_a_host_that_does_not_exist_is_named(clock: WallClock) -> None:
    link = ScpiTransport("dut", "tcp:no-such-host.invalid:5025", clock=clock, record=lambda _: None)
    with pytest.raises(ConnectionLost, match=r"no-such-host\.invalid"):
        link.connect()


def test_silence_is_a_time_out_with_the_last_messages(script: Any, transport: Any) -> None:
    link = transport(script(IDN, ("MEAS:VOLT?", None)))
    with pytest.raises(InstrumentTimeout, match=r"no answer to MEAS:VOLT\? within 0\.2 s") as problem:
        link.query("MEAS:VOLT?", timeout_s=SHORT_S)
    assert "MEAS:VOLT?" in "".join(problem.value.__notes__)
    assert not link.is_open


def test_a_late_answer_never_answers_the_next_question(script: Any, transport: Any) -> None:
    server = script(IDN, ("MEAS:VOLT?", [(0.5, b"11.0\n")]), IDN, ("MEAS:CURR?", "22.0"))
    link = transport(server)
    with pytest.raises(InstrumentTimeout):
        link.query("MEAS:VOLT?", timeout_s=SHORT_S)
    assert link.query("MEAS:CURR?") == "22.0"
    assert server.connections == 2


def test_a_peer_that_closes_instead_of_answering_is_recognised_at_once(
    script: Any, transport: Any, clock: WallClock
) -> None:
    link = transport(script(IDN, ("MEAS:VOLT?", ("close",))), timeout_s=30.0)
    begin_s, begin_cpu_s = clock.now(), time.process_time()
    with pytest.raises(ConnectionLost, match="closed the connection instead of answering MEAS:VOLT"):
        link.query("MEAS:VOLT?")
    assert clock.now() - begin_s < 15.0
    assert time.process_time() - begin_cpu_s < 0.5  # it does not spin


def test_a_connection_closed_while_idle_is_opened_again_before_anything_is_sent(script: Any, transport: Any) -> None:
    server = script(IDN, ("A", ("close",)), IDN, ("B", None), ("C?", "1"))
    link = transport(server)
    link.write("A")
    something_waits(link)
    link.write("B")
    assert link.query("C?") == "1"
    assert server.connections == 2


def test_a_reset_connection_is_lost_not_silent(clock: WallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset_after_identification() -> None:
            connection, _ = server.accept()
            connection.recv(100)
            connection.sendall(b"Maker,Model,SN1,1.0\n")
            connection.recv(100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = threading.Thread(target=reset_after_identification, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        link = ScpiTransport("dut", f"tcp:127.0.0.1:{port}", clock=clock, record=lambda _: None)
        link.connect()
        with pytest.raises(ConnectionLost):
            link.query("MEAS:VOLT?")
        thread.join(5)


def test_a_half_open_peer_that_takes_connections_but_never_talks_is_a_time_out(clock: WallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = ScpiTransport(
            "dut", f"tcp:127.0.0.1:{deaf.getsockname()[1]}", clock=clock, record=lambda _: None, timeout_s=0.2
        )
        with pytest.raises(InstrumentTimeout, match=r"\*IDN\?"):
            link.connect()
        assert not link.is_open


def test_another_serial_number_after_reopening_is_refused(script: Any, transport: Any) -> None:
    link = transport(script(IDN, ("A?", None), OTHER, OTHER))
    with pytest.raises(InstrumentTimeout):
        link.query("A?", timeout_s=SHORT_S)
    for _ in range(2):
        with pytest.raises(InstrumentError, match=r"SN2.*SN1.*another instrument"):
            link.query("B?")


def test_the_driver_looks_at_its_state_before_the_conversation_goes_on(script: Any, transport: Any) -> None:
    link = transport(script(IDN, ("A?", None), IDN, ("STATE?", "off"), ("B?", "2"), ("C?", "3")))
    states: list[str] = []
    link.on_reopen = lambda: states.append(link.query("STATE?"))
    with pytest.raises(InstrumentTimeout):
        link.query("A?", timeout_s=SHORT_S)
    assert (link.query("B?"), link.query("C?")) == ("2", "3")
    assert states == ["off"]


def test_switching_off_does_not_wait_for_that_look(script: Any, transport: Any) -> None:
    def refuse() -> None:
        raise InstrumentError("state lost")

    link = transport(script(IDN, ("A?", None), IDN, ("OFF", None), ("B?", "2")))
    link.on_reopen = refuse
    with pytest.raises(InstrumentTimeout):
        link.query("A?", timeout_s=SHORT_S)
    with link.operation(urgent=True):
        link.write("OFF")
    with pytest.raises(InstrumentError, match="state lost"):
        link.query("B?")
    assert link.query("B?") == "2"  # said once, loudly


def test_a_read_is_repeated_once_only_where_the_deadline_allows(script: Any, transport: Any, clock: WallClock) -> None:
    link = transport(script(IDN, ("A?", None), IDN, ("A?", "1"), ("B?", None)))
    assert link.query("A?", timeout_s=1.0, retry_until_s=clock.now() + 30.0) == "1"
    with pytest.raises(InstrumentTimeout):
        link.query("B?", timeout_s=SHORT_S, retry_until_s=clock.now() + 1.5 * SHORT_S)


def test_a_command_is_never_repeated(script: Any, transport: Any) -> None:
    server = script(IDN, ("OUTP ON", ("close",)), IDN, ("OUTP?", "OFF"))
    link = transport(server)
    link.write("OUTP ON")
    something_waits(link)
    assert link.query("OUTP?") == "OFF"


def test_pieces_of_an_answer_are_put_together(script: Any, transport: Any) -> None:
    link = transport(script(IDN, ("MEAS:VOLT?", [(0, b"+1."), (0.05, b"25"), (0.05, b"E+01\n")])))
    assert Scpi(link).query_float("MEAS:VOLT?", "V") == 12.5


def test_an_answer_without_an_end_is_a_time_out_and_no_number(script: Any, transport: Any) -> None:
    link = transport(script(IDN, ("MEAS:VOLT?", [(0, b"12.5")])))
    with pytest.raises(InstrumentTimeout):
        link.query("MEAS:VOLT?", timeout_s=SHORT_S)
    assert "12.5" in str(link.trace[-1])


def test_a_spurious_second_line_is_dropped_and_recorded(script: Any, transport: Any) -> None:
    glued = ("A?", [(0, b"0.000067\n0\n")])
    link = transport(script(IDN, glued, ("C?", "3")))
    assert link.query("A?") == "0.000067"
    assert link.query("C?") == "3"
    assert sum("not asked for" in each.text for each in link.trace) == 1


def test_a_line_that_comes_later_means_out_of_step_and_is_never_an_answer(script: Any, transport: Any) -> None:
    later = ("B?", [(0, b"1\n"), (0.05, b"0\n")])
    link = transport(script(IDN, later, IDN, ("C?", "3"), ("OUTP OFF", [(0.0, b"?\n")]), IDN, ("OUTP OFF", None)))
    assert link.query("B?") == "1"
    something_waits(link)
    with pytest.raises(InstrumentError, match="nobody asked for"):
        link.query("C?")
    assert not link.is_open
    assert link.query("C?") == "3"
    link.write("OUTP OFF")
    something_waits(link)
    with link.operation(urgent=True):  # switching off goes on, over a new connection
        link.write("OUTP OFF")


def test_carriage_returns_are_no_part_of_an_answer(script: Any, transport: Any) -> None:
    assert transport(script(IDN, ("A?", [(0, b"ON\r\n")]))).query("A?") == "ON"


def test_two_writes_and_a_question_are_not_held_back(script: Any, transport: Any, clock: WallClock) -> None:
    link = transport(script(IDN, *[("A", None), ("B", None), ("C?", "1")] * 50))
    took_s = []
    for _ in range(50):
        begin_s = clock.now()
        link.write("A")
        link.write("B")
        link.query("C?")
        took_s.append(clock.now() - begin_s)
    assert statistics.median(took_s) < 0.035  # Nagle against a delayed acknowledge would take 44 ms each time


def test_messages_keep_their_spacing(script: Any, transport: Any, clock: WallClock) -> None:
    link = transport(script(IDN, *[("A?", "1")] * 5), spacing_s=0.02)
    begin_s = clock.now()
    for _ in range(5):
        link.query("A?")
    assert clock.now() - begin_s >= 5 * 0.02


def test_in_a_callback_a_question_that_is_too_early_is_left_to_the_next_tick(
    script: Any, transport: Any, clock: WallClock
) -> None:
    link = transport(script(IDN, ("A?", "1"), ("B?", "2"), ("C?", "3"), ("D?", "4")), spacing_s=0.05)
    found: list[object] = []

    def ask(*questions: str) -> Callable[[], None]:
        def tick() -> None:
            try:
                found.extend(link.query(question) for question in questions)
            except NotDue as problem:
                found.append(type(problem))

        return tick

    assert link.query("A?") == "1"
    clock.at(clock.now(), ask("B?"))
    clock.sleep(0.15)
    assert found == [NotDue]
    clock.at(clock.now(), ask("B?", "C?", "D?"))
    clock.sleep(0.3)
    assert found == [NotDue, "2", "3", "4"]  # its own questions follow each other, 50 ms apart
    b, d = (next(each.at_s for each in link.trace if each.text == text) for text in ("B?", "D?"))
    assert d - b >= 0.1


def test_threads_never_share_an_exchange(script: Any, transport: Any) -> None:
    link = transport(script(IDN, *[("A?", "1")] * 200), timeout_s=5.0)
    answers: list[str] = []

    def ask() -> None:
        for _ in range(50):
            answers.append(link.query("A?"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == ["1"] * 200
    sent = [each.sent for each in link.trace]
    assert all(a != b for a, b in itertools.pairwise(sent))


def ctrl_c_at(link: ScpiTransport, question: str) -> None:
    """Ask, and be interrupted before the answer is read."""

    def interrupted() -> str:
        link._send(question)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        link.exchange(interrupted, what=question)


def test_a_ctrl_c_between_question_and_answer_leaves_an_open_conversation_in_step(script: Any, transport: Any) -> None:
    """An instrument that takes one client must still be switched off at once; the answer is nobody's."""
    link = transport(script(IDN, ("A?", "1"), IDN, ("B?", "2")))
    ctrl_c_at(link, "A?")
    assert link.is_open
    assert link.query("B?") == "2"


@pytest.mark.parametrize("late", [[(1.5, b"1\n")], [(0.0, b"1"), (1.5, b"2\n")]], ids=["late", "in pieces"])
def test_a_ctrl_c_closes_the_conversation_where_the_answer_does_not_come_soon(
    script: Any, transport: Any, late: Any
) -> None:
    server = script(IDN, ("A?", late), IDN, IDN, ("B?", "2"))
    link = transport(server)
    ctrl_c_at(link, "A?")
    assert not link.is_open
    assert link.query("B?") == "2"


def test_a_second_ctrl_c_closes_the_conversation(script: Any, transport: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(seconds: float) -> None:
        raise KeyboardInterrupt

    link = transport(script(IDN, ("A?", "1"), IDN, ("B?", "2")))
    monkeypatch.setattr(link, "_listen", impatient)
    ctrl_c_at(link, "A?")
    assert not link.is_open
    assert link.query("B?") == "2"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals on this system")
def test_lines_on_a_serial_port_are_asked_and_answered(clock: WallClock) -> None:
    import tty  # not on Windows

    controller, line = os.openpty()
    tty.setraw(line)
    answers = {b"*IDN?\n": b"Maker,Model,SN1,1.0\n", b"MEAS:VOLT?\n": b"12.5V\n", b"SILENT?\n": b""}

    def instrument() -> None:
        for _ in answers:
            command = b""
            while not command.endswith(b"\n"):
                command += os.read(controller, 1)
            os.write(controller, answers[command])

    thread = threading.Thread(target=instrument, daemon=True)
    thread.start()
    link = ScpiTransport("dut", f"serial:{os.ttyname(line)},115200", clock=clock, record=lambda _: None, timeout_s=2.0)
    assert link.connect() == "Maker,Model,SN1"
    assert Scpi(link).query_float("MEAS:VOLT?", "V") == 12.5
    with pytest.raises(InstrumentTimeout):
        link.query("SILENT?", timeout_s=SHORT_S)
    assert not link.is_open
    thread.join(5)
    os.close(controller)
    os.close(line)


class Silence:
    """Stands for a virtual instrument that reads a question and announces that it will not answer."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.clock = clock
        self.connections: list[socket.socket] = []
        self.answers = {b"*IDN?\n": b"Maker,Model,SN1,1.0\n"}
        self.served: list[tuple[bytes, float]] = []
        clock.add_server(self.serve)

    def serve(self) -> None:
        import select

        while select.select([self.server], [], [], 0)[0]:
            self.connections.append(self.server.accept()[0])
        for connection in list(self.connections):
            while select.select([connection], [], [], 0)[0]:
                data = connection.recv(4096)
                if not data:
                    connection.close()
                    self.connections.remove(connection)
                    break
                self.served.append((data, self.clock.now()))
                if data in self.answers:
                    connection.sendall(self.answers[data])
                elif data.endswith(b"?\n"):
                    self.clock.announce_silence(self.port)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.server.close()


@pytest.fixture
def silence() -> Iterator[Silence]:
    """A virtual instrument that is silent but for its name, in simulated time."""
    peer = Silence(SimulatedClock())
    yield peer
    peer.close()


def test_an_announced_silence_costs_simulated_time_only(silence: Silence) -> None:
    clock = silence.clock
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None, timeout_s=30.0)
    link.connect()
    begin_s, begin_wall = clock.now(), time.monotonic()
    with pytest.raises(InstrumentTimeout, match="30 s"):
        link.query("A?")
    assert clock.now() - begin_s == 30.0
    assert time.monotonic() - begin_wall < 15.0
    silence.answers[b"B?\n"] = b"2\n"
    assert link.query("B?") == "2"  # the announcement belonged to the question before
    link.close()


def test_a_ctrl_c_leaves_a_conversation_in_simulated_time_in_step_in_a_callback_too(silence: Silence) -> None:
    clock = silence.clock
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None)
    link.connect()
    silence.answers.update({b"A?\n": b"1\n", b"B?\n": b"2\n"})
    ctrl_c_at(link, "A?")
    clock.at(1.0, lambda: ctrl_c_at(link, "A?"))
    clock.sleep(2.0)
    assert link.is_open
    assert link.query("B?") == "2"
    assert len(silence.connections) == 1
    assert clock.now() == 2.0, "it cost no time"
    link.close()


def test_a_command_is_served_before_simulated_time_moves(silence: Silence) -> None:
    clock = silence.clock
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None)
    link.connect()
    for _ in range(100):
        now_s = clock.now()
        link.write("OUTP ON")
        assert silence.served[-1] == (b"OUTP ON\n", now_s)
        clock.sleep(0.1)
    link.close()


def test_what_a_virtual_instrument_is_owed_is_spent_after_the_exchange(silence: Silence) -> None:
    clock = silence.clock
    silence.answers[b"READ?\n"] = b"1.0\n"
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None)
    link.connect()
    clock.owe(0.2)
    begin_s = clock.now()
    assert link.query("READ?") == "1.0"
    assert clock.now() - begin_s == pytest.approx(0.2)
    link.close()


def test_spacing_passes_in_simulated_time(silence: Silence) -> None:
    clock = silence.clock
    silence.answers[b"A?\n"] = b"1\n"
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None, spacing_s=0.005)
    link.connect()
    begin_s = clock.now()
    for _ in range(10):
        link.query("A?")
    assert clock.now() - begin_s == pytest.approx(0.05)
    link.close()


def test_in_a_simulated_callback_several_questions_fit_into_one_instant(silence: Silence) -> None:
    clock = silence.clock
    silence.answers[b"A?\n"] = b"1\n"
    link = ScpiTransport("dut", f"tcp:127.0.0.1:{silence.port}", clock=clock, record=lambda _: None, spacing_s=0.005)
    link.connect()
    found: list[str] = []
    clock.every(0.1, lambda: found.extend([link.query("A?"), link.query("A?")]))
    clock.sleep(1.0)
    assert found == ["1"] * 20
    link.close()


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12.5", "V", 12.5),
        ("+1.250000E+01", "V", 12.5),
        ("12.500000E0", "V", 12.5),
        ("12.5V", "V", 12.5),
        ("12.5 V", "V", 12.5),
        ("-100.1A", "A", -100.1),
        ("-2534W", "W", -2534.0),
        ("2.5kW", "W", 2500.0),
        (" 15mV ", "V", 0.015),
        (".5", "A", 0.5),
    ],
)
def test_numbers_are_read_in_every_dialect(script: Any, transport: Any, text: str, unit: str, value: float) -> None:
    link = Scpi(transport(script(IDN, ("A?", text))))
    assert link.query_float("A?", unit) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "V",
        "12.5V",
        "12,5",
        "nan",
        "NAN",
        "inf",
        "-inf",
        "1_0",
        "0x10",
        "9.9E37",
        "-9.91E+37",
        "12.5A, 3V",
        "1e",
        "--1",
    ],
)
def test_what_is_no_current_never_becomes_a_number(script: Any, transport: Any, text: str) -> None:
    link = Scpi(transport(script(IDN, ("A?", text))))
    with pytest.raises(InstrumentError):
        link.query_float("A?", "A")


def test_all_errors_in_the_queue_are_told_and_drained(script: Any, transport: Any) -> None:
    queue = [
        ("SYST:ERR?", '-222,"Data out of range"'),
        ("SYST:ERR?", "-100 Command error"),
        ("SYST:ERR?", "0  No Error"),
    ]
    link = Scpi(transport(script(IDN, ("VOLT 99", None), *queue)))
    with pytest.raises(InstrumentError, match=r"'VOLT 99': -222 Data out of range; -100 Command error"):
        link.write_checked("VOLT 99")


def test_a_queue_that_never_empties_ends_after_twenty(script: Any, transport: Any) -> None:
    link = Scpi(transport(script(IDN, *[("SYST:ERR?", '-350,"Queue overflow"')] * 20)))
    with pytest.raises(InstrumentError, match="not empty after 20"):
        link.check_errors("X")
