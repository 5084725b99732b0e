"""The circuit breaker, on a clock that is set by hand."""

import asyncio

import pytest

from reference_impl.breaker import Circuit, CircuitBreaker, CircuitOpen
from reference_impl.metrics import Metrics
from reference_impl.provider_answers import (
    Declined,
    NoAnswer,
    NotReached,
    NoTurn,
    OutcomeUnknown,
    ProviderRefused,
    ServerError,
)

OPEN_S = 5.0
TROUBLE = (NoAnswer("silence"), NotReached("refused"), ServerError(503))
ANSWERS = (Declined("no"), ProviderRefused("400"), OutcomeUnknown("409"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock, failures_max=3, open_s=OPEN_S, metrics=Metrics())


def ask(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    """One request, which ends in *error*."""
    with breaker.guarded():
        if error is not None:
            raise error


def fail(breaker: CircuitBreaker, error: BaseException, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(type(error)):
            ask(breaker, error)


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    fail(breaker, ServerError(500), 3)
    return breaker


@pytest.mark.parametrize("error", TROUBLE, ids=repr)
def test_failures_in_a_row_open_it(breaker: CircuitBreaker, error: Exception) -> None:
    """And then nothing is sent."""
    fail(breaker, error, 2)
    assert breaker.state is Circuit.CLOSED
    fail(breaker, error)
    assert breaker.state is Circuit.OPEN
    with pytest.raises(CircuitOpen):
        ask(breaker)


@pytest.mark.parametrize("answer", [None, *ANSWERS], ids=repr)
def test_an_answer_in_between_keeps_it_closed(breaker: CircuitBreaker, answer: Exception | None) -> None:
    """Whatever it says: the provider is there."""
    for _ in range(4):
        fail(breaker, NoAnswer("silence"), 2)
        if answer is None:
            ask(breaker)
        else:
            fail(breaker, answer)
    assert breaker.state is Circuit.CLOSED


@pytest.mark.parametrize("error", [NoTurn("busy"), asyncio.CancelledError()], ids=repr)
def test_what_has_not_met_the_provider_tells_nothing(breaker: CircuitBreaker, error: BaseException) -> None:
    """Neither that it is well nor that it is not."""
    fail(breaker, error, 10)
    fail(breaker, NoAnswer("silence"), 2)
    fail(breaker, error, 10)
    assert breaker.state is Circuit.CLOSED
    fail(breaker, NoAnswer("silence"))
    assert breaker.state is Circuit.OPEN


def test_it_is_tried_when_its_time_is_over(breaker: CircuitBreaker, clock: Clock) -> None:
    """And not a moment before; a success closes it."""
    opened(breaker)
    clock.now += OPEN_S - 0.001
    with pytest.raises(CircuitOpen):
        ask(breaker)
    clock.now += 0.001
    ask(breaker)
    assert breaker.state is Circuit.CLOSED
    fail(breaker, NoAnswer("silence"), 2)
    assert breaker.state is Circuit.CLOSED


def test_a_trial_that_fails_opens_it_for_as_long_again(breaker: CircuitBreaker, clock: Clock) -> None:
    """One failure is enough."""
    opened(breaker)
    clock.now += OPEN_S
    fail(breaker, NoAnswer("silence"))
    clock.now += OPEN_S - 0.001
    with pytest.raises(CircuitOpen):
        ask(breaker)


def test_one_at_a_time_tries_it(breaker: CircuitBreaker, clock: Clock) -> None:
    """The others are answered as while it is open."""
    opened(breaker)
    clock.now += OPEN_S
    with breaker.guarded():
        assert breaker.state is Circuit.HALF_OPEN
        with pytest.raises(CircuitOpen):
            ask(breaker)
    ask(breaker)


def test_a_trial_that_was_cut_short_leaves_it_to_the_next(breaker: CircuitBreaker, clock: Clock) -> None:
    """Or nobody would ever try again."""
    opened(breaker)
    clock.now += OPEN_S
    fail(breaker, asyncio.CancelledError())
    ask(breaker)
    assert breaker.state is Circuit.CLOSED


def test_a_late_success_does_not_close_it(breaker: CircuitBreaker) -> None:
    """What was sent before it opened says nothing of now."""
    with breaker.guarded():
        opened(breaker)
    assert breaker.state is Circuit.OPEN


def test_a_late_failure_does_not_keep_it_open_for_longer(breaker: CircuitBreaker, clock: Clock) -> None:
    """Nor does that."""
    with pytest.raises(NoAnswer), breaker.guarded():
        opened(breaker)
        clock.now += OPEN_S / 2
        raise NoAnswer("silence")
    clock.now += OPEN_S / 2
    ask(breaker)
    assert breaker.state is Circuit.CLOSED


def test_the_metrics_show_whether_it_is_open(clock: Clock) -> None:
    """Also while it is tried: of what is half-open nobody knows yet that it is well."""
    metrics = Metrics()
    breaker = CircuitBreaker(clock, failures_max=3, open_s=OPEN_S, metrics=metrics)

    def shown() -> bool:
        return b"topup_circuit_open 1.0" in metrics.exposition()

    assert b"topup_circuit_open 0.0" in metrics.exposition()
    opened(breaker)
    assert shown()
    clock.now += OPEN_S
    with breaker.guarded():
        assert shown()
    assert not shown()
