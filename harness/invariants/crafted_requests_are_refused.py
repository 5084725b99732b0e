from collections.abc import Iterator

from harness.history import Event, History
from harness.verdict import Violation, invariant

WITHIN_S = 4.0
TAKEN_MAX = 16 * 1024 * 1024
"""What the buffers of two kernels' sockets may hold lies far below, and what the attacker has to give far above."""


@invariant(needs=("assault",))
def crafted_requests_are_refused(history: History) -> Iterator[Violation]:
    """A request that is too large, too slow, too deep or says two things is refused within four seconds, and is not read whole.

    Refused is an answer from 400 to 499, or a connection that is closed. Honest traffic beside it is the other promises' to judge.
    """
    for suffered in history.of("assault"):
        wrong = _wrong(suffered)
        if wrong:
            yield Violation(f"a request with a body that is {suffered['how']} {wrong}", (suffered,))


def _wrong(suffered: Event) -> str | None:
    status = suffered["status"]
    if suffered["taken"] > TAKEN_MAX:
        return f"was taken in to the last: {suffered['taken'] // 2**20} MiB"
    if status is None and not suffered["closed"]:
        return f"kept its connection for {suffered['took_s']:.1f} s, and got no answer"
    if status is not None and not 400 <= status < 500:
        return f"was answered {status}"
    if suffered["took_s"] > WITHIN_S:
        return f"was refused after {suffered['took_s']:.1f} s"
    return None
