"""Reading what callers send. Every refusal names the field and says what would be right."""

import json
import math
from collections.abc import Mapping
from typing import Any

LARGEST = 2**53 - 1  # what any JSON reader can hold without rounding
LONGEST = 200


class Refused(Exception):
    """A request that is answered with an error: `status`, and a body that says where it is wrong and what to do."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

    def to_json(self) -> dict[str, Any]:
        error = {"code": self.code, "field": self.field, "message": self.message}
        return {"error": {name: value for name, value in error.items() if value is not None}}


def invalid(field: str, message: str) -> Refused:
    return Refused(400, "invalid", message, field)


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in *raw*; no bytes at all are an empty one."""
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise invalid("body", "the body must be JSON") from None
    if not isinstance(body, dict):
        raise invalid("body", "the body must be a JSON object")
    return body


def text(body: Mapping[str, Any], field: str, longest: int = LONGEST) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise invalid(field, f"{field} must be a string of 1 to {longest} characters")
    return value


def minor_units(body: Mapping[str, Any], field: str) -> int:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= LARGEST:
        raise invalid(field, f"{field} must be a whole number of minor units from 1 to {LARGEST}")
    return value


def currency(body: Mapping[str, Any], field: str = "currency") -> str:
    value = body.get(field)
    if not isinstance(value, str) or len(value) != 3 or not (value.isascii() and value.isalpha() and value.isupper()):
        raise invalid(field, f"{field} must be an ISO 4217 code such as EUR")
    return value


def one_of(body: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str:
    value = body.get(field)
    if not isinstance(value, str) or value not in choices:
        raise invalid(field, f"{field} must be one of {', '.join(choices)}")
    return value


def seconds(body: Mapping[str, Any], field: str, at_most: float) -> float:
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise invalid(field, f"{field} must be a number of seconds")
    if not 0 <= value <= at_most:
        raise invalid(field, f"{field} must be from 0 to {at_most:g}: time moves forwards only")
    return float(value)


def mapping(body: Mapping[str, Any], field: str) -> dict[str, Any]:
    value = body.get(field, {})
    if not isinstance(value, dict):
        raise invalid(field, f"{field} must be an object")
    return value


def whole_number(raw: str, field: str) -> int:
    """A whole number from a query string, not below 0."""
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 16):
        raise invalid(field, f"{field} must be a whole number, 0 or more")
    return int(raw)
