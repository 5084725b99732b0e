"""The five things a customer is ever told. Each is true when it is read: it is derived from what is committed.

Four tell of a top-up on its way. The fifth is for one whose whole money went back, of which none of the four is true: the
payment did not fail, and the credit is no longer applied. Of a credit that went back in part, enough is there to say so.
"""

from collections.abc import Mapping

from reference_impl.states import State

PROCESSING = "Processing"
CONFIRMED = "Payment confirmed"
APPLIED = "Credit applied"
FAILED = "Payment failed"
REVERSED = "Credit reversed"

WORDS: Mapping[State, str] = {
    State.CREATED: PROCESSING,
    State.INITIATED: PROCESSING,
    State.AWAITING_PAYMENT: PROCESSING,
    State.CALLBACK_RECEIVED: CONFIRMED,
    State.CREDITED: APPLIED,
    State.FAILED: FAILED,
    State.PARTLY_REVERSED: APPLIED,
    State.REVERSED: REVERSED,
}


def status_of(state: str) -> str:
    """The fixed word for *state*."""
    return WORDS[State(state)]
