"""A tap passes every byte and every ending, and operates on exactly the one message it was told to. Real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any

import asyncpg
import pytest

from harness.cache import run_dir
from harness.history import Recorder
from harness.stack import Wire
from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.postgres import PostgresCluster
from harness.wire.framing import Crossing, Framing, Opaque
from harness.wire.http import Http
from harness.wire.postgres import Postgres
from harness.wire.surgery import Patient, Surgery
from harness.wire.tap import Tap

GUARD_S = 30.0
RESET = "reset"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(story: Coroutine[Any, Any, None], within_s: float = GUARD_S) -> None:
    """Run *story* to its end; a hang is a failure, not a wait."""

    async def guarded() -> None:
        async with asyncio.timeout(within_s):
            await story

    asyncio.run(guarded())


@dataclass
class Witness:
    """Writes down what a tap tells."""

    crossed_: list[tuple[str, int, str]] = field(default_factory=list)
    operated_: list[Surgery] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=dict)

    def crossed(self, link: str, connection: int, crossing: Crossing, held_s: float) -> None:
        self.crossed_.append((link, connection, crossing.label or ""))
        if held_s:
            self.held[crossing.label or ""] = held_s

    def operated(self, surgery: Surgery) -> None:
        self.operated_.append(surgery)

    @property
    def labels(self) -> list[str]:
        return [label for _, _, label in self.crossed_]


@asynccontextmanager
async def tapped(
    serve: Serve, framing: Callable[[], Framing] = Opaque, observer: Any = None, link: str = "edge"
) -> AsyncIterator[Tap]:
    """A tap in front of a server of a few lines."""
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with suppress(asyncio.CancelledError, OSError):
            await serve(reader, writer)
        writer.transport.abort()

    listener = await asyncio.start_server(handle, LOOPBACK, 0)
    tap = Tap(link, framing, observer or Witness())
    await tap.start(listener.sockets[0].getsockname()[:2])
    try:
        yield tap
    finally:
        await tap.close()
        listener.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


@asynccontextmanager
async def connected(tap: Tap) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection(*tap.address)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


class Till:
    """An HTTP server that does what it is asked, once for each whole request, and then answers 201."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.changed = asyncio.Condition()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(2)
                async with self.changed:
                    self.done.append(head.split()[1].decode())
                    self.changed.notify_all()
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()

    async def did(self, count: int) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.done) >= count)


async def ask(stream: Stream, path: str) -> str:
    """What the client sees: the status of the answer, or how the connection ended."""
    reader, writer = stream
    try:
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        return head.split()[1].decode()
    except ConnectionError:
        return RESET
    except asyncio.IncompleteReadError as end:
        return "closed" if not end.partial else f"half an answer: {end.partial!r}"


async def hears_all_then_says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that speaks only once its client has ended: possible over a half-closed connection alone."""
    heard = await reader.read(-1)
    writer.write(sha256(heard).digest())
    writer.write_eof()
    await writer.drain()
    await asyncio.Event().wait()


# It changes nothing


def test_bytes_and_both_ends_pass() -> None:
    """The client ends, the server hears all of it and answers, and ends: over one half-closed connection."""

    async def story() -> None:
        sent = Random(3).randbytes(700_000)
        async with tapped(hears_all_then_says) as tap, connected(tap) as (reader, writer):
            writer.write(sent)
            writer.write_eof()
            assert await reader.read(-1) == sha256(sent).digest()

    run(story())


def test_a_server_that_ends_first_can_still_be_spoken_to() -> None:
    """The other half: the server has said its last, and hears what the client still has to say."""
    heard: list[bytes] = []

    async def story() -> None:
        whole = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"bye")
            writer.write_eof()
            heard.append(await reader.read(-1))
            whole.set()

        async with tapped(serve) as tap, connected(tap) as (reader, writer):
            assert await reader.read(-1) == b"bye"
            writer.write(b"one more thing")
            writer.write_eof()
            await whole.wait()

    run(story())
    assert heard == [b"one more thing"]


def test_a_slow_reader_loses_nothing_when_both_ends_have_said_their_last() -> None:
    """What the tap still holds when server and client have ended is delivered, not thrown away.

    How much the kernel holds for the tap is the kernel's affair, so many sizes are tried: some end in the tap's hands.
    """

    async def story() -> None:
        loop = asyncio.get_running_loop()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * int(await reader.read(-1)))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def receive(tap: Tap, size: int) -> int:
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.setblocking(False)
                await loop.sock_connect(client, tap.address)
                await loop.sock_sendall(client, str(size).encode())
                client.shutdown(socket.SHUT_WR)
                for _ in range(100):  # turns, in which the tap runs as far ahead as it can
                    await asyncio.sleep(0.001)
                got = 0
                with suppress(ConnectionError):
                    while data := await loop.sock_recv(client, 1 << 16):
                        got += len(data)
                return got

        sizes = range(50_000, 3_500_000, 50_000)
        async with tapped(serve) as tap:
            assert await asyncio.gather(*(receive(tap, size) for size in sizes)) == list(sizes)

    run(story())


def test_many_connections_at_once_are_kept_apart() -> None:
    """Fifty clients, each with bytes of its own, each answered about its own."""

    async def story() -> None:
        async with tapped(hears_all_then_says) as tap:

            async def client(number: int) -> None:
                sent = Random(number).randbytes(100_000 + number)
                async with connected(tap) as (reader, writer):
                    writer.write(sent)
                    await writer.drain()
                    writer.write_eof()
                    assert await reader.read(-1) == sha256(sent).digest()

            await asyncio.gather(*(client(number) for number in range(50)))

    run(story())


def test_a_broken_connection_breaks_on_the_other_side() -> None:
    """A server that dies is seen by the client, and a client that dies by the server."""

    async def story() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.read(1) == b"d":
                return  # and `tapped` aborts
            with suppress(OSError):
                await reader.read(-1)
            ended.set()

        async with tapped(serve) as tap:
            async with connected(tap) as (reader, writer):
                writer.write(b"die")
                with suppress(ConnectionError):
                    assert await reader.read(-1) == b""
            async with connected(tap) as (_, writer):
                writer.write(b"live")
                writer.transport.abort()
                await ended.wait()

    run(story())


def test_crossings_are_counted_and_named() -> None:
    """Named or not, both directions count; the observer hears of those with a name, with their connection."""

    async def story() -> None:
        witness, till = Witness(), Till()
        async with tapped(till, Http, witness) as tap:
            for path in ("/a", "/b"):
                async with connected(tap) as stream:
                    assert await ask(stream, path) == "201"
            assert tap.crossings == 4
            assert witness.crossed_ == [
                ("edge", 1, "POST /a"),
                ("edge", 1, "201"),
                ("edge", 2, "POST /b"),
                ("edge", 2, "201"),
            ]
            before = tap.crossings
        async with tapped(till, Opaque, witness) as plain:
            async with connected(plain) as stream:
                assert await ask(stream, "/c") == "201"
            assert (before, plain.crossings, len(witness.crossed_)) == (4, 2, 4)

    run(story())


def test_a_refused_upstream_is_traffic_with_the_name_of_what_was_asked() -> None:
    """An outage that somebody met is not an outage that nobody noticed."""

    async def story() -> None:
        witness = Witness()
        tap = Tap("api", Http, witness)
        await tap.start((LOOPBACK, free_port()))
        async with connected(tap) as stream:
            assert await ask(stream, "/payments") in (RESET, "closed")
        assert (tap.crossings, witness.labels) == (1, ["POST /payments (refused)"])
        async with connected(tap) as (reader, writer):
            writer.write_eof()
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert witness.labels[1:] == ["connection (refused)"]
        await tap.close()

    run(story())


# Surgery


@pytest.mark.parametrize(("point", "did"), [("before", []), ("after", ["/pay"])])
def test_a_cut_before_never_happened_and_a_cut_after_happened_unheard(point: Any, did: list[str]) -> None:
    """Either way the client sees a reset and no answer; what the server did is the difference."""

    async def story() -> None:
        witness, till = Witness(), Till()
        surgery = Surgery("edge", "POST /pay", point)
        async with tapped(till, Http, witness) as tap:
            tap.surgeries.append(surgery)
            async with connected(tap) as stream:
                assert await ask(stream, "/pay") == RESET
            assert till.done == did
            assert witness.operated_ == [surgery]
            assert surgery.hit == "edge ▸ POST /pay"
            assert "201" not in witness.labels
            async with connected(tap) as stream:
                assert await ask(stream, "/pay") == "201"
            assert (till.done, len(witness.operated_)) == ([*did, "/pay"], 1)

    run(story())


@pytest.mark.parametrize("point", ["before", "after"])
def test_an_act_is_awaited_at_that_very_moment(point: Any) -> None:
    """While it lasts the message has not arrived, or was answered and nobody heard; the cut comes when it has ended."""

    async def story() -> None:
        till, began, go_on = Till(), asyncio.Event(), asyncio.Event()

        async def act(_: Patient) -> None:
            began.set()
            await go_on.wait()

        async with tapped(till, Http) as tap, connected(tap) as stream:
            tap.surgeries.append(Surgery("edge", "POST /pay", point, act=act))
            asking = asyncio.create_task(ask(stream, "/pay"))
            await began.wait()
            assert till.done == (["/pay"] if point == "after" else [])
            async with connected(tap) as other:
                assert await ask(other, "/other") == "201", "other connections live on meanwhile"
            assert not asking.done()
            go_on.set()
            assert await asking == RESET
            assert till.done.count("/pay") == (point == "after")

    run(story())


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("who", ["client", "server"])
def test_an_act_runs_to_its_end_even_when_the_connection_breaks_under_it(point: Any, who: str) -> None:
    """Killing one end breaks the connection while the kill is still being awaited: it must not be abandoned half-way."""

    async def story() -> None:
        broken, finished = asyncio.Event(), asyncio.Event()
        ends: dict[str, asyncio.StreamWriter] = {}
        till = Till()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends["server"] = writer
            await till(reader, writer)

        async def act(_: Patient) -> None:
            end = ends[who].get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            ends[who].transport.abort()
            broken.set()
            for _ in range(20):  # turns of the loop, in which the tap learns that the other end is gone
                await asyncio.sleep(0.001)
            finished.set()

        async with tapped(serve, Http) as tap, connected(tap) as stream:
            ends["client"] = stream[1]
            tap.surgeries.append(Surgery("edge", "POST /pay", point, act=act))
            asking = asyncio.create_task(ask(stream, "/pay"))
            await broken.wait()
            await asyncio.wait_for(finished.wait(), 5.0)
            assert await asking in (RESET, "closed")

    run(story())


@pytest.mark.parametrize("answers", [True, False])
def test_a_surgery_is_finished_when_it_was_done_or_can_no_more_be_done(answers: bool) -> None:
    """Not while its act is under way; and a server that breaks off instead of answering does not leave it open."""

    async def story() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()
        till = Till()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if answers:
                await till(reader, writer)
            else:
                await reader.readuntil(b"\r\n\r\n")

        async def act(_: Patient) -> None:
            began.set()
            await go_on.wait()

        surgery = Surgery("edge", "POST /pay", "after", act=act)
        async with tapped(serve, Http) as tap:
            tap.surgeries.append(surgery)
            async with connected(tap) as stream:
                asking = asyncio.create_task(ask(stream, "/pay"))
                if answers:
                    await began.wait()
                    assert not surgery.finished.is_set()
                    go_on.set()
                assert await asking in (RESET, "closed")
            await surgery.finished.wait()
            assert surgery.hit

    run(story())


def test_exactly_one_crossing_is_hit() -> None:
    """Of ten requests at the same instant one is cut, and nine are answered."""

    async def story() -> None:
        till = Till()
        async with tapped(till, Http) as tap:
            tap.surgeries.append(Surgery("edge", "POST /pay", "before"))

            async def client() -> str:
                async with connected(tap) as stream:
                    return await ask(stream, "/pay")

            seen = await asyncio.gather(*(client() for _ in range(10)))
            assert sorted(seen) == ["201"] * 9 + [RESET]
            assert len(till.done) == 9

    run(story())


def test_only_the_message_that_was_named_is_hit() -> None:
    """Another path passes; so does an answer, whatever it is called."""

    async def story() -> None:
        till, surgery, answer = Till(), Surgery("edge", "POST /pay", "before"), Surgery("edge", "201", "before")
        async with tapped(till, Http) as tap, connected(tap) as stream:
            tap.surgeries += [surgery, answer]
            assert await ask(stream, "/accounts") == "201"
            assert (surgery.hit, answer.hit) == (None, None)
            assert await ask(stream, "/pay/now") == RESET

    run(story())


@pytest.mark.parametrize(("point", "did"), [("before", ["/pay"]), ("after", ["/pay", "/pay"])])
def test_the_nth_that_matches_is_hit(point: Any, did: list[str]) -> None:
    """What matches is counted over all connections, each way of the link and other labels apart; the others pass."""

    async def story() -> None:
        till, surgery, answers = (
            Till(),
            Surgery("edge", "POST /pay", point, nth=2),
            Surgery("edge", "201", point, nth=1),
        )
        async with tapped(till, Http) as tap:
            tap.surgeries += [surgery, answers]
            seen = []
            for path in ("/pay", "/accounts", "/pay", "/pay"):
                async with connected(tap) as stream:
                    seen.append(await ask(stream, path))
            assert seen == ["201", "201", RESET, "201"]
            assert [path for path in till.done if path == "/pay"] == [*did, "/pay"]
            assert answers.hit is None

    run(story())


def test_the_nth_is_counted_since_it_was_armed() -> None:
    """What crossed before a callback did is not among the two."""

    async def story() -> None:
        wire, till = Wire(), Till()
        async with tapped(till, Http, wire) as edge, tapped(till, Http, wire, "hook") as hook:
            surgery = Surgery("edge", "POST /pay", "before", since=("hook", "POST /callbacks"), nth=2)
            wire.schedule(edge, surgery)
            async with connected(edge) as client, connected(hook) as provider:
                assert await ask(client, "/pay") == "201"
                assert await ask(provider, "/callbacks") == "201"
                assert await ask(client, "/pay") == "201"
                assert await ask(client, "/pay") == RESET

    run(story())


def test_two_surgeries_count_alike_and_do_not_hit_the_same_message() -> None:
    """The second and the second are two: the one that comes later takes the next."""

    async def story() -> None:
        one, other = (Surgery("edge", "POST /pay", "before", nth=2) for _ in range(2))
        async with tapped(Till(), Http) as tap:
            tap.surgeries += [one, other]
            seen = []
            for _ in range(4):
                async with connected(tap) as stream:
                    seen.append(await ask(stream, "/pay"))
            assert seen == ["201", RESET, RESET, "201"]

    run(story())


def test_since_waits_for_the_other_links_crossing() -> None:
    """Nothing is cut until a callback has crossed the hook; its own link's traffic does not arm it."""

    async def story() -> None:
        wire, till = Wire(), Till()
        async with tapped(till, Http, wire) as edge, tapped(till, Http, wire, "hook") as hook:
            surgery = Surgery("edge", "POST /pay", "before", since=("hook", "POST /callbacks"))
            wire.schedule(edge, surgery)
            async with connected(edge) as client, connected(hook) as provider:
                assert await ask(client, "/callbacks") == "201"
                assert await ask(client, "/pay") == "201"
                assert await ask(provider, "/health") == "201"
                assert await ask(client, "/pay") == "201"
                assert not surgery.armed
                assert await ask(provider, "/callbacks") == "201"
                assert await ask(client, "/pay") == RESET

    run(story())


def test_a_cancelled_surgery_hits_nothing() -> None:
    """Neither does its cancelling touch another that is scheduled on the same link."""

    async def story() -> None:
        wire, till = Wire(), Till()
        async with tapped(till, Http, wire) as tap:
            one, other = Surgery("edge", "POST /pay", "before"), Surgery("edge", "POST /refund", "before")
            wire.schedule(tap, one)
            wire.schedule(tap, other)
            wire.cancel(one)
            async with connected(tap) as stream:
                assert await ask(stream, "/pay") == "201"
                assert await ask(stream, "/refund") == RESET
            assert (one.hit, other.hit) == (None, "edge ▸ POST /refund")

    run(story())


# Held, late, twice


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_message_is_held_until_somebody_says_go(point: Any) -> None:
    """And with it everything after it on that connection, in that direction; then all arrives, in order, unharmed."""

    async def story() -> None:
        witness, till, go = Witness(), Till(), asyncio.Event()

        async def hold(_: Patient) -> None:
            await go.wait()

        surgery = Surgery("edge", "POST /pay", point, act=hold, then="pass", did="hold")
        async with tapped(till, Http, witness) as tap, connected(tap) as stream:
            tap.surgeries.append(surgery)
            asking = asyncio.create_task(ask(stream, "/pay"))
            await surgery.struck.wait()
            async with connected(tap) as other:
                assert await ask(other, "/other") == "201"
            assert till.done == (["/other"] if point == "before" else ["/pay", "/other"])
            assert not asking.done()
            assert not surgery.finished.is_set()
            go.set()
            assert await asking == "201"
            assert surgery.finished.is_set()
            assert till.done.count("/pay") == 1
            assert list(witness.held) == ["POST /pay" if point == "before" else "201"]
            assert await ask(stream, "/pay") == "201", "the connection lives on"

    run(story())


def test_what_was_held_is_dated_twice_in_the_history() -> None:
    """When it came to the tap, and when it was passed on; what was not held has one date."""

    async def story() -> None:
        times = iter(range(100, 1000))
        wire, go = Wire(), asyncio.Event()
        wire.recorder = recorder = Recorder(lambda: float(next(times)))

        async def hold(_: Patient) -> None:
            await go.wait()

        surgery = Surgery("edge", "POST /pay", "before", act=hold, then="pass", did="hold")
        async with tapped(Till(), Http, wire) as tap, connected(tap) as stream:
            wire.schedule(tap, surgery)
            asking = asyncio.create_task(ask(stream, "/pay"))
            await surgery.struck.wait()
            go.set()
            assert await asking == "201"
        held, answer = recorder.history().of("crossing")
        assert held["label"] == "edge ▸ POST /pay"
        assert held["arrived"] < held.at
        assert answer.get("arrived") is None
        assert [event["action"] for event in recorder.history().of("surgery")] == ["hold before"]

    run(story())


def test_a_held_message_outlives_its_sender() -> None:
    """Who sent it has long given up; it arrives all the same, because it was on its way."""

    async def story() -> None:
        till, go = Till(), asyncio.Event()

        async def hold(_: Patient) -> None:
            await go.wait()

        surgery = Surgery("edge", "POST /pay", "before", act=hold, then="pass")
        async with tapped(till, Http) as tap:
            tap.surgeries.append(surgery)
            async with connected(tap) as (_, writer):
                writer.write(b"POST /pay HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                await surgery.struck.wait()
                writer.close()
                await writer.wait_closed()
            assert till.done == []
            go.set()
            await till.did(1)

    run(story())


def test_a_request_is_delivered_twice_and_answered_once() -> None:
    """The same bytes, when the first was answered; the client hears one answer, and can go on asking."""

    async def story() -> None:
        witness = Witness()
        heard: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError):
                while True:
                    heard.append(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
                    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

        async def repeat(patient: Patient) -> None:
            assert await patient.again()

        surgery = Surgery("edge", "POST /pay", "after", act=repeat, then="pass", did="deliver twice")
        async with tapped(serve, Http, witness) as tap, connected(tap) as stream:
            tap.surgeries.append(surgery)
            assert await ask(stream, "/accounts") == "201"
            reader, writer = stream
            writer.write(b"POST /pay HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)  # so that head and body are two chunks: both belong to it
            writer.write(b"{}")
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"201"
            await reader.readexactly(2)
            assert await ask(stream, "/after") == "201"
        assert [each.split()[1] for each in heard] == [b"/accounts", b"/pay", b"/pay", b"/after"]
        assert heard[1] == heard[2]
        assert witness.labels[2:6] == ["POST /pay", "POST /pay (again)", "201 (again, swallowed)", "201"]

    run(story())


def test_a_copy_that_nobody_answers_is_given_up() -> None:
    """The server breaks off instead of answering it: the act is told, and the first answer is passed on."""

    async def story() -> None:
        till, said = Till(), list[bool]()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not said:
                said.append(True)
                await till(reader, writer)

        async def repeat(patient: Patient) -> None:
            said.append(await patient.again())

        async with tapped(serve, Http) as tap, connected(tap) as stream:
            tap.surgeries.append(Surgery("edge", "POST /pay", "after", act=repeat, then="pass"))
            assert await ask(stream, "/pay") == "201"
        assert (said, till.done) == ([True, False], ["/pay"])

    run(story())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Bounded by the guard of `run`."""
    while True:
        if await condition():
            return
        await asyncio.sleep(0.002)


# Not 1 or 2: then asyncio itself is between accepting a connection and making a transport of it, and loses it.
@pytest.mark.parametrize("turns", [0, 3, 4, 5, 8])
def test_close_leaves_no_task_and_no_connection(turns: int) -> None:
    """However young the connections are when the tap closes, each of them ends, and so does the listening."""

    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                await reader.read(-1)
            writer.transport.abort()

        listener = await asyncio.start_server(serve, LOOPBACK, 0)
        before = asyncio.all_tasks()
        tap = Tap("edge", Opaque, Witness())
        await tap.start(listener.sockets[0].getsockname()[:2])
        address = tap.address
        with ExitStack() as ends:
            clients = [ends.enter_context(socket.create_connection(address)) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await tap.close()
            for client in clients:
                client.setblocking(False)
                with suppress(ConnectionError):
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""

        async def alone() -> bool:
            return asyncio.all_tasks() == before

        await asyncio.sleep(0.02)  # turns, in which the server accepts what the tap had begun
        await until(alone)  # the server's own handlers see their ends close
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    run(story(), within_s=5.0)


# Against the real PostgreSQL: the promise that everything else stands on


@asynccontextmanager
async def database(surgery: Surgery) -> AsyncIterator[tuple[Tap, str, "asyncpg.Connection[asyncpg.Record]"]]:
    """A PostgreSQL behind a tap, the URL through the tap, and a connection past it."""
    wire = Wire()
    async with PostgresCluster(run_dir() / "postgres") as postgres:
        tap = Tap("db", Postgres, wire)
        await tap.start(postgres.address)
        wire.schedule(tap, surgery)
        past = await asyncpg.connect(postgres.url())
        await past.execute("CREATE TABLE credits (payment text PRIMARY KEY, amount_minor bigint)")
        host, port = tap.address
        try:
            yield tap, f"postgresql://chaos@{host}:{port}/postgres?sslmode=disable", past
        finally:
            await past.close()
            await tap.close()


@pytest.mark.parametrize(("point", "there"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("ssl", ["disable", "prefer"])
def test_a_commit_that_was_cut(point: Any, there: int, ssl: str) -> None:
    """Cut before: the row is not there. Cut after: it is. Either way the client only knows that the connection broke.

    A transaction that only reads commits unharmed, and so does another connection's.
    """

    async def story() -> None:
        surgery = Surgery("db", "COMMIT", point, writes=True)
        async with database(surgery) as (tap, url, past):
            client = await asyncpg.connect(url.replace("disable", ssl))
            async with client.transaction():
                assert await client.fetchval("SELECT count(*) FROM credits") == 0
            assert surgery.hit is None
            other = await asyncpg.connect(url)
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                async with client.transaction():
                    await client.execute("INSERT INTO credits VALUES ($1, 500)", "pay_1")
            assert surgery.hit == "db ▸ COMMIT (credits)"
            assert client.is_closed()
            async with other.transaction():
                await other.execute("INSERT INTO credits VALUES ('pay_2', 700)")
            await other.close()

            async def seen() -> bool:
                """The server has seen the end of the cut connection."""
                others = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
                return not await past.fetchval(others)

            await until(seen)
            assert await past.fetchval("SELECT count(*) FROM credits WHERE payment = 'pay_1'") == there
            assert await past.fetchval("SELECT count(*) FROM credits WHERE payment = 'pay_2'") == 1
            assert tap.crossings > 0

    run(story())
