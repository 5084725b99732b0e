"""A circuit breaker: after so many failures in a row the provider is left alone for a while, and then tried with one request.

The states and their names are Michael Nygard's ("Release It!", Stability Patterns). It is this process's alone: each process
sees for itself what it can reach, and a wrong idea of one is not everybody's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import structlog

from reference_impl.metrics import Metrics
from reference_impl.provider_answers import NoAnswer, NotReached, NoTurn, ServerError

log = structlog.get_logger()


class Circuit(StrEnum):
    """Whether requests go out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitOpen(NotReached):
    """Not sent, because what was sent before it failed. Not done, as little as a no: it is asked again later."""


class CircuitBreaker:
    """Stands before what may be in trouble. *now* is a clock in seconds that only goes forwards."""

    def __init__(self, now: Callable[[], float], failures_max: int, open_s: float, metrics: Metrics) -> None:
        self.now = now
        self.metrics = metrics
        self.failures_max = failures_max
        self.open_s = open_s
        self.state = Circuit.CLOSED
        self._failures = 0
        self._opened_at = 0.0
        self._since = 0  # counts the changes of state: what was sent before one says nothing after it
        self.metrics.gauge("topup_circuit_open", 0)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """One request. `CircuitOpen` instead of it while the circuit is open, or half-open and tried by another one."""
        sent = self._admitted()
        try:
            yield
        except BaseException as error:
            self._heard(sent, self.well(error))
            raise
        self._heard(sent, True)

    def well(self, error: BaseException) -> bool | None:
        """Whether the provider is, by what became of a request. A no, and any other 4xx, is an answer like all others.

        None where it tells nothing: whoever was cut short, or had no turn, has not met the provider.
        """
        if isinstance(error, NoTurn) or not isinstance(error, Exception):
            return None
        return not isinstance(error, ServerError | NoAnswer | NotReached)

    def may_be_tried(self) -> bool:
        """Whether the provider was left alone for long enough."""
        return self.now() - self._opened_at >= self.open_s

    def _admitted(self) -> int:
        if self.state is Circuit.OPEN and self.may_be_tried():
            self._become(Circuit.HALF_OPEN)
        elif self.state is not Circuit.CLOSED:
            raise CircuitOpen(f"not sent: the circuit to the provider is {self.state}")
        return self._since

    def _heard(self, sent: int, well: bool | None) -> None:
        if sent != self._since:
            return
        trial = self.state is Circuit.HALF_OPEN
        if well is None:
            if trial:  # the next one is it
                self._become(Circuit.OPEN, since=self._opened_at)
        elif well:
            self._failures = 0
            if trial:
                self._become(Circuit.CLOSED)
        else:
            self._failures += 1
            if trial or self._failures >= self.failures_max:
                self._become(Circuit.OPEN)

    def _become(self, state: Circuit, since: float | None = None) -> None:
        self.state = state
        self._since += 1
        if state is Circuit.OPEN:
            self._opened_at = self.now() if since is None else since
        if state is not Circuit.HALF_OPEN:
            self._failures = 0
        self.metrics.gauge("topup_circuit_open", state is not Circuit.CLOSED)
        log.warning("circuit", state=state)
