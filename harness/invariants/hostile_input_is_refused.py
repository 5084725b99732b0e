from collections.abc import Iterator

from harness.books import phantoms, story
from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answer",))
def hostile_input_is_refused(history: History) -> Iterator[Violation]:
    """A hostile callback is answered with a refusal: never with an acknowledgement, a crash or silence.

    One that moved money is only-real-payments-credit's to report.
    """
    sent = {event["delivery"]: event for event in history.of("delivery") if event["hostile"]}
    answers = [event for event in history.of("answer") if event["hostile"]]
    if not answers:
        raise NothingToJudge("no hostile callback was sent")
    credited = {credit.payment for credit in phantoms(history)}
    for answer in answers:
        wrong = _wrong(answer)
        if wrong and answer["payment"] not in credited:
            forgery = sent[answer["delivery"]]["forgery"] if answer["delivery"] in sent else "hostile"
            evidence = story(history, answer["payment"], answer)
            yield Violation(f"a callback with {forgery} about {answer['payment']} {wrong}", evidence, answer["payment"])


def _wrong(answer: Event) -> str | None:
    status = answer["status"]
    if status is None:
        return f"got no answer ({answer['because']})"
    if status >= 500:
        return f"was answered {status}: the receiver tripped over it, and the provider would send it for ever"
    if answer["acknowledged"] or 200 <= status < 300:
        return f"was acknowledged with {status}"
    return None
