"""What `bmsbench lab` prints: the table of addresses, and lines that work when pasted."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from instruments.virtual.lab import Lab, Served


def table(lab: Lab) -> list[str]:
    """Return the addresses, a line each, under a head."""
    rows = [("name", "what it is", "protocol", "address")]
    rows += [(each.name, each.what, each.protocol, f"{each.host}:{each.port}") for each in lab.served]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def examples(lab: Lab, definition: Path | None, bms: str) -> list[tuple[str, str]]:
    """Return lines for a shell, each with what it shows. They work while the lab runs."""
    served = {each.name: each for each in lab.served}
    lines: list[tuple[str, str]] = []
    scpi = next((each for each in lab.served if each.protocol == "SCPI"), None)
    if scpi is not None:
        lines.append((f"ask {scpi.name} who it is, with a plain socket", _socket_line(scpi)))
        lines.append(("the same through PyVISA", _pyvisa_line(scpi)))
    relays = [
        each for each in lab.served if each.protocol == "Modbus RTU over TCP" and each.name not in lab.profile.links
    ]
    if relays:
        lines.append((f"the coils of {relays[0].name} through pymodbus", _coils_line(relays[0])))
    for name in lab.profile.links:
        if name in served:
            lines.append(_link_line(lab, served[name]))
    if definition is not None:
        where = f"--bench {shlex.quote(str(definition))} --bms {shlex.quote(bms)}"
        command = _bmsbench()
        lines.append(("is everything wired, and the right way round", f"{command} check {where}"))
        lines.append(
            (
                "one test of the sign, in real time (without -k: all of them)",
                f'{command} run current_sign/test_sign.py -k "10pct and not discharge" {where}',
            )
        )
    return lines


def _link_line(lab: Lab, served: Served) -> tuple[str, str]:
    if served.protocol == "socketcand":
        code = (
            f"import can; bus = can.Bus(interface='socketcand', host='{served.host}', port={served.port}, "
            f"channel='{lab.can_name}'); [print(bus.recv(1)) for _ in range(5)]; bus.shutdown()"
        )
        return "five frames of the BMS through python-can", _python(code)
    rtu = served.protocol == "Modbus RTU over TCP"
    framer = ", framer=FramerType.RTU" if rtu else ""
    signal = next(
        part
        for name, part in lab.profile.signals.items()
        if part.link == served.name and getattr(part, "function", 0) in (3, 4)
    )
    read = "read_input_registers" if getattr(signal, "function", 0) == 4 else "read_holding_registers"
    unit = getattr(signal, "unit_id", None)
    if unit is None:
        unit = getattr(lab.profile.links[served.name], "unit_id", 1)
    code = (
        f"from pymodbus import FramerType; from pymodbus.client import ModbusTcpClient as C; "
        f"c = C('{served.host}', port={served.port}{framer}); c.connect(); "
        f"print(c.{read}({getattr(signal, 'address', 0)}, count=1, device_id={unit}).registers); c.close()"
    )
    return "a register of the BMS through pymodbus (its current, raw)", _python(code)


def _socket_line(served: Served) -> str:
    code = (
        f"import socket; s = socket.create_connection(('{served.host}', {served.port})); "
        r"s.sendall(b'*IDN?\n'); print(s.recv(200).decode().strip())"
    )
    return _python(code)


def _pyvisa_line(served: Served) -> str:
    code = (
        "import pyvisa; i = pyvisa.ResourceManager('@py').open_resource("
        rf"'TCPIP::{served.host}::{served.port}::SOCKET', read_termination='\n', write_termination='\n'); "
        "print(i.query('*IDN?').strip()); i.close()"
    )
    return _python(code)


def _coils_line(served: Served) -> str:
    code = (
        "from pymodbus import FramerType; from pymodbus.client import ModbusTcpClient as C; "
        f"c = C('{served.host}', port={served.port}, framer=FramerType.RTU); c.connect(); "
        "print(c.read_coils(0, count=8, device_id=1).bits); c.close()"
    )
    return _python(code)


def _python(code: str) -> str:
    """A line for a POSIX shell and for cmd alike: double quotes outside, single ones inside."""
    return f'{_interpreter()} -c "{code}"'


def _interpreter() -> str:
    """The interpreter that has the libraries, as short as it can be written from here."""
    path = Path(sys.executable)
    try:
        shown = path.relative_to(Path.cwd())
    except ValueError:
        shown = path
    return str(shown) if os.name == "nt" else shlex.quote(str(shown))


def _bmsbench() -> str:
    found = shutil.which("bmsbench")
    here = Path(sys.executable).parent
    return "bmsbench" if found and Path(found).parent == here else f"{_interpreter()} -m bmsbench"
