"""Requests that are too large, or too slow to end, are refused before anything looks at them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from reference_impl.events import BODY_BYTES_MAX
from reference_impl.limits import Limits

NEVER, GONE = object(), object()


def answered(
    chunks: Sequence[Any], headers: Sequence[tuple[bytes, bytes]] = (), body_s: float = 5.0
) -> tuple[Any, Any]:
    """The status that was answered by the limits, and the body that the application behind was given: one of the two."""
    sent: list[Any] = []
    given: list[bytes] = []
    coming = list(chunks)

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        given.append((await receive())["body"])
        assert (await receive())["type"] == "http.disconnect"

    async def receive() -> Any:
        if not coming:
            return {"type": "http.disconnect"}
        chunk = coming.pop(0)
        if chunk is GONE:
            return {"type": "http.disconnect"}
        if chunk is NEVER:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunk, "more_body": bool(coming)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    asyncio.run(Limits(behind, body_s)(scope, receive, send))
    if sent:
        assert (b"connection", b"close") in sent[0]["headers"]
    return (sent[0]["status"] if sent else None), (given[0] if given else None)


@pytest.mark.parametrize("chunks", [[b""], [b"one"], [b"o", b"", b"ne"], [b"x" * BODY_BYTES_MAX]])
def test_what_is_meant_is_let_through_as_it_came(chunks: list[bytes]) -> None:
    assert answered(chunks) == (None, b"".join(chunks))


@pytest.mark.parametrize("chunks", [[b"x" * (BODY_BYTES_MAX + 1)], [b"x" * BODY_BYTES_MAX, b"x", NEVER]])
def test_what_is_too_large_is_refused_as_soon_as_it_is(chunks: list[Any]) -> None:
    """The rest is not waited for."""
    assert answered(chunks) == (413, None)


def test_half_a_request_is_none() -> None:
    """The client is gone before the end: nothing is done, and nobody is answered."""
    assert answered([b"half", GONE, b"more"]) == (None, None)


def test_what_announces_too_much_is_refused_unread() -> None:
    assert answered([NEVER], [(b"content-length", str(BODY_BYTES_MAX + 1).encode())]) == (413, None)


@pytest.mark.parametrize("chunks", [[NEVER], [b"x", b"x", NEVER]])
def test_what_never_ends_is_refused(chunks: list[Any]) -> None:
    assert answered(chunks, body_s=0.01) == (408, None)
