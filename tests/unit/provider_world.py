"""A provider under test, with a receiver on a real socket that answers as it is told and remembers what it saw."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any, TypeVar

from fake_provider.clock import Clocks, HandClock, Now, real_time
from fake_provider.dialects import Answer, Wire, find
from fake_provider.manner import PLAIN, Manner
from fake_provider.moods import make
from fake_provider.payments import Order
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender, Sender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT_S = 0.2
PATIENCE_S = 5.0

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


async def until(reached: Callable[[], bool]) -> None:
    """Wait until something is so, with a bound."""
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110 - what is waited for raises no event
            await asyncio.sleep(0.001)


@dataclass
class Arrival:
    """One request as it came in."""

    headers: dict[str, bytes]
    body: bytes

    @property
    def event(self) -> str:
        return json.loads(self.body)["type"]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"].decode()


@dataclass
class Receiver:
    """Answers with the next of `answers` (the last one for ever): a status, or `hang`, `reset`, `close`, `garbage`."""

    answers: Sequence[int | str] = (204,)
    body: bytes = b""
    arrivals: list[Arrival] = field(default_factory=list)
    seen: list[tuple[str, int]] = field(default_factory=list)  # ("open" | "complete", number of the connection)
    received: dict[int, int] = field(default_factory=dict)
    at_first_complete: dict[int, int] = field(default_factory=dict)
    on_complete: Callable[[], None] = lambda: None
    open: int = 0
    connections: int = 0
    reads: int = 0
    broken_off: list[bytes] = field(default_factory=list)  # what came on connections that ended too early
    keeps: bool = False  # whether a connection stays open for the next request
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def hang_up(self) -> None:
        """Close what is open."""
        for writer in self.writers:
            writer.close()

    def say(self, raw: bytes) -> None:
        """Say something on every connection, asked or not."""
        for writer in self.writers:
            writer.write(raw)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.connections += 1
        self.writers.append(writer)
        try:
            while await self._serve(reader, writer) and self.keeps:
                pass
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self.open -= 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False when it did not come to its end."""
        number = len(self.received)
        self.received[number] = 0
        self.seen.append(("open", number))
        raw = b""
        while not _whole(raw):
            chunk = await reader.read(65536)
            if not chunk:
                if raw:
                    self.broken_off.append(raw)
                return False
            raw += chunk
            self.reads += 1
            self.received[number] = len(raw)
        if not any(what == "complete" for what, _ in self.seen):
            self.at_first_complete = dict(self.received)
        self.seen.append(("complete", number))
        self.arrivals.append(_arrival(raw))
        self.on_complete()
        answer = self.answers[min(len(self.arrivals), len(self.answers)) - 1]
        if answer == "hang":
            await reader.read()
        elif answer == "reset":
            linger_not = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        elif answer == "garbage":
            writer.write(b"SMTP ready\r\n\r\n")
        elif answer != "close":
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (answer, len(self.body), self.body))
            await writer.drain()
        return True


def _whole(raw: bytes) -> bool:
    head, gap, body = raw.partition(b"\r\n\r\n")
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    return bool(gap) and len(body) >= int(length.partition(b":")[2])


def _arrival(raw: bytes) -> Arrival:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    return Arrival({name.decode().lower(): value for name, _, value in lines}, body)


class FakeSender:
    """No socket: the answers come at once, in order; the last one for ever."""

    def __init__(self, *answers: int | None) -> None:
        self._answers = answers
        self.sent: list[Wire] = []

    async def send(self, wire: Wire, copies: int, heard: Callable[[int, Answer], None], manner: Manner = PLAIN) -> None:
        for number in range(copies):
            self.sent.append(wire)
            status = self._answers[min(len(self.sent), len(self._answers)) - 1]
            heard(number, Answer(status=status, because=str(status)))

    def close(self) -> None:
        """There is nothing to let go of."""


@dataclass
class World:
    provider: Provider
    receiver: Receiver
    clock: HandClock
    made: int = 0

    def put_on(self, name: str, **args: Any) -> str:
        return self.provider.put_on(make(name, args))

    async def create(
        self, method: str = "card", amount_minor: int = 1000, key: str | None = None, account: str = "acc_1"
    ) -> dict[str, Any]:
        """A payment object as the API answers it."""
        self.made += 1
        order = Order(
            reference=f"tu_{self.made}",
            amount_minor=amount_minor,
            currency="EUR",
            account=account,
            merchant="m",
            method=method,
        )
        return dict((await self.provider.create_payment(key or f"key-{self.made}", order)).body)

    async def landed(self) -> None:
        """Wait until nothing is in flight."""
        await until(lambda: not self.provider.deliveries.unsettled().in_flight)

    async def next_attempt(self) -> None:
        """Move the clock to the next due callback and see it through."""
        wait = self.provider.deliveries.until_next()
        assert wait is not None, "nothing is due"
        self.provider.advance(wait)
        await self.landed()

    def journal(self, *kinds: str) -> list[dict[str, Any]]:
        """The journal's entries, all or of some kinds."""
        entries = (entry.to_json() for entry in self.provider.journal.after(0))
        return [entry for entry in entries if not kinds or entry["kind"] in kinds]

    @property
    def events(self) -> list[str]:
        return [arrival.event for arrival in self.receiver.arrivals]


def ticking() -> Now:
    """Real time for signatures, a second later each time it is asked: no two signatures are equal by chance."""
    asked = count()
    return lambda: real_time() + timedelta(seconds=next(asked))


def provider_with(sender: Sender, clock: HandClock, keys: tuple[str, ...] = (SECRET,)) -> Provider:
    return Provider(
        Setup(
            merchant="m",
            environment="chaos",
            dialect=find("standard-webhooks"),
            keys=keys,
            sender=sender,
            clocks=Clocks(payload=clock, signature=ticking()),
            rng=Random(7),
        )
    )


@asynccontextmanager
async def world(*answers: int | str, body: bytes = b"", keys: tuple[str, ...] = (SECRET,)) -> AsyncIterator[World]:
    """A provider and its receiver on real sockets."""
    receiver = Receiver(answers or (204,), body)
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clock = HandClock()
    sender = LoopbackSender(Address.of(f"http://127.0.0.1:{port}/callbacks"), TIMEOUT_S)
    provider = provider_with(sender, clock, keys)
    try:
        yield World(provider, receiver, clock)
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()
        await until(lambda: not receiver.open)


def dry_world(*answers: int | None) -> tuple[World, FakeSender]:
    """A provider without sockets. To be made inside a running loop."""
    clock = HandClock()
    sender = FakeSender(*answers)
    return World(provider_with(sender, clock), Receiver(), clock), sender
