from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault
from harness.stack import Stack


@fault
async def restore(stack: Stack) -> AsyncIterator[Touched]:
    """A backup is taken while all goes on; when the fault ends, the database is lost, restored from it, and the service started
    again. What was committed meanwhile never was, and everybody else remembers it.
    """
    touched = crossings_of(*stack.links.values())
    folder = await stack.save()
    try:
        yield touched
    finally:
        await stack.restore(folder)
