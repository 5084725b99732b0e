"""Surgery on one message, as the faults that need it share it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

from harness.faults import Touched, link_of
from harness.stack import Stack
from harness.wire.tap import Surgery

FINISH_S = 15.0


@asynccontextmanager
async def operate(
    stack: Stack,
    *,
    link: str,
    label: str,
    point: Literal["before", "after"],
    writes: bool,
    since: str,
    nth: int,
    act: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Touched]:
    """Schedule one surgery; *since* is a link and the beginning of a label, as in `hook POST /callbacks`.

    Raises `ValueError` when *nth* is not the number of a message.
    """
    if nth < 1:
        raise ValueError(f"`nth` counts from 1; this is {nth}")
    on = link_of(stack, link)
    other, _, seen = since.partition(" ")
    surgery = Surgery(link, label, point, writes, (other, seen) if since else None, act, nth)

    async def touched() -> int:
        """What was begun is finished first; unfinished, it has touched nothing."""
        if surgery.hit:
            with suppress(TimeoutError):
                async with asyncio.timeout(FINISH_S):
                    await surgery.finished.wait()
        return 1 if surgery.finished.is_set() else 0

    stack.wire.schedule(on.tap, surgery)
    try:
        yield touched
    finally:
        stack.wire.cancel(surgery)
        await touched()  # nothing is mended while it is still being broken
