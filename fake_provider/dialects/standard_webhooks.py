"""Standard Webhooks (standardwebhooks.com), symmetric: `v1,` and a base64 HMAC-SHA256 over id, timestamp and raw body.

Rotation: one signature per key, separated by spaces; a receiver needs to know one of them.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Answer, Forgery, Forging, NothingGenuine, Notice, Wire
from fake_provider.registry import Registry

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


class StandardWebhooks:
    name = "standard-webhooks"

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def check_key(self, key: str) -> None:
        if not _bytes_of(key):
            raise ValueError("the key is empty: anyone could sign with it")

    def encode(self, notice: Notice, event_id: str) -> Wire:
        data = {
            "payment": notice.payment,
            "reference": notice.reference,
            "amount_minor": notice.amount_minor,
            "currency": notice.currency,
            "account": notice.account,
            "merchant": notice.merchant,
            "environment": notice.environment,
            "attempt": notice.attempt,
        }
        if notice.refund is not None:
            data["refund"] = notice.refund
        payload = {"type": notice.type, "timestamp": iso(notice.at), "data": data}
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return Wire((("content-type", b"application/json"), ("webhook-id", event_id.encode())), body)

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        for key in keys:
            self.check_key(key)
        return _signed(wire, [_bytes_of(key) for key in keys], at)

    def signature(self, wire: Wire) -> str:
        return (wire.header("webhook-signature") or b"").decode("latin-1")

    def dedup_key(self, wire: Wire) -> str:
        return (wire.header("webhook-id") or b"").decode()

    def is_ack(self, answer: Answer) -> bool:
        return answer.status is not None and 200 <= answer.status < 300

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


def _bytes_of(key: str) -> bytes:
    """The signing key behind `whsec_…`; unpadded base64 is as good as padded."""
    encoded = key.removeprefix(PREFIX)
    if encoded == key:
        raise ValueError(f"a key of this dialect starts with {PREFIX!r}")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as wrong:
        raise ValueError(f"what follows {PREFIX!r} must be base64: {wrong}") from None


def _signed(wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
    stamp = str(int(at.timestamp())).encode()
    content = b".".join((wire.header("webhook-id") or b"", stamp, wire.body))
    tokens = [b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)) for key in keys]
    return wire.with_headers(webhook_timestamp=stamp, webhook_signature=b" ".join(tokens))


def unsigned(forging: Forging) -> Wire:
    """No signature at all; id and timestamp are there."""
    return _right(forging).with_headers(webhook_signature=None)


def wrong_key(forging: Forging) -> Wire:
    """Well signed, with a key that the receiver has never heard of."""
    return _signed(forging.wire, [forging.rng.randbytes(24)], forging.at)


def empty_key(forging: Forging) -> Wire:
    """Signed with the empty key, which a receiver without a configured secret would accept."""
    return _signed(forging.wire, [b""], forging.at)


def stale_timestamp(forging: Forging) -> Wire:
    """The right key, an hour ago: what someone who once overheard a callback holds in his hands."""
    return _right(forging, shifted_by=timedelta(hours=-1))


def future_timestamp(forging: Forging) -> Wire:
    """The right key, an hour ahead: a signature that would stay good for a long time."""
    return _right(forging, shifted_by=timedelta(hours=1))


def tampered_body(forging: Forging) -> Wire:
    """The headers of a genuine callback, signature included, over another body."""
    if forging.genuine is None:
        raise NothingGenuine("no callback has been acknowledged yet, so there are no genuine headers to steal")
    return Wire(forging.genuine.headers, forging.wire.body)


def malformed_signature(forging: Forging) -> Wire:
    """Tokens that verifiers trip over: no comma, bytes outside ASCII, no base64. To be refused, never to crash."""
    return _right(forging).with_headers(webhook_signature=b"v1 nocomma v1,\xe9\xff\xfe v1,!!! ,")


def _right(forging: Forging, shifted_by: timedelta = timedelta(0)) -> Wire:
    return _signed(forging.wire, [_bytes_of(key) for key in forging.keys], forging.at + shifted_by)


FORGERIES: Registry[Forgery] = Registry(
    "forgery",
    {
        "unsigned": unsigned,
        "wrong-key": wrong_key,
        "empty-key": empty_key,
        "stale-timestamp": stale_timestamp,
        "future-timestamp": future_timestamp,
        "tampered-body": tampered_body,
        "malformed-signature": malformed_signature,
    },
)

DIALECTS.add(StandardWebhooks.name, StandardWebhooks())
