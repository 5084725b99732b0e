"""What each end of the wire sees under each toxic: one table, held against every proxy back end.

The direction is what matters to money: a fault downstream loses the *answer* of something that was done, a fault
upstream loses the *request*. Patience only tells a silent connection from a closed one; no test asserts how long
anything took.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.stacks.proxies import Proxy, ProxyServer, ToxicError, find_proxy_server
from harness.stacks.toxiproxy_places import Refused
from harness.wire.toxic_kinds import STREAMS

BACKENDS = ["embedded"] if os.environ.get("TOPUP_CHAOS_PROXY") == "embedded" else ["toxiproxy", "embedded"]
GUARD_S = 20.0
SILENCE_S = 0.25

ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nX-Padding: "
    + b"p" * 64
    + b"\r\nContent-Length: 2\r\n\r\n{}"
)
REQUEST = b"POST /v1/top-ups HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n" + b"b" * 40

ANSWERED, TRUNCATED, SILENT = "answered", "truncated answer", "nothing, and still open"
CLOSED, RESET, REFUSED = "closed without an answer", "reset", "refused"

# toxic, direction, attributes, what a new connection sees, what one that was open sees, is the top-up committed?
TABLE = [
    ("timeout", "downstream", {}, SILENT, SILENT, True),
    ("latency", "downstream", {"latency": 60_000}, SILENT, SILENT, True),
    ("bandwidth", "downstream", {"rate": 0}, SILENT, SILENT, True),
    ("timeout", "downstream", {"timeout": 100}, CLOSED, CLOSED, True),
    ("reset_peer", "downstream", {}, RESET, CLOSED, True),
    ("limit_data", "downstream", {"bytes": 0}, CLOSED, CLOSED, True),
    ("limit_data", "downstream", {"bytes": 60}, TRUNCATED, TRUNCATED, True),
    ("timeout", "upstream", {}, SILENT, SILENT, False),
    ("latency", "upstream", {"latency": 60_000}, SILENT, SILENT, False),
    ("bandwidth", "upstream", {"rate": 0}, SILENT, SILENT, False),
    ("reset_peer", "upstream", {}, RESET, CLOSED, False),
    ("limit_data", "upstream", {"bytes": 50}, CLOSED, CLOSED, False),
    ("slicer", "downstream", {"average_size": 5, "size_variation": 2, "delay": 1000}, ANSWERED, ANSWERED, True),
    ("slicer", "upstream", {"average_size": 5, "delay": 1000}, ANSWERED, ANSWERED, True),
    ("latency", "downstream", {"latency": 20, "jitter": 10}, ANSWERED, ANSWERED, True),
    ("bandwidth", "downstream", {"rate": 10}, ANSWERED, ANSWERED, True),
    ("slow_close", "downstream", {"delay": 60_000}, ANSWERED, ANSWERED, True),
]
ROWS = [pytest.param(*row, id=f"{row[0]}-{row[1]}-{'-'.join(map(str, row[2].values()))}") for row in TABLE]


class Till:
    """A server that commits when, and only when, a whole request has come, and then answers."""

    def __init__(self) -> None:
        self.commits = 0
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                await reader.readexactly(len(REQUEST))
                async with self.changed:
                    self.commits += 1
                    self.changed.notify_all()
                writer.write(ANSWER)
                await writer.drain()
        writer.transport.abort()

    async def committed(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.commits >= count)


class Client:
    """One connection; says what it sees when it sends a request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, patience: float | None = None) -> str:
        try:
            self.writer.write(REQUEST)
            return await self.answer(patience)
        except ConnectionError:
            return RESET

    async def answer(self, patience: float | None = None) -> str:
        try:
            async with asyncio.timeout(patience):
                return ANSWERED if await self.reader.readexactly(len(ANSWER)) == ANSWER else "something else"
        except TimeoutError:
            return SILENT
        except asyncio.IncompleteReadError as error:
            return TRUNCATED if error.partial else CLOSED
        except ConnectionError:
            return RESET


@asynccontextmanager
async def client_of(address: tuple[str, int]) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def server_of(backend: str, directory: Path) -> AsyncIterator[ProxyServer]:
    try:
        server = await find_proxy_server(directory, {**os.environ, "TOPUP_CHAOS_PROXY": backend}, Random(7))
    except Refused as reason:
        pytest.fail(f"{reason}\nSet TOPUP_CHAOS_PROXY=embedded to test the embedded proxy alone.")
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def shop(backend: str, directory: Path) -> AsyncIterator[tuple[Proxy, Till]]:
    """A till behind a proxy."""
    async with server_of(backend, directory) as server:
        till = Till()
        listener = await asyncio.start_server(till.serve, "127.0.0.1", 0)
        try:
            yield await server.create("till", listener.sockets[0].getsockname()), till
        finally:
            await server.close()
            listener.close()
            await listener.wait_closed()


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run *story* to its end; a hang is a failure, not a wait."""

    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await story

    asyncio.run(guarded())


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("age", ["new", "open"])
@pytest.mark.parametrize(("kind", "stream", "attributes", "new", "opened", "commits"), ROWS)
def test_what_each_end_sees(
    backend: str,
    tmp_path: Path,
    age: str,
    kind: str,
    stream: Any,
    attributes: dict[str, int],
    new: str,
    opened: str,
    commits: bool,
) -> None:
    """The client sees what the table says, and the server has committed or not."""
    expected = new if age == "new" else opened

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, till), AsyncExitStack() as weather:
            if age == "new":
                await weather.enter_async_context(proxy.toxic(kind, stream, **attributes))
            async with client_of(proxy.address) as client:
                before = 0
                if age == "open":
                    assert await client.ask() == ANSWERED
                    before = 1
                    await weather.enter_async_context(proxy.toxic(kind, stream, **attributes))
                assert await client.ask(SILENCE_S if expected == SILENT else None) == expected
                if commits:
                    await till.committed(before + 1)
                assert till.commits == before + commits

    run(story())


def test_calm_weather_changes_nothing(backend: str, tmp_path: Path) -> None:
    """Many requests on many connections are answered, each once."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, till):

            async def customer() -> None:
                async with client_of(proxy.address) as client:
                    for _ in range(10):
                        assert await client.ask() == ANSWERED

            await asyncio.gather(*(customer() for _ in range(10)))
            assert till.commits == 100

    run(story())


@pytest.mark.parametrize(("stream", "held"), [("upstream", 0), ("downstream", 1)])
def test_a_stall_holds_bytes_and_lets_them_go(backend: str, tmp_path: Path, stream: Any, held: int) -> None:
    """Bandwidth 0 keeps the connection; what it held arrives when it ends, and the connection goes on."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, till), client_of(proxy.address) as client:
            async with proxy.toxic("bandwidth", stream, rate=0):
                assert await client.ask(SILENCE_S) == SILENT
                await till.committed(held)
                assert till.commits == held
            assert await client.answer() == ANSWERED
            assert await client.ask() == ANSWERED
            assert till.commits == 2

    run(story())


def test_latency_lets_go_what_it_holds_when_it_ends(backend: str, tmp_path: Path) -> None:
    """Nobody waits out a delay that is over."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _), client_of(proxy.address) as client:
            async with proxy.toxic("latency", "downstream", latency=3_600_000):
                assert await client.ask(SILENCE_S) == SILENT
            assert await client.answer() == ANSWERED

    run(story())


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_the_end_of_a_timeout_closes(backend: str, tmp_path: Path, stream: Any) -> None:
    """Unlike a stall: what it took is lost, and the connection ends with it. A new one is well."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            async with client_of(proxy.address) as client:
                async with proxy.toxic("timeout", stream):
                    assert await client.ask(SILENCE_S) == SILENT
                assert await client.answer() == CLOSED
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED

    run(story())


def test_down_refuses_and_closes(backend: str, tmp_path: Path) -> None:
    """Open connections end, new ones are refused, and afterwards it listens on the same port."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED
                async with proxy.down():
                    assert await client.answer() in (CLOSED, RESET)
                    with pytest.raises(ConnectionRefusedError):
                        async with client_of(proxy.address):
                            pass
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED

    run(story())


def test_down_nests(backend: str, tmp_path: Path) -> None:
    """The end of the inner outage does not end the outer one."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            async with proxy.down():
                async with proxy.down():
                    pass
                with pytest.raises(ConnectionRefusedError):
                    async with client_of(proxy.address):
                        pass
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED

    run(story())


def test_nobody_upstream_is_an_end_not_a_refusal(backend: str, tmp_path: Path) -> None:
    """The proxy accepts before it knows, so a dead server looks like one that hangs up."""

    async def story() -> None:
        async with server_of(backend, tmp_path) as server:
            nobody = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            address = nobody.sockets[0].getsockname()
            nobody.close()
            await nobody.wait_closed()
            proxy = await server.create("nobody", address)
            async with client_of(proxy.address) as client:
                assert await client.answer() in (CLOSED, RESET)

    run(story())


@pytest.mark.parametrize("attributes", [{"average_size": 3}, {"average_size": 700, "size_variation": 699}])
def test_slices_are_all_there_and_in_order(backend: str, tmp_path: Path, attributes: dict[str, int]) -> None:
    """Cutting loses, doubles and reorders nothing, in either direction."""
    payload = Random(3).randbytes(20_000)

    async def story() -> None:
        async with echo(backend, tmp_path) as proxy, AsyncExitStack() as weather:
            for stream in STREAMS:
                await weather.enter_async_context(proxy.toxic("slicer", stream, **attributes))
            assert await echoed(proxy, payload) == payload

    run(story())


def test_toxics_that_come_and_go_lose_nothing(backend: str, tmp_path: Path) -> None:
    """Bytes that are on their way while the weather changes arrive, once and in order."""
    payload = Random(4).randbytes(400_000)

    async def story() -> None:
        async with echo(backend, tmp_path) as proxy:
            transfer = asyncio.create_task(echoed(proxy, payload))
            for _ in range(8):
                async with AsyncExitStack() as weather:
                    await weather.enter_async_context(proxy.toxic("latency", "upstream", latency=5, jitter=5))
                    await weather.enter_async_context(proxy.toxic("bandwidth", "downstream", rate=5_000))
                    await weather.enter_async_context(proxy.toxic("slicer", "upstream", average_size=500))
            assert await transfer == payload

    run(story())


def test_toxics_nest(backend: str, tmp_path: Path) -> None:
    """Two of one kind are two; the end of one leaves the other.

    Bytes are sent only after that: Toxiproxy lets a chunk that a toxic holds go whenever the next one changes.
    """

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _), client_of(proxy.address) as client:
            async with proxy.toxic("bandwidth", "downstream", rate=0):
                async with proxy.toxic("bandwidth", "downstream", rate=0):
                    pass
                assert await client.ask(SILENCE_S) == SILENT
            assert await client.answer() == ANSWERED

    run(story())


def test_nothing_is_left_when_the_block_raises(backend: str, tmp_path: Path) -> None:
    """Whatever is broken is mended, however the block ends."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            for broken in (proxy.toxic("timeout", "upstream"), proxy.down()):
                with pytest.raises(ZeroDivisionError):
                    async with broken:
                        raise ZeroDivisionError
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED

    run(story())


def test_nothing_is_left_after_a_cancellation(backend: str, tmp_path: Path) -> None:
    """A run that is stopped in the middle of a fault, or in the middle of starting one, leaves calm weather."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            for breaths in range(6):
                fault = asyncio.create_task(_hold(proxy.toxic("timeout", "downstream"), proxy.down()))
                for _ in range(breaths):
                    await asyncio.sleep(0.001)
                fault.cancel()
                await asyncio.wait([fault])
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED

    run(story())


def test_reset_ends_everything(backend: str, tmp_path: Path) -> None:
    """Healing comes from outside, and the blocks that are still open end quietly afterwards."""

    async def story() -> None:
        async with server_of(backend, tmp_path) as server:
            till = Till()
            listener = await asyncio.start_server(till.serve, "127.0.0.1", 0)
            proxy = await server.create("till", listener.sockets[0].getsockname())
            async with proxy.toxic("timeout", "upstream"), proxy.down():
                await server.reset()
                async with client_of(proxy.address) as client:
                    assert await client.ask() == ANSWERED
            async with client_of(proxy.address) as client:
                assert await client.ask() == ANSWERED
            await server.close()
            listener.close()
            await listener.wait_closed()

    run(story())


def test_a_wrong_toxic_is_refused_before_it_is_sent(backend: str, tmp_path: Path) -> None:
    """Both back ends ask the same table."""

    async def story() -> None:
        async with shop(backend, tmp_path) as (proxy, _):
            with pytest.raises(ToxicError, match="did you mean 'latency'"):
                async with proxy.toxic("latancy", "upstream", latency=1):
                    pass

    run(story())


@pytest.mark.parametrize("before_s", [0.0, 0.5], ids=["at once", "when all is full"])
def test_a_reader_that_stopped_reading_hangs_no_toxic(backend: str, before_s: float, tmp_path: Path) -> None:
    """With bytes stuck in the proxy a toxic still begins and ends, at worst at the cost of the connection, and calm returns."""

    async def story() -> None:
        async with flood(backend, tmp_path) as proxy:
            async with client_of(proxy.address) as stuck:
                stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
                stuck.writer.write(b"go")
                await asyncio.sleep(before_s)  # buffers fill in the meantime; no proxy tells of its own
                async with proxy.toxic("latency", "downstream", latency=1):
                    await asyncio.sleep(0.2)
            reader, writer = await asyncio.open_connection(*proxy.address)
            writer.write(b"go")
            assert await reader.readexactly(100_000) == bytes(100_000)
            writer.transport.abort()

    run(story())


@asynccontextmanager
async def echo(backend: str, directory: Path) -> AsyncIterator[Proxy]:
    """A server that sends back what it is sent, behind a proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async with behind(backend, directory, serve) as proxy:
        yield proxy


@asynccontextmanager
async def flood(backend: str, directory: Path) -> AsyncIterator[Proxy]:
    """A server that sends without end as soon as it is spoken to, behind a proxy."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(2)
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        writer.transport.abort()

    async with behind(backend, directory, serve) as proxy:
        yield proxy


@asynccontextmanager
async def behind(
    backend: str, directory: Path, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[Proxy]:
    async with server_of(backend, directory) as server:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield await server.create("server", listener.sockets[0].getsockname())
        finally:
            await server.close()
            listener.close()


async def echoed(proxy: Proxy, payload: bytes) -> bytes:
    async with client_of(proxy.address) as client:

        async def send() -> None:
            client.writer.write(payload)
            await client.writer.drain()

        _, back = await asyncio.gather(send(), client.reader.readexactly(len(payload)))
        return back


async def _hold(*faults: Any) -> None:
    async with AsyncExitStack() as stack:
        for fault in faults:
            await stack.enter_async_context(fault)
        await asyncio.Event().wait()
