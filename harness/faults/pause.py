from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault
from harness.stack import Stack


@fault
async def pause(stack: Stack, *, node: str) -> AsyncIterator[Touched]:
    """A process stops dead and goes on when the fault ends, knowing of nothing. Connections stay open, and nobody answers."""
    victim = stack.nodes[node]
    touched = crossings_of(*stack.links.values())
    victim.pause()
    try:
        yield touched
    finally:
        victim.resume()
