"""What the provider answers: payments, strictly read, and what is known when it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import httpx


class OutcomeUnknown(Exception):
    """Nobody knows whether the provider did it. Resolved by asking again under the same key, never by a new one."""


class NotReached(OutcomeUnknown):
    """The provider never saw this attempt. Known not to be done, and worth trying again."""


class NoTurn(NotReached):
    """Nor did this process have a connection free for it: of the provider that tells nothing."""


class NoAnswer(OutcomeUnknown):
    """The attempt went out, and nothing that can be understood came back in time."""


class ServerError(OutcomeUnknown):
    """The provider says that something went wrong on its side, not when."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the provider answered {status}")
        self.status = status


class Declined(Exception):
    """The provider will not take this payment: final."""


class ProviderRefused(Exception):
    """The provider will not have such a request from us: our fault, and not done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the provider tells it."""

    id: str
    reference: str
    state: str
    amount_minor: int
    captured_minor: int
    currency: str
    account: str
    merchant: str
    environment: str
    refunded_minor: int
    refunds: tuple["MoneyBack", ...]
    disputes: tuple["MoneyBack", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBack:
    """A refund or a dispute as the provider tells it. `status` is open, won or lost for a dispute, empty for a refund."""

    id: str
    amount_minor: int
    status: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Payments of which something went back, as they are now, and the number from which the list goes on."""

    payments: tuple[Payment, ...]
    following: int


class Fate(StrEnum):
    """What a status says about the request it answers."""

    DONE = "done"
    DECLINED = "declined"
    REFUSED = "refused"
    UNKNOWN = "unknown"


def document_of(response: httpx.Response) -> object:
    try:
        document: object = response.json()
    except (ValueError, RecursionError) as error:
        raise NoAnswer("the provider's answer is not JSON") from error
    return document


def payments_of(document: object) -> list[Payment]:
    return [payment_of(item) for item in _list(document, "payments")]


def page_of(document: object) -> Page:
    values = _read(document, {"next": int})
    return Page(tuple(payments_of(document)), values["next"])


def payment_of(document: object) -> Payment:
    """A payment, if *document* has all of its fields in their types: half an answer is none."""
    plain = {field.name: field.type for field in fields(Payment) if field.type in (str, int)}
    refunds = tuple(money_back_of(item) for item in _list(document, "refunds"))
    disputes = tuple(money_back_of(item, {"status": str}) for item in _list(document, "disputes"))
    return Payment(**_read(document, plain), refunds=refunds, disputes=disputes)


def money_back_of(document: object, more: Mapping[str, type] | None = None) -> MoneyBack:
    return MoneyBack(**_read(document, {"id": str, "amount_minor": int} | dict(more or {})))


def _list(document: object, name: str) -> list[object]:
    values: list[object] = _read(document, {name: list})[name]
    return values


def _read(document: object, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """These fields, each in its type."""
    if not isinstance(document, dict):
        raise NoAnswer("the provider's answer is not an object where it should be")
    for name, kind in wanted.items():
        if type(document.get(name)) is not kind:
            raise NoAnswer(f"the provider's answer has no usable {name}")
    return {name: document[name] for name in wanted}
