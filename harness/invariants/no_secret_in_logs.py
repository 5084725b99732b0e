from collections.abc import Iterator

from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("log-scanned",))
def no_secret_in_logs(history: History) -> Iterator[Violation]:
    """No log line holds a secret or a signature."""
    for node, leaks in history.of("secret-in-log").by("node"):
        first = leaks.events[0]
        says = f"the log of {node} holds {first['secret']} in {len(leaks)} lines, first in line {first['line']}"
        yield Violation(says, leaks.events)
