from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from harness.books import (
    Payment,
    captured,
    credits_of,
    left_of,
    lines_of,
    lost,
    phantoms,
    story,
    top_up_of,
    unread,
)
from harness.history import Event, History
from harness.judge_facts import regressions
from harness.reversals import went_back
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered", "audited"))
def told_the_truth(history: History) -> Iterator[Violation]:
    """What customers read is so: no credit is announced before it is in the ledger, no payment called failed that was taken.

    Whoever repeats the provider's own "failed" is not lying, even when the provider takes it back that very moment. When
    all has settled, "credited" is said of a credit of which something is left, "reversed" of one of which something went
    back; and what the ledger has left is believed here, right or wrong. A payment that is lost for good is
    every-payment-is-credited's to report, a credit without a payment only-real-payments-credit's, a reversal that is not
    one reversed-once's, a success that was undone status-never-goes-back's.
    """
    told = [event for event in history.of("answered") if event.get("word") and event.get("top_up")]
    if not told:
        raise NothingToJudge("no status of a top-up was read")
    taken = _taken(history)
    ledger = _Ledger.of(history)
    back = went_back(history)
    elsewhere = {payment.reference for payment in lost(history)} | _phantom(history)
    silent = unread(history)
    before: dict[str, set[str]] = defaultdict(set, {top_up: {"credited"} for top_up in regressions(history)})
    reported = set()
    for event in told:
        top_up = event["top_up"]
        payment, news = taken.get(top_up), back.get(top_up, ())
        before[top_up].add(event["word"])
        elsewhere_or_silent = top_up in elsewhere or event.get("account") in silent
        lie = _lie(event, payment, ledger, news)
        if (
            lie
            and top_up not in reported
            and not _undone(event["word"], before[top_up], news)
            and not elsewhere_or_silent
        ):
            reported.add(top_up)
            name = payment.payment if payment else None
            yield Violation(f"the customer of {top_up} read {lie}", story(history, name, event), name)


def _undone(word: str, before: Set[str], back: Sequence[Event]) -> bool:
    """Whether it takes back what was read before, with no news of that: status_never_goes_back says so."""
    news = {event["news"] for event in back}
    if word == "credited":
        return "reversed" in before and "won" not in news
    return word != "reversed" and "credited" in before and not news


@dataclass(frozen=True, slots=True)
class _Ledger:
    """By payment: when it was first credited, what is left of it, and whether something went back that did not return."""

    written: Mapping[str, float]
    left: Mapping[str | None, int]
    debited: frozenset[str | None]

    @classmethod
    def of(cls, history: History) -> "_Ledger":
        back: dict[str | None, int] = {}
        for line in lines_of(history):
            back[line.payment] = back.get(line.payment, 0) + line.amount_minor
        debited = frozenset(payment for payment, moved in back.items() if moved < 0)
        return cls(_written(history), left_of(history), debited)

    def words(self, payment: str) -> tuple[str, ...]:
        """What may be said of a credited payment when all has settled; the first is what is usual."""
        if payment not in self.debited:
            return ("credited",)
        # Of a part that went back, services say the one or the other; some have no better word for the whole than failed.
        return ("credited", "reversed") if self.left[payment] > 0 else ("reversed", "failed")


def _lie(event: Event, payment: Payment | None, ledger: _Ledger, back: Sequence[Event]) -> str | None:
    word, final = event["word"], event.get("final")
    if word == "credited":
        if payment is None or payment.payment not in ledger.written:
            return "'Credit applied', and the ledger has no such credit"
        if ledger.written[payment.payment] > event.at:
            return "'Credit applied' before the credit was in the ledger"
    if word == "reversed" and not any(news.at < event.at for news in back):
        return "'reversed', and nothing had gone back"
    gone_back = any(news.at < event.at for news in back)
    if word == "failed" and payment and _taken_by(event, payment) and not payment.said_failed and not gone_back:
        return "'Payment failed', and the money had been taken"
    if final and payment and payment.payment in ledger.written and word not in ledger.words(payment.payment):
        where = (
            "the credit is in the ledger" if ledger.left[payment.payment] > 0 else "the ledger has nothing left of it"
        )
        return f"{word!r} after all had settled, and {where}"
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
