from collections.abc import Iterator
from math import inf

from harness.books import (
    BEFORE,
    FINAL,
    asked_at,
    captured,
    credited_unasked,
    held,
    lines_of,
    looked_at,
    lost,
    story,
    unread,
)
from harness.history import History
from harness.reversals import reversals, told
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answer", "entry", "audited"))
def acknowledged_is_durable(history: History) -> Iterator[Violation]:
    """What was acknowledged to the provider is kept: its effect is there without anybody's having to ask again.

    The provider stops sending once it hears yes. A payment that not even reconciliation brings back is
    every-payment-is-credited's to report, and a reversal that it does not bring reversed-once's.
    """
    news = {event["webhook_id"]: event["event"] for event in history.of("delivery") if not event["hostile"]}
    heard = {
        event["payment"]: event
        for event in history.of("answer")
        if event["acknowledged"]
        and not event["hostile"]
        and event.at < looked_at(history)
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
    yield from _reversals(history, kept - held(history), silent)


def _reversals(history: History, kept: frozenset[str | None], silent: frozenset[str]) -> Iterator[Violation]:
    """The same for what went back, or came back again, of payments that were credited without asking."""
    before = FINAL if asked_at(history) == inf else BEFORE
    there = {(line.reversal, line.way) for line in lines_of(history, before)}
    in_the_end = {(line.reversal, line.way) for line in lines_of(history)}
    accounts = {each.reversal: each.account for each in reversals(history)}
    for known, answer in told(history, looked_at(history)).items():
        name, payment = known[0], answer["payment"]
        if payment in kept and known in in_the_end - there and accounts.get(name) not in silent:
            says = f"the callback of {name} was acknowledged, and its entry was not there until the service asked again"
            yield Violation(says, story(history, payment, answer), payment, "late")
