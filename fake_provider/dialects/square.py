"""Square: `x-square-hmacsha256-signature`, a base64 HMAC-SHA256 over the registered address and the raw body.

The address is part of what is signed, to the letter: a receiver behind a proxy must know what it registered. There is no
time in the signature, and one key at a time. `square-environment` is a header that nobody signs. Square says that it goes
on for up to twenty-four hours (developer.squareup.com, webhooks troubleshooting); the intervals here are ours.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Forgery, Forging, Notice, Wire
from fake_provider.dialects._forging import cross_account, cross_provider, keyed, rightly, shared
from fake_provider.dialects._shared_key import SharedKey, all_of, compact, told
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.news import News

DELAYS = (timedelta(0), *(timedelta(minutes=2**n) for n in range(10)))  # 17 hours in all

# The event, the kind of thing that it is about, and that thing's status.
WORDS = {
    News.PENDING: ("payment.created", "payment", "PENDING"),
    News.AUTHORISED: ("payment.updated", "payment", "APPROVED"),
    News.CAPTURED: ("payment.updated", "payment", "COMPLETED"),
    News.FAILED: ("payment.updated", "payment", "FAILED"),
    News.REFUNDED: ("refund.updated", "refund", "COMPLETED"),
    News.DISPUTED: ("dispute.created", "dispute", "EVIDENCE_REQUIRED"),
    News.WON: ("dispute.state.updated", "dispute", "WON"),
    News.LOST: ("dispute.state.updated", "dispute", "LOST"),
}
EVENTS = {news: f"{event} {status}" for news, (event, _, status) in WORDS.items()}


class Square(SharedKey):
    name = "square"
    header = "x-square-hmacsha256-signature"
    id_in_body = "event_id"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return base64.urlsafe_b64encode(rng.randbytes(18)).decode()

    def raw(self, key: str) -> bytes:
        return key.encode()

    def encode(self, notice: Notice, event_id: str) -> Wire:
        event, kind, status = WORDS[notice.type]
        thing: dict[str, Any] = {
            "id": notice.refund or notice.dispute or notice.payment,
            "amount_money": {"amount": notice.amount_minor, "currency": notice.currency},
            "customer_id": notice.account,
            "reference_id": notice.reference,
            "status": status,
        }
        if kind != "payment":
            thing["payment_id"] = notice.payment
        data = {"type": kind, "id": thing["id"], "object": {kind: thing}}
        about = {"merchant_id": notice.merchant, "type": event, "event_id": event_id}
        headers = (
            ("content-type", b"application/json"),
            ("square-environment", b"Production" if notice.environment == "live" else b"Sandbox"),
        )
        return Wire(headers, compact(about | {"created_at": iso(notice.at), "data": data}))

    def seal(self, wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
        digest = hmac.digest(keys[0], wire.url.encode() + wire.body, hashlib.sha256)
        return self.with_signature(wire, base64.b64encode(digest))

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        value = self.value(wire)
        return (value,) if value else ()

    def dedup_key(self, wire: Wire) -> str:
        return told(wire, "event_id")

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


SQUARE = Square()


def downgraded_algorithm(forging: Forging) -> Wire:
    """Rightly signed with HMAC-SHA1, in the header that was Square's before."""
    content = forging.wire.url.encode() + forging.wire.body
    digest = hmac.digest(SQUARE.raw(forging.keys[0]), content, hashlib.sha1)
    return forging.wire.with_headers(x_square_signature=base64.b64encode(digest))


def malformed_signature(forging: Forging) -> Wire:
    """Bytes outside ASCII where base64 should be. To be refused, never to crash."""
    return SQUARE.with_signature(forging.wire, b"\xe9\xff=!")


def other_address(forging: Forging) -> Wire:
    """Rightly signed, for another address of the same merchant: authentic, and not meant for this door."""
    elsewhere = replace(forging.wire, url=forging.wire.url + "/elsewhere")
    return replace(rightly(SQUARE, replace(forging, wire=elsewhere)), url=forging.wire.url)


def unsigned_mode(forging: Forging) -> Wire:
    """Rightly signed, with the header that says which mode it is from turned into the other: that one nobody signs."""
    right = rightly(SQUARE, forging)
    other = b"Sandbox" if right.header("square-environment") == b"Production" else b"Production"
    return right.with_headers(square_environment=other)


FORGERIES = all_of(
    keyed(SQUARE),
    shared(SQUARE),
    misspelt_raw(SQUARE),
    {
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "other-address": Forgery(forge=other_address, plays=("B-05",), cwe=347),
        "other-mode": Forgery(forge=unsigned_mode, plays=("B-17",), cwe=345, ignorable=True),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(SQUARE),
    },
)

DIALECTS.add(Square.name, SQUARE)
