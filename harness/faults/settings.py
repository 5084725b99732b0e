from collections.abc import AsyncIterator

from harness.faults import Touched, crossings_of, fault
from harness.stack import Stack


@fault
async def settings(stack: Stack, *, named: str) -> AsyncIterator[Touched]:
    """The service is started again with settings that its target file has under this name, and without them when the fault
    ends. Callers see a service that was restarted in peace. A target that has no such settings stays as it is.
    """
    touched = crossings_of(*stack.links.values())
    async with stack.settings(named):
        yield touched
