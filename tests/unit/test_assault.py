"""What an attacker at the clients' door sends, and what he makes of what comes back."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from harness import assault as attack
from harness.assault import ASSAULTS, ENDLESS_BYTES, Suffered, assault

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def suffered(how: str, handle: Handle) -> Suffered:
    """An assault on a service that does *handle* with it."""

    async def story() -> Suffered:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handle(reader, writer)
            finally:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            honest = httpx.Request("POST", f"http://127.0.0.1:{port}/x", json={"account": "a", "amount_minor": 1})
            return await assault(how, honest)

    return asyncio.run(story())


async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def reads_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


@pytest.mark.parametrize("how", ASSAULTS)
def test_a_refusal_ends_it(how: str) -> None:
    """Also of what would never end by itself."""
    saw = suffered(how, refuses)
    assert (saw.status, saw.closed) == (413, False)
    assert saw.taken < ENDLESS_BYTES // 2


def test_a_connection_that_is_closed_is_no_silence() -> None:
    saw = suffered("trickle", hangs_up)
    assert (saw.status, saw.closed) == (None, True)


def test_silence_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attack, "GIVES_UP_S", 0.5)
    saw = suffered("trickle", never_answers)
    assert (saw.status, saw.closed) == (None, False)
    assert saw.took_s >= 0.5


def test_what_was_taken_is_counted() -> None:
    saw = suffered("endless", reads_all)
    assert saw.status == 201
    assert saw.taken >= ENDLESS_BYTES


def test_nobody_there_is_nobody_harmed() -> None:
    honest = httpx.Request("POST", "http://127.0.0.1:1/x", json={"amount_minor": 1})
    assert asyncio.run(assault("twice", honest)).closed


def test_one_body_says_two_things_and_another_is_deep() -> None:
    honest = httpx.Request("POST", "http://127.0.0.1:1/x", json={"account": "a", "amount_minor": 1})

    async def sent(how: str) -> bytes:
        return b"".join([piece async for piece in ASSAULTS[how](honest)]).partition(b"\r\n\r\n")[2]

    pairs = json.loads(asyncio.run(sent("twice")), object_pairs_hook=list)
    assert pairs == [("account", "a"), ("amount_minor", 1), ("account", "a"), ("amount_minor", 2)]
    with pytest.raises(RecursionError):
        json.loads(asyncio.run(sent("deep")))
