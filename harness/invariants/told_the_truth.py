from collections.abc import Iterator

from harness.books import Payment, captured, credits_of, lost, phantoms, story, top_up_of, unread
from harness.history import Event, History
from harness.judge_facts import regressions
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered", "audited"))
def told_the_truth(history: History) -> Iterator[Violation]:
    """What customers read is so: no credit is announced before it is in the ledger, no payment called failed that was taken.

    Whoever repeats the provider's own "failed" is not lying, even when the provider takes it back that very moment. A
    payment that is lost for good is every-payment-is-credited's to report, a credit without a payment
    only-real-payments-credit's, a success that was undone status-never-goes-back's.
    """
    told = [event for event in history.of("answered") if event.get("word") and event.get("top_up")]
    if not told:
        raise NothingToJudge("no status of a top-up was read")
    taken = _taken(history)
    written = _written(history)
    elsewhere = {payment.reference for payment in lost(history)} | _phantom(history)
    silent = unread(history)
    once_credited = set(regressions(history))
    reported = set()
    for event in told:
        top_up = event["top_up"]
        payment = taken.get(top_up)
        lie = _lie(event, payment, written)
        if event["word"] == "credited":
            once_credited.add(top_up)
        undone = event["word"] != "credited" and top_up in once_credited
        if (
            lie
            and top_up not in reported
            and not undone
            and top_up not in elsewhere
            and event.get("account") not in silent
        ):
            reported.add(top_up)
            name = payment.payment if payment else None
            yield Violation(f"the customer of {top_up} read {lie}", story(history, name, event), name)


def _lie(event: Event, payment: Payment | None, written: dict[str, float]) -> str | None:
    if event["word"] == "credited":
        if payment is None or payment.payment not in written:
            return "'Credit applied', and the ledger has no such credit"
        if written[payment.payment] > event.at:
            return "'Credit applied' before the credit was in the ledger"
    if event["word"] == "failed" and payment and _taken_by(event, payment) and not payment.said_failed:
        return "'Payment failed', and the money had been taken"
    if event.get("final") and event["word"] != "credited" and payment and payment.payment in written:
        return f"{event['word']!r} after all had settled, and the credit is in the ledger"
    return None


def _taken(history: History) -> dict[str, Payment]:
    """For each top-up the first payment that was taken for it; a second one is captured-at-most-once's to report."""
    return {payment.reference: payment for payment in reversed(captured(history))}


def _taken_by(event: Event, payment: Payment) -> bool:
    return payment.captured is not None and payment.captured.at < event.at


def _phantom(history: History) -> set[str]:
    """Top-ups that were credited for a payment that was never captured."""
    reference_of = top_up_of(history)
    return {reference_of[credit.payment] for credit in phantoms(history) if credit.payment in reference_of}


def _written(history: History) -> dict[str, float]:
    """When each payment was first credited, by the ledger's own word; 0.0 where the ledger does not say."""
    times = [(credit.payment, credit.entry.get("written") or 0.0) for credit in credits_of(history) if credit.payment]
    return dict(sorted(times, key=lambda each: each[1], reverse=True))
