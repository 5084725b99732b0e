from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Patient, Point


@fault
async def pause_at(
    stack: Stack,
    *,
    node: str,
    link: str,
    label: str,
    point: Point,
    writes: bool = False,
    since: str = "",
    nth: int = 1,
    of: str | None = None,
) -> AsyncIterator[Touched]:
    """A process stops dead at the moment at which one message would arrive, or was answered, and goes on when the fault
    ends, knowing of nothing. The message goes on. Connections stay open, and nobody answers.
    """
    victim = stack.nodes[node]

    async def freeze(_: Patient) -> None:
        victim.pause()

    surgery = operate(
        stack,
        link=link,
        label=label,
        point=point,
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did=f"pause {node}",
        act=freeze,
        then="pass",
    )
    try:
        async with surgery as touched:
            yield touched
    finally:
        victim.resume()
