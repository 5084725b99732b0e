from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Patient, Point


@fault
async def stall_at(
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
    """One message hangs on its way, and everything after it on that connection, which stays open until the fault ends; then
    it is cut. Before: it never arrives. After: it arrived and was answered, the answer hangs, and the client waits in vain.
    """

    async def hang(patient: Patient) -> None:
        await patient.over.wait()

    async with operate(
        stack,
        link=link,
        label=label,
        point=point,
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did="stall",
        act=hang,
    ) as touched:
        yield touched
