"""What there is to tell of a payment: notices for callbacks, lines for the journal, objects for the API."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from fake_provider.clock import iso
from fake_provider.dialects import Notice
from fake_provider.news import News
from fake_provider.payments import Dispute, Payment, Refund
from fake_provider.records import Reversal


def notice_of(payment: Payment, news: News, at: datetime) -> Notice:
    """What a callback says of *payment*: of a capture what has been captured so far, else what was ordered."""
    order = payment.order
    told = news in (News.CAPTURED, News.SETTLED)
    return Notice(
        type=news,
        at=at,
        payment=payment.id,
        reference=order.reference,
        amount_minor=payment.captured_minor if told else order.amount_minor,
        currency=payment.currency,
        account=order.account,
        merchant=order.merchant,
        environment=payment.environment,
        attempt=payment.attempt,
        captured_minor=payment.captured_minor,
        refunded_minor=payment.refunded_minor,
        notes=order.notes,
    )


def notice_about(payment: Payment, news: News, about: Refund | Dispute, at: datetime) -> Notice:
    """The same for money that goes back, or comes back again: the amount is that of the refund or the dispute."""
    is_refund = isinstance(about, Refund)
    return replace(
        notice_of(payment, news, at),
        amount_minor=about.amount_minor,
        refund=about.id if is_refund else None,
        dispute=None if is_refund else about.id,
    )


def reversal_of(payment: Payment, news: News, about: Refund | Dispute) -> Reversal:
    return Reversal(
        reversal=about.id,
        payment=payment.id,
        reference=payment.order.reference,
        news=news.partition(".")[2],
        amount_minor=about.amount_minor,
        currency=payment.currency,
        account=payment.order.account,
        key=about.key if isinstance(about, Refund) else "",
    )


def refund_object(payment: Payment) -> dict[str, Any]:
    """The last refund of *payment*, as the business API shows it."""
    refund = payment.refunds[-1]
    return {
        "id": refund.id,
        "payment": payment.id,
        "amount_minor": refund.amount_minor,
        "currency": payment.currency,
        "created_at": iso(refund.at),
    }
