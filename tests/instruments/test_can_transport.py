"""The CAN transport, in simulated time and over a real socket to a socketcand server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import can
import pytest

from bench.can_hub import CanHub
from bench.clock import Clock, Rank, wait_until
from bench.errors import DefinitionError, LinkError
from bench.frames import CanFrame
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.transports.can import CanTransport
from instruments.transports.can_cyclic import CyclicMessage
from instruments.virtual.socketcand_server import SocketcandServer


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def hub(clock: SimulatedClock) -> Iterator[CanHub]:
    hub = CanHub("can-test", clock)
    yield hub
    hub.close()


def test_received_and_sent_frames_are_seen_in_order_with_their_time(hub: CanHub, clock: SimulatedClock) -> None:
    seen: list[CanFrame] = []
    transport = CanTransport.open("bmsbench", "can-test", clock, seen.append)
    bms = hub.attach("bms", lambda _: None)
    clock.every(0.1, lambda: bms.send(CanFrame(0, 0x233, b"\x01")), rank=Rank.CAN)
    clock.sleep(0.15)
    transport.send(CanFrame(0, 0x210, b"\x02"))
    clock.sleep(0.05)
    assert [(f.at_s, f.can_id, f.outgoing) for f in seen] == [
        (pytest.approx(0.1), 0x233, False),
        (pytest.approx(0.15), 0x210, True),
        (pytest.approx(0.2), 0x233, False),
    ]


def test_a_cyclic_message_goes_out_at_once_and_then_on_its_grid(hub: CanHub, clock: SimulatedClock) -> None:
    heard: list[CanFrame] = []
    hub.attach("bms", heard.append)
    transport = CanTransport.open("bmsbench", "can-test", clock, lambda _: None)
    clock.sleep(0.03)
    message = transport.send_cyclic(CanFrame(0, 0x210, b"\x00"), 0.1)
    clock.sleep(0.25)
    message.update(b"\x01")
    clock.sleep(0.1)
    assert [frame.at_s for frame in heard] == pytest.approx([0.03, 0.13, 0.23, 0.33])
    assert [frame.data for frame in heard] == [b"\x00", b"\x00", b"\x00", b"\x01"]
    message.stop()
    clock.sleep(1.0)
    assert len(heard) == 4
    assert (message.sent, message.skipped, message.refused) == (4, 0, 0)


class LateClock(SimulatedClock):
    """Calls back when the test says so, as a stalled computer does."""

    def every(self, period_s: float, callback, *, rank=Rank.CALLBACK):  # type: ignore[no-untyped-def]
        self.callback = callback
        return super().every(1e6, callback, rank=rank)


def test_missed_slots_are_skipped_and_counted_never_sent_back_to_back() -> None:
    clock = LateClock()
    sent: list[float] = []

    def try_send(_: CanFrame) -> bool:
        sent.append(clock.now())
        return True

    message = CyclicMessage(try_send, clock, CanFrame(0, 0x210, b""), 0.1)
    for wait_s in (0.1, 0.1, 0.35, 0.05):
        clock.sleep(wait_s)
        clock.callback()
    assert sent == pytest.approx([0.0, 0.1, 0.2, 0.55, 0.6])
    assert message.skipped == 2


def test_frames_that_nobody_acknowledges_are_counted_and_the_next_one_may_get_through(
    hub: CanHub, clock: SimulatedClock
) -> None:
    transport = CanTransport.open("bmsbench", "can-test", clock, lambda _: None)
    with pytest.raises(LinkError, match=r"bmsbench:can-test: cannot send 210 .* nobody acknowledges"):
        transport.send(CanFrame(0, 0x210, b"\x00"))
    message = transport.send_cyclic(CanFrame(0, 0x210, b"\x00"), 0.1)
    clock.sleep(0.2)
    assert (message.sent, message.refused) == (0, 3)
    assert "nobody acknowledges" in transport.health().send_problem
    heard: list[CanFrame] = []
    hub.attach("bms", heard.append)
    clock.sleep(0.1)
    assert len(heard) == 1
    assert transport.health().send_problem == ""
    assert transport.health().acknowledged_at_s == pytest.approx(0.3)


def test_closing_leaves_the_bus_and_stops_cyclic_messages(hub: CanHub, clock: SimulatedClock) -> None:
    heard: list[CanFrame] = []
    hub.attach("bms", heard.append)
    transport = CanTransport.open("bmsbench", "can-test", clock, lambda _: None)
    transport.send_cyclic(CanFrame(0, 0x210, b""), 0.1)
    transport.close()
    transport.close()
    clock.sleep(1.0)
    assert len(heard) == 1


def test_an_interface_that_python_can_does_not_know_is_a_definition_error(clock: Clock) -> None:
    with pytest.raises(DefinitionError, match=r"'socketcann'.*did you mean 'socketcan"):
        CanTransport.open("socketcann", "can0", clock, lambda _: None)


def test_a_channel_that_is_not_there_is_a_link_error(clock: Clock) -> None:
    with pytest.raises(LinkError, match="bmsbench:nowhere cannot be opened"):
        CanTransport.open("bmsbench", "nowhere", clock, lambda _: None)


def test_python_can_is_not_imported_before_an_adapter_is_opened() -> None:
    code = (
        "import sys, instruments.transports.can, instruments.links.opening, instruments.links.can_dbc\n"
        "sys.exit(any(name == 'can' or name.startswith(('can.', 'cantools')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Over a socket, in real time.


@pytest.fixture
def wall() -> Iterator[WallClock]:
    clock = WallClock()
    yield clock
    clock.close()


@pytest.fixture
def served(wall: WallClock) -> Iterator[tuple[CanHub, SocketcandServer]]:
    hub = CanHub("can-served", wall)
    with SocketcandServer(hub) as server:
        yield hub, server
    hub.close()


def open_served(server: SocketcandServer, clock: Clock, seen: list[CanFrame]) -> CanTransport:
    host, port = server.address
    return CanTransport.open("socketcand", "can-served", clock, seen.append, host=host, port=port)


def test_frames_travel_both_ways_through_python_cans_own_client(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    hub, server = served
    heard: list[CanFrame] = []
    bms = hub.attach("bms", heard.append)
    seen: list[CanFrame] = []
    transport = open_served(server, wall, seen)
    try:
        transport.send_cyclic(CanFrame(0, 0x210, bytes(range(8))), 0.02)
        wall.every(0.02, lambda: bms.send(CanFrame(0, 0x18FF0140, b"\xfe\x0c", extended=True)), rank=Rank.CAN)
        assert wait_until(wall, lambda: len(heard) > 5 and sum(not f.outgoing for f in seen) > 5, timeout_s=30)
        assert (heard[0].can_id, heard[0].extended, heard[0].data) == (0x210, False, bytes(range(8)))
        received = [frame for frame in seen if not frame.outgoing]
        assert (received[0].can_id, received[0].extended, received[0].data) == (0x18FF0140, True, b"\xfe\x0c")
        assert all(abs(frame.at_s - wall.now()) < 10 for frame in received)
        assert transport.health().heard_at_s is not None
    finally:
        transport.close()


def test_a_server_that_goes_away_is_noticed_and_costs_no_processor_time(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    hub, server = served
    hub.attach("bms", lambda _: None)
    transport = open_served(server, wall, [])
    try:
        server.close()
        assert wait_until(wall, lambda: bool(transport.lost), timeout_s=30)
        assert "closed the connection" in transport.lost
        before = os.times()
        wall.sleep(0.5)
        after = os.times()
        assert after.user + after.system - before.user - before.system < 0.25
        with pytest.raises(LinkError, match="closed the connection"):
            transport.send(CanFrame(0, 0x210, b""))
    finally:
        transport.close()


def test_nobody_listening_is_a_link_error_at_once(wall: WallClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    start_s = wall.now()
    with pytest.raises(LinkError, match=f"no socketcand server at 127.0.0.1:{port}"):
        CanTransport.open("socketcand", "x", wall, lambda _: None, host="127.0.0.1", port=port)
    assert wall.now() - start_s < 6


def test_a_server_of_something_else_is_a_link_error(wall: WallClock) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"220 mail ready")
            peer.recv(100)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    host, port = listener.getsockname()
    with listener, pytest.raises(LinkError, match=r"does not open this bus, it says '220 mail ready'"):
        CanTransport.open("socketcand", "x", wall, lambda _: None, host=host, port=port)
    thread.join(5)


def test_a_bus_that_the_server_does_not_have_is_a_link_error(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    host, port = served[1].address
    with pytest.raises(LinkError, match="no bus 'can7': this is can-served"):
        CanTransport.open("socketcand", "can7", wall, lambda _: None, host=host, port=port)


def test_a_frame_glued_to_the_answer_of_rawmode_is_survived(wall: WallClock) -> None:
    """The library reads that answer with one recv and gives up if a frame came along."""
    listener = socket.create_server(("127.0.0.1", 0))
    attempts: list[int] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.sendall(b"< hi >")
                peer.recv(100)
                peer.sendall(b"< ok >")
                if not peer.recv(100):  # the transport's look whether this bus is served
                    continue
                attempts.append(1)
                peer.sendall(b"< ok >" + (b"< frame 233 1.5 00 >" if len(attempts) == 1 else b""))
                peer.recv(100)

    threading.Thread(target=serve, daemon=True).start()
    try:
        port = listener.getsockname()[1]
        CanTransport.open("socketcand", "x", wall, lambda _: None, host="127.0.0.1", port=port).close()
        assert len(attempts) == 2
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_callback_that_fails_reaches_the_owner_at_its_next_sleep(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    hub, server = served
    bms = hub.attach("bms", lambda _: None)

    def full_disk(_: CanFrame) -> None:
        raise OSError("no space left on device")

    host, port = server.address
    transport = CanTransport.open("socketcand", "can-served", wall, full_disk, host=host, port=port)
    try:
        wall.sleep(0.2)
        bms.send(CanFrame(0, 0x233, b""))
        with pytest.raises(OSError, match="no space left"):
            wait_until(wall, lambda: False, timeout_s=5)
    finally:
        transport.close()


def talk(server: SocketcandServer) -> socket.socket:
    peer = socket.create_connection(server.address, timeout=5)
    assert peer.recv(100) == b"< hi >"
    return peer


def expect(peer: socket.socket, text: bytes) -> None:
    got = b""
    while len(got) < len(text):
        piece = peer.recv(1000)
        assert piece, f"closed after {got!r}"
        got += piece
    assert got == text


def test_commands_may_come_cut_into_bytes_or_glued_together(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    hub, server = served
    heard: list[CanFrame] = []
    hub.attach("bms", heard.append)
    with talk(server) as peer:
        for byte in b"< open can-served >":
            peer.sendall(bytes([byte]))
        expect(peer, b"< ok >")
        peer.sendall(b"< rawmode >< send 123 2 a ff >< send 00000123 0 >< echo >")
        expect(peer, b"< ok >< echo >")
        assert wait_until(wall, lambda: len(heard) == 2, timeout_s=30) is not None
    assert [(f.can_id, f.extended, f.data) for f in heard] == [(0x123, False, b"\x0a\xff"), (0x123, True, b"")]


@pytest.mark.parametrize(
    "command",
    [
        b"< send 123 2 a >",
        b"< send 900 1 0 >",
        b"< send 123 9 0 0 0 0 0 0 0 0 0 >",
        b"< send 123 1 100 >",
        b"< send xyz 1 0 >",
        b"< send >",
    ],
)
def test_a_frame_that_is_none_is_refused(served: tuple[CanHub, SocketcandServer], command: bytes) -> None:
    hub, server = served
    heard: list[CanFrame] = []
    hub.attach("bms", heard.append)
    with talk(server) as peer:
        peer.sendall(b"< open can-served >< rawmode >" + command)
        expect(peer, b"< ok >< ok >< error cannot send " + repr(command[7:-2].decode().strip()).encode() + b" >")
    assert heard == []


def test_another_bus_is_refused_and_nothing_is_sent_before_rawmode(
    served: tuple[CanHub, SocketcandServer],
) -> None:
    _, server = served
    with talk(server) as peer:
        peer.sendall(b"< open can0 >")
        expect(peer, b"< error no bus 'can0': this is can-served >")
        peer.sendall(b"< send 123 0 >")
        expect(peer, b"< error unknown command 'send' >")


def test_a_frame_that_nobody_acknowledges_comes_back_as_an_error_frame(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    _, server = served
    seen: list[CanFrame] = []
    transport = open_served(server, wall, seen)
    try:
        transport.send(CanFrame(0, 0x210, b"\x00"))
        assert wait_until(wall, lambda: transport.health().error_frames == 1, timeout_s=30) is not None
        assert seen[-1].error
    finally:
        transport.close()


def test_two_clients_hear_each_other_but_not_themselves(served: tuple[CanHub, SocketcandServer]) -> None:
    _, server = served
    host, port = server.address
    with (
        can.Bus(interface="socketcand", channel="can-served", host=host, port=port) as one,
        can.Bus(interface="socketcand", channel="can-served", host=host, port=port) as two,
    ):
        one.send(can.Message(arbitration_id=0x111, is_extended_id=False, data=[1]))
        message = two.recv(5)
        assert message is not None
        assert (message.arbitration_id, bytes(message.data)) == (0x111, b"\x01")
        assert one.recv(0.2) is None


def test_a_client_that_never_reads_is_dropped_and_the_bus_goes_on(
    served: tuple[CanHub, SocketcandServer], wall: WallClock
) -> None:
    hub, server = served
    bms = hub.attach("bms", lambda _: None)
    with talk(server) as peer:
        peer.sendall(b"< open can-served >< rawmode >")
        expect(peer, b"< ok >< ok >")
        frame = CanFrame(0, 0x233, bytes(8))

        def flood() -> bool:
            try:
                for _ in range(2000):
                    bms.send(frame)
            except ConnectionError:  # the client has been dropped, so nobody acknowledges any more
                return True
            return False

        assert wait_until(wall, flood, timeout_s=30) is not None


def test_what_is_not_the_protocol_is_disconnected(served: tuple[CanHub, SocketcandServer]) -> None:
    _, server = served
    with talk(server) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n" * 100)
        assert peer.recv(100) == b""
