"""HTTP/1.1 for whoever asks much of loopback: an httpx transport on h11 and asyncio's own streams.

A sweep asks some eight thousand times. httpx's own transport speaks for many kinds of event loop, proxies and protocols, and half
the time that a request costs here goes there. What it raises is what httpx's own would, because what an attempt means hangs on it
(`harness/outcomes.py`): a connection that never came about is told apart from one that broke.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h11
import httpx

CHUNK = 1 << 16


@dataclass(slots=True)
class _Line:
    """A connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    state: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))
    idle_since: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the other end has closed it, as far as has been heard."""
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.transport.is_closing()


class Loopback(httpx.AsyncBaseTransport):
    """Answers are read whole. A connection is kept for the next request for *kept_s* seconds; with 0, each request has its own."""

    def __init__(self, kept_s: float = 0.0) -> None:
        self._kept_s = kept_s
        self._idle: dict[tuple[str, int], list[_Line]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's `ConnectError`, `ConnectTimeout`, `ReadError`, `ReadTimeout`, `RemoteProtocolError`, `DecodingError`."""
        waits: Mapping[str, float | None] = request.extensions.get("timeout", {})
        body = await request.aread()
        line = await self._line(request, waits.get("connect"))
        try:
            response = await _exchange(line, request, body, waits)
        except BaseException:
            line.writer.transport.abort()
            raise
        self._put_back(line, request)
        return response

    async def aclose(self) -> None:
        for lines in self._idle.values():
            for line in lines:
                line.writer.transport.abort()
        self._idle.clear()

    async def _line(self, request: httpx.Request, within_s: float | None) -> _Line:
        where = request.url.host, request.url.port or 80
        now = asyncio.get_running_loop().time()
        idle = self._idle.get(where, [])
        while idle:
            line = idle.pop()
            if not line.is_closed and now - line.idle_since < self._kept_s:
                return line
            line.writer.transport.abort()
        try:
            async with asyncio.timeout(within_s):
                return _Line(*await asyncio.open_connection(*where))
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {where[0]}:{where[1]} within {within_s} s") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error

    def _put_back(self, line: _Line, request: httpx.Request) -> None:
        if self._kept_s and line.state.our_state is h11.DONE and line.state.their_state is h11.DONE:
            line.state.start_next_cycle()
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault((request.url.host, request.url.port or 80), []).append(line)
        else:
            line.writer.close()


async def _exchange(
    line: _Line, request: httpx.Request, body: bytes, waits: Mapping[str, float | None]
) -> httpx.Response:
    asked = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    parts = [line.state.send(event) for event in (asked, h11.Data(data=body), h11.EndOfMessage())]
    line.writer.write(b"".join(part for part in parts if part))
    try:
        async with asyncio.timeout(waits.get("write")):
            await line.writer.drain()
        return await _answer(line, waits.get("read"))
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no answer within {waits.get('read')} s") from error
    except OSError as error:
        raise httpx.ReadError(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error


async def _answer(line: _Line, within_s: float | None) -> httpx.Response:
    head: dict[str, Any] = {}
    content = bytearray()
    while True:
        event = line.state.next_event()
        match event:
            case h11.NEED_DATA:
                async with asyncio.timeout(within_s):
                    line.state.receive_data(await line.reader.read(CHUNK))
            case h11.Response():
                head = {"status_code": event.status_code, "headers": list(event.headers.raw_items())}
            case h11.Data():
                content += event.data
            case h11.EndOfMessage():
                return httpx.Response(**head, content=bytes(content))
            case h11.ConnectionClosed():
                raise h11.RemoteProtocolError("the connection closed before there was an answer")
