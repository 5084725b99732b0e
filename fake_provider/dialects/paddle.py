"""Paddle: `Paddle-Signature: ts=…;h1=…`, a hex HMAC-SHA256 over `{ts}:{raw body}`. Acknowledged by 200 and nothing else.

Rotation: one `h1=` for each key. Amounts are strings of minor units. Known quirks: the Python package allows five seconds
both ways and switches that off where the variable TEST_MODE is set; the Node package bounds the past only, and reads the
last `h1` alone, so a receiver on it that knows the older of two keys must be named last. In live mode there are sixty
attempts within three days, twenty of them in the first hour (Paddle's documentation); they are evenly spread here.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Answer, Forgery, Forging, Notice, Wire
from fake_provider.dialects._forging import cross_account, cross_provider, dated, keyed, other_mode, rightly, shared
from fake_provider.dialects._shared_key import Dated, all_of, compact, misdated, seconds, told
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.news import News

PREFIX = "pdl_ntfset_"
ATTEMPTS, FIRST_HOUR = 60, 20
EARLY = timedelta(hours=1) / FIRST_HOUR
LATE = timedelta(hours=71) / (ATTEMPTS - FIRST_HOUR)

EVENTS = {
    News.PENDING: "transaction.created",
    News.AUTHORISED: "transaction.paid",
    News.CAPTURED: "transaction.completed",
    News.FAILED: "transaction.payment_failed",
    News.REFUNDED: "adjustment.created",
    News.DISPUTED: "adjustment.created",
    News.WON: "adjustment.created",
}
ACTIONS = {News.REFUNDED: "refund", News.DISPUTED: "chargeback", News.WON: "chargeback_reverse"}
STATUSES = {News.PENDING: "ready", News.AUTHORISED: "paid", News.CAPTURED: "completed", News.FAILED: "past_due"}


class Paddle(Dated):
    name = "paddle"
    header = "paddle-signature"
    id_in_body = "event_id"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return PREFIX + base64.urlsafe_b64encode(rng.randbytes(24)).decode()

    def raw(self, key: str) -> bytes:
        return key.encode()

    def encode(self, notice: Notice, event_id: str) -> Wire:
        event = {
            "event_id": event_id,
            "event_type": EVENTS[notice.type],
            "occurred_at": iso(notice.at),
            "notification_id": event_id.replace("msg_", "ntf_"),
            "data": _data(notice),
        }
        return Wire((("content-type", b"application/json"),), compact(event))

    def stamped(self, wire: Wire, keys: Sequence[bytes], stamp: bytes) -> Wire:
        content = stamp + b":" + wire.body
        signatures = [b"h1=" + hmac.new(key, content, hashlib.sha256).hexdigest().encode() for key in keys]
        return self.with_signature(wire, b";".join((b"ts=" + stamp, *signatures)))

    def restamped(self, wire: Wire, stamp: bytes) -> Wire:
        _, semicolon, signatures = (wire.header(self.header) or b"").partition(b";")
        return self.with_signature(wire, b"ts=" + stamp + semicolon + signatures)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        parts = (part.partition("=") for part in self.value(wire).split(";"))
        return tuple(value for name, _, value in parts if name == "h1")

    def dedup_key(self, wire: Wire) -> str:
        return told(wire, "event_id")

    def is_ack(self, answer: Answer) -> bool:
        return answer.status == 200

    def delay_before(self, attempt: int) -> timedelta | None:
        if not 1 <= attempt <= ATTEMPTS:
            return None
        return timedelta(0) if attempt == 1 else EARLY if attempt <= FIRST_HOUR else LATE


def _data(notice: Notice) -> dict[str, Any]:
    ours = {
        "account": notice.account,
        "environment": notice.environment,
        "merchant": notice.merchant,
        "reference": notice.reference,
    }
    totals = {"total": str(notice.amount_minor), "currency_code": notice.currency}
    reversal = notice.refund or notice.dispute
    if reversal is not None:
        about = {"id": reversal, "action": ACTIONS[notice.type], "transaction_id": notice.payment, "status": "approved"}
        return about | {"currency_code": notice.currency, "totals": totals, "custom_data": ours}
    about = {"id": notice.payment, "status": STATUSES[notice.type], "currency_code": notice.currency}
    return about | {"details": {"totals": totals}, "custom_data": ours}


PADDLE = Paddle()


def malformed_signature(forging: Forging) -> Wire:
    """Parts that verifiers trip over: no equals sign, bytes outside ASCII. To be refused, never to crash."""
    return PADDLE.with_signature(forging.wire, b"ts=" + seconds(forging.at) + b";h1;h1=\xe9\xff;;=")


def malleable_timestamp(forging: Forging) -> Wire:
    """The right signature, and the time that it covers spelt differently: some readers cannot tell the two apart."""
    stamp = seconds(forging.at)
    right = rightly(PADDLE, forging)
    return PADDLE.with_signature(right, PADDLE.value(right).encode().replace(stamp, b"0" + stamp, 1))


def second_timestamp(forging: Forging) -> Wire:
    """An old genuine time and signature, with a fresh time beside it that nobody signed."""
    right = rightly(PADDLE, forging, timedelta(hours=-1))
    return PADDLE.with_signature(right, PADDLE.value(right).encode() + b";ts=" + seconds(forging.at))


FORGERIES = all_of(
    keyed(PADDLE),
    shared(PADDLE),
    misspelt_raw(PADDLE),
    dated(PADDLE),
    misdated(PADDLE),
    {
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "malleable-timestamp": Forgery(forge=malleable_timestamp, plays=("B-15",), cwe=837),
        "second-timestamp": Forgery(forge=second_timestamp, plays=("B-10", "B-40"), cwe=294),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(PADDLE),
        "other-mode": other_mode(PADDLE, "another"),
    },
)

DIALECTS.add(Paddle.name, PADDLE)
