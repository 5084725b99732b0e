"""What the provider says about a payment, read strictly: two parsers must never disagree about these bytes."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from reference_impl.answers import Refused
from reference_impl.money import Money

BODY_BYTES_MAX = 64 * 1024
_DEPTH_MAX = 16
_DIGITS_MAX = 18
AMOUNT_MAX = 10**15
ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

KINDS = {
    "payment.authorised": "authorised",
    "payment.captured": "captured",
    "payment.settled": "settled",
    "payment.failed": "failed",
    "payment.refunded": "refunded",
    "dispute.opened": "disputed",
    "dispute.won": "won",
    "dispute.lost": "lost",
}
# Events of which a payment can have several: the field that tells one from the other.
_REVERSALS = {"refunded": "refund", "disputed": "dispute", "won": "dispute", "lost": "dispute"}
_EFFECTS = {"refunded": "refund", "disputed": "chargeback", "won": "chargeback-won", "lost": "chargeback-lost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing the provider reports, whether it told us (a callback) or was asked (a query).

    `amount_minor` is what it is about: of a refund or a dispute, its own amount. `reversal` is its id, and `refunded_minor`
    the sum of all refunds so far: good for comparing, never for posting.
    """

    kind: str
    payment: str
    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    environment: str
    captured_minor: int = 0
    refunded_minor: int = 0
    reversal: str | None = None
    cause: str = "query"
    delivery: str | None = None
    digest: str = ""

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def effect(self) -> str:
        """What it would do, once. Each refund and each dispute of a payment is an effect of its own."""
        return f"{_EFFECTS[self.kind]}:{self.reversal}" if self.reversal else self.kind

    @property
    def steps(self) -> tuple["Event", ...]:
        """This event after all that must have happened before it, whether that was reported or not.

        Nothing is refunded or disputed that was not captured, and no dispute is decided that was not opened.
        """
        if self.reversal is None:
            return (self,)
        taken = replace(self, kind="captured", amount_minor=self.captured_minor, reversal=None)
        opened = (replace(self, kind="disputed"),) if self.kind in ("won", "lost") else ()
        return (taken, *opened, self)

    @property
    def source(self) -> str:
        """A reference to the message that said so; never the message."""
        return self.delivery or self.payment


def parse(body: bytes, delivery: str) -> Event | None:
    """The event in an authentic callback, or None if it is of a type that this service has no use for.

    Raises `Refused` with 400 for anything that could be read in two ways, or that is too big to be meant.
    """
    document = read_json(body)
    kind = document.get("type")
    data = document.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise malformed("type and data are required")
    if kind not in KINDS:
        return None
    reversal = _REVERSALS.get(KINDS[kind])
    return Event(
        kind=KINDS[kind],
        payment=text_at(data, "payment"),
        reference=text_at(data, "reference"),
        amount_minor=amount_at(data, "amount_minor", at_least=1 if reversal else 0),
        currency=text_at(data, "currency"),
        account=text_at(data, "account"),
        merchant=text_at(data, "merchant"),
        environment=text_at(data, "environment"),
        captured_minor=amount_at(data, "captured_minor", at_least=1) if reversal else 0,
        refunded_minor=amount_at(data, "refunded_minor") if reversal else 0,
        reversal=text_at(data, reversal) if reversal else None,
        cause="callback",
        delivery=delivery,
        digest=hashlib.sha256(body).hexdigest(),
    )


def read_json(body: bytes, fraction: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """The object in *body*; `Refused` for what another parser could read in another way, and for a number with a point in it
    unless *fraction* reads it.
    """
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
            parse_float=fraction or _fraction,
        )
    except (ValueError, RecursionError):
        raise malformed("the body is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise malformed("the body is not an object")
    return document


def _refuse_depth(text: str) -> None:
    depth = 0
    for character in _STRING.sub("", text):
        depth += (character in "[{") - (character in "]}")
        if depth > _DEPTH_MAX:
            raise malformed("the body is nested too deep")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise malformed("a key is there twice")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise malformed("NaN and Infinity are not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS_MAX:
        raise malformed("a number is too long")
    return int(digits)


def _fraction(_digits: str) -> NoReturn:
    raise malformed("a number is not an integer")


def text_at(data: Mapping[str, Any], name: str) -> str:
    """An id, or something as short and plain as one."""
    value = data.get(name)
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise malformed(f"{name} is missing or malformed")
    return value


def amount_at(data: Mapping[str, Any], name: str, *, at_least: int = 0) -> int:
    """A whole number of minor units."""
    value = data.get(name)
    if type(value) is not int or not at_least <= value <= AMOUNT_MAX:
        raise malformed(f"{name} is not a whole number of minor units")
    return value


def malformed(reason: str) -> Refused:
    """What is to be raised about a callback that is authentic and cannot be understood."""
    return Refused(reason, 400)
