import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from harness.faults import Touched, fault
from harness.stack import Stack
from harness.wire.postgres import FLUSH
from harness.wire.turns import Turns

FINISH_S = 12.0


@fault
async def in_order(stack: Stack, *, order: str = "", asleep: str = "", together: int = 2) -> AsyncIterator[Touched]:
    """Requests that are on their way at once take turns: each database statement that another could notice is held, and let
    go in the *order* given, by the numbers of the requests (`1 1 2 1`); then one request goes on while it can, the ones
    *asleep* last. Neither end of the wire sees more than another's good or bad luck with time. Touched are the turns at
    which more than one request was under way in the database.
    """
    if together < 1:
        raise ValueError(f"`together` is how many requests there are at first, at least 1; this is {together}")
    watch = await stack.watch()
    taps = [link.tap for link in stack.links.values()]
    db = stack.links["db"].tap
    turns = Turns(
        watch.reader,
        watch.background,
        db.known,
        watch.eye,
        stack.wire.tell,
        lambda connection: db.insert(connection, FLUSH),
        order=_numbers("order", order),
        asleep=frozenset(_numbers("asleep", asleep)),
        together=together,
    )
    for tap in taps:
        tap.gate = turns
    giving = asyncio.create_task(turns.run())

    async def touched() -> int:
        """All is over before it is counted; what does not come to an end has proved nothing."""
        return turns.overlaps if await turns.finish(FINISH_S) else 0

    try:
        yield touched
        await turns.finish(FINISH_S)
    finally:
        giving.cancel()
        with suppress(asyncio.CancelledError):
            await giving
        turns.open()
        for tap in taps:
            tap.gate = None


def _numbers(name: str, text: str) -> list[int]:
    """Raises `ValueError` naming the argument when *text* is not numbers."""
    if not all(word.isdecimal() for word in text.split()):
        raise ValueError(f"`{name}` is the numbers of requests, as in `1 1 2`; this is {text!r}")
    return [int(word) for word in text.split()]
