from collections.abc import Iterator

from harness.books import lost, story
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("payment", "audited"))
def every_payment_is_credited(history: History) -> Iterator[Violation]:
    """Once the system has settled, every payment taken is credited, or visibly held because it is not what was asked for."""
    if not any(event["captured_minor"] > 0 for event in history.of("payment")):
        raise NothingToJudge("no payment was captured")
    for payment in lost(history):
        says = f"{payment.payment} was captured but never credited"
        yield Violation(says, story(history, payment.payment), payment.payment, "lost")
