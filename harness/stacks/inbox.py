"""Where customers are told: a service that is given this address posts its notifications here, and they are history."""

import asyncio
import json
from contextlib import suppress

import h11

from harness.stack import Wire
from harness.stacks.ports import LOOPBACK

READ_S = 5.0
LENGTH_MAX = 64 * 1024
ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Inbox:
    """Takes every POST, says 204, and records `notified` with what its JSON says of `customer`, `top_up` and `status`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    @property
    def url(self) -> str:
        assert self._server is not None, "the inbox is not open"
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, ValueError, h11.RemoteProtocolError, asyncio.CancelledError):
            async with asyncio.timeout(READ_S):
                body = json.loads(await _body(reader))
                self._wire.tell(
                    "notified", {name: body[name] for name in ("customer", "top_up", "status") if name in body}
                )
                writer.write(ANSWER)
                await writer.drain()
        writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    """Raises `ValueError` for one that is too long, `EOFError` when it ends too soon, `h11.RemoteProtocolError` for no HTTP."""
    state, body = h11.Connection(h11.SERVER), bytearray()
    while True:
        event = state.next_event()
        match event:
            case h11.NEED_DATA:
                state.receive_data(await reader.read(LENGTH_MAX))
            case h11.Data():
                body += event.data
                if len(body) > LENGTH_MAX:
                    raise ValueError(f"a notification has at most {LENGTH_MAX} bytes")
            case h11.EndOfMessage():
                return bytes(body)
            case h11.ConnectionClosed():
                raise EOFError("nothing was asked")
