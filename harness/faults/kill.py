from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault
from harness.stack import Stack


@fault
async def kill(stack: Stack, *, node: str) -> AsyncIterator[Touched]:
    """A process dies without a word and is started again when the fault ends. Callers see connections break, then refused."""
    victim = stack.nodes[node]
    touched = crossings_of(*stack.links.values())
    await victim.kill()
    try:
        yield touched
    finally:
        await victim.start()
