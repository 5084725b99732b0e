from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Point


@fault
async def cut_at(
    stack: Stack,
    *,
    link: str,
    label: str,
    point: Point,
    writes: bool = False,
    since: str = "",
    nth: int = 1,
    of: str | None = None,
) -> AsyncIterator[Touched]:
    """One message is singled out, and its connection is cut: before it arrives, or when it was answered and before the
    answer is passed on. Before: it never happened. After: it happened, and nobody heard.
    """
    async with operate(
        stack,
        link=link,
        label=label,
        point=point,
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did="cut",
    ) as touched:
        yield touched
