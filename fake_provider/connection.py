"""One connection to the receiver, and where its conversation stands."""

import asyncio

import h11

from fake_provider.dialects import Wire

BODY_LIMIT = 64 * 1024  # an acknowledgement is short; more than this is not worth reading


class Connection(asyncio.Protocol):
    """Carries one request after another, each after the answer to the one before. h11 knows what may come next."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.ended = False
        self._http = h11.Connection(h11.CLIENT)
        self._broken: Exception | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether another request may be sent: nothing was heard since the last answer, not even the end."""
        return not self.ended and not self._http.trailing_data[0] and self._http.our_state is h11.IDLE

    def begin_again(self) -> bool:
        """Make ready for the next request; False when the last one was not answered to its end, or in parting."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return self.is_idle

    def written(self, authority: str, target: str, wire: Wire, *, last: bool) -> bytes:
        """The request as bytes; *last* tells the receiver that no other follows."""
        headers = [
            (b"host", authority.encode()),
            *((name.encode(), value) for name, value in wire.headers),
            (b"content-length", str(len(wire.body)).encode()),
            *([(b"connection", b"close")] if last else ()),
        ]
        events = (h11.Request(method="POST", target=target, headers=headers), h11.Data(data=wire.body))
        return b"".join(self._http.send(event) or b"" for event in (*events, h11.EndOfMessage()))

    async def answer(self) -> tuple[h11.Response, bytes]:
        """The answer and its body, or the beginning of a long one. Raises what the connection died of."""
        response: h11.Response | None = None
        body = b""
        while len(body) < BODY_LIMIT:
            if self._broken is not None:
                raise self._broken
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._more()
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                break
        assert response is not None, "h11 ends no message and passes no data before a response"
        return response, body[:BODY_LIMIT]

    # What asyncio tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        self._wake()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken = exc
        self._end()

    async def _more(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._http.receive_data(b"")  # which is how h11 is told
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
