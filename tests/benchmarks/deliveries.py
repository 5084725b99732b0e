"""How many callbacks a second one provider process delivers, beside what the receiver itself can take.

`python tests/benchmarks/deliveries.py` prints both, and their ratio: absolute numbers differ from machine to machine, a ratio
taken in one run hardly does. The receiver is a process of its own that parses no more than it must and says 204. Its limit
is taken by a sender that does nothing but write ready bytes on kept connections and count the answers. Last comes a whole
retry schedule, played out on the test clock over real sockets.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import Random

from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import find
from fake_provider.moods import make
from fake_provider.payments import Order
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
CONNECTIONS = 32
TIMEOUT_S = 10.0


class Receiver(asyncio.Protocol):
    """Reads one request after the other on a connection, and says yes to each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.raw = transport, b""

    def data_received(self, data: bytes) -> None:
        self.raw += data
        while (head := self.raw.find(b"\r\n\r\n")) >= 0:
            at = self.raw.lower().find(b"content-length:", 0, head)
            whole = head + 4 + int(self.raw[at + 15 : self.raw.find(b"\r", at)])
            if len(self.raw) < whole:
                return
            self.raw = self.raw[whole:]
            self.transport.write(ANSWER)


def receive(tell: Connection) -> None:
    """The receiver's process: serves until it is ended."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0, backlog=1024)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@asynccontextmanager
async def receiver() -> AsyncIterator[int]:
    """A receiver in a process of its own; yields its port."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=receive, args=(there,), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(here.recv)
    finally:
        process.kill()
        process.join()


async def limit(port: int, count: int, request: bytes) -> None:
    """Ready bytes on kept connections: what the receiver can take, and not much more than a socket costs us."""

    async def line(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(times):
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    await asyncio.gather(*(line(count // CONNECTIONS) for _ in range(CONNECTIONS)))


def provider_to(port: int, keep: bool) -> Provider:
    """A provider whose callbacks go to that port, over real sockets."""
    setup = Setup(
        merchant="m",
        environment="bench",
        dialect=find("standard-webhooks"),
        keys=(SECRET,),
        sender=LoopbackSender(Address.of(f"http://127.0.0.1:{port}/callbacks"), TIMEOUT_S, keep),
        clocks=Clocks(payload=HandClock()),
        rng=Random(1),
    )
    return Provider(setup)


async def play_schedule(port: int, count: int) -> float:
    """Callbacks that nobody acknowledges, through their whole schedule, one payment after another; the hours of one."""
    provider = provider_to(port, keep=False)
    provider.put_on(make("never-acknowledged", {"n": 100}))
    began = provider.clock()
    for number in range(count):
        order = Order(
            reference=f"r{number}", amount_minor=100, currency="EUR", account="a", merchant="m", method="card"
        )
        await provider.create_payment(f"k{number}", order)
        await provider.play_out(timedelta(days=30))
    gave_up = sum(entry.fact.kind == "gave-up" for entry in provider.journal.after(0))
    assert gave_up == count, f"{gave_up} of {count} schedules came to their end"
    await provider.close()
    return (provider.clock() - began) / timedelta(hours=1) / count


async def deliver(port: int, count: int, keep: bool) -> None:
    """Payments by card, each announced once: signed, sent, answered, written into the journal."""
    provider = provider_to(port, keep)
    for number in range(count):
        order = Order(
            reference=f"r{number}", amount_minor=100, currency="EUR", account="a", merchant="m", method="card"
        )
        await provider.create_payment(f"k{number}", order)
    while provider.deliveries.unsettled().in_flight:  # noqa: ASYNC110 - what is waited for raises no event
        await asyncio.sleep(0.005)
    acknowledged = sum(
        entry.fact.kind == "answer" and getattr(entry.fact, "acknowledged", False)
        for entry in provider.journal.after(0)
    )
    assert acknowledged == count, f"{acknowledged} of {count} were acknowledged"
    await provider.close()


async def a_second(what: Callable[[], Awaitable[None]], count: int) -> float:
    began = time.perf_counter()
    await what()
    return count / (time.perf_counter() - began)


async def main(count: int, rounds: int) -> None:
    request = b"POST /callbacks HTTP/1.1\r\nhost: x\r\ncontent-length: 220\r\n\r\n" + b"x" * 220
    async with receiver() as port:
        await deliver(port, 50, keep=False)  # imports, caches
        for _ in range(rounds):
            most = await a_second(lambda: limit(port, 10 * count, request), 10 * count)
            each = await a_second(lambda: deliver(port, count, keep=False), count)
            kept = await a_second(lambda: deliver(port, count, keep=True), count)
            print(
                f"receiver's limit {most:7.0f}/s   a connection each {each:7.0f}/s (ratio {each / most:.3f})"
                f"   connections kept {kept:7.0f}/s (ratio {kept / most:.3f})"
            )


async def schedules(count: int) -> None:
    async with receiver() as port:
        began = time.perf_counter()
        hours = await play_schedule(port, count)
        print(f"a schedule of {hours:.1f} h is played out in {(time.perf_counter() - began) / count:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="deliveries in a round")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    asyncio.run(main(asked.count, asked.rounds))
    asyncio.run(schedules(20))
