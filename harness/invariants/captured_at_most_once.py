from collections import Counter, defaultdict
from collections.abc import Iterator

from harness.books import Payment, captured, intents
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("payment", "answered"))
def captured_at_most_once(history: History) -> Iterator[Violation]:
    """The customer is charged once per intent, however often the service or the client tries again."""
    taken = captured(history)
    if not taken:
        raise NothingToJudge("no payment was captured")
    asked = Counter((intent.account, intent.amount_minor, intent.currency) for intent in intents(history))
    of_one_top_up: dict[str, list[Payment]] = defaultdict(list)
    of_one_wish: dict[tuple[str, int, str], list[Payment]] = defaultdict(list)
    for payment in taken:
        of_one_top_up[payment.reference].append(payment)
        of_one_wish[payment.account, payment.requested_minor, payment.requested_currency].append(payment)
    twice = [several for several in of_one_top_up.values() if len(several) > 1]
    too_often = [several for wish, several in of_one_wish.items() if len(several) > asked[wish] > 0]
    reported: set[str] = set()
    for several in (*twice, *too_often):
        if not reported.intersection(payment.payment for payment in several):
            reported.update(payment.payment for payment in several)
            yield _charged_again(history, several)


def _charged_again(history: History, several: list[Payment]) -> Violation:
    names = " and ".join(payment.payment for payment in several)
    names_of = {payment.payment for payment in several}
    evidence = history.of("payment").where(lambda event: event["payment"] in names_of)
    says = f"the customer was charged {len(several)} times for one intent: {names}"
    return Violation(says, evidence.events, several[-1].payment, "charged again")
