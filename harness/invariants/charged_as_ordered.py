from collections import defaultdict
from collections.abc import Iterator

from harness.books import captured, intents, story
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("payment", "answered"))
def charged_as_ordered(history: History) -> Iterator[Violation]:
    """The service asks the provider for what the customer ordered, to the last minor unit.

    Compared with the provider's book of what it was asked for: a conversion that errs, and errs back again when the callback
    comes, shows nowhere else. What was settled afterwards is credit-matches-payment's to judge, and a payment of an account
    for which no client of ours ordered anything is nobody's.
    """
    taken = captured(history)
    if not taken:
        raise NothingToJudge("no payment was captured")
    ordered: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for intent in intents(history):
        ordered[intent.account].add((intent.amount_minor, intent.currency))
    for payment in taken:
        asked_for = (payment.requested_minor, payment.requested_currency)
        if payment.account in ordered and asked_for not in ordered[payment.account]:
            says = (
                f"{payment.payment} was asked for {asked_for[0]} {asked_for[1]} (minor units), "
                f"and {payment.account} ordered no such top-up"
            )
            yield Violation(says, story(history, payment.payment), payment.payment, "wrong amount")
