"""Standard Webhooks (standardwebhooks.com), symmetric: `v1,` and a base64 HMAC-SHA256 over id, timestamp and raw body.

Rotation: one signature per key, separated by spaces; a receiver needs to know one of them.

Known quirks: the libraries read the timestamp as a float (Python) or up to its first letter (JavaScript), and decode
base64 leniently, so the same signature fits several spellings of the same headers. A receiver that recognises repeats
must do so by `webhook-id`, never by the timestamp or the signature as they are written.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Forgery, Forging, Notice, Wire
from fake_provider.dialects._forging import cross_account, cross_provider, dated, keyed, other_mode, rightly, shared
from fake_provider.dialects._shared_key import Dated, all_of, compact, misdated, seconds
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.news import News

PREFIX = "whsec_"

DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)


class StandardWebhooks(Dated):
    name = "standard-webhooks"
    header = "webhook-signature"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return PREFIX + base64.b64encode(rng.randbytes(24)).decode()

    def raw(self, key: str) -> bytes:
        """What stands behind `whsec_`; unpadded base64 is as good as padded."""
        encoded = key.removeprefix(PREFIX)
        if encoded == key:
            raise ValueError(f"a key of this dialect starts with {PREFIX!r}")
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error as wrong:
            raise ValueError(f"what follows {PREFIX!r} must be base64: {wrong}") from None

    def encode(self, notice: Notice, event_id: str) -> Wire:
        data: dict[str, Any] = {
            "payment": notice.payment,
            "reference": notice.reference,
            "amount_minor": notice.amount_minor,
            "currency": notice.currency,
            "account": notice.account,
            "merchant": notice.merchant,
            "environment": notice.environment,
            "attempt": notice.attempt,
        }
        reversal = {"refund": notice.refund, "dispute": notice.dispute}
        for what, id in reversal.items():
            if id is not None:
                data |= {what: id, "captured_minor": notice.captured_minor, "refunded_minor": notice.refunded_minor}
        body = compact({"type": EVENTS[notice.type], "timestamp": iso(notice.at), "data": data})
        return Wire((("content-type", b"application/json"), ("webhook-id", event_id.encode())), body)

    def stamped(self, wire: Wire, keys: Sequence[bytes], stamp: bytes) -> Wire:
        content = b".".join((wire.header("webhook-id") or b"", stamp, wire.body))
        tokens = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
        return wire.with_headers(webhook_timestamp=stamp, webhook_signature=b" ".join(tokens))

    def restamped(self, wire: Wire, stamp: bytes) -> Wire:
        return wire.with_headers(webhook_timestamp=stamp)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        return tuple(token.rpartition(",")[2] for token in self.value(wire).split())

    def dedup_key(self, wire: Wire) -> str:
        return (wire.header("webhook-id") or b"").decode()

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


STANDARD_WEBHOOKS = StandardWebhooks()

EVENTS = {news: news.value for news in News}


def malformed_signature(forging: Forging) -> Wire:
    """Tokens that verifiers trip over: no comma, bytes outside ASCII, no base64. To be refused, never to crash."""
    return STANDARD_WEBHOOKS.with_signature(rightly(STANDARD_WEBHOOKS, forging), b"v1 nocomma v1,\xe9\xff\xfe v1,!!! ,")


def malleable_timestamp(forging: Forging) -> Wire:
    """The right signature, and the time that it covers spelt differently: some readers cannot tell the two apart."""
    right = rightly(STANDARD_WEBHOOKS, forging)
    return right.with_headers(webhook_timestamp=seconds(forging.at) + b".9")


def key_read_raw(forging: Forging) -> Wire:
    """The right key, taken as it is written: a neighbouring dialect has keys that look the same and are read so."""
    return STANDARD_WEBHOOKS.seal(forging.wire, [key.encode() for key in forging.keys], forging.at)


def downgraded_algorithm(forging: Forging) -> Wire:
    """HMAC-SHA1 under a version of the forger's own making, by the right key: which algorithm is not the sender's choice."""
    stamp = seconds(forging.at)
    content = b".".join((forging.wire.header("webhook-id") or b"", stamp, forging.wire.body))
    digests = [hmac.digest(STANDARD_WEBHOOKS.raw(key), content, hashlib.sha1) for key in forging.keys]
    tokens = b" ".join(b"v0," + base64.b64encode(digest) for digest in digests)
    return forging.wire.with_headers(webhook_timestamp=stamp, webhook_signature=tokens)


FORGERIES = all_of(
    keyed(STANDARD_WEBHOOKS),
    shared(STANDARD_WEBHOOKS),
    misspelt_raw(STANDARD_WEBHOOKS),
    dated(STANDARD_WEBHOOKS),
    misdated(STANDARD_WEBHOOKS),
    {
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "malleable-timestamp": Forgery(forge=malleable_timestamp, plays=("B-15",), cwe=837),
        "key-confusion": Forgery(forge=key_read_raw, plays=("B-05",), cwe=347),
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "cross-provider": cross_provider("stripe"),
        "cross-account": cross_account(STANDARD_WEBHOOKS),
        "other-mode": other_mode(STANDARD_WEBHOOKS, "another"),
    },
)

DIALECTS.add(StandardWebhooks.name, STANDARD_WEBHOOKS)
