"""Turns, given to a small service of the tests' own: real PostgreSQL behind a tap, real HTTP in front of another."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import asyncpg
import httpx
import pytest

from harness.wire.framing import Crossing
from harness.wire.http import Http
from harness.wire.postgres import FLUSH, Postgres
from harness.wire.tap import Surgery, Tap
from harness.wire.turns import Turns
from harness.witness import watching

Handler = Callable[["asyncpg.Pool[Any]"], Awaitable[int]]


def looped(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Carry out an asynchronous test in a loop of its own."""

    @wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        asyncio.run(test(*args, **fixtures))  # type: ignore[arg-type]  # it is a coroutine

    return run


class Nobody:
    """Observes a tap, and has no provider that could call back."""

    in_flight = 0

    def crossed(self, link: str, connection: int, crossing: Crossing, held_s: float = 0.0) -> None: ...

    def operated(self, surgery: Surgery) -> None: ...

    async def rest(self) -> "Nobody":
        return self


@dataclass
class Told:
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __call__(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.events.append((kind, facts))

    @property
    def turns(self) -> list[str]:
        """`1 SELECT counters`: whose turn it was, and at what."""
        return [f"{facts['lane']} {facts['statement']}" for kind, facts in self.events if kind == "turn"]

    @property
    def waits(self) -> list[int]:
        return [facts["lane"] for kind, facts in self.events if kind == "waits"]


@asynccontextmanager
async def meeting(
    url: str, handlers: Sequence[Handler], order: str = "", *, one_at_a_time: bool = False
) -> AsyncIterator[tuple[Turns, Told, list[int]]]:
    """Requests 1, 2, … to handlers of their own, sent at once; what each was answered, once they all were."""
    host, port = url.partition("@")[2].partition("/")[0].split(":")
    database = url.rpartition("/")[2]
    db, edge = Tap("db", Postgres, Nobody()), Tap("edge", Http, Nobody())
    await db.start((host, int(port)))
    pool = await asyncpg.create_pool(f"postgresql://chaos@127.0.0.1:{db.address[1]}/{database}", min_size=3, max_size=3)
    busy = asyncio.Lock()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        handler = handlers[int(head.split(b" ")[1].strip(b"/")) - 1]
        if one_at_a_time:
            async with busy:
                status = await handler(pool)
        else:
            status = await handler(pool)
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    service = await asyncio.start_server(serve, "127.0.0.1", 0)
    await edge.start(service.sockets[0].getsockname()[:2])
    told = Told()
    async with watching(url, Nobody(), db, idle_s=0) as watch:  # type: ignore[arg-type]  # it only asks who is in flight
        turns = Turns(
            watch.reader, watch.background, db.known, watch.eye, told, lambda number: db.insert(number, FLUSH),
            order=[int(word) for word in order.split()], asleep=frozenset(), together=len(handlers),
        )  # fmt: skip
        db.gate = edge.gate = turns
        giving = asyncio.create_task(turns.run())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{edge.address[1]}", timeout=20) as client:
            answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(1, len(handlers) + 1)))
        assert await turns.finish(5)
        giving.cancel()
        turns.open()
        db.gate = edge.gate = None
        yield turns, told, [answer.status_code for answer in answers]
    service.close()
    await pool.close()
    await edge.close()
    await db.close()


@pytest.fixture
def counters(database_url: str) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL)")
        await connection.execute("INSERT INTO counters VALUES ('a', 0), ('b', 0)")
        await connection.close()

    asyncio.run(make())
    return database_url


async def values(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT name, value FROM counters")
    await connection.close()
    return {row["name"]: row["value"] for row in rows}


async def reads_then_writes(pool: "asyncpg.Pool[Any]") -> int:
    async with pool.acquire() as connection, connection.transaction():
        value = await connection.fetchval("SELECT value FROM counters WHERE name = 'a'")
        await connection.execute("UPDATE counters SET value = $1 WHERE name = 'a'", value + 1)
    return 204


async def adds(pool: "asyncpg.Pool[Any]") -> int:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'a'")
    return 204


def locks_both(first: str, second: str) -> Handler:
    async def handler(pool: "asyncpg.Pool[Any]") -> int:
        try:
            async with pool.acquire() as connection, connection.transaction():
                for name in (first, second):
                    await connection.execute("UPDATE counters SET value = value + 1 WHERE name = $1", name)
        except asyncpg.DeadlockDetectedError:
            return 409
        return 204

    return handler


async def serializable(pool: "asyncpg.Pool[Any]") -> int:
    for _ in range(5):
        try:
            async with pool.acquire() as connection, connection.transaction(isolation="serializable"):
                value = await connection.fetchval("SELECT value FROM counters WHERE name = 'a'")
                await connection.execute("UPDATE counters SET value = $1 WHERE name = 'a'", value + 1)
        except asyncpg.SerializationError:
            continue
        return 204
    return 503


class TestOrder:
    @pytest.mark.parametrize(("order", "value"), [("1 1 1 2 2 2", 2), ("1 2 1 1 2 2", 1), ("2 1 1 1 2 2", 1)])
    @looped
    async def test_it_decides_whether_an_update_is_lost(self, counters: str, order: str, value: int) -> None:
        async with meeting(counters, [reads_then_writes, reads_then_writes], order) as (_, told, _):
            assert [turn.split()[0] for turn in told.turns] == order.split()
        assert (await values(counters))["a"] == value

    @looped
    async def test_without_one_a_request_goes_on_while_it_can(self, counters: str) -> None:
        async with meeting(counters, [reads_then_writes, reads_then_writes]) as (turns, told, _):
            assert [turn.split()[0] for turn in told.turns] in (list("222111"), list("111222"))
            assert turns.overlaps > 0

    @looped
    async def test_one_that_waits_for_a_lock_is_seen_to_wait_and_passes_its_turn(self, counters: str) -> None:
        async with meeting(counters, [adds, adds], "1 2 1") as (_, told, _):
            assert told.waits == [2]
            assert told.turns == ["1 UPDATE counters", "2 UPDATE counters", "1 COMMIT", "2 COMMIT"]
        assert (await values(counters))["a"] == 2


class TestTrouble:
    @looped
    async def test_a_deadlock_costs_one_of_them_its_transaction(self, counters: str) -> None:
        both = [locks_both("a", "b"), locks_both("b", "a")]
        async with meeting(counters, both, "1 2 1 2") as (_, told, answers):
            assert sorted(answers) == [204, 409]
            assert told.waits == [1, 2]

    @looped
    async def test_a_serialisation_failure_is_part_of_the_order_and_so_is_the_retry(self, counters: str) -> None:
        async with meeting(counters, [serializable, serializable], "1 2 1 1 2") as (_, told, answers):
            assert answers == [204, 204]
            assert told.turns.count("2 SELECT counters") == 2
        assert (await values(counters))["a"] == 2

    @looped
    async def test_a_service_that_handles_one_at_a_time_never_has_two_under_way(self, counters: str) -> None:
        both = [reads_then_writes, reads_then_writes]
        async with meeting(counters, both, one_at_a_time=True) as (turns, _, answers):
            assert answers == [204, 204]
            assert turns.overlaps == 0


class TestPipeline:
    @looped
    async def test_each_statement_of_a_pipeline_takes_a_turn_of_its_own(self, counters: str) -> None:
        """Two statements in one packet; the other request comes between them, and sees what it should."""
        port = 0

        async def pipelined(pool: "asyncpg.Pool[Any]") -> int:
            nonlocal port
            async with pool.acquire() as connection:
                port = connection._addr[1]  # type: ignore[attr-defined]  # the tap's, which nobody else knows here
            await pipeline(
                port, counters.rpartition("/")[2], ["SELECT value FROM counters", "SELECT name FROM counters"]
            )
            return 204

        async with meeting(counters, [pipelined, adds], "1 2 1") as (_, told, answers):
            assert answers == [204, 204]
            assert told.turns[:3] == ["1 SELECT counters", "2 UPDATE counters", "1 SELECT counters"]


async def pipeline(port: int, database: str, statements: Sequence[str]) -> bytes:
    """Startup, then all statements and one Sync in a single packet (PostgreSQL documentation, "Pipelining")."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    parameters = b"user\0chaos\0database\0" + database.encode() + b"\0\0"
    writer.write(struct.pack("!II", len(parameters) + 8, 196608) + parameters)
    await until_ready(reader)
    packet = b""
    for sql in statements:
        packet += message(b"P", b"\0" + sql.encode() + b"\0\0\0")
        packet += message(b"B", b"\0\0" + struct.pack("!HHH", 0, 0, 0)) + message(b"E", b"\0" + struct.pack("!I", 0))
    writer.write(packet + message(b"S", b""))
    answer = await until_ready(reader)
    writer.close()
    return answer


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


async def until_ready(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    while True:
        head = await asyncio.wait_for(reader.readexactly(5), 10)
        await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
        heard += head[:1]
        if head[:1] == b"Z":
            return heard
