from collections.abc import Iterator

from harness.books import story
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered",))
def rotation_refuses_nobody(history: History) -> Iterator[Violation]:
    """From the moment at which the service hears of a new secret, no genuine callback is refused, whichever of the two signed it.

    What is refused comes again, and is credited late; what was refused at the last attempt is lost.
    """
    told = [
        event.at
        for event in history.of("answered")
        if event["operation"] in ("adopt_secret", "rotate_secret") and event["outcome"] == "done"
    ]
    if not told:
        raise NothingToJudge("no secret was rotated")
    genuine = [event for event in history.of("answer") if not event["hostile"] and event.at > min(told)]
    if not genuine:
        raise NothingToJudge("no genuine callback came since")
    for answer in genuine:
        if answer["status"] in (400, 401, 403):
            says = f"a genuine callback about {answer['payment']} was answered {answer['status']} after the secret was rotated"
            yield Violation(says, story(history, answer["payment"], answer), answer["payment"], "late")
