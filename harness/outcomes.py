"""Done, not done, unknown: what an attempt at an operation means. The most consequential table that a client has.

A timeout is never "failed": the request may have arrived and been carried out. Only what is definite is called so.
"""

from collections.abc import Iterable
from enum import Enum

import httpx


class Outcome(Enum):
    DONE = "done"
    NOT_DONE = "not-done"
    UNKNOWN = "unknown"


# What each failure to get an answer means, the most definite first, and why.
FAILURES: tuple[tuple[type[Exception], Outcome, str], ...] = (
    (httpx.ConnectError, Outcome.NOT_DONE, "the connection was refused: nothing was sent"),
    (httpx.ConnectTimeout, Outcome.NOT_DONE, "no connection came about: nothing was sent"),
    (httpx.PoolTimeout, Outcome.NOT_DONE, "the client had no connection free: nothing was sent"),
    (httpx.TimeoutException, Outcome.UNKNOWN, "no answer in time: it may have been carried out"),
    (httpx.TransportError, Outcome.UNKNOWN, "the connection broke: it may have been carried out"),
    (httpx.DecodingError, Outcome.UNKNOWN, "the answer cannot be decoded: it may have been carried out"),
)

# Answers that are not what their class says.
STATUSES: dict[int, tuple[Outcome, str]] = {
    202: (Outcome.UNKNOWN, "accepted, and not yet decided"),
    408: (Outcome.UNKNOWN, "the server stopped waiting: it may have been carried out"),
    409: (Outcome.UNKNOWN, "another attempt is still running: it may be carried out"),
}


def of_failure(error: Exception) -> tuple[Outcome, str]:
    """Raises the error again when the table does not know it: that is a fault of the harness, not of the target."""
    for kind, outcome, because in FAILURES:
        if isinstance(error, kind):
            return outcome, because
    raise error


def of_status(status: int) -> tuple[Outcome, str]:
    if status in STATUSES:
        return STATUSES[status]
    if 200 <= status < 300:
        return Outcome.DONE, str(status)
    if 400 <= status < 500:
        return Outcome.NOT_DONE, f"refused with {status}"
    return Outcome.UNKNOWN, f"{status} may come after the deed"


def together(attempts: Iterable[Outcome]) -> Outcome:
    """An operation's outcome is that of all its attempts: a refusal on the retry does not undo the timeout before it."""
    outcomes = list(attempts)
    if Outcome.DONE in outcomes:
        return Outcome.DONE
    return Outcome.UNKNOWN if Outcome.UNKNOWN in outcomes else Outcome.NOT_DONE
