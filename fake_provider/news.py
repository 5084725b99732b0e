"""The words for what happens to a payment, the same for every dialect: each dialect says them in its own."""

from enum import StrEnum


class News(StrEnum):
    """What a callback is about.

    Money moves at four of them: taken at `CAPTURED`, given back at `REFUNDED`, taken from the merchant at `DISPUTED` and
    given back to the merchant at `WON`. `LOST` moves nothing: the money went when the dispute was opened. That is how card
    schemes do it, and Stripe with them: `funds_withdrawn` comes at the opening, `funds_reinstated` when the dispute is won.
    `AUTHORISED` is a promise of the bank's that may yet be broken: no money has moved. `SETTLED` is the news of a capture
    once more, under another name. `PENDING` is said by dialects that report a payment's way as well; this provider does not
    announce it by itself.
    """

    PENDING = "payment.pending"
    AUTHORISED = "payment.authorised"
    CAPTURED = "payment.captured"
    SETTLED = "payment.settled"
    FAILED = "payment.failed"
    CANCELLED = "payment.cancelled"
    REFUNDED = "payment.refunded"
    DISPUTED = "dispute.opened"
    WON = "dispute.won"
    LOST = "dispute.lost"
