from collections.abc import Iterator

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered",))
def duplicates_are_counted(history: History) -> Iterator[Violation]:
    """What the service shows of its figures tells of duplicates: whoever watches them would see a storm of redeliveries.

    Judged between the first and the last reading of its figures, as a lower bound: each acknowledged delivery of an event
    but the first one is a duplicate. A figure that went down belongs to a process that was started again, and tells nothing.
    """
    readings = [
        event
        for event in history.of("answered")
        if event["operation"] == "figures" and event["outcome"] == "done" and event.get("duplicates") is not None
    ]
    if len(readings) < 2:
        raise NothingToJudge("the service's figures were not read twice")
    first, last = readings[0], readings[-1]
    again = _repeated(history, first.at, last.at)
    if not again:
        raise NothingToJudge("no callback was acknowledged twice between two readings of the figures")
    counted = float(last["duplicates"]) - float(first["duplicates"])
    if counted < 0:
        raise NothingToJudge("the figures began anew between two readings")
    if counted < len(again):
        says = f"{len(again)} callbacks were acknowledged again, and the figures went up by {counted:g}"
        yield Violation(says, (first, *again, last))


def _repeated(history: History, since: float, until: float) -> list[Event]:
    """Every acknowledgement but the first of each event, as long as all of them fall between two readings."""
    answers = history.of("answer").where(lambda answer: answer["acknowledged"] and not answer["hostile"])
    return [
        answer
        for _, same in answers.by("webhook_id")
        for answer in same.events[1:]
        if all(since < each.at < until for each in same)
    ]
