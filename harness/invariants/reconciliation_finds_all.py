from collections.abc import Iterator

from harness.books import captured, credits_of, held
from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered",))
def reconciliation_finds_all(history: History) -> Iterator[Violation]:
    """What the service reports when it compares the books is what they differ in, payment by payment, and nothing else.

    Judged of payments that were captured before the last comparison was asked for, by the ledger as it was in the end. What must
    be listed is what the service put aside; what it lost, doubled or misplaced is reported by the promise that names it.
    """
    done = [e for e in history.of("answered") if e["operation"] == "compare" and e["outcome"] == "done"]
    if not done:
        raise NothingToJudge("the service was never once made to compare the books")
    asked = next(e for e in history.of("invoked") if (e["id"], e["attempt"]) == (done[-1]["id"], done[-1]["attempt"]))
    listed = {e["payment"]: e for e in history.of("finding") if e["id"] == done[-1]["id"] and e.get("payment")}
    compared = {p.payment: p.captured for p in captured(history) if p.captured and p.captured.at < asked.at}
    if not compared:
        raise NothingToJudge("no payment was captured before the books were compared")
    aside, wrong = held(history), _differing(history)
    for payment, capture in compared.items():
        evidence: tuple[Event, ...] = (capture, asked)
        if payment in aside & wrong and payment not in listed:
            yield Violation(
                f"{payment} was put aside, and the service's report does not list it", evidence, payment=payment
            )
        if payment in listed and payment not in wrong:
            says = f"the service's report lists {payment} as {listed[payment].get('class')}, and it does not differ"
            yield Violation(says, (*evidence, listed[payment]), payment=payment)


def _differing(history: History) -> set[str]:
    """The payments of which the ledger has not credited, once, just what was captured to whom it was for."""
    credits = credits_of(history)
    return {
        payment.payment
        for payment in captured(history)
        if [(c.account, c.amount_minor, c.currency) for c in credits if c.payment == payment.payment]
        != [(payment.account, payment.captured_minor, payment.currency)]
    }
