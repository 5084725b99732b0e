from collections.abc import AsyncIterator

from harness.faults import Touched, fault
from harness.stack import Stack


@fault
async def mood(stack: Stack, *, mood: str, **args: str | int | float | bool) -> AsyncIterator[Touched]:
    """The provider is in a mood: it drops, delays, repeats, reorders or contradicts its callbacks, or answers strangely."""
    id = await stack.provider.begin_mood(mood, args)
    try:
        yield lambda: stack.provider.mood_touched(id)
    finally:
        await stack.provider.end_mood(id)
