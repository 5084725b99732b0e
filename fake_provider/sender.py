"""Putting a message on the wire: HTTP/1.1 over loopback, every wait bounded.

Each attempt has a connection of its own, unless the sender is told to keep them. Then a message that goes alone and whole
takes one that an earlier message left open and on which nothing has been heard since. It is written once all the same:
where a kept connection turns out to be dead, that was the attempt, because nobody knows how much of it arrived. This is
for receivers that leave connections open; with one that closes them unannounced, attempts would fail for no other reason.

Copies that are meant to arrive at the same instant go like this: all connections are opened, all but the last byte of
each request is written, and then the last bytes are released together, with nothing in between that could wait. A
receiver cannot have begun to handle one before it has all of them at the door.

Whatever goes wrong on the way (refused, reset, silence, nonsense) is an answer that never came, never an exception.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

import h11

from fake_provider.connection import Connection
from fake_provider.dialects import Answer, Wire
from fake_provider.manner import PLAIN, Manner

KEPT = 100  # idle connections; what is more is closed once it has been answered

Heard = Callable[[int, Answer], None]


class Sender(Protocol):
    async def send(self, wire: Wire, copies: int, heard: Heard, manner: Manner = PLAIN) -> None:
        """Send *copies* of *wire* at the same instant; *heard* gets each copy's answer as it comes, once per copy."""

    def close(self) -> None:
        """Let go of what was kept for later."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where callbacks go. Only loopback: this provider is cruel and must not reach anyone else."""

    host: str
    port: int
    target: str

    @classmethod
    @lru_cache(maxsize=64)
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
    """Sends to the address that a message names, or else to its own, on which alone it may *keep* connections. Each copy
    has *timeout_s* from the beginning to its answer.
    """

    def __init__(self, address: Address, timeout_s: float, keep: bool = False) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._keep = keep
        self._kept: list[Connection] = []

    async def send(self, wire: Wire, copies: int, heard: Heard, manner: Manner = PLAIN) -> None:
        if manner.lost:
            return _lose(copies, heard)
        address = Address.of(wire.url) if wire.url else self._address
        if self._keep and copies == 1 and manner == PLAIN and address == self._address:
            return await self._send_on_kept(wire, heard)
        lines = [_Line(address, wire, manner, self._timeout_s) for _ in range(copies)]
        try:
            await asyncio.gather(*(line.reach() for line in lines))
            for line in lines:
                line.release()
            await asyncio.gather(*(_hear(number, line, heard) for number, line in enumerate(lines)))
        finally:
            for line in lines:
                line.hang_up()

    def close(self) -> None:
        while self._kept:
            self._kept.pop().transport.abort()

    async def _send_on_kept(self, wire: Wire, heard: Heard) -> None:
        line = _Line(self._address, wire, PLAIN, self._timeout_s, kept=self._idle(), keep=True)
        try:
            await line.reach()
            line.release()
            await _hear(0, line, heard)
        finally:
            self._put_by(line)

    def _idle(self) -> Connection | None:
        """The connection that was used last; what has gone bad since is thrown away."""
        while self._kept:
            connection = self._kept.pop()
            if connection.is_idle:
                return connection
            connection.transport.abort()
        return None

    def _put_by(self, line: "_Line") -> None:
        if line.connection is not None and len(self._kept) < KEPT and line.connection.begin_again():
            self._kept.append(line.connection)
        else:
            line.hang_up()


def _lose(copies: int, heard: Heard) -> None:
    for number in range(copies):
        heard(number, Answer(status=None, because="no way to the receiver"))


async def _hear(number: int, line: "_Line", heard: Heard) -> None:
    heard(number, await line.answer())


class _Line:
    """One request and its answer, on a connection of its own or on one that was *kept*."""

    def __init__(
        self,
        address: Address,
        wire: Wire,
        manner: Manner,
        timeout_s: float,
        kept: Connection | None = None,
        keep: bool = False,
    ) -> None:
        self.connection = kept
        self._address, self._wire, self._manner = address, wire, manner
        self._timeout_s = timeout_s
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._unsent = b""
        self._failed: str | None = None

    async def reach(self) -> None:
        """Connect if need be, and write everything but the last byte, as slowly as is wanted."""
        with self._failures():
            async with asyncio.timeout_at(self._deadline):
                if self.connection is None:
                    _, self.connection = await self._loop.create_connection(
                        Connection, self._address.host, self._address.port
                    )
                connection, address = self.connection, self._address
                whole = connection.written(address.authority, address.target, self._wire, last=not self._keep)
                self._unsent = self._manner.of(whole, len(self._wire.body))
                if not self._keep:
                    await self._trickle()

    def release(self) -> None:
        """Let the rest go. Waits for nothing."""
        if self.connection is not None and self._failed is None:
            self.connection.transport.write(self._unsent)

    async def answer(self) -> Answer:
        """What the receiver says, or why it says nothing."""
        if self._failed is None and self._manner.cut_percent is not None:
            self._failed = f"broken off in the middle, after {self._manner.cut_percent} % of the body"
        if self._failed is None:
            with self._failures():
                async with asyncio.timeout_at(self._manner.gives_up(self._loop.time(), self._deadline)):
                    return await self._heard()
        return Answer(status=None, because=self._failed or "no answer", took_s=self._took_s)

    def hang_up(self) -> None:
        """Close in order: what was written still leaves."""
        if self.connection is not None:
            self.connection.transport.close()

    @property
    def _deadline(self) -> float:
        return self._began + self._timeout_s

    @property
    def _took_s(self) -> float:
        return round(self._loop.time() - self._began, 6)

    async def _trickle(self) -> None:
        """Everything but the last byte, in pieces."""
        assert self.connection is not None, "connected before"
        pieces = self._manner.pieces_of(self._unsent[:-1])
        for piece in pieces:
            self.connection.transport.write(piece)
            if self._manner.over_s:
                await asyncio.sleep(self._manner.over_s / len(pieces))
        self._unsent = self._unsent[-1:]

    async def _heard(self) -> Answer:
        assert self.connection is not None, "an answer is read only where a connection was opened"
        response, body = await self.connection.answer()
        status = response.status_code
        headers = tuple((name.decode("latin-1"), value) for name, value in response.headers)
        return Answer(status=status, because=str(status), took_s=self._took_s, headers=headers, body=body)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Everything that a receiver can do to us, turned into words."""
        try:
            yield
        except TimeoutError:
            self._failed = self._manner.impatience or f"timed out after {self._timeout_s:g} s"
        except ConnectionRefusedError:
            self._failed = "connection refused"
        except (ConnectionResetError, BrokenPipeError):
            self._failed = "connection reset"
        except h11.RemoteProtocolError as wrong:
            ended = self.connection is not None and self.connection.ended
            self._failed = "connection closed before the answer" if ended else f"not an HTTP answer: {wrong}"
        except OSError as wrong:
            self._failed = f"no connection: {wrong.strerror or wrong}"
