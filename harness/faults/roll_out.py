from collections.abc import AsyncIterator

from harness.faults import Touched, fault, link_of
from harness.stack import Stack


@fault
async def roll_out(stack: Stack, *, link: str) -> AsyncIterator[Touched]:
    """A later version of the service is started beside the one that runs, and migrates the database under it. New connections of
    the link go to the later one; when the fault ends it is stopped, and what it migrated stays: it is rolled back.
    """
    link_of(stack, link)
    async with stack.beside(link) as taken:

        async def touched() -> int:
            return taken()

        yield touched
