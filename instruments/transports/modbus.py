"""The one door of pymodbus: Modbus TCP, RTU over TCP, and RTU on a serial port.

What pymodbus (3.16) does by itself and must not here: it waits 3 s four times over, takes a late RTU answer
as the answer to the next request, does not compare the function of an answer with the request, and sends
with Nagle's algorithm on. So: no retries, one time-out, every answer compared with its request, and after a
time-out the connection is closed, whatever the framing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU, FramerType
from pymodbus.pdu import DecodePDU, ModbusPDU

from bench.clock import Clock
from bench.errors import DefinitionError, InstrumentError
from bench.roles import Record
from instruments.transports.address import Address, parse_address
from instruments.transports.registers import EXCEPTIONS, Registers
from instruments.transports.serial import open_port
from instruments.transports.sockets import TimedSocket
from instruments.transports.wire import Wire

Framing = Literal["tcp", "rtu"]


class _Garbled(Exception):
    """Bytes that are no answer: wrong checksum, or another device's."""


class _Silent(Exception):
    """No answer came in time. (pymodbus turns a TimeoutError into an error of its own.)"""


class _StrictRtu(FramerRTU):
    """Says at once that a frame was dropped, instead of waiting for another until the time-out."""

    def handleFrame(self, data: bytes, exp_devid: int, exp_tid: int) -> tuple[int, ModbusPDU | None]:  # noqa: N802
        used, answer = super().handleFrame(data, exp_devid, exp_tid)
        if answer is None and used:
            raise _Garbled(data.hex(" "))
        return used, answer


class _TcpClient(ModbusTcpClient):
    """pymodbus's client, sending and waiting the way this bench does."""

    def __init__(self, address: Address, clock: Clock, **settings: Any) -> None:
        super().__init__(address.host, port=address.port, **settings)
        self._clock = clock
        self._timeout_s = float(settings["timeout"])
        self.wire: TimedSocket | None = None

    def connect(self) -> bool:
        if self.socket is None and super().connect():  # type: ignore[no-untyped-call]
            assert self.socket is not None
            self.wire = TimedSocket(self.socket, self._clock, self._timeout_s)
        return self.socket is not None

    def send(self, request: bytes, addr: tuple[Any, ...] | None = None) -> int:
        assert self.wire is not None
        self.wire.send(request)
        return len(request)

    def recv(self, size: int | None) -> bytes:
        assert self.wire is not None
        try:
            data = self.wire.receive(self._timeout_s)
        except TimeoutError:
            raise _Silent from None
        if not data:
            raise ConnectionAbortedError("the instrument closed the connection instead of answering")
        return data


class _SerialClient(ModbusSerialClient):
    """pymodbus's serial client on a port opened by this bench's own door."""

    def __init__(self, name: str, address: Address, default_baud: int, parity: str, **settings: Any) -> None:
        super().__init__(address.device, baudrate=address.baud or default_baud, parity=parity, **settings)
        self._name = name
        self._address = address
        self.wire = None  # pymodbus itself empties a serial port before it sends

    def connect(self) -> bool:
        if self.socket is None:
            settings = self.comm_params
            self.socket = open_port(
                self._name,
                self._address,
                default_baud=settings.baudrate,
                parity=settings.parity,
                timeout_s=settings.timeout_connect,
            )
            self.socket.inter_byte_timeout = self.inter_byte_timeout or None
        return True

    def recv(self, size: int | None) -> bytes:
        data = super().recv(size)
        if not data:
            raise _Silent
        return data


class ModbusTransport(Registers, Wire):
    """Registers and coils of one device.

    `framing` is the form of a frame on TCP: `tcp` with the MBAP header, `rtu` for a bridge or a converter.
    A serial port always carries RTU. `who` is asked after every (re)connection, see `Wire`; Modbus itself has
    no identity. `exceptions` gives a family's own meanings of exception codes.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        clock: Clock,
        record: Record,
        device_id: int = 1,
        framing: Framing = "tcp",
        timeout_s: float = 1.0,
        spacing_s: float = 0.0,
        reopen_within_s: float = 0.0,
        who: Callable[[ModbusTransport], str] | None = None,
        exceptions: Mapping[int, str] | None = None,
        default_baud: int = 9600,
        parity: str = "N",
    ) -> None:
        parsed = parse_address(address)
        super().__init__(
            name,
            parsed,
            clock=clock,
            record=record,
            timeout_s=timeout_s,
            spacing_s=spacing_s,
            reopen_within_s=reopen_within_s,
        )
        if parsed.kind not in ("tcp", "serial"):
            raise DefinitionError(f"{self.where}: Modbus needs tcp:HOST:PORT or serial:PORT,BAUD")
        self.device_id = device_id
        self._ask_who = who
        self._exceptions = {**EXCEPTIONS, **(exceptions or {})}
        self._got = b""
        settings: dict[str, Any] = {"timeout": timeout_s, "retries": 0, "trace_packet": self._trace}
        rtu = parsed.kind == "serial" or framing == "rtu"
        settings["framer"] = FramerType.RTU if rtu else FramerType.SOCKET
        self._client: _TcpClient | _SerialClient
        if parsed.kind == "serial":
            self._client = _SerialClient(name, parsed, default_baud, parity, **settings)
        else:
            self._client = _TcpClient(parsed, clock, **settings)
        if rtu:
            strict = _StrictRtu(DecodePDU(False))
            self._client.framer = strict
            self._client.transaction.framer = strict

    @property
    def is_open(self) -> bool:
        """True while there is a connection that is in step."""
        return self._client.socket is not None

    def _ask(self, function: int, call: str, address: int, **values: Any) -> Any:
        what = f"function {function:02} at {address}"
        return self.exchange(self._request, function, getattr(self._client, call), address, what, values, what=what)

    def _request(self, function: int, call: Callable[..., Any], address: int, what: str, values: dict[str, Any]) -> Any:
        if self.clock.simulated:
            self.clock.forget_silence(self.address.port)
        self._got = b""
        try:
            answer = call(address, **{"device_id": self.device_id, **values})
        except _Silent:
            raise TimeoutError from None
        except _Garbled as problem:
            self._disconnect()
            raise InstrumentError(
                f"{self.where}: the answer to {what} is garbled (checksum, or another device): {problem}"
            ) from None
        except ModbusException as problem:
            self._disconnect()
            raise InstrumentError(
                f"{self.where}: the answer to {what} is not usable ({problem}), received {self._got.hex(' ')}"
            ) from problem
        finally:
            if self._got:
                self.note(False, self._got.hex(" "))
        if answer.function_code & 0x7F != function:
            raise self._out_of_step(function, address, f"an answer to function {answer.function_code}")
        if answer.isError():
            code = answer.exception_code
            meaning = self._exceptions.get(code, "not defined by Modbus")
            raise InstrumentError(
                f"{self.where}: refused {what}{self._shown(values)} with exception {code} ({meaning})"
            )
        return answer

    @staticmethod
    def _shown(values: dict[str, Any]) -> str:
        return "".join(f", {name} {value}" for name, value in values.items())

    def _trace(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self.note(True, data.hex(" "))
        else:
            self._got = data  # pymodbus hands over all that has come so far
        return data

    def _who(self) -> str:
        return "" if self._ask_who is None else self._ask_who(self)

    def _is_quiet(self) -> bool:
        client = self._client
        return client.socket is not None and (client.wire is None or not client.wire.waits())

    def _is_stale(self) -> bool:
        wire = self._client.wire
        if wire is None:
            return False
        try:
            while (data := wire.unasked()) is not None:
                if not data:
                    return True
                self._unasked = data.hex(" ")
                self.note(False, f"(dropped, not asked for: {data.hex(' ')})")
        except OSError as problem:
            self.note(False, f"({problem})")
            return True
        return False

    def _listen(self, seconds: float) -> None:
        wire = self._client.wire
        if wire is not None and self.is_open:  # closed a moment ago, by a time-out: nothing to listen to
            try:
                data = wire.receive(seconds)
            except TimeoutError:
                return
            self.note(False, f"(dropped, not asked for: {data.hex(' ')})")

    def _disconnect(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _connect(self) -> None:
        if not self._client.connect():
            raise self.lost("no connection")
