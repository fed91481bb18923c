"""Open the link of a profile on what a bench definition binds it to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.clock import Clock
from bench.errors import DefinitionError, InstrumentError, LinkError
from bench.frames import CanFrame
from bench.loading import nearest
from bench.profile import CanDbcLink as CanDbcSection
from bench.profile import ModbusLink as ModbusSection
from bench.profile import Profile
from bench.roles import BmsLink, Record

BITS_PER_CHARACTER = 11  # Modbus over serial line 1.02, 2.5.1: start, 8 data, parity or second stop, stop
SILENT_CHARACTERS = 3.5  # the same, 2.5.1.1: between two RTU frames
FASTEST_SILENCE_S = 0.00175  # the same: above 19200 baud


def open_link(
    profile: Profile,
    link_name: str,
    binding: Mapping[str, Any],
    clock: Clock,
    record: Record,
    on_frame: Callable[[CanFrame], None],
) -> BmsLink:
    """Check a link's part of the profile and open it.

    `binding` is the link's section of the bench definition: for CAN `interface`, `channel` and perhaps `options`
    of python-can's interface; for Modbus `address`. Every CAN frame goes to `on_frame`, every Modbus message to
    `record`.

    Raises:
        DefinitionError: profile, database or binding are wrong; nothing was opened.
        LinkError: the adapter or the connection cannot be had.
    """
    section = profile.links.get(link_name)
    if section is None:
        raise DefinitionError(
            f"{profile.source.name}: there is no link {link_name!r}{nearest(link_name, profile.links)}"
        )
    if isinstance(section, CanDbcSection):
        from instruments.links.can_dbc import CanDbcLink

        return CanDbcLink(link_name, profile, binding, clock=clock, on_frame=on_frame)
    return _open_modbus(profile, link_name, section, binding, clock, record)


def _open_modbus(
    profile: Profile,
    link_name: str,
    section: ModbusSection,
    binding: Mapping[str, Any],
    clock: Clock,
    record: Record,
) -> BmsLink:
    from instruments.links.modbus_map import ModbusMapLink
    from instruments.transports.modbus import ModbusTransport

    address = str(binding.get("address") or "")
    if not address:
        raise DefinitionError(
            f"links.{link_name}: address is missing; write for example "
            'address = "tcp:192.0.2.30:502" or address = "serial:/dev/ttyUSB0"'
        )
    spacing_s = 0.0
    if section.framing == "rtu":
        spacing_s = max(FASTEST_SILENCE_S, SILENT_CHARACTERS * BITS_PER_CHARACTER / section.baudrate)
    transport = ModbusTransport(
        link_name,
        address,
        clock=clock,
        record=record,
        device_id=section.unit_id,
        framing=section.framing,
        spacing_s=spacing_s,
        default_baud=section.baudrate,
    )
    link = ModbusMapLink(link_name, profile, transport, clock=clock, where=address)
    try:
        transport.connect()
    except InstrumentError as problem:
        raise LinkError(f"link {link_name}: {problem}") from problem
    return link
