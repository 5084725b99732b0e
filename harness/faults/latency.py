from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault, link_of
from harness.stack import Stack
from harness.wire.toxic_kinds import Stream


@fault
async def latency(
    stack: Stack, *, link: str, ms: int, jitter_ms: int = 0, stream: Stream = "downstream"
) -> AsyncIterator[Touched]:
    """Everything arrives, later. Upstream, the server hears late; downstream, the client is answered late."""
    on = link_of(stack, link)
    async with on.toxic("latency", stream, latency=ms, jitter=jitter_ms):
        yield crossings_of(on)
