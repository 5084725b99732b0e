from collections.abc import Iterator

from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("notified",))
def told_once(history: History) -> Iterator[Violation]:
    """A customer is told the same of one top-up at most once: a message that comes again is no news, and each of them asks to be
    looked at.
    """
    for top_up, messages in history.of("notified").by("top_up"):
        for status, same in messages.by("status"):
            if len(same) > 1:
                yield Violation(f"the customer of {top_up} was told {status!r} {len(same)} times", same.events)
