"""A tap on one link: passes every byte, counts and names what crosses, and operates on the one crossing it was told to.

A tap stands between the client of a link and the link's proxy. Surgery is addressed by label and not by number alone, so
that a plan survives small changes in the service: *the first COMMIT of a transaction that wrote, once a callback has
crossed the hook link*; *the third `SELECT top_ups` from now on*.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from harness.wire.framing import ARROWS, Crossing, Direction, Framing, Gate
from harness.wire.surgery import Surgery

__all__ = ["Observer", "Surgery", "Tap"]

CHUNK = 1 << 16
CONNECT_S = 5.0
AGAIN_S = 5.0
KNOCK_S = 0.25
"""How long a client that is about to be refused has to say what it wanted."""


class Observer(Protocol):
    """Told of every crossing that has a name, as it crosses, and of every surgery, as it is done.

    `held_s` is how long the tap itself held the crossing before it passed it on.
    """

    def crossed(self, link: str, connection: int, crossing: Crossing, held_s: float) -> None: ...

    def operated(self, surgery: Surgery) -> None: ...


class Cut(Exception):
    """The connection was cut on purpose."""


class Tap:
    """The listener of one link. `crossings` counts what passed, named or not, in either direction."""

    def __init__(self, link: str, framing: Callable[[], Framing], observer: Observer) -> None:
        self.link = link
        self.crossings = 0
        self.surgeries: list[Surgery] = []
        self.gate: Gate | None = None
        self.known: dict[int, dict[str, str | int]] = {}
        """What each open connection said of itself when it began: `pid` of who serves it, `strict` if it keeps snapshots."""
        self._framing, self._observer = framing, observer
        self._upstream: tuple[str, int] = ("127.0.0.1", 0)
        self._made = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._servers: dict[int, asyncio.StreamWriter] = {}
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

    @contextmanager
    def turned(self, upstream: tuple[str, int]) -> Iterator[Callable[[], int]]:
        """While the block runs, new connections go to *upstream*, past the link's proxy; those that are open stay where they are.
        Yields how many did.
        """
        own, self._upstream, before = self._upstream, upstream, self._made
        try:
            yield lambda: self._made - before
        finally:
            self._upstream = own

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
        number = self._numbers  # now: another may come while this one is connected
        try:
            async with asyncio.timeout(CONNECT_S):
                upstream = await asyncio.open_connection(*self._upstream)
                self._made += 1
        except (OSError, TimeoutError):
            await self._refused(number, reader)
            return
        connection = Connection(self, number, self._framing(), (reader, writer), upstream)
        self._servers[number] = upstream[1]
        try:
            await connection.run()
        finally:
            abort(upstream[1])
            del self._servers[number]
            self.known.pop(number, None)
            if self.gate is not None:
                self.gate.closed(self.link, number)

    async def _refused(self, connection: int, reader: asyncio.StreamReader) -> None:
        """Somebody knocked, and nobody was there: traffic that the outage touched, with the name of what was asked."""
        try:
            data = await asyncio.wait_for(reader.read(CHUNK), KNOCK_S)
        except (OSError, TimeoutError):
            data = b""
        named = [crossing for crossing in self._framing().feed(">", data) if crossing.label]
        for crossing in named or [Crossing(">", b"", "connection")]:
            self.note(connection, _called(crossing, "refused"))

    def insert(self, connection: int, data: bytes) -> None:
        """Send the server of a connection something that its client did not: for a gate that holds what comes next there."""
        if connection in self._servers:
            self._servers[connection].write(data)

    def operated(self, surgery: Surgery) -> None:
        self._observer.operated(surgery)

    def note(self, connection: int, crossing: Crossing, held_s: float = 0.0) -> None:
        """Count a crossing, and tell of it when it has a name."""
        self.crossings += 1
        if said := {name: crossing.aside[name] for name in ("pid", "strict") if name in crossing.aside}:
            self.known.setdefault(connection, {}).update(said)
        if self.gate is not None:
            self.gate.passed(self.link, connection, crossing)
        if crossing.label is not None:
            self._observer.crossed(self.link, connection, crossing, held_s)

    async def deliver_again(self, connection: int, data: bytes) -> bool:
        """Deliver bytes that were delivered before, on a connection of their own; true when the first word of an answer
        came. Nobody hears it but the history, where both are called what they are.
        """
        framing = self._framing()
        try:
            async with asyncio.timeout(AGAIN_S):
                reader, writer = await asyncio.open_connection(*self._upstream)
                try:
                    return await self._exchange(connection, framing, data, reader, writer)
                finally:
                    abort(writer)
        except (OSError, TimeoutError):
            return False

    async def _exchange(
        self,
        connection: int,
        framing: Framing,
        data: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        for crossing in framing.feed(">", data):
            self.note(connection, _called(crossing, "again"))
        writer.write(data)
        while chunk := await reader.read(CHUNK):
            for crossing in framing.feed("<", chunk):
                if crossing.label is not None:
                    self.note(connection, _called(crossing, "again, swallowed"))
                    return True
        return False


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection:
    """One connection through a tap: two pumps, and at most one surgery."""

    def __init__(self, tap: Tap, number: int, framing: Framing, client: Stream, server: Stream) -> None:
        self._tap, self._number, self._framing = tap, number, framing
        self._client, self._server = client, server
        self._operating: Surgery | None = None
        self._acting: Surgery | None = None
        self._delivered_of_it = b""

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
            if self._acting is not None:  # perhaps by the act itself, which must not be left half done
                await self._acting.finished.wait()
                self._reset()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if self._operating is not None:
                self._operating.end()

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
            held_s = 0.0
            if direction == "<" and self._operating is not None:
                held_s = await self._operate(self._operating)
            await self._pass(writer, self._framing.feed(direction, data), held_s)
        if rest := self._framing.flush(direction):
            writer.write(rest)
        with contextlib.suppress(OSError):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _pass(self, writer: asyncio.StreamWriter, crossings: Sequence[Crossing], held_s: float) -> None:
        """Pass on what arrived together, but for the one message that a surgery wants.

        It leaves together, too: what is asked of a database is many small messages, and to send each costs more than all else.
        """
        together = bytearray()
        for crossing in crossings:
            surgery = self._wanted(crossing)
            if surgery is not None or self._tap.gate is not None:  # somebody may wait here: what came before need not
                _send(writer, together)
            if surgery is not None and surgery.point == "before":
                if surgery.then == "cut":  # it came as far as this, and no further
                    self._tap.note(self._number, crossing, held_s)
                held_s += await self._operate(surgery)
            elif surgery is not None:
                self._operating, self._delivered_of_it = surgery, b""
            if self._operating is not None and crossing.direction == ">":
                self._delivered_of_it += crossing.data
            if self._tap.gate is not None:
                await self._tap.gate.admit(self._tap.link, self._number, crossing)
            if writer.transport.is_closing():
                raise ConnectionResetError("whoever this is for has gone")
            together += crossing.data
            self._tap.note(self._number, crossing, held_s)
        _send(writer, together)
        await writer.drain()

    def _wanted(self, crossing: Crossing) -> Surgery | None:
        """The surgery that is meant for this crossing, if any; all that wait for its kind have then counted it."""
        for each in self._tap.surgeries:
            each.meets(crossing)
        surgery = next((each for each in self._tap.surgeries if each.wants(crossing)), None)
        if surgery is not None:
            surgery.hit = f"{self._tap.link} {ARROWS[crossing.direction]} {titled(crossing)}"
        return surgery

    async def _operate(self, surgery: Surgery) -> float:
        """Operate, here and now. How long the message was held by that, in seconds; raises `Cut` if it may not go on."""
        began = asyncio.get_running_loop().time()
        self._tap.operated(surgery)
        self._acting, self._operating = surgery, None
        try:
            await surgery.operate(lambda: self._tap.deliver_again(self._number, self._delivered_of_it))
        finally:
            surgery.end()
        if surgery.then == "cut":
            raise Cut
        self._acting = None
        return asyncio.get_running_loop().time() - began


def _send(writer: asyncio.StreamWriter, together: bytearray) -> None:
    """Send what was collected, and begin anew."""
    if together:
        writer.write(bytes(together))
        together.clear()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a reset and not an orderly end."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    abort(writer)


def abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def titled(crossing: Crossing) -> str:
    """What a person calls a crossing, with the transaction that it is of."""
    of = crossing.facts.get("of")
    return f"{crossing.label} ({of})" if of else str(crossing.label)


def _called(crossing: Crossing, what: str) -> Crossing:
    """A crossing that no surgery can be about: it is told of, and that is all."""
    label = crossing.label and f"{crossing.label} ({what})"
    return Crossing(crossing.direction, b"", label, {**crossing.facts, "beside": True})
