"""The provider's memory: the book (what is true of each payment) and the journal (what happened, in order).

The book is the truth that others are measured by. The journal only grows; its facts are values of the five kinds below,
and their field names are the vocabulary that readers of a history know.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from fake_provider.clock import Now, iso
from fake_provider.payments import Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMoved:
    """A payment came to be or changed; all amounts are those after the change.

    `amount_minor` is what was ordered, in `ordered_currency`; all money that moved is in `currency`.
    """

    kind: ClassVar[str] = "payment"
    payment: str
    reference: str
    state: str
    amount_minor: int
    captured_minor: int
    refunded_minor: int
    charged_back_minor: int
    currency: str
    ordered_currency: str
    account: str
    merchant: str
    method: str
    key: str
    cause: str

    @classmethod
    def to(cls, payment: Payment) -> "PaymentMoved":
        """The last step of *payment*."""
        return cls(
            payment=payment.id,
            reference=payment.order.reference,
            state=payment.state.value,
            amount_minor=payment.order.amount_minor,
            captured_minor=payment.captured_minor,
            refunded_minor=payment.refunded_minor,
            charged_back_minor=payment.charged_back_minor,
            currency=payment.currency,
            ordered_currency=payment.order.currency,
            account=payment.order.account,
            merchant=payment.order.merchant,
            method=payment.order.method,
            key=payment.key,
            cause=payment.history[-1].cause,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """Captured money went back, or a dispute about it was decided; `amount_minor` is this refund's or this dispute's own.

    `news` is the last part of the event's name: refunded, opened, won, lost. `key` is the idempotency key under which the
    merchant asked for a refund; empty for what others did.
    """

    kind: ClassVar[str] = "reversal"
    reversal: str
    payment: str
    reference: str
    news: str
    amount_minor: int
    currency: str
    account: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A callback is put on the wire. What it claims is what it says, true or not.

    What is `ignorable` is hostile, but authentic: a receiver may acknowledge it, as long as it has no effect.
    """

    kind: ClassVar[str] = "delivery"
    delivery: str
    payment: str
    event: str
    webhook_id: str
    attempt: int
    copy: int
    mood: str | None
    hostile: bool
    forgery: str | None
    ignorable: bool
    amount_minor: int
    currency: str
    account: str
    reference: str
    reversal: str | None
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a delivery. `status` is None when no answer came; `because` says which way it did not."""

    kind: ClassVar[str] = "answer"
    delivery: str
    webhook_id: str
    payment: str
    status: int | None
    acknowledged: bool
    hostile: bool
    because: str
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GaveUp:
    """The schedule is over and nobody acknowledged."""

    kind: ClassVar[str] = "gave-up"
    webhook_id: str
    payment: str
    event: str
    attempts: int


Fact: TypeAlias = PaymentMoved | Reversal | Delivery | Answered | GaveUp


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal; `seq` counts from 1 without gaps, `at` is real time in seconds since the epoch."""

    seq: int
    at: float
    fact: Fact

    def to_json(self) -> dict[str, Any]:
        return {"seq": self.seq, "at": self.at, "kind": self.fact.kind, **asdict(self.fact)}


class Journal:
    """Append only."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._entries: list[Entry] = []

    def write(self, fact: Fact) -> None:
        self._entries.append(Entry(len(self._entries) + 1, self._now().timestamp(), fact))

    def after(self, seq: int) -> list[Entry]:
        """Everything later than the entry numbered *seq*; 0 stands before the first."""
        return self._entries[max(seq, 0) :]


class Book:
    """Every payment as it is now, oldest first. What is put into it is written to the journal in the same breath."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._payments: dict[str, Payment] = {}
        self._by_reference: dict[str, list[str]] = {}
        self._reversed: list[str] = []

    def put(self, payment: Payment, reversal: Reversal | None = None) -> None:
        if payment.id not in self._payments:
            self._by_reference.setdefault(payment.order.reference, []).append(payment.id)
        self._payments[payment.id] = payment
        self._journal.write(PaymentMoved.to(payment))
        if reversal is not None:
            self._reversed.append(payment.id)
            self._journal.write(reversal)

    def get(self, payment_id: str) -> Payment | None:
        return self._payments.get(payment_id)

    def of_reference(self, reference: str) -> list[Payment]:
        return [self._payments[payment_id] for payment_id in self._by_reference.get(reference, ())]

    def reversed_after(self, number: int, at_most: int) -> tuple[list[Payment], int]:
        """The payments of the next reversals after the one of that *number* (0: from the first on), each once, and the
        number to go on from.
        """
        new = self._reversed[max(number, 0) :][:at_most]
        return [self._payments[payment_id] for payment_id in dict.fromkeys(new)], max(number, 0) + len(new)

    def __iter__(self) -> Iterator[Payment]:
        return iter(self._payments.values())


def payment_object(payment: Payment) -> dict[str, Any]:
    """A payment as the business API shows it."""
    order = payment.order
    return {
        "id": payment.id,
        "reference": order.reference,
        "state": payment.state.value,
        "amount_minor": order.amount_minor,
        "captured_minor": payment.captured_minor,
        "refunded_minor": payment.refunded_minor,
        "charged_back_minor": payment.charged_back_minor,
        "currency": payment.currency,
        "ordered_currency": order.currency,
        "account": order.account,
        "merchant": order.merchant,
        "environment": payment.environment,
        "method": order.method,
        "attempt": payment.attempt,
        "created_at": iso(payment.created_at),
        "refunds": [
            {"id": refund.id, "amount_minor": refund.amount_minor, "created_at": iso(refund.at)}
            for refund in payment.refunds
        ],
        "disputes": [
            {
                "id": dispute.id,
                "amount_minor": dispute.amount_minor,
                "status": dispute.ruling.value,
                "created_at": iso(dispute.at),
            }
            for dispute in payment.disputes
        ],
    }


def book_entry(payment: Payment) -> dict[str, Any]:
    """A payment as the book shows it: the same, with its history."""
    steps = [{"state": step.state.value, "at": iso(step.at), "cause": step.cause} for step in payment.history]
    return {**payment_object(payment), "history": steps}
