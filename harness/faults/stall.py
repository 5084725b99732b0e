from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault, link_of
from harness.stack import Stack
from harness.wire.toxic_kinds import Stream


@fault
async def stall(stack: Stack, *, link: str, stream: Stream) -> AsyncIterator[Touched]:
    """Bytes stop; the connection lives. When it ends, the held bytes arrive, if anybody still waits for them.

    A bandwidth of zero, and not Toxiproxy's `timeout`, which drops what it held and closes the connection when removed.
    """
    on = link_of(stack, link)
    async with on.toxic("bandwidth", stream, rate=0):
        yield crossings_of(on)
