from collections.abc import Iterator

from harness.books import phantoms, story
from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("entry", "audited"))
def only_real_payments_credit(history: History) -> Iterator[Violation]:
    """Credit exists only where the provider took money: never on an attacker's word, a client's word, or a guess."""
    for credit in phantoms(history):
        what = credit.payment or "no payment at all"
        says = f"{credit.account} was credited for {what}, for which no money was taken"
        yield Violation(says, story(history, credit.payment, credit.entry), credit.payment or "", "phantom")
