"""Three times that are easily taken for one: real time, the time in a payload, the time in a signature.

Schedules and payloads live on a clock that stands still until it is told to move, so that three days of retries pass in
milliseconds and the same run says the same times again. Signatures carry real time, because that is what a receiver
compares them with; a forger's signature clock may be wrong on purpose.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def real_time() -> datetime:
    """Real time. The only place in this package that asks the machine for it."""
    return datetime.now(UTC)


class HandClock:
    """A clock that is moved by hand, and only forwards."""

    def __init__(self, start: datetime = EPOCH) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forwards; raises `ValueError` for a move backwards."""
        if by < timedelta(0):
            raise ValueError(f"time moves forwards: cannot advance by {by.total_seconds():g} s")
        self._now += by
        return self._now


@dataclass(frozen=True, slots=True)
class Clocks:
    """`real` dates the journal, `payload` what happens to payments and when callbacks are due, `signature` the wire."""

    payload: HandClock
    real: Now = real_time
    signature: Now = real_time


def iso(moment: datetime) -> str:
    """`2026-01-01T00:00:00Z`, as payloads write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
