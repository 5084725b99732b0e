from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.faults._surgery import operate
from harness.stack import Stack
from harness.wire.surgery import Patient, Point


@fault
async def kill_at(
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
    """A process dies at the very moment at which one message would arrive, or was answered; it is started again when the
    fault ends. Whoever talked to it sees the connection break.
    """
    victim = stack.nodes[node]

    async def die(_: Patient) -> None:
        await victim.kill()

    surgery = operate(
        stack,
        link=link,
        label=label,
        point=point,
        writes=writes,
        since=since,
        nth=nth,
        of=of,
        did=f"kill {node}",
        act=die,
    )
    try:
        async with surgery as touched:
            yield touched
    finally:
        if not victim.alive:
            await victim.start()
