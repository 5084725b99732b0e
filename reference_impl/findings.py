"""What reconciliation can find, why, and what is to be done about it. Pure: books in, findings out.

Three comparisons: the ledger with the provider's payments, the states with the callbacks and postings that led to them, the
balances with the sums of their entries.

**Final** is a payment of which money was captured: captured money is never uncaptured, it goes back as a refund or a dispute,
which are payments of their own and compared by the list of reversals. **Pending** is one of which none was, failed ones
included, since the customer may try again: it is counted, never passed over for good, and asked about by every run that settles.
**Tolerance** is none: both books hold whole minor units, and nothing is rounded on the way. What it has is patience: a
difference that a callback on its way may still mend is looked at a second time before it is called a finding.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reference_impl.money import Money
from reference_impl.provider_answers import Payment
from reference_impl.states import State


class Class(StrEnum):
    """What kind of difference it is."""

    MISSING = "missing credit"
    DUPLICATE = "duplicate credit"
    AMOUNT = "amount mismatch"
    ACCOUNT = "wrong account"
    STATUS = "status mismatch"
    BALANCE = "balance mismatch"


ACTIONS: Mapping[Class, str] = {
    Class.MISSING: "See whether it was set aside, and why. What was paid wrongly is refunded at the provider; what was lost is "
    "credited by reconciling again.",
    Class.DUPLICATE: "Stop callbacks to this version of the service, and find out why the claim did not hold, before anything is "
    "corrected.",
    Class.AMOUNT: "Compare the payment's page at the provider with its postings; correct by an entry of its own, never in place.",
    Class.ACCOUNT: "Freeze neither account. Correct by two entries of their own, and tell both customers.",
    Class.STATUS: "The ledger is right and the status is not: tell the customer what the ledger says.",
    Class.BALANCE: "Stop writing: something changed a balance without an entry. The sum of the entries is the truth.",
}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One difference. `about` is a top-up, or an account."""

    class_: Class
    about: str
    payment: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Credited:
    """What the ledger says was credited for one payment of one top-up, by one posting."""

    payment: str
    account: str
    money: Money


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What a correction moved, in minor units: below zero if it took back."""

    payment: str
    account: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Book:
    """What this service has written down about one top-up."""

    top_up: str
    account: str
    state: str
    credits: tuple[Credited, ...]
    adjusted: tuple["Adjusted", ...]
    credited_by_callback: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """A customer's balance, and the sum of the entries that should make it."""

    account: str
    told_minor: int
    sum_minor: int


def ledger_against_provider(book: Book, payments: Sequence[Payment]) -> Iterator[Finding]:
    """The credits of one top-up beside the payments that the provider knows for it."""
    for payment in payments:
        own = [credit for credit in book.credits if credit.payment == payment.id]
        yield from _of_payment(book, payment, own)
    known = {payment.id for payment in payments}
    for credit in book.credits:
        if credit.payment not in known:
            yield Finding(Class.AMOUNT, book.top_up, credit.payment, "no such payment", f"credited {credit.money}")


def _of_payment(book: Book, payment: Payment, own: Sequence[Credited]) -> Iterator[Finding]:
    captured = (
        f"captured {Money(payment.captured_minor, payment.currency)}" if payment.captured_minor else "captured nothing"
    )
    corrected = [each for each in book.adjusted if each.payment == payment.id]
    if corrected:
        yield from _of_corrected(book, payment, own, corrected)
        return
    if not own:
        if payment.captured_minor:
            yield Finding(Class.MISSING, book.top_up, payment.id, captured, "credited nothing")
        return
    if len(own) > 1:
        yield Finding(Class.DUPLICATE, book.top_up, payment.id, captured, f"credited {len(own)} times")
    for credit in own:
        if (credit.money.amount_minor, credit.money.currency) != (payment.captured_minor, payment.currency):
            yield Finding(Class.AMOUNT, book.top_up, payment.id, captured, f"credited {credit.money}")
        if credit.account != payment.account:
            yield Finding(Class.ACCOUNT, book.top_up, payment.id, payment.account, f"credited to {credit.account}")


def _of_corrected(
    book: Book, payment: Payment, own: Sequence[Credited], corrected: Sequence[Adjusted]
) -> Iterator[Finding]:
    """After a correction only the sum counts, account by account: the wrong entry stays, and so does what corrects it."""
    sums: Counter[tuple[str, str]] = Counter()
    for credit in own:
        sums[credit.account, credit.money.currency] += credit.money.amount_minor
    for each in corrected:
        sums[each.account, each.currency] += each.amount_minor
    left = {where: amount for where, amount in sums.items() if amount}
    if left != {(payment.account, payment.currency): payment.captured_minor}:
        told = ", ".join(f"{amount} {currency} on {account}" for (account, currency), amount in sorted(left.items()))
        expected = f"{payment.captured_minor} {payment.currency} on {payment.account}"
        yield Finding(
            Class.AMOUNT, book.top_up, payment.id, expected, f"corrected to {told or 'nothing'}, in minor units"
        )


def states_against_callbacks(book: Book) -> Iterator[Finding]:
    """The state of one top-up beside what led to it."""
    credited = State(book.state) in (State.CREDITED, State.PARTLY_REVERSED, State.REVERSED)
    payment = book.credits[0].payment if book.credits else ""
    posted = book.credits or book.adjusted
    if credited and not posted:
        yield Finding(Class.STATUS, book.top_up, payment, "a credit in the ledger", book.state)
    if not credited and (posted or book.credited_by_callback):
        yield Finding(Class.STATUS, book.top_up, payment, "Credited", book.state)


def balances_against_sums(balances: Iterable[Balance]) -> Iterator[Finding]:
    """Each balance beside the sum of its entries, in minor units."""
    for balance in balances:
        if balance.told_minor != balance.sum_minor:
            yield Finding(Class.BALANCE, balance.account, "", str(balance.sum_minor), str(balance.told_minor))
