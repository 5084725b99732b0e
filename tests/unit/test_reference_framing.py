"""A request that says its length in two ways is refused, and its connection ends with it."""

import asyncio
from typing import Any

import pytest

from reference_impl.app import OneLength


def started(headers: list[tuple[bytes, bytes]]) -> dict[str, Any] | None:
    """How the answer starts; None when the application behind was reached."""
    sent: list[Any] = []

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        return None

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(OneLength(behind)(scope, receive, send))
    return sent[0] if sent else None


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
    ],
)
def test_two_lengths_are_refused_and_the_connection_closed(headers: list[tuple[bytes, bytes]]) -> None:
    """What stands behind it is nobody's request."""
    answer = started(headers)

    assert answer is not None and answer["status"] == 400
    assert (b"connection", b"close") in answer["headers"]


@pytest.mark.parametrize("headers", [[(b"content-length", b"5")], [(b"transfer-encoding", b"chunked")], []])
def test_one_length_is_let_through(headers: list[tuple[bytes, bytes]]) -> None:
    """As every honest client writes it."""
    assert started(headers) is None
