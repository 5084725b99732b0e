"""What our provider really puts on a socket, in any dialect, for somebody else's verifier to look at."""

import asyncio
from collections.abc import Callable
from random import Random

from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import Dialect, Wire
from fake_provider.payments import Order
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender

ORDER = Order(reference="tu_ü", amount_minor=1000, currency="EUR", account="a", merchant="m", method="card")

Act = Callable[[Provider, str], object]


def captured(
    dialect: Dialect,
    keys: tuple[str, ...],
    act: Act = lambda provider, payment: None,
    *,
    acknowledgement: bytes = b"",
    order: Order = ORDER,
    retired: tuple[str, ...] = (),
) -> list[Wire]:
    """The requests of one card payment and whatever *act* does after it, as headers and body came off the socket."""

    async def story() -> list[Wire]:
        requests: list[Wire] = []

        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[1:-2]
            lines = [line.partition(b": ") for line in head]
            headers = tuple((name.decode().lower(), value) for name, _, value in lines)
            length = int(dict(headers)["content-length"])
            requests.append(Wire(headers, await reader.readexactly(length), url))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(acknowledgement), acknowledgement))
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks/{dialect.name}"
        provider = Provider(
            Setup(
                merchant="m",
                environment="chaos",
                dialect=dialect,
                keys=keys,
                retired=retired,
                url=url,
                sender=LoopbackSender(Address.of(url), 2),
                clocks=Clocks(payload=HandClock()),
                rng=Random(1),
            )
        )
        async with server:
            try:
                payment = (await provider.create_payment("key", order)).body["id"]
                await _landed(provider)
                done = act(provider, payment)
                if asyncio.iscoroutine(done):
                    await done
                await _landed(provider)
            finally:
                await provider.close()
        return requests

    return asyncio.run(story())


def forged(dialect: Dialect, keys: tuple[str, ...], forgery: str, acknowledgement: bytes = b"", **more: object) -> Wire:
    """One forgery, after a genuine callback that was acknowledged.

    A body under a stolen signature claims another amount: where little is signed, it would be the genuine one again.
    """
    claims = {"amount_minor": 999_999} if forgery == "tampered-body" else {}
    wires = captured(
        dialect,
        keys,
        lambda provider, payment: provider.forge(forgery, payment, claims),
        acknowledgement=acknowledgement,
        **more,  # type: ignore[arg-type]
    )
    return wires[-1]


async def _landed(provider: Provider) -> None:
    async with asyncio.timeout(5):
        while provider.deliveries.unsettled().in_flight:  # noqa: ASYNC110 - what is waited for raises no event
            await asyncio.sleep(0.001)
