"""Whoever asks on loopback: which connection a request goes over. What each failure means is tested with the clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from harness.stacks.ports import LOOPBACK
from harness.transport import Loopback


@dataclass
class Server:
    """Answers each request with the number of the connection that it came over, and closes one after `at_most` of them."""

    at_most: int = 100
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    url: str = ""
    silent: bool = False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.open.add(writer)
        for _ in range(self.at_most):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, OSError):
                break
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            said = str(number).encode() + await reader.readexactly(length)
            if self.silent:
                continue
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        writer.close()
        self.open.discard(writer)


@asynccontextmanager
async def served(at_most: int = 100) -> AsyncIterator[Server]:
    server = Server(at_most)
    listener = await asyncio.start_server(server.handle, LOOPBACK, 0)
    server.url = "http://{}:{}/".format(*listener.sockets[0].getsockname()[:2])
    try:
        yield server
    finally:
        listener.close()
        for writer in list(server.open):
            writer.transport.abort()


def told(kept_s: float, story: Callable[[httpx.AsyncClient, Server], Awaitable[None]], at_most: int = 100) -> None:
    async def tell() -> None:
        async with (
            asyncio.timeout(20),
            served(at_most) as server,
            httpx.AsyncClient(transport=Loopback(kept_s), trust_env=False) as client,
        ):
            await story(client, server)

    asyncio.run(tell())


def test_with_nothing_kept_each_request_has_a_connection_of_its_own() -> None:
    async def story(client: httpx.AsyncClient, server: Server) -> None:
        for number in (1, 2, 3):
            answer = await client.post(server.url, content=b" and a body")
            assert answer.text == f"{number} and a body"

    told(0.0, story)


def test_a_connection_is_kept_and_each_of_several_at_once_has_its_own() -> None:
    async def story(client: httpx.AsyncClient, server: Server) -> None:
        assert [(await client.get(server.url)).text for _ in range(3)] == ["1", "1", "1"]
        answers = await asyncio.gather(*(client.get(server.url) for _ in range(3)))
        assert sorted(answer.text for answer in answers) == ["1", "2", "3"]

    told(60.0, story)


def test_a_connection_that_rested_too_long_is_not_used_again() -> None:
    async def story(client: httpx.AsyncClient, server: Server) -> None:
        await client.get(server.url)
        await asyncio.sleep(0.02)
        assert (await client.get(server.url)).text == "2"

    told(0.01, story)


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    async def story(client: httpx.AsyncClient, server: Server) -> None:
        assert (await client.get(server.url)).text == "1"
        await asyncio.sleep(0.02)  # until the close has been heard
        assert (await client.get(server.url)).text == "2"

    told(60.0, story, at_most=1)


def test_a_connection_whose_answer_did_not_come_is_not_used_again() -> None:
    """What comes late would be taken for the answer to another question."""

    async def story(client: httpx.AsyncClient, server: Server) -> None:
        server.silent = True
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=0.05)
        server.silent = False
        assert (await client.get(server.url)).text == "2"

    told(60.0, story)
