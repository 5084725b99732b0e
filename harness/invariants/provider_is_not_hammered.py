from collections.abc import Iterator

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

WINDOW_S, AT_MOST = 1.0, 10


@invariant(needs=("crossing",))
def provider_is_not_hammered(history: History) -> Iterator[Violation]:
    """A provider in trouble is not hammered: no request is repeated more than ten times in any second."""
    requests = [event for event in history.of("crossing") if event["link"] == "api" and event.get("key")]
    if not requests:
        raise NothingToJudge("no request with an idempotency key went to the provider")
    for key, attempts in History(tuple(requests)).by("key"):
        busiest = _busiest(attempts)
        if len(busiest) > AT_MOST:
            says = f"the request under key {key} was sent {len(busiest)} times within {WINDOW_S:g} s"
            yield Violation(says, busiest)


def _busiest(attempts: History) -> tuple[Event, ...]:
    """The most attempts that fall in one window."""
    most: tuple[Event, ...] = ()
    first = 0
    for last, event in enumerate(attempts):
        while event.at - attempts.events[first].at > WINDOW_S:
            first += 1
        if last - first + 1 > len(most):
            most = attempts.events[first : last + 1]
    return most
