from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault, link_of
from harness.stack import Stack


@fault
async def lose_requests(stack: Stack, *, link: str) -> AsyncIterator[Touched]:
    """Requests vanish before the server; the client waits until it gives up. Nothing was done, and it looks the same."""
    on = link_of(stack, link)
    async with on.toxic("timeout", "upstream", timeout=0):
        yield crossings_of(on)
