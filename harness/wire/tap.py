"""A tap on one link: passes every byte, counts and names what crosses, and operates on the one crossing it was told to.

A tap stands between the client of a link and the link's proxy. Surgery is addressed by label and not by number alone, so
that a plan survives small changes in the service: *the first COMMIT of a transaction that wrote, once a callback has
crossed the hook link*; *the third `SELECT top_ups` from now on*.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from harness.wire.framing import ARROWS, Crossing, Direction, Framing

CHUNK = 1 << 16
CONNECT_S = 5.0
KNOCK_S = 0.25
"""How long a client that is about to be refused has to say what it wanted."""


class Observer(Protocol):
    """Told of every crossing that has a name, as it crosses, and of every surgery, as it is done."""

    def crossed(self, link: str, connection: int, crossing: Crossing) -> None: ...

    def operated(self, surgery: "Surgery") -> None: ...


@dataclass(slots=True, eq=False)
class Surgery:
    """What to do to one crossing.

    `label` must begin the crossing's label; with `writes`, it must write or end a transaction that wrote. `since` names a
    link and the beginning of a label that must have crossed first; of what matches from then on, the `nth` is meant.
    `point` says when: `before` it is delivered (it never
    arrives), or `after` it was delivered and answered, before the answer is passed on (it happened, nobody heard). Then
    `act` is awaited, and the connection is cut on both sides. `hit` names the crossing once it is chosen; `finished` is
    set when all of it is done, or when the connection ended before it could be.
    """

    link: str
    label: str
    point: Literal["before", "after"]
    writes: bool = False
    since: tuple[str, str] | None = None
    act: Callable[[], Awaitable[None]] | None = None
    nth: int = 1
    matched: int = field(default=0, init=False)
    armed: bool = field(default=False, init=False)
    hit: str | None = field(default=None, init=False)
    finished: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.armed = self.since is None

    def notice(self, link: str, label: str) -> None:
        """Something crossed: perhaps what this surgery was waiting for."""
        if self.since and link == self.since[0] and label.startswith(self.since[1]):
            self.armed = True

    def meets(self, crossing: Crossing) -> None:
        """Count a crossing of its own link, if it is of the kind that is meant."""
        self.matched += self._matches(crossing)

    def wants(self, crossing: Crossing) -> bool:
        """Is this the one, now that it has been counted? Or a later one, where another surgery had the n-th."""
        return self.hit is None and self.matched >= self.nth and self._matches(crossing)

    def _matches(self, crossing: Crossing) -> bool:
        return (
            self.armed
            and crossing.direction == ">"
            and crossing.label is not None
            and crossing.label.startswith(self.label)
            and (not self.writes or bool(crossing.facts.get("writes")))
        )


class Cut(Exception):
    """The connection was cut on purpose."""


class Tap:
    """The listener of one link. `crossings` counts what passed, named or not, in either direction."""

    def __init__(self, link: str, framing: Callable[[], Framing], observer: Observer) -> None:
        self.link = link
        self.crossings = 0
        self.surgeries: list[Surgery] = []
        self._framing, self._observer = framing, observer
        self._upstream: tuple[str, int] = ("127.0.0.1", 0)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._closed = False

    @property
    def address(self) -> tuple[str, int]:
        """Where the client of the link connects to."""
        assert self._server is not None, f"the tap on {self.link} was not started"
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self, upstream: tuple[str, int]) -> None:
        """Listen on a free loopback port, and pass what comes to *upstream*."""
        self._upstream = upstream
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:  # accepted before, and only now handed over
            abort(writer)
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the tap is closing: asyncio would log a cancelled handler as an error
        finally:
            self._connections.discard(task)
            abort(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._numbers += 1
        try:
            async with asyncio.timeout(CONNECT_S):
                upstream = await asyncio.open_connection(*self._upstream)
        except (OSError, TimeoutError):
            await self._refused(self._numbers, reader)
            return
        connection = Connection(self, self._numbers, self._framing(), (reader, writer), upstream)
        try:
            await connection.run()
        finally:
            abort(upstream[1])

    async def _refused(self, connection: int, reader: asyncio.StreamReader) -> None:
        """Somebody knocked, and nobody was there: traffic that the outage touched, with the name of what was asked."""
        try:
            data = await asyncio.wait_for(reader.read(CHUNK), KNOCK_S)
        except (OSError, TimeoutError):
            data = b""
        named = [crossing for crossing in self._framing().feed(">", data) if crossing.label]
        for crossing in named or [Crossing(">", b"", "connection")]:
            self.note(connection, Crossing(">", b"", f"{crossing.label} (refused)", crossing.facts))

    def operated(self, surgery: Surgery) -> None:
        self._observer.operated(surgery)

    def note(self, connection: int, crossing: Crossing) -> None:
        """Count a crossing, and tell of it when it has a name."""
        self.crossings += 1
        if crossing.label is not None:
            self._observer.crossed(self.link, connection, crossing)


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection:
    """One connection through a tap: two pumps, and at most one surgery."""

    def __init__(self, tap: Tap, number: int, framing: Framing, client: Stream, server: Stream) -> None:
        self._tap, self._number, self._framing = tap, number, framing
        self._client, self._server = client, server
        self._operating: Surgery | None = None
        self._acting = False

    async def run(self) -> None:
        pumps = [
            asyncio.create_task(self._pump(">", self._client[0], self._server[1])),
            asyncio.create_task(self._pump("<", self._server[0], self._client[1])),
        ]
        try:
            await asyncio.gather(*pumps)
            await self._delivered()
        except Cut:
            self._reset()
        except OSError:  # one end broke off; the other is aborted by whoever called
            if self._acting:  # perhaps by the act itself, which must not be left half done
                await asyncio.wait(pumps)
                self._reset()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if self._operating is not None:
                self._operating.finished.set()

    async def _delivered(self) -> None:
        """Both ends have said their last: what is still in hand goes out before the connection closes."""
        for _, writer in (self._client, self._server):
            writer.close()
            await writer.wait_closed()

    def _reset(self) -> None:
        for _, writer in (self._client, self._server):
            reset(writer)

    async def _pump(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if direction == "<" and self._operating is not None:
                await self._finish(self._operating)
            await self._pass(writer, self._framing.feed(direction, data))
        if rest := self._framing.flush(direction):
            writer.write(rest)
        with contextlib.suppress(OSError):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _pass(self, writer: asyncio.StreamWriter, crossings: Sequence[Crossing]) -> None:
        for crossing in crossings:
            for each in self._tap.surgeries:
                each.meets(crossing)
            surgery = next((each for each in self._tap.surgeries if each.wants(crossing)), None)
            if surgery is not None:
                surgery.hit = f"{self._tap.link} {ARROWS[crossing.direction]} {crossing.label}"
            if surgery is not None and surgery.point == "before":
                self._tap.note(self._number, crossing)
                await self._finish(surgery)
            if surgery is not None:
                self._operating = surgery
            writer.write(crossing.data)
            self._tap.note(self._number, crossing)
        await writer.drain()

    async def _finish(self, surgery: Surgery) -> None:
        self._tap.operated(surgery)
        try:
            if surgery.act is not None:
                self._acting = True
                await surgery.act()
        finally:
            surgery.finished.set()
        raise Cut


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a reset and not an orderly end."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    abort(writer)


def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
