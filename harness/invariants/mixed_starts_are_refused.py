from collections.abc import Iterator

from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("start",))
def mixed_starts_are_refused(history: History) -> Iterator[Violation]:
    """What belongs to different environments does not start: the process ends with an error, and names the setting."""
    for start in history.of("start"):
        if start["code"] is None:
            yield Violation(f"it started with {start['mix']}, and served", (start,))
        elif start["code"] == 0:
            yield Violation(f"started with {start['mix']}, it ended as if all were well", (start,))
        elif not start["named"]:
            says = f"started with {start['mix']}, it ended with {start['code']} and did not say which setting is wrong"
            yield Violation(says, (start,))
