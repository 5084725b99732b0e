from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault, link_of
from harness.stack import Stack


@fault
async def lose_answers(stack: Stack, *, link: str) -> AsyncIterator[Touched]:
    """The server hears and acts; its answers vanish, and the client waits until it gives up. Done, and nobody was told."""
    on = link_of(stack, link)
    async with on.toxic("timeout", "downstream", timeout=0):
        yield crossings_of(on)
