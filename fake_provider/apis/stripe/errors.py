"""Errors as Stripe words them: a type, a code, which parameter, and what to do (docs.stripe.com/api/errors)."""

from dataclasses import dataclass
from typing import Any

from fake_provider.fields import Refused
from fake_provider.idempotency import KeyReused, StillRunning
from fake_provider.payments import BadAmount, IllegalMove

INVALID = "invalid_request_error"


@dataclass
class StripeError(Exception):
    """What is wrong with a request."""

    status: int
    message: str
    type: str = INVALID
    code: str | None = None
    param: str | None = None

    def to_json(self) -> dict[str, Any]:
        error = {"type": self.type, "code": self.code, "param": self.param, "message": self.message}
        return {"error": {name: value for name, value in error.items() if value is not None}}


def missing(param: str) -> StripeError:
    return StripeError(400, f"Missing required param: {param}.", code="parameter_missing", param=param)


def invalid(param: str, message: str, code: str = "parameter_invalid") -> StripeError:
    return StripeError(400, message, code=code, param=param)


def no_such(kind: str, id: str, param: str = "id") -> StripeError:
    return StripeError(404, f"No such {kind}: {id!r}", code="resource_missing", param=param)


# What the layers below refuse, each as Stripe says it.
REFUSALS = (StripeError, Refused, KeyReused, StillRunning, BadAmount, IllegalMove)


def in_words(error: Exception) -> StripeError:
    match error:
        case StripeError():
            return error
        case KeyReused():
            return StripeError(400, str(error), type="idempotency_error")
        case StillRunning():
            return StripeError(409, str(error), type="idempotency_error", code="idempotency_key_in_use")
        case BadAmount():
            return StripeError(400, str(error), param="amount", code="amount_too_large")
        case IllegalMove():
            return StripeError(400, str(error), code="payment_intent_unexpected_state")
        case Refused():
            return StripeError(error.status, error.message, param=error.field)
        case _:
            raise error
