"""Our python-can interface: synchronous, on the bench's clock."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

import can
import pytest

from bench.can_hub import CanHub
from bench.clock import Rank
from bench.frames import CanFrame
from bench.simulated_clock import SimulatedClock
from bench.wall_clock import WallClock
from instruments.transports.can_bus import SimulatedBus


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def hub(clock: SimulatedClock) -> Iterator[CanHub]:
    hub = CanHub("test-bus", clock)
    yield hub
    hub.close()


def test_a_frame_has_arrived_before_sleep_returns_and_carries_simulated_time(
    hub: CanHub, clock: SimulatedClock
) -> None:
    bus = SimulatedBus("test-bus")
    other = hub.attach("other", lambda _: None)
    clock.every(0.1, lambda: other.send(CanFrame(0, 0x233, b"\x01")), rank=Rank.CAN)
    clock.sleep(1.0)
    received = [bus.recv(0) for _ in range(10)]
    assert [message.timestamp for message in received if message] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert bus.recv(0) is None


def test_a_sink_is_called_while_the_frame_is_sent(hub: CanHub) -> None:
    bus = SimulatedBus("test-bus")
    heard: list[CanFrame] = []
    bus.set_sink(heard.append)
    hub.attach("other", lambda _: None).send(CanFrame(0, 0x18FF0140, b"\x01\x02", extended=True))
    assert [(frame.can_id, frame.extended, frame.data) for frame in heard] == [(0x18FF0140, True, b"\x01\x02")]


def test_waiting_for_a_frame_does_not_hang_when_time_stands_still(hub: CanHub) -> None:
    assert SimulatedBus("test-bus").recv(timeout=0.01) is None


def test_nobody_there_to_acknowledge_is_an_error(hub: CanHub) -> None:
    bus = SimulatedBus("test-bus")
    with pytest.raises(can.CanOperationError, match="nobody acknowledges"):
        bus.send(can.Message(arbitration_id=0x210, is_extended_id=False, data=[0]))


def test_a_bus_that_is_not_open_cannot_be_joined() -> None:
    with pytest.raises(can.CanInitializationError, match="'nowhere'"):
        SimulatedBus("nowhere")


@pytest.mark.parametrize("kind", [{"is_fd": True}, {"is_remote_frame": True}])
def test_what_the_bus_does_not_carry_is_refused(hub: CanHub, kind: dict[str, bool]) -> None:
    bus = SimulatedBus("test-bus")
    hub.attach("other", lambda _: None)
    with pytest.raises(can.CanOperationError, match="classic data frames only"):
        bus.send(can.Message(arbitration_id=1, is_extended_id=False, **kind))


def test_the_librarys_periodic_sending_keeps_simulated_time(hub: CanHub, clock: SimulatedClock) -> None:
    bus = SimulatedBus("test-bus")
    heard: list[CanFrame] = []
    hub.attach("other", heard.append)
    task = bus.send_periodic(can.Message(arbitration_id=0x210, is_extended_id=False, data=[1]), 0.1)
    clock.sleep(200.0)
    assert len(heard) == 2001
    task.modify_data(can.Message(arbitration_id=0x210, is_extended_id=False, data=[2]))
    clock.sleep(0.1)
    assert heard[-1].data == b"\x02"
    bus.shutdown()
    clock.sleep(1.0)
    assert len(heard) == 2002


def test_periodic_sending_for_a_time_ends_by_itself(hub: CanHub, clock: SimulatedClock) -> None:
    bus = SimulatedBus("test-bus")
    heard: list[CanFrame] = []
    hub.attach("other", heard.append)
    bus.send_periodic(can.Message(arbitration_id=0x210, is_extended_id=False, data=[1]), 0.1, duration=0.45)
    clock.sleep(5.0)
    assert [frame.at_s for frame in heard] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_on_the_wall_receiving_waits_as_long_as_asked() -> None:
    clock = WallClock()
    hub = CanHub("wall-bus", clock)
    try:
        bus = SimulatedBus("wall-bus")
        other = hub.attach("other", lambda _: None)
        clock.at(clock.now() + 0.05, lambda: other.send(CanFrame(0, 0x100, b"")))
        message = bus.recv(timeout=5.0)
        assert message is not None
        assert message.arbitration_id == 0x100
    finally:
        hub.close()
        clock.close()


def test_filters_of_the_library_apply(hub: CanHub) -> None:
    bus = SimulatedBus("test-bus", can_filters=[{"can_id": 0x233, "can_mask": 0x7FF}])
    other = hub.attach("other", lambda _: None)
    other.send(CanFrame(0, 0x100, b"\x01"))
    other.send(CanFrame(0, 0x233, b"\x02"))
    message = bus.recv(0.01)
    while message is None:
        message = bus.recv(0.01)
    assert message.arbitration_id == 0x233


def test_the_installed_package_offers_the_interface_to_python_can(hub: CanHub) -> None:
    if not any(entry.name == "bmsbench" for entry in entry_points(group="can.interface")):
        pytest.skip("bmsbench is not installed here, so its entry point is not registered")
    with can.Bus(interface="bmsbench", channel="test-bus") as bus:
        assert isinstance(bus, SimulatedBus)
