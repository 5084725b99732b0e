"""The four things a customer is ever told. Each is true when it is read: it is derived from what is committed."""

from collections.abc import Mapping

from reference_impl.states import State

PROCESSING = "Processing"
CONFIRMED = "Payment confirmed"
APPLIED = "Credit applied"
FAILED = "Payment failed"

WORDS: Mapping[State, str] = {
    State.CREATED: PROCESSING,
    State.INITIATED: PROCESSING,
    State.AWAITING_PAYMENT: PROCESSING,
    State.CALLBACK_RECEIVED: CONFIRMED,
    State.CREDITED: APPLIED,
    State.FAILED: FAILED,
    State.REVERSED: FAILED,
}


def status_of(state: str) -> str:
    """The fixed word for *state*."""
    return WORDS[State(state)]
