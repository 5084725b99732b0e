"""Payments, and the only ways in which they change.

A payment is a value. A move makes the next value of it; what may follow what stands in `MOVES` and nowhere else. Every
step is kept with its time and its cause, so that the last value tells the whole story.

    pending ──pay──▶ captured ──refund the rest──▶ refunded
       │               ▲  │ ▲
    decline          pay  refund a part
       ▼               │  └─┘
     failed ───────────┘            a declined card may be followed by one that pays

Money rules that the table cannot say: at most the amount is captured, and at most what was captured is given back,
over all refunds together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from random import Random
from types import MappingProxyType


class State(StrEnum):
    PENDING = "pending"
    FAILED = "failed"
    CAPTURED = "captured"
    REFUNDED = "refunded"


class Move(StrEnum):
    PAY = "pay"
    DECLINE = "decline"
    REFUND_PART = "refund a part"
    REFUND_REST = "refund the rest"


MOVES: Mapping[State, Mapping[Move, State]] = MappingProxyType(
    {
        State.PENDING: {Move.PAY: State.CAPTURED, Move.DECLINE: State.FAILED},
        State.FAILED: {Move.PAY: State.CAPTURED},
        State.CAPTURED: {Move.REFUND_PART: State.CAPTURED, Move.REFUND_REST: State.REFUNDED},
        State.REFUNDED: {},
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
    id: str
    amount_minor: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a merchant asks for: this much money, for that account, by this method."""

    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One payment at one moment. `attempt` counts the charges tried; `key` is the idempotency key that made it."""

    id: str
    order: Order
    environment: str
    key: str
    created_at: datetime
    state: State = State.PENDING
    captured_minor: int = 0
    attempt: int = 1
    refunds: tuple[Refund, ...] = ()
    history: tuple[Step, ...] = ()

    @property
    def refunded_minor(self) -> int:
        return sum(refund.amount_minor for refund in self.refunds)


def create(order: Order, *, payment_id: str, environment: str, key: str, at: datetime) -> Payment:
    """A new payment: pending, nothing captured."""
    first = Step(State.PENDING, at, "created")
    return Payment(id=payment_id, order=order, environment=environment, key=key, created_at=at, history=(first,))


def pay(payment: Payment, amount_minor: int, *, at: datetime, cause: str) -> Payment:
    """Capture all or a part of the amount, once. After a decline this is another attempt."""
    asked = payment.order.amount_minor
    if not 0 < amount_minor <= asked:
        raise BadAmount(f"{payment.id} is about {asked}: capture between 1 and {asked}, not {amount_minor}")
    attempt = payment.attempt + 1 if payment.state is State.FAILED else payment.attempt
    return replace(_moved(payment, Move.PAY, at, cause), captured_minor=amount_minor, attempt=attempt)


def decline(payment: Payment, *, at: datetime, cause: str) -> Payment:
    """The attempt failed; no money moved."""
    return _moved(payment, Move.DECLINE, at, cause)


def refund(payment: Payment, amount_minor: int, *, refund_id: str, at: datetime) -> Payment:
    """Give back all or a part of what is left of the captured money."""
    left = payment.captured_minor - payment.refunded_minor
    if not 0 < amount_minor <= left:
        raise BadAmount(f"{payment.id} has {left} left to refund: {amount_minor} cannot be given back")
    move = Move.REFUND_REST if amount_minor == left else Move.REFUND_PART
    refunds = (*payment.refunds, Refund(refund_id, amount_minor, at))
    return replace(_moved(payment, move, at, f"refund {refund_id}"), refunds=refunds)


def fresh_id(prefix: str, rng: Random) -> str:
    """An opaque id, the same again for the same seed."""
    return f"{prefix}_{rng.getrandbits(80):020x}"


def _moved(payment: Payment, move: Move, at: datetime, cause: str) -> Payment:
    legal = MOVES[payment.state]
    if move not in legal:
        allowed = ", ".join(legal) or "nothing any more"
        raise IllegalMove(f"{payment.id} is {payment.state}, which does not allow: {move}. It allows: {allowed}")
    state = legal[move]
    return replace(payment, state=state, history=(*payment.history, Step(state, at, cause)))
