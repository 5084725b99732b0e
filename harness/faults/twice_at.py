from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Patient


@fault
async def twice_at(
    stack: Stack,
    *,
    link: str,
    label: str,
    writes: bool = False,
    since: str = "",
    nth: int = 1,
    of: str | None = None,
) -> AsyncIterator[Touched]:
    """One HTTP request is delivered a second time, byte for byte and on a connection of its own, once it was answered and before
    that answer is passed on. The second answer goes nowhere: the server hears twice, the client of one answer.
    """

    async def repeat(patient: Patient) -> None:
        await patient.again()

    async with operate(
        stack,
        link=link,
        label=label,
        point="after",
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did="deliver twice",
        act=repeat,
        then="pass",
    ) as touched:
        yield touched
