"""What a tap costs: round trips straight to a server, and through what stands in between on every link of a stack.

    .venv/bin/python tests/benchmarks/tap.py [--rounds 40]

One run measures all ways, in turns: a round does the same round trips on each way, one after another, beginning with another
way each time, so that what else goes on in the machine meets them alike. A ratio is that of two times of one round. The
clients are as bare as can be (bytes over a socket for HTTP, asyncpg for PostgreSQL): with a client that does more the
ratios are smaller, the added microseconds are the same. Servers are processes of their own; clients and taps share this one.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import asyncpg

from harness.cache import run_dir
from harness.history import Recorder
from harness.stack import Wire
from harness.stacks.postgres import PostgresCluster
from harness.stacks.proxies import ProxyServer, find_proxy_server
from harness.wire.framing import Framing, Opaque
from harness.wire.http import Http
from harness.wire.postgres import Postgres
from harness.wire.tap import Tap

Address = tuple[str, int]
Trip = Callable[[], Awaitable[object]]

DIRECT, UNNAMED, NAMED, PROXIED = "direct", "tap, unnamed", "tap", "tap and proxy"
BODY = b'{"account": "a1", "amount_minor": 177, "currency": "EUR", "method": "card"}'
REQUEST = b"POST /v1/top-ups HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k1\r\n"
REQUEST += b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@dataclass(slots=True)
class Measured:
    """One kind of round trip, by every way that it can take: seconds for each, in each round."""

    name: str
    trips: int
    ways: Mapping[str, Trip]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    async def round(self, number: int) -> None:
        names = list(self.ways)
        for way in names[number % len(names) :] + names[: number % len(names)]:
            began = time.perf_counter()
            for _ in range(self.trips):
                await self.ways[way]()
            self.seconds.setdefault(way, []).append((time.perf_counter() - began) / self.trips)

    def lines(self) -> Iterator[str]:
        for way in self.ways:
            seconds = self.seconds[way]
            low, middle, high = statistics.quantiles(seconds, n=4)
            ratios = [each / direct for each, direct in zip(seconds, self.seconds[DIRECT], strict=True)]
            few, ratio, many = statistics.quantiles(ratios, n=4)
            times = f"{middle * 1e6:8.0f} µs  ({low * 1e6:.0f} to {high * 1e6:.0f})"
            yield f"{self.name:<24} {way:<14} {times:<30} {ratio:5.2f} ×  ({few:.2f} to {many:.2f})"


async def measure(rounds: int) -> None:
    scratch = run_dir()
    async with AsyncExitStack() as ends:
        ends.callback(shutil.rmtree, scratch, ignore_errors=True)
        proxies = await find_proxy_server(scratch, os.environ, Random(1))
        ends.push_async_callback(proxies.close)
        postgres = await ends.enter_async_context(PostgresCluster(scratch / "postgres"))
        await postgres.create_database("bench")
        wire, sink = Wire(), ends.enter_context((scratch / "history.jsonl").open("w"))
        http = await ways_to(await ends.enter_async_context(answering()), Http, "edge", wire, proxies, ends)
        database = await ways_to(postgres.address, Postgres, "db", wire, proxies, ends)
        measured = [
            Measured("POST, kept connection", 200, {way: await posting(at, ends) for way, at in http.items()}),
            Measured("SELECT 1", 200, {way: await selecting(at, ends) for way, at in database.items()}),
            Measured("five-statement commit", 40, {way: await committing(at, ends) for way, at in database.items()}),
        ]
        for number in range(rounds + 1):
            wire.recorder = Recorder(time.time, sink)  # a history is as long as a run
            for each in measured:
                await each.round(number)
                if number == 0:  # connections, caches and branches warm up
                    each.seconds.clear()
        print(f"{rounds} rounds; median (quartiles) of one round trip, and of its ratio to direct; {proxies.backend}")
        print("\n".join(line for each in measured for line in each.lines()))


async def ways_to(
    server: Address, framing: type[Framing], link: str, wire: Wire, proxies: ProxyServer, ends: AsyncExitStack
) -> Mapping[str, Address]:
    """Where to connect to for each way, as the stack builds them: a named tap also writes what crosses into a history."""
    proxy = await proxies.create(link, server)
    ways = {DIRECT: server}
    for way, reads, behind in ((UNNAMED, Opaque, server), (NAMED, framing, server), (PROXIED, framing, proxy.address)):
        tap = Tap(link, reads, wire)
        await tap.start(behind)
        ends.push_async_callback(tap.close)
        ways[way] = tap.address
    return ways


async def posting(server: Address, ends: AsyncExitStack) -> Trip:
    reader, writer = await asyncio.open_connection(*server)
    ends.callback(writer.close)

    async def trip() -> None:
        writer.write(REQUEST)
        await reader.readexactly(len(ANSWER))

    return trip


async def connected(server: Address, ends: AsyncExitStack) -> asyncpg.Connection:
    host, port = server
    connection = await asyncpg.connect(host=host, port=port, user="chaos", database="bench", ssl=False)
    ends.push_async_callback(connection.close)
    return connection


async def selecting(server: Address, ends: AsyncExitStack) -> Trip:
    connection = await connected(server, ends)
    return lambda: connection.fetchval("SELECT 1")


async def committing(server: Address, ends: AsyncExitStack) -> Trip:
    """BEGIN, three statements as a service makes them, COMMIT."""
    connection = await connected(server, ends)
    await connection.execute("CREATE TABLE IF NOT EXISTS ledger (account text, amount bigint, at bigint)")
    await connection.execute("CREATE TABLE IF NOT EXISTS balances (account text PRIMARY KEY, amount bigint)")
    account = f"a{server[1]}"
    await connection.execute("INSERT INTO balances VALUES ($1, 0)", account)

    async def trip() -> None:
        async with connection.transaction():
            await connection.fetchval("SELECT amount FROM balances WHERE account = $1 FOR UPDATE", account)
            await connection.execute("INSERT INTO ledger (account, amount, at) VALUES ($1, $2, $3)", account, 177, 1)
            await connection.execute("UPDATE balances SET amount = amount + $2 WHERE account = $1", account, 177)

    return trip


@asynccontextmanager
async def answering() -> AsyncIterator[Address]:
    """An HTTP server in a process of its own that answers every request alike; it ends when its input is closed."""
    command = [sys.executable, str(Path(__file__)), "--serve"]
    pipe = asyncio.subprocess.PIPE
    server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        async with asyncio.timeout(10):
            port = int(await server.stdout.readline())
        yield "127.0.0.1", port
    finally:
        server.stdin.close()
        async with asyncio.timeout(10):
            await server.wait()


async def serve() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readexactly(len(REQUEST)):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=40, help="how often each way is measured")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    asyncio.run(serve() if given.serve else measure(given.rounds))
