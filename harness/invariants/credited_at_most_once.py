from collections import defaultdict
from collections.abc import Iterator

from harness.books import Credit, captured, credits_of, story
from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("payment", "entry"))
def credited_at_most_once(history: History) -> Iterator[Violation]:
    """A payment credits its account once, however often the provider reports it."""
    real = {payment.payment for payment in captured(history)}
    credits: dict[str, list[Credit]] = defaultdict(list)
    for credit in credits_of(history):
        if credit.payment in real and credit.payment:
            credits[credit.payment].append(credit)
    for payment, several in credits.items():
        if len(several) > 1:
            entries = [credit.entry for credit in several]
            says = f"{payment} was credited {len(several)} times"
            yield Violation(says, story(history, payment, *entries), payment, "doubled")
