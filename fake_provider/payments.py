"""Payments, and the only ways in which they change.

A payment is a value. A move makes the next value of it; what may follow what stands in `MOVES` and nowhere else. Every
step is kept with its time and its cause, so that the last value tells the whole story.

    pending ──pay──▶ captured ──refund the rest──▶ refunded
       │              ▲ │  ▲ │
    decline         pay │  │ dispute
       ▼              │ │  │ ▼
     failed ──────────┘ │  └─ win, lose a part ── disputed ──lose the rest──▶ lost
                        └─ pay more, refund a part ─▶ captured

    pending ──authorise──▶ authorised, which is paid or declined like one that is pending

A declined card may be followed by one that pays. What has not been paid may be cancelled, which is the end of it. One
dispute is open at a time, and while it is, nothing is refunded.

Money rules that the table cannot say: at most the amount is captured, in one or several parts; and at most what is left of
it is refunded or disputed. What is left is what was captured, without all refunds and without all disputes that were not
won. A bank may settle otherwise than it was asked to; then the money that the payment is about is what it settled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from random import Random
from types import MappingProxyType

CHECKOUT = "checkout"
"""The method of a payment that the customer makes on a page of the provider's."""


class State(StrEnum):
    PENDING = "pending"
    FAILED = "failed"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    LOST = "lost"
    CANCELLED = "cancelled"


class Move(StrEnum):
    AUTHORISE = "authorise"
    PAY = "pay"
    PAY_MORE = "pay more"
    DECLINE = "decline"
    CANCEL = "cancel"
    REFUND_PART = "refund a part"
    REFUND_REST = "refund the rest"
    DISPUTE = "dispute"
    WIN = "win"
    LOSE_PART = "lose a part"
    LOSE_REST = "lose the rest"


MOVES: Mapping[State, Mapping[Move, State]] = MappingProxyType(
    {
        State.PENDING: {
            Move.AUTHORISE: State.AUTHORISED,
            Move.PAY: State.CAPTURED,
            Move.DECLINE: State.FAILED,
            Move.CANCEL: State.CANCELLED,
        },
        State.AUTHORISED: {
            Move.PAY: State.CAPTURED,
            Move.DECLINE: State.FAILED,
            Move.CANCEL: State.CANCELLED,
        },
        State.FAILED: {Move.PAY: State.CAPTURED, Move.CANCEL: State.CANCELLED},
        State.CAPTURED: {
            Move.PAY_MORE: State.CAPTURED,
            Move.REFUND_PART: State.CAPTURED,
            Move.REFUND_REST: State.REFUNDED,
            Move.DISPUTE: State.DISPUTED,
        },
        State.REFUNDED: {},
        State.DISPUTED: {Move.WIN: State.CAPTURED, Move.LOSE_PART: State.CAPTURED, Move.LOSE_REST: State.LOST},
        State.LOST: {},
        State.CANCELLED: {},
    }
)


class IllegalMove(Exception):
    """The payment's state does not allow that; the message lists what it does allow."""


class BadAmount(Exception):
    """More (or less) money than the payment allows for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a payment's history: the state it came to, when, and why."""

    state: State
    at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that the merchant gave back. `key` is the idempotency key it was asked for with; empty: by other hands."""

    id: str
    amount_minor: int
    at: datetime
    key: str = ""


class Ruling(StrEnum):
    """How a dispute stands: undecided, or decided for the merchant (won) or for the customer (lost)."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Dispute:
    """Money that the customer's bank took back; it is gone from the opening on, and returns only when it is won."""

    id: str
    amount_minor: int
    at: datetime
    ruling: Ruling = Ruling.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a merchant asks for: this much money, for that account, by this method.

    `notes` are what else was said, in the words of the API by which it came.
    """

    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    method: str
    notes: tuple[tuple[str, str], ...] = ()

    def note(self, name: str) -> str:
        """What was said under that name; empty where nothing was."""
        return dict(self.notes).get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment at one moment. `attempt` counts the charges tried; `key` is the idempotency key that made it.

    `settled_currency` is what the money came in, where that is not what was ordered.
    """

    id: str
    order: Order
    environment: str
    key: str
    created_at: datetime
    state: State = State.PENDING
    captured_minor: int = 0
    attempt: int = 1
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    history: tuple[Step, ...] = ()
    settled_currency: str | None = None

    @property
    def currency(self) -> str:
        """What its money is in; while there is none, what was ordered."""
        return self.settled_currency or self.order.currency

    @property
    def refunded_minor(self) -> int:
        return sum(refund.amount_minor for refund in self.refunds)

    @property
    def charged_back_minor(self) -> int:
        """What disputes have taken: those that are open, and those that were lost."""
        return sum(dispute.amount_minor for dispute in self.disputes if dispute.ruling is not Ruling.WON)

    @property
    def left_minor(self) -> int:
        """What the merchant still has of it, and could give back."""
        return self.captured_minor - self.refunded_minor - self.charged_back_minor


def create(order: Order, *, payment_id: str, environment: str, key: str, at: datetime) -> Payment:
    """A new payment: pending, nothing captured."""
    first = Step(State.PENDING, at, "created")
    return Payment(id=payment_id, order=order, environment=environment, key=key, created_at=at, history=(first,))


def authorise(payment: Payment, *, at: datetime, cause: str) -> Payment:
    """The bank promises the money; none has moved."""
    return _moved(payment, Move.AUTHORISE, at, cause)


def pay(payment: Payment, amount_minor: int, *, at: datetime, cause: str) -> Payment:
    """Capture all or a part of the amount, for the first time. After a decline this is another attempt."""
    asked = payment.order.amount_minor
    if not 0 < amount_minor <= asked:
        raise BadAmount(f"{payment.id} is about {asked}: capture between 1 and {asked}, not {amount_minor}")
    return settle(payment, amount_minor, payment.order.currency, at=at, cause=cause)


def settle(payment: Payment, amount_minor: int, currency: str, *, at: datetime, cause: str) -> Payment:
    """Capture, for the first time, what the bank really gives: whatever that is, it is what the payment is about now."""
    if amount_minor <= 0:
        raise BadAmount(f"{payment.id}: a settlement is at least 1, not {amount_minor}")
    attempt = payment.attempt + 1 if payment.state is State.FAILED else payment.attempt
    settled = None if currency == payment.order.currency else currency
    moved = _moved(payment, Move.PAY, at, cause)
    return replace(moved, captured_minor=amount_minor, settled_currency=settled, attempt=attempt)


def pay_more(payment: Payment, amount_minor: int, *, at: datetime, cause: str) -> Payment:
    """Capture another part of what was asked for and has not been captured."""
    missing = payment.order.amount_minor - payment.captured_minor
    if not 0 < amount_minor <= missing or payment.settled_currency:
        raise BadAmount(f"{payment.id} has {max(missing, 0)} not captured yet: {amount_minor} cannot be captured")
    moved = _moved(payment, Move.PAY_MORE, at, cause)
    return replace(moved, captured_minor=payment.captured_minor + amount_minor)


def decline(payment: Payment, *, at: datetime, cause: str) -> Payment:
    """The attempt failed; no money moved."""
    return _moved(payment, Move.DECLINE, at, cause)


def cancel(payment: Payment, *, at: datetime, cause: str) -> Payment:
    """Called off by the merchant before any money moved."""
    return _moved(payment, Move.CANCEL, at, cause)


def refund(payment: Payment, amount_minor: int, *, refund_id: str, at: datetime, key: str = "") -> Payment:
    """Give back all or a part of what is left of the captured money."""
    left = _enough(payment, amount_minor, "given back")
    move = Move.REFUND_REST if amount_minor == left else Move.REFUND_PART
    refunds = (*payment.refunds, Refund(refund_id, amount_minor, at, key))
    return replace(_moved(payment, move, at, f"refund {refund_id}"), refunds=refunds)


def dispute(payment: Payment, amount_minor: int, *, dispute_id: str, at: datetime) -> Payment:
    """The customer's bank takes back all or a part of what is left."""
    _enough(payment, amount_minor, "disputed")
    disputes = (*payment.disputes, Dispute(dispute_id, amount_minor, at))
    return replace(_moved(payment, Move.DISPUTE, at, f"dispute {dispute_id} opened"), disputes=disputes)


def win(payment: Payment, *, at: datetime) -> Payment:
    """The open dispute is decided for the merchant: the money comes back."""
    return _decided(payment, Move.WIN, Ruling.WON, at)


def lose(payment: Payment, *, at: datetime) -> Payment:
    """The open dispute is decided for the customer: the money stays where it went at the opening."""
    return _decided(payment, Move.LOSE_PART if payment.left_minor else Move.LOSE_REST, Ruling.LOST, at)


def fresh_id(prefix: str, rng: Random) -> str:
    """An opaque id, the same again for the same seed."""
    return f"{prefix}_{rng.getrandbits(80):020x}"


def _enough(payment: Payment, amount_minor: int, what: str) -> int:
    """What is left, if that is enough for *amount_minor*."""
    left = payment.left_minor
    if not 0 < amount_minor <= left:
        raise BadAmount(f"{payment.id} has {left} left to refund: {amount_minor} cannot be {what}")
    return left


def _decided(payment: Payment, move: Move, ruling: Ruling, at: datetime) -> Payment:
    moved = _moved(payment, move, at, f"dispute {payment.disputes[-1].id} {ruling}" if payment.disputes else ruling)
    return replace(moved, disputes=(*payment.disputes[:-1], replace(payment.disputes[-1], ruling=ruling)))


def _moved(payment: Payment, move: Move, at: datetime, cause: str) -> Payment:
    legal = MOVES[payment.state]
    if move not in legal:
        allowed = ", ".join(legal) or "nothing any more"
        raise IllegalMove(f"{payment.id} is {payment.state}, which does not allow: {move}. It allows: {allowed}")
    state = legal[move]
    return replace(payment, state=state, history=(*payment.history, Step(state, at, cause)))
