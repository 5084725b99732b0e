import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Patient, Point


@fault
async def delay_at(
    stack: Stack,
    *,
    ms: int,
    link: str,
    label: str,
    point: Point,
    writes: bool = False,
    since: str = "",
    nth: int = 1,
    of: str | None = None,
) -> AsyncIterator[Touched]:
    """One message arrives late, with everything after it on that connection, perhaps when its sender has long given up. After:
    it arrives at once, and its answer late. When the fault ends, what is still held goes on at once.
    """

    async def wait(patient: Patient) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(patient.over.wait(), ms / 1000)

    async with operate(
        stack,
        link=link,
        label=label,
        point=point,
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did=f"delay by {ms} ms",
        act=wait,
        then="pass",
    ) as touched:
        yield touched
