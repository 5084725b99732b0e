"""A proxy server inside the harness: Toxiproxy's toxics for machines where no Toxiproxy can be had."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TypeAlias

from harness.stacks.ports import LOOPBACK, free_port
from harness.wire.toxic_kinds import Stream, Toxic, toxic
from harness.wire.toxics import END, Chunk, End, Outlet, Pipe, lingers

CHUNK = 32 * 1024
DIAL_S = 10.0
REBIND_TRIES = 100


class EmbeddedServer:
    """Makes proxies that live in this event loop; *rng* decides jitter and the sizes of slices."""

    backend = "embedded"

    def __init__(self, rng: Random, remarks: list[str] | None = None) -> None:
        self.remarks = remarks if remarks is not None else []
        self._rng = rng
        self._proxies: dict[str, EmbeddedProxy] = {}

    async def create(self, name: str, upstream: tuple[str, int]) -> "EmbeddedProxy":
        """A new proxy on a free port of 127.0.0.1."""
        if name in self._proxies:
            raise ValueError(f"there is a proxy named {name!r} already")
        self._proxies[name] = proxy = EmbeddedProxy(name, upstream, self._rng)
        await proxy.open()
        return proxy

    async def reset(self) -> None:
        """Every proxy up and without toxics."""
        for proxy in self._proxies.values():
            await proxy.reset()

    async def close(self) -> None:
        """Every listener and connection closed."""
        for proxy in self._proxies.values():
            await proxy.close()
        self._proxies.clear()


class EmbeddedProxy:
    """One listener, its connections, and the toxics that act on them."""

    def __init__(self, name: str, upstream: tuple[str, int], rng: Random) -> None:
        self.name = name
        self.address = (LOOPBACK, 0)
        self._upstream = upstream
        self._rng = rng
        self._toxics: dict[object, Toxic] = {}
        self._downs: set[object] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def toxic(self, kind: str, stream: Stream, **attributes: int) -> AsyncIterator[None]:
        """The toxic acts while the block runs, on new and existing connections."""
        key, asked = object(), toxic(kind, stream, attributes)
        self._toxics[key] = asked
        for connection in self._connections:
            connection.pipes[asked.stream].add(key, asked)
        try:
            yield
        finally:
            self._end(key)

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """While the block runs: connecting is refused; connections that were open are closed."""
        key = object()
        self._downs.add(key)
        try:
            await self._settle()
            yield
        finally:
            self._downs.discard(key)
            await self._settle()

    async def open(self) -> None:
        """Listen for the first time."""
        for _ in range(REBIND_TRIES):
            self.address = (LOOPBACK, free_port())
            with suppress(OSError):
                await self._listen()
                return
        raise OSError(f"no port could be had for proxy {self.name!r} in {REBIND_TRIES} tries")

    async def reset(self) -> None:
        """Up and without toxics."""
        for key in list(self._toxics):
            self._end(key)
        self._downs.clear()
        await self._settle()

    async def close(self) -> None:
        """Gone for good."""
        self._downs.add(self)
        await self._settle()

    def _end(self, key: object) -> None:
        ended = self._toxics.pop(key, None)
        if ended is not None:
            for connection in self._connections:
                connection.pipes[ended.stream].end(key)

    async def _settle(self) -> None:
        """Make the listener what the open `down` blocks say it should be."""
        async with self._changing:
            if self._downs and self._server is not None:
                await self._fall()
            elif not self._downs and self._server is None:
                await self._rise()

    async def _fall(self) -> None:
        assert self._server is not None
        server, self._server = self._server, None
        server.close()
        for task in self._carriers:
            task.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        await server.wait_closed()

    async def _rise(self) -> None:
        for tries_left in reversed(range(REBIND_TRIES)):
            try:
                await self._listen()
                return
            except OSError:  # someone has the port for a moment
                if not tries_left:
                    raise
            await asyncio.sleep(0.02)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self.address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one client's connection, from its first moment to its last."""
        carrier = asyncio.current_task()
        assert carrier is not None
        self._carriers.add(carrier)
        try:
            # Only `_fall` and the loop's end cancel a carrier, and asyncio logs one that lets the cancellation out.
            with suppress(asyncio.CancelledError):
                if self._server is not None:  # else it was accepted in the moment in which the listener closed
                    await self._carry(reader, writer)
        finally:
            self._carriers.discard(carrier)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DIAL_S):
                server = await asyncio.open_connection(*self._upstream)
        except (OSError, TimeoutError):
            # As Toxiproxy: the client's connect has succeeded, so all that can be said is the end.
            writer.close()
            return
        connection = Connection((reader, writer), server, self._rng)
        if lingers(self._toxics.values()):
            connection.linger()
        for key, active in self._toxics.items():
            connection.pipes[active.stream].add(key, active)
        self._connections.add(connection)
        try:
            await connection.carry()
        finally:
            self._connections.discard(connection)


Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connection:
    """A client's connection and the one to the upstream, with a pipe in each direction between them.

    No half-close, as in Toxiproxy: when the end of one direction reaches its destination, that socket is closed whole.
    What is already on its way in the other direction still arrives.
    """

    def __init__(self, client: Ends, server: Ends, rng: Random) -> None:
        self.pipes: dict[Stream, Pipe] = {
            "upstream": Pipe(_outlet(server), rng),
            "downstream": Pipe(_outlet(client), rng),
        }
        self._ends = (client, server)

    def linger(self) -> None:
        """From now on both sockets end with a reset."""
        for _, writer in self._ends:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def carry(self) -> None:
        """Until both ends are closed; closes them at once when cancelled."""
        client, server = self._ends
        upward = asyncio.create_task(_pump(client[0], self.pipes["upstream"]))
        downward = asyncio.create_task(_pump(server[0], self.pipes["downstream"]))
        try:
            await _closed(client[1])
            await _closed(server[1])
        finally:
            for pump in (upward, downward):
                pump.cancel()
            await asyncio.gather(upward, downward, return_exceptions=True)
            for pipe in self.pipes.values():
                await pipe.close()
            for _, writer in self._ends:
                writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, pipe: Pipe) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await pipe.feed(Chunk(data, loop.time()))
    await pipe.feed(END)


def _outlet(destination: Ends) -> Outlet:
    """Writes to *destination*; its end closes it, which also ends what comes from there."""
    reader, writer = destination

    async def write(item: Chunk | End) -> None:
        if writer.is_closing():
            return
        try:
            if isinstance(item, Chunk):
                writer.write(item.data)
                await writer.drain()
                return
        except OSError:
            pass
        writer.close()
        reader.feed_eof()

    return write


async def _closed(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        await writer.wait_closed()
