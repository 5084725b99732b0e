from collections.abc import Iterator

from harness.books import captured, credits_of, story
from harness.history import History
from harness.verdict import Violation, invariant


@invariant(needs=("payment", "entry"))
def credit_matches_payment(history: History) -> Iterator[Violation]:
    """A credit is for the amount, in the currency and to the account of the payment that it is for."""
    taken = {payment.payment: payment for payment in captured(history)}
    for credit in credits_of(history):
        payment = taken.get(credit.payment or "")
        if payment is None:
            continue  # a phantom: only_real_payments_credit says so
        evidence = story(history, payment.payment, credit.entry)
        if credit.account != payment.account:
            says = f"{payment.payment} is of {payment.account}, and credited {credit.account}"
            yield Violation(says, evidence, payment.payment, "wrong account")
        elif (credit.amount_minor, credit.currency) != (payment.captured_minor, payment.currency):
            says = (
                f"{payment.payment} took {payment.captured_minor} {payment.currency} (minor units), "
                f"and credited {credit.amount_minor} {credit.currency}"
            )
            yield Violation(says, evidence, payment.payment, "wrong amount")
