"""Requests that no honest client sends: bodies without end, bodies that trickle, bodies that can be read in two ways.

They go to where an honest request would, with its headers, straight to the service: what a proxy buffers is not what the
service took.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

GIVES_UP_S = 8.0
"""How long an attacker waits for an answer."""
PIECE = 64 * 1024
ENDLESS_BYTES = 64 * 1024 * 1024
TRICKLE_S = 0.2
DEEP = 20_000


@dataclass(frozen=True, slots=True)
class Suffered:
    """What the attacker saw: `status` is None where the connection was closed without a word (`closed`) or nothing came at all.
    `taken` counts the bytes of body that the service, or the kernel before it, had taken by then.
    """

    status: int | None
    closed: bool
    took_s: float
    taken: int


async def assault(how: str, honest: httpx.Request) -> Suffered:
    """Send *honest* as `ASSAULTS` says. Whatever the service does is the answer and never an exception."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(GIVES_UP_S):
            reader, writer = await asyncio.open_connection(honest.url.host, honest.url.port)
    except (OSError, TimeoutError):
        return Suffered(None, True, loop.time() - began, 0)
    answering = asyncio.create_task(_answer(reader))
    taken = 0
    try:
        async with asyncio.timeout(GIVES_UP_S):
            with suppress(OSError):  # it hung up; the answer may still be there to be read
                async for piece in ASSAULTS[how](honest):
                    writer.write(piece)
                    await writer.drain()
                    taken += len(piece)
                    if answering.done():
                        break
            status = await answering
        return Suffered(status, status is None, loop.time() - began, taken - _unsent(writer))
    except TimeoutError:
        return Suffered(None, False, loop.time() - began, taken - _unsent(writer))
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> int | None:
    """The status, None when the connection is closed without one."""
    with suppress(OSError, ValueError, IndexError):
        return int((await reader.readline()).split(b" ")[1])
    return None


def _unsent(writer: asyncio.StreamWriter) -> int:
    return writer.transport.get_write_buffer_size()


def _head(honest: httpx.Request, **framing: str) -> bytes:
    headers = {
        name: value for name, value in honest.headers.items() if name not in ("content-length", "transfer-encoding")
    }
    lines = [f"{name}: {value}" for name, value in (headers | framing).items()]
    return (
        f"{honest.method} {honest.url.raw_path.decode()} HTTP/1.1\r\n".encode() + "\r\n".join([*lines, "", ""]).encode()
    )


def _whole(honest: httpx.Request, body: bytes) -> bytes:
    return _head(honest, **{"content-length": str(len(body))}) + body


async def _endless(honest: httpx.Request) -> AsyncIterator[bytes]:
    """A body without an announced end, that begins as an honest one does, and goes on with spaces."""
    yield _head(honest, **{"transfer-encoding": "chunked"})
    for piece in (honest.content, *[b" " * PIECE] * (ENDLESS_BYTES // PIECE)):
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


async def _trickle(honest: httpx.Request) -> AsyncIterator[bytes]:
    """A byte now and then, of a body that would never be complete."""
    yield _head(honest, **{"content-length": str(len(honest.content) + PIECE // 2)})
    while True:
        yield b" "
        await asyncio.sleep(TRICKLE_S)


async def _twice(honest: httpx.Request) -> AsyncIterator[bytes]:
    """Every key of the JSON there twice, each number another the second time: parsers differ in which of the two counts."""
    said = json.loads(honest.content)
    other = {name: value + 1 if isinstance(value, int) else value for name, value in said.items()}
    yield _whole(honest, json.dumps(said).encode()[:-1] + b"," + json.dumps(other).encode()[1:])


async def _deep(honest: httpx.Request) -> AsyncIterator[bytes]:
    """Lists in lists, deeper than a parser can follow."""
    yield _whole(honest, honest.content.rstrip()[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}")


ASSAULTS: Mapping[str, Callable[[httpx.Request], AsyncIterator[bytes]]] = {
    "endless": _endless,
    "trickle": _trickle,
    "twice": _twice,
    "deep": _deep,
}
