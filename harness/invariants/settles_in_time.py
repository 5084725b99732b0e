from collections.abc import Iterator

from harness.books import story
from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("settled",))
def settles_in_time(history: History) -> Iterator[Violation]:
    """Once the last fault has healed, the system comes to rest: every callback is acknowledged, nothing is left to do.

    What the provider gave up on while a fault lasted may be the fault's doing.
    """
    for settled in history.of("settled"):
        if settled["reason"]:
            says = f"{settled['took_s']:.1f} s after the last fault, still waiting for: {settled['reason']}"
            yield Violation(says, (*history.of("fault-ended"), settled))
    healed = max((event.at for event in history.of("fault-ended")), default=0.0)
    for given_up in history.of("gave-up").where(lambda event: event.at > healed):
        says = f"the provider gave up on {given_up['event']} of {given_up['payment']} after {given_up['attempts']} attempts"
        yield Violation(says, story(history, given_up["payment"], given_up), given_up["payment"])
