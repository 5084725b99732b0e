"""What the provider says about a payment, read strictly: two parsers must never disagree about these bytes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from reference_impl.answers import Refused
from reference_impl.money import Money

BODY_BYTES_MAX = 64 * 1024
_DEPTH_MAX = 16
_DIGITS_MAX = 18
_AMOUNT_MAX = 10**15
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

KINDS = {"payment.captured": "captured", "payment.failed": "failed", "payment.refunded": "refunded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing the provider reports, whether it told us (a callback) or was asked (a query)."""

    kind: str
    payment: str
    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    environment: str
    refund: str | None = None
    cause: str = "query"
    delivery: str | None = None
    digest: str = ""

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def effect(self) -> str:
        """What it would do, once. Each refund of a payment is an effect of its own."""
        return f"{self.kind}:{self.refund}" if self.refund else self.kind

    @property
    def source(self) -> str:
        """A reference to the message that said so; never the message."""
        return self.delivery or self.payment


def parse(body: bytes, delivery: str) -> Event | None:
    """The event in an authentic callback, or None if it is of a type that this service has no use for.

    Raises `Refused` with 400 for anything that could be read in two ways, or that is too big to be meant.
    """
    document = _read(body)
    kind = document.get("type")
    data = document.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise _malformed("type and data are required")
    if kind not in KINDS:
        return None
    return Event(
        kind=KINDS[kind],
        payment=_id(data, "payment"),
        reference=_id(data, "reference"),
        amount_minor=_amount(data),
        currency=_id(data, "currency"),
        account=_id(data, "account"),
        merchant=_id(data, "merchant"),
        environment=_id(data, "environment"),
        refund=_id(data, "refund") if "refund" in data else None,
        cause="callback",
        delivery=delivery,
        digest=hashlib.sha256(body).hexdigest(),
    )


def _read(body: bytes) -> dict[str, Any]:
    if len(body) > BODY_BYTES_MAX:
        raise Refused("the body is too large", 413)
    try:
        text = body.decode("utf-8")
        _refuse_depth(text)
        document = json.loads(
            text,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_fraction,
        )
    except (ValueError, RecursionError):
        raise _malformed("the body is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise _malformed("the body is not an object")
    return document


def _refuse_depth(text: str) -> None:
    depth = 0
    for character in _STRING.sub("", text):
        depth += (character in "[{") - (character in "]}")
        if depth > _DEPTH_MAX:
            raise _malformed("the body is nested too deep")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("a key is there twice")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise _malformed("NaN and Infinity are not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise _malformed("a number is too long")
    return int(digits)


def _fraction(_digits: str) -> NoReturn:
    raise _malformed("a number is not an integer")


def _id(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _malformed(f"{name} is missing or malformed")
    return value


def _amount(data: Mapping[str, Any]) -> int:
    value = data.get("amount_minor")
    if type(value) is not int or not 0 <= value <= _AMOUNT_MAX:
        raise _malformed("amount_minor is not a whole number of minor units")
    return value


def _malformed(reason: str) -> Refused:
    return Refused(reason, 400)
