from collections.abc import Iterator, Mapping

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

TOO_MANY = 429
SLACK_S = 0.05
"""Answers say to the millisecond how long to wait, and clocks of two processes are read at two moments."""

BUCKETS: Mapping[str, tuple[str, ...]] = {
    "address": (),
    "principal": (),
    "customer": ("customer",),
    "method": ("customer", "method"),
    "intent": ("customer", "account", "key"),
}
"""What requests have in common that one kind of limit counts together. The harness has one address, and asks as one principal."""


@invariant(needs=("invoked", "answered"))
def limits_are_kept(history: History) -> Iterator[Violation]:
    """A limit that the service speaks of is kept: nobody is served more often than it says, and whoever waits for as long as he
    was told is served.

    A request that was turned away counts for nothing. How many may come at once, and in which time, is what the answers say
    with which others are turned away; of what was not answered it is not known whether it was served.
    """
    begun = {
        (event["id"], event["attempt"]): event for event in history.of("invoked") if event["operation"] == "top_up"
    }
    answers = [event for event in history.of("answered") if event["operation"] == "top_up"]
    denials = [event for event in answers if event["status"] == TOO_MANY and event.get("limited_by") in BUCKETS]
    if not denials:
        raise NothingToJudge("nobody was told that he asks too often")
    seen: set[tuple[str, ...]] = set()
    for denial in denials:
        by = BUCKETS[denial["limited_by"]]
        bucket = (denial["limited_by"], *(denial[fact] for fact in by))
        if bucket in seen:
            continue
        seen.add(bucket)
        own = [event for event in answers if all(event.get(fact) == denial[fact] for fact in by)]
        uses = [(begun[event["id"], event["attempt"]], event) for event in own]
        yield from _served_too_often(denial, uses)
        yield from _turned_away_too_long(denial["limited_by"], uses)


Use = tuple[Event, Event]


def _served_too_often(denial: Event, uses: list[Use]) -> Iterator[Violation]:
    """So many at once, and after that one for each turn that has passed, reckoned from the first to the last answer."""
    limit, every_s = denial["limit"], denial["window_s"] / denial["limit"]
    served = [use for use in uses if use[1]["outcome"] == "done"]
    for first in range(len(served)):
        for last in range(first + limit, len(served)):
            took_s = served[last][1].at - served[first][0].at
            if last - first + 1 > limit + (took_s + SLACK_S) / every_s:
                many = f"{last - first + 1} requests were served within {took_s:.1f} s"
                says = f"{many}, and {limit} in {denial['window_s']:g} s is the limit"
                yield Violation(says, tuple(event for use in served[first : last + 1] for event in use))
                return


def _turned_away_too_long(by: str, uses: list[Use]) -> Iterator[Violation]:
    """Who was told to wait, was not served meanwhile, and comes back after that."""
    for number, (_, denial) in enumerate(uses):
        if denial["status"] != TOO_MANY or denial.get("limited_by") != by:
            continue
        for asked, answer in uses[number + 1 :]:
            if answer["status"] != TOO_MANY:
                break
            if asked.at >= denial.at + denial["wait_s"] + SLACK_S:
                later = f"{answer['id']} was turned away {asked.at - denial.at:.1f} s after one"
                says = f"{later} that was told to wait {denial['wait_s']:.1f} s"
                yield Violation(says, (denial, asked, answer))
                return
