"""Stripe: `Stripe-Signature: t=…,v1=…` with a hex HMAC-SHA256 over `{t}.{raw body}` (docs.stripe.com/webhooks).

Rotation: one `v1=` for each key. The key is the whole word, `whsec_` included.

Known quirks: the official libraries look for `t` and `v1` only and pass everything else over; they refuse what is older
than 300 s and nothing that is dated ahead, so a receiver has to bound the future itself. Amounts are in the smallest
unit of the currency, except that two currencies without minor units are written with two (docs.stripe.com/currencies).
Stripe publishes that it goes on for up to three days, with intervals that grow; the ones here are ours.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from fake_provider.dialects import DIALECTS, Forgery, Forging, Notice, Wire
from fake_provider.dialects._forging import cross_account, dated, keyed, other_mode, rightly, shared
from fake_provider.dialects._shared_key import Dated, all_of, compact, misdated, seconds, told
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.dialects.standard_webhooks import STANDARD_WEBHOOKS
from fake_provider.news import News

PREFIX = "whsec_"
API_VERSION = "2026-09-30.dahlia"
LIVE = ("live", "production")
TIMES_HUNDRED = ("ISK", "UGX")

DELAYS = (timedelta(0), *(timedelta(hours=2**n) for n in range(6)))  # 63 hours in all


class Stripe(Dated):
    name = "stripe"
    header = "stripe-signature"
    id_in_body = "id"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return PREFIX + base64.b64encode(rng.randbytes(24)).decode()

    def raw(self, key: str) -> bytes:
        if not key.startswith(PREFIX):
            raise ValueError(f"a key of this dialect starts with {PREFIX!r}")
        if key == PREFIX:
            raise ValueError(f"the key is empty behind {PREFIX!r}: anyone could sign with it")
        return key.encode()

    def encode(self, notice: Notice, event_id: str) -> Wire:
        event = {
            "id": event_id,
            "object": "event",
            "account": notice.merchant,
            "api_version": API_VERSION,
            "created": int(notice.at.timestamp()),
            "data": {"object": _object(notice)},
            "livemode": is_live(notice.environment),
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": EVENTS[notice.type],
        }
        headers = (("content-type", b"application/json; charset=utf-8"), ("user-agent", b"Stripe/1.0"))
        return Wire(headers, compact(event))

    def stamped(self, wire: Wire, keys: Sequence[bytes], stamp: bytes) -> Wire:
        return self._with(wire, stamp, [hmac.digest(key, stamp + b"." + wire.body, hashlib.sha256) for key in keys])

    def restamped(self, wire: Wire, stamp: bytes) -> Wire:
        _, comma, signatures = (wire.header(self.header) or b"").partition(b",")
        return self.with_signature(wire, b"t=" + stamp + comma + signatures)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        parts = (part.partition("=") for part in self.value(wire).split(","))
        return tuple(value for name, _, value in parts if name not in ("", "t"))

    def dedup_key(self, wire: Wire) -> str:
        return told(wire, "id")

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None

    def _with(self, wire: Wire, stamp: bytes, digests: Sequence[bytes], scheme: bytes = b"v1") -> Wire:
        signatures = [scheme + b"=" + digest.hex().encode() for digest in digests]
        return self.with_signature(wire, b",".join((b"t=" + stamp, *signatures)))


EVENTS = {
    News.PENDING: "payment_intent.processing",
    News.AUTHORISED: "payment_intent.amount_capturable_updated",
    News.CAPTURED: "payment_intent.succeeded",
    News.SETTLED: "checkout.session.completed",
    News.FAILED: "payment_intent.payment_failed",
    News.CANCELLED: "payment_intent.canceled",
    News.REFUNDED: "refund.created",
    News.DISPUTED: "charge.dispute.created",
    News.WON: "charge.dispute.closed",
    News.LOST: "charge.dispute.closed",
}

STATUSES = {
    News.PENDING: "processing",
    News.AUTHORISED: "requires_capture",
    News.CAPTURED: "succeeded",
    News.SETTLED: "complete",
    News.FAILED: "requires_payment_method",
    News.CANCELLED: "canceled",
    News.REFUNDED: "succeeded",
    News.DISPUTED: "needs_response",
    News.WON: "won",
    News.LOST: "lost",
}


def _object(notice: Notice) -> dict[str, Any]:
    """What the event is about: a payment intent, the checkout in which it was paid, or a refund or a dispute of it, whose
    amount is its own and no sum.
    """
    # What the merchant gave with the payment; here it stands on what follows from it too, with the sums so far.
    metadata = metadata_of(notice.notes, notice.account, notice.environment, notice.reference)
    common = {
        "amount": units(notice.amount_minor, notice.currency),
        "created": int(notice.at.timestamp()),
        "currency": notice.currency.lower(),
        "metadata": metadata,
        "status": STATUSES[notice.type],
    }
    reversal = notice.refund or notice.dispute
    if reversal is not None:
        sums = {"captured": notice.captured_minor, "refunded": notice.refunded_minor}
        metadata |= {name: str(units(minor, notice.currency)) for name, minor in sums.items()}
        kind = "refund" if notice.refund else "dispute"
        source = {"charge": charge_of(notice.payment), "payment_intent": notice.payment}
        return {"id": reversal, "object": kind} | source | common
    if notice.type is News.SETTLED:
        return _session(notice) | {name: common[name] for name in ("created", "currency", "metadata", "status")}
    received = units(notice.amount_minor, notice.currency) if notice.type is News.CAPTURED else 0
    about = {"amount_received": received, "livemode": is_live(notice.environment)}
    return {"id": notice.payment, "object": "payment_intent"} | about | common


def _session(notice: Notice) -> dict[str, Any]:
    notes = dict(notice.notes)
    links = {name: notes.get(name) for name in ("cancel_url", "client_reference_id", "success_url")}
    return {
        "id": session_of(notice.payment),
        "object": "checkout.session",
        "amount_subtotal": units(notice.amount_minor, notice.currency),
        "amount_total": units(notice.amount_minor, notice.currency),
        "livemode": is_live(notice.environment),
        "mode": "payment",
        "payment_intent": notice.payment,
        "payment_method_types": ["card"],
        "payment_status": "paid",
        "url": None,
        **links,
    }


METADATA = "metadata."


def metadata_of(notes: Sequence[tuple[str, str]], account: str, environment: str, reference: str) -> dict[str, str]:
    """What the merchant wrote on it, and what this provider knows it by."""
    written = {name.removeprefix(METADATA): value for name, value in notes if name.startswith(METADATA)}
    return written | {"account": account, "environment": environment, "reference": reference}


def charge_of(payment: str) -> str:
    """The id of a payment's charge."""
    return "ch_" + payment.partition("_")[2]


def session_of(payment: str) -> str:
    """The id of the checkout in which a payment is made."""
    return "cs_test_" + payment.partition("_")[2]


def units(minor: int, currency: str) -> int:
    """An amount as it is written here."""
    return minor * factor(currency)


def factor(currency: str) -> int:
    """How many of the units that are written here make one minor unit."""
    return 100 if currency in TIMES_HUNDRED else 1


def is_live(environment: str) -> bool:
    return environment in LIVE


STRIPE = Stripe()


def malformed_signature(forging: Forging) -> Wire:
    """Elements that verifiers trip over: no equals sign, bytes outside ASCII, no hexadecimal. To be refused, never to crash."""
    return STRIPE.with_signature(forging.wire, b"t=" + seconds(forging.at) + b",v1,v1=\xe9\xff\xfe,v1=zz,=,")


def malleable_timestamp(forging: Forging) -> Wire:
    """The right signature, and the time that it covers spelt differently: some readers cannot tell the two apart."""
    stamp = seconds(forging.at)
    right = rightly(STRIPE, forging)
    return STRIPE.with_signature(right, (right.header(STRIPE.header) or b"").replace(stamp, b"0" + stamp, 1))


def second_timestamp(forging: Forging) -> Wire:
    """An old genuine time and signature, with a fresh time beside it that nobody signed."""
    right = rightly(STRIPE, forging, timedelta(hours=-1))
    return STRIPE.with_signature(right, (right.header(STRIPE.header) or b"") + b",t=" + seconds(forging.at))


def downgraded_algorithm(forging: Forging) -> Wire:
    """Rightly signed under the scheme `v0`, which is for tests: a receiver must look for `v1` and nothing else."""
    stamp = seconds(forging.at)
    digests = [hmac.digest(STRIPE.raw(key), stamp + b"." + forging.wire.body, hashlib.sha256) for key in forging.keys]
    return STRIPE._with(forging.wire, stamp, digests, b"v0")


def key_confusion(forging: Forging) -> Wire:
    """The right key, decoded as a neighbouring dialect does that has keys of the same look."""
    return STRIPE.seal(forging.wire, [_decoded(key) for key in forging.keys], forging.at)


def cross_provider(forging: Forging) -> Wire:
    """A callback of another provider, with due headers of its own, at this provider's door."""
    wire = STANDARD_WEBHOOKS.encode(forging.notice, forging.event_id)
    return STANDARD_WEBHOOKS.seal(wire, [_decoded(key) for key in forging.keys], forging.at)


def _decoded(key: str) -> bytes:
    """As Standard Webhooks reads such a key; the word itself where that is not possible."""
    try:
        return STANDARD_WEBHOOKS.raw(key)
    except ValueError:
        return key.removeprefix(PREFIX).encode()


FORGERIES = all_of(
    keyed(STRIPE),
    shared(STRIPE),
    misspelt_raw(STRIPE),
    dated(STRIPE),
    misdated(STRIPE),
    {
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "malleable-timestamp": Forgery(forge=malleable_timestamp, plays=("B-15",), cwe=837),
        "second-timestamp": Forgery(forge=second_timestamp, plays=("B-10", "B-40"), cwe=294),
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "key-confusion": Forgery(forge=key_confusion, plays=("B-05",), cwe=347),
        "cross-provider": Forgery(forge=cross_provider, plays=("B-03",), cwe=863),
        "cross-account": cross_account(STRIPE),
        "other-mode": other_mode(STRIPE, LIVE[0]),
    },
)

DIALECTS.add(Stripe.name, STRIPE)
