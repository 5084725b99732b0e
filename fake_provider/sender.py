"""Putting a message on the wire: HTTP/1.1 over loopback, one connection per copy, every wait bounded.

Copies that are meant to arrive at the same instant go like this: all connections are opened, all but the last byte of
each request is written, and then the last bytes are released together, with nothing in between that could wait. A
receiver cannot have begun to handle one before it has all of them at the door.

Whatever goes wrong on the way (refused, reset, silence, nonsense) is an answer that never came, never an exception.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import h11

from fake_provider.dialects import Answer, Wire

BODY_LIMIT = 64 * 1024  # an acknowledgement is short; more than this is not worth reading
CHUNK = 64 * 1024
CLOSING_S = 0.5

Heard = Callable[[int, Answer], None]


class Sender(Protocol):
    async def send(self, wire: Wire, copies: int, heard: Heard) -> None:
        """Send *copies* of *wire* at the same instant; *heard* gets each copy's answer as it comes, once per copy."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where callbacks go. Only loopback: this provider is cruel and must not reach anyone else."""

    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises `ValueError` saying what is wrong with *url*."""
        parts = urlsplit(url)
        if parts.scheme != "http":
            raise ValueError(f"{url!r} must start with http:// (loopback needs no TLS)")
        host = parts.hostname or ""
        if not _is_loopback(host):
            raise ValueError(f"{url!r} is not on this machine: the host must be 127.0.0.1, ::1 or localhost")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(host, parts.port or 80, target)

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class LoopbackSender:
    """Sends to one address, giving each copy *timeout_s* from the first byte of the connection to its answer."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def send(self, wire: Wire, copies: int, heard: Heard) -> None:
        lines = [_Line(self._address, wire, self._timeout_s) for _ in range(copies)]
        try:
            await asyncio.gather(*(line.reach() for line in lines))
            for line in lines:
                line.release()
            await asyncio.gather(*(_hear(number, line, heard) for number, line in enumerate(lines)))
        finally:
            await asyncio.gather(*(line.hang_up() for line in lines))


async def _hear(number: int, line: "_Line", heard: Heard) -> None:
    heard(number, await line.answer())


class _Line:
    """One connection, one request, one answer."""

    def __init__(self, address: Address, wire: Wire, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._began = asyncio.get_running_loop().time()
        self._http = h11.Connection(h11.CLIENT)
        self._first, self._last = self._request(wire)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ended = False
        self._failed: str | None = None

    async def reach(self) -> None:
        """Connect and write everything but the last byte."""
        with self._failures():
            async with asyncio.timeout_at(self._deadline):
                self._reader, self._writer = await asyncio.open_connection(self._address.host, self._address.port)
                self._writer.write(self._first)
                await self._writer.drain()

    def release(self) -> None:
        """Let the last byte go. Waits for nothing."""
        if self._writer is not None and self._failed is None:
            self._writer.write(self._last)

    async def answer(self) -> Answer:
        """What the receiver says, or why it says nothing."""
        heard: Answer | None = None
        if self._failed is None:
            with self._failures():
                async with asyncio.timeout_at(self._deadline):
                    heard = await self._read()
        return heard or Answer(status=None, because=self._failed or "no answer", took_s=self._took_s)

    async def hang_up(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSING_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    @property
    def _deadline(self) -> float:
        return self._began + self._timeout_s

    @property
    def _took_s(self) -> float:
        return round(asyncio.get_running_loop().time() - self._began, 6)

    def _request(self, wire: Wire) -> tuple[bytes, bytes]:
        headers = [
            (b"host", self._address.authority.encode()),
            *((name.encode(), value) for name, value in wire.headers),
            (b"content-length", str(len(wire.body)).encode()),
            (b"connection", b"close"),
        ]
        parts = (
            h11.Request(method="POST", target=self._address.target, headers=headers),
            h11.Data(data=wire.body),
            h11.EndOfMessage(),
        )
        request = b"".join(self._http.send(part) or b"" for part in parts)
        return request[:-1], request[-1:]

    async def _read(self) -> Answer:
        response: h11.Response | None = None
        body = b""
        while len(body) < BODY_LIMIT:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                assert self._reader is not None, "an answer is read only where a connection was opened"
                data = await self._reader.read(CHUNK)
                self._ended = not data
                self._http.receive_data(data)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                break
        assert response is not None, "h11 ends no message and passes no data before a response"
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers)
        status = response.status_code
        return Answer(status=status, because=str(status), took_s=self._took_s, headers=headers, body=body[:BODY_LIMIT])

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Everything that a receiver can do to us, turned into words."""
        try:
            yield
        except TimeoutError:
            self._failed = f"timed out after {self._timeout_s:g} s"
        except ConnectionRefusedError:
            self._failed = "connection refused"
        except (ConnectionResetError, BrokenPipeError):
            self._failed = "connection reset"
        except h11.RemoteProtocolError as wrong:
            self._failed = "connection closed before the answer" if self._ended else f"not an HTTP answer: {wrong}"
        except OSError as wrong:
            self._failed = f"no connection: {wrong.strerror or wrong}"
