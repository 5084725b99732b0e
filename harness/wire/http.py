"""HTTP/1.1 as a tap sees it: h11 reads along, on copies, and names requests and answers; the bytes pass as they came."""

from collections.abc import Sequence

import h11

from harness.wire.framing import Crossing, Direction


class Http:
    """Reads along with both ends of one connection.

    Two h11 state machines play the two ends: what one has read is told to the other as sent, so that each knows how the
    next message is framed (an answer to HEAD has no body). Whatever they cannot follow passes unnamed from there on.
    """

    def __init__(self) -> None:
        self._server = h11.Connection(h11.SERVER)
        self._client = h11.Connection(h11.CLIENT)
        self._lost = False

    def feed(self, direction: Direction, data: bytes) -> Sequence[Crossing]:
        heads = [] if self._lost else self._heads(direction, data)
        if not heads:
            return (Crossing(direction, data),)
        first, *more = heads
        named = Crossing(direction, data, first[0], first[1])
        return (named, *(Crossing(direction, b"", label, facts) for label, facts in more))

    def flush(self, direction: Direction) -> bytes:
        return b""

    def _heads(self, direction: Direction, data: bytes) -> list[tuple[str, dict[str, str | bool]]]:
        reader, other = (self._server, self._client) if direction == ">" else (self._client, self._server)
        heads = []
        try:
            reader.receive_data(data)
            while True:
                event = reader.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                if isinstance(event, h11.Request):
                    heads.append((f"{_text(event.method)} {_path(event)}", _facts(event)))
                elif isinstance(event, h11.Response):
                    heads.append((str(event.status_code), {}))
                if isinstance(event, h11.ConnectionClosed):
                    break
                if isinstance(event, h11.Event):
                    other.send(event)
                self._next_cycle()
        except h11.ProtocolError:
            self._lost = True
        return heads

    def _next_cycle(self) -> None:
        for connection in (self._server, self._client):
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
        self._server.start_next_cycle()
        self._client.start_next_cycle()


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _path(request: h11.Request) -> str:
    return _text(request.target).partition("?")[0]


def _facts(request: h11.Request) -> dict[str, str | bool]:
    keys = [value for name, value in request.headers if name == b"idempotency-key"]
    return {"key": _text(keys[0])} if keys else {}
