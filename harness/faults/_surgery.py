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
    act: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Touched]:
    """Schedule one surgery; *since* is a link and the beginning of a label, as in `hook POST /callbacks`."""
    on = link_of(stack, link)
    other, _, seen = since.partition(" ")
    surgery = Surgery(link, label, point, writes, (other, seen) if since else None, act)

    async def touched() -> int:
        return 1 if surgery.finished.is_set() else 0

    stack.wire.schedule(on.tap, surgery)
    try:
        yield touched
    finally:
        stack.wire.cancel(surgery)
        if surgery.hit:  # what was begun is finished before anything is mended; unfinished, it has touched nothing
            with suppress(TimeoutError):
                async with asyncio.timeout(FINISH_S):
                    await surgery.finished.wait()
