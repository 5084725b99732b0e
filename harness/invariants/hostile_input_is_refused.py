from collections.abc import Iterator
from math import inf

from harness.books import phantoms, story
from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answer",))
def hostile_input_is_refused(history: History) -> Iterator[Violation]:
    """A hostile callback is answered with a refusal: never with an acknowledgement, a crash or silence.

    What counts as an acknowledgement is the provider's to say. One that is authentic, and about nothing of the receiver's, may
    be acknowledged. One that moved money is only-real-payments-credit's to report. While the plan breaks a part, silence and
    5xx are the fault's doing, and say nothing of the receiver.
    """
    sent = {event["delivery"]: event for event in history.of("delivery") if event["hostile"]}
    answers = [event for event in history.of("answer") if event["hostile"]]
    if not answers:
        raise NothingToJudge("no hostile callback was sent")
    troubled = list(_troubled(history))
    answers = [
        answer
        for answer in answers
        if not _is_failure(answer["status"])
        or not any(began <= answer.at and sent.get(answer["delivery"], answer).at <= ended for began, ended in troubled)
    ]
    if not answers:
        raise NothingToJudge("every hostile callback met a part that the plan had broken")
    credited = {credit.payment for credit in phantoms(history)}
    for answer in answers:
        delivery = sent.get(answer["delivery"])
        wrong = _wrong(answer, ignorable=delivery is not None and bool(delivery.get("ignorable")))
        if wrong and answer["payment"] not in credited:
            forgery = delivery["forgery"] if delivery is not None else "hostile"
            evidence = story(history, answer["payment"], answer)
            yield Violation(f"a callback with {forgery} about {answer['payment']} {wrong}", evidence, answer["payment"])


def _troubled(history: History) -> Iterator[tuple[float, float]]:
    """From when to when the plan had a part broken. A mood breaks none: it is about genuine callbacks."""
    ended = {event["id"]: event.at for event in history.of("fault-ended")}
    for began in history.of("fault-began"):
        if began["fault"] != "mood":
            yield began.at, ended.get(began["id"], inf)


def _is_failure(status: int | None) -> bool:
    return status is None or status >= 500


def _wrong(answer: Event, *, ignorable: bool) -> str | None:
    status = answer["status"]
    if status is None:
        return f"got no answer ({answer['because']})"
    if status >= 500:
        return f"was answered {status}: the receiver tripped over it, and the provider would send it for ever"
    if answer["acknowledged"] and not ignorable:
        return f"was acknowledged with {status}"
    return None
