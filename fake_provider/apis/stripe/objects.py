"""Payments, refunds, disputes and events as Stripe's API shows them. What a callback says of them says the same here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fake_provider.dialects import Notice
from fake_provider.dialects.stripe import STRIPE, charge_of, is_live, metadata_of, session_of, units
from fake_provider.payments import Dispute, Payment, Refund, Ruling, State

DECLINED = {
    "type": "card_error",
    "code": "card_declined",
    "decline_code": "generic_decline",
    "message": "Your card was declined.",
}
STATUSES: Mapping[State, str] = {
    State.FAILED: "requires_payment_method",
    State.AUTHORISED: "requires_capture",
    State.CANCELLED: "canceled",
}
RULINGS: Mapping[Ruling, str] = {Ruling.OPEN: "needs_response", Ruling.WON: "won", Ruling.LOST: "lost"}


def intent(payment: Payment) -> dict[str, Any]:
    order = payment.order
    return {
        "id": payment.id,
        "object": "payment_intent",
        "amount": units(order.amount_minor, order.currency),
        "amount_received": units(payment.captured_minor, payment.currency),
        "cancellation_reason": payment.order.note("cancellation_reason") or None,
        "capture_method": "automatic",
        "client_secret": f"{payment.id}_secret_fake",
        "confirmation_method": "automatic",
        "created": int(payment.created_at.timestamp()),
        "currency": payment.currency.lower(),
        "description": order.note("description") or None,
        "last_payment_error": DECLINED if payment.state is State.FAILED else None,
        "latest_charge": charge_of(payment.id) if payment.captured_minor or payment.state is State.FAILED else None,
        "livemode": is_live(payment.environment),
        "metadata": _metadata(payment),
        "next_action": None,
        "payment_method": order.note("payment_method") or None,
        "payment_method_types": ["card"],
        "status": _status(payment),
    }


def session(payment: Payment) -> dict[str, Any]:
    """The checkout in which the customer pays it. It shows its intent from the beginning: that is what can be paid."""
    order = payment.order
    is_paid = payment.captured_minor > 0
    closed = "expired" if payment.state is State.CANCELLED else "open"
    return {
        "id": session_of(payment.id),
        "object": "checkout.session",
        "amount_subtotal": units(order.amount_minor, order.currency),
        "amount_total": units(order.amount_minor, order.currency),
        "cancel_url": order.note("cancel_url") or None,
        "client_reference_id": order.note("client_reference_id") or None,
        "created": int(payment.created_at.timestamp()),
        "currency": order.currency.lower(),
        "livemode": is_live(payment.environment),
        "metadata": _metadata(payment),
        "mode": "payment",
        "payment_intent": payment.id,
        "payment_method_types": ["card"],
        "payment_status": "paid" if is_paid else "unpaid",
        "status": "complete" if is_paid else closed,
        "success_url": order.note("success_url") or None,
        "url": None,
    }


def refund(payment: Payment, one: Refund) -> dict[str, Any]:
    return _reversal(payment, one, "refund") | {"status": "succeeded", "reason": None}


def dispute(payment: Payment, one: Dispute) -> dict[str, Any]:
    return _reversal(payment, one, "dispute") | {"status": RULINGS[one.ruling], "reason": "general"}


def event(id: str, notice: Notice) -> dict[str, Any]:
    """Byte for byte what a callback in Stripe's dialect carries."""
    told: dict[str, Any] = json.loads(STRIPE.encode(notice, id).body)
    return told


def page(url: str, data: Sequence[Mapping[str, Any]], has_more: bool) -> dict[str, Any]:
    return {"object": "list", "url": url, "has_more": has_more, "data": list(data)}


def _reversal(payment: Payment, one: Refund | Dispute, kind: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "object": kind,
        "amount": units(one.amount_minor, payment.currency),
        "charge": charge_of(payment.id),
        "created": int(one.at.timestamp()),
        "currency": payment.currency.lower(),
        "metadata": _metadata(payment),
        "payment_intent": payment.id,
    }


def _metadata(payment: Payment) -> dict[str, str]:
    order = payment.order
    return metadata_of(order.notes, order.account, payment.environment, order.reference)


def _status(payment: Payment) -> str:
    if payment.state is State.PENDING:
        return "requires_confirmation" if payment.order.note("payment_method") else "requires_payment_method"
    return STATUSES.get(payment.state, "succeeded")
