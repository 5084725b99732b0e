"""HTTP/1.1 as a tap sees it: h11 reads along, on copies, and names requests and answers; the bytes pass as they came."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import h11

from harness.wire.framing import Crossing, Direction

Head: TypeAlias = tuple[str, Mapping[str, str | bool]]

# What a state machine is told of the other direction. Made once: h11 looks closely at whatever is made.
_ANSWER = h11.Response(status_code=200, headers=[])
_END = h11.EndOfMessage()


@lru_cache(maxsize=16)
def _request(method: bytes) -> h11.Request:
    return h11.Request(method=method, target="/", headers=[("Host", "x")])


class Http:
    """Reads along with both ends of one connection.

    Two h11 state machines, one for each direction, and each is told what keeps it reading: that a request was answered;
    what an answer was asked (one to HEAD has no body). So a request is named as it passes, however many before it still
    wait for their answers. A direction that cannot be followed passes unnamed from there on.
    """

    def __init__(self) -> None:
        self._requests = h11.Connection(h11.SERVER)
        self._answers = h11.Connection(h11.CLIENT)
        self._unanswered: deque[bytes] = deque()
        self._lost: set[Direction] = set()

    def feed(self, direction: Direction, data: bytes) -> Sequence[Crossing]:
        heads = [] if direction in self._lost else self._heads(direction, data)
        if not heads:
            return (Crossing(direction, data),)
        first, *more = heads
        named = Crossing(direction, data, first[0], first[1])
        return (named, *(Crossing(direction, b"", label, facts) for label, facts in more))

    def flush(self, direction: Direction) -> bytes:
        return b""

    def _heads(self, direction: Direction, data: bytes) -> Sequence[Head]:
        heads: list[Head] = []
        try:
            for head in self._asked(data) if direction == ">" else self._answered(data):
                heads.append(head)  # noqa: PERF402 - what was named before it was lost is kept
        except h11.ProtocolError:
            self._lost.add(direction)
        return heads

    def _asked(self, data: bytes) -> Iterator[Head]:
        self._requests.receive_data(data)
        while isinstance(event := self._requests.next_event(), h11.Event):
            if isinstance(event, h11.Request):
                self._unanswered.append(event.method)
                yield f"{_text(event.method)} {_path(event)}", _facts(event)
            elif isinstance(event, h11.EndOfMessage):
                self._requests.send(_ANSWER)
                self._requests.send(_END)
                self._requests.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return

    def _answered(self, data: bytes) -> Iterator[Head]:
        self._answers.receive_data(data)
        self._ask_next()
        while isinstance(event := self._answers.next_event(), h11.Event):
            if isinstance(event, h11.Response):
                yield str(event.status_code), {}
            elif isinstance(event, h11.EndOfMessage):
                self._answers.start_next_cycle()
                self._ask_next()
            elif isinstance(event, h11.ConnectionClosed):
                return

    def _ask_next(self) -> None:
        if self._unanswered and self._answers.our_state is h11.IDLE:
            self._answers.send(_request(self._unanswered.popleft()))
            self._answers.send(_END)


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace")


def _path(request: h11.Request) -> str:
    return _text(request.target).partition("?")[0]


def _facts(request: h11.Request) -> Mapping[str, str | bool]:
    keys = [value for name, value in request.headers if name == b"idempotency-key"]
    return {"key": _text(keys[0])} if keys else {}
