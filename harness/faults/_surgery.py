"""Surgery on one message, as the faults that need it share it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from harness.faults import Touched, link_of
from harness.stack import Stack
from harness.wire.surgery import Act, Point, Surgery, Then

FINISH_S = 15.0


@asynccontextmanager
async def operate(
    stack: Stack,
    *,
    link: str,
    label: str,
    point: Point,
    writes: bool,
    since: str,
    nth: int,
    of: str | None,
    did: str,
    act: Act | None = None,
    then: Then = "cut",
) -> AsyncIterator[Touched]:
    """Schedule one surgery; *since* is a link and the beginning of a label, as in `hook POST /callbacks`.

    Raises `ValueError` when *nth* is not the number of a message.
    """
    if nth < 1:
        raise ValueError(f"`nth` counts from 1; this is {nth}")
    on = link_of(stack, link)
    other, _, seen = since.partition(" ")
    surgery = Surgery(link, label, point, writes, (other, seen) if since else None, act, nth, of, then, did)

    async def touched() -> int:
        """Of a message that was chosen, it is waited for until the surgery begins: for `after`, until there is an answer."""
        if surgery.hit:
            await _within_bounds(surgery.struck)
        return 1 if surgery.struck.is_set() else 0

    stack.wire.schedule(on.tap, surgery)
    try:
        yield touched
    finally:
        stack.wire.cancel(surgery)
        surgery.over.set()
        if surgery.hit:  # nothing is mended while it is still being broken
            await _within_bounds(surgery.finished)


async def _within_bounds(event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(FINISH_S):
            await event.wait()
