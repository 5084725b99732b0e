from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault, link_of
from harness.stack import Stack


@fault
async def refuse(stack: Stack, *, link: str) -> AsyncIterator[Touched]:
    """The server is not there: connections that live are closed, new ones break before an answer. Nothing is done."""
    on = link_of(stack, link)
    async with on.down():
        yield crossings_of(on)
