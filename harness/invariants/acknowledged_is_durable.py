from collections.abc import Iterator

from harness.books import asked_at, captured, credited_unasked, held, lost, story, unread
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answer", "entry", "audited"))
def acknowledged_is_durable(history: History) -> Iterator[Violation]:
    """What was acknowledged to the provider is kept: its effect is there without anybody's having to ask again.

    The provider stops sending once it hears yes. A payment that not even reconciliation brings back is
    every-payment-is-credited's to report.
    """
    news = {event["webhook_id"]: event["event"] for event in history.of("delivery") if not event["hostile"]}
    heard = {
        event["payment"]: event
        for event in history.of("answer")
        if event["acknowledged"]
        and not event["hostile"]
        and event.at < asked_at(history)
        and news.get(event["webhook_id"]) == "payment.captured"
    }
    if not heard:
        raise NothingToJudge("no callback of a capture was acknowledged")
    kept = credited_unasked(history) | held(history)
    gone = {payment.payment for payment in lost(history)}
    silent = unread(history)
    for payment in captured(history):
        name = payment.payment
        if name in heard and name not in kept and name not in gone and payment.account not in silent:
            says = (
                f"the callback of {name} was acknowledged, and its credit was not there until the service asked again"
            )
            yield Violation(says, story(history, name, heard[name]), name, "late")
