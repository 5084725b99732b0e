"""Where customers are told: what is posted there is history, and what is no notification disturbs nobody."""

import asyncio
from typing import Any

import httpx
import pytest

from harness.history import Recorder
from harness.stack import Wire
from harness.stacks.inbox import Inbox

TOLD = {"customer": "ann", "top_up": "tu_1", "status": "Processing"}


async def posted(*bodies: Any, raw: bytes = b"") -> list[dict[str, Any]]:
    """What is recorded of requests with these bodies, after one that is nothing but *raw*."""
    wire = Wire()
    wire.recorder = recorder = Recorder(lambda: 0.0)
    inbox = Inbox(wire)
    await inbox.open()
    if raw:
        url = httpx.URL(inbox.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(raw)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    async with httpx.AsyncClient(trust_env=False) as http:
        for body in bodies:
            assert (await http.post(inbox.url, json=body)).status_code == 204
    await inbox.close()
    return [dict(event.facts) for event in recorder.history().of("notified")]


def test_what_is_posted_is_recorded() -> None:
    """In order, and of it what a customer is told, and of which top-up."""
    again = {**TOLD, "status": "Credit applied"}
    assert asyncio.run(posted(TOLD, {**again, "more": 1})) == [TOLD, again]


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n{}",
        b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n{",
        b"rubbish",
    ],
)
def test_what_is_no_notification_is_not(raw: bytes) -> None:
    """And the next one is."""
    assert asyncio.run(posted(TOLD, raw=raw)) == [TOLD]
