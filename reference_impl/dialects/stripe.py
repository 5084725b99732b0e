"""Stripe: time and signatures in one header; the event's id, mode and account in the body."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from reference_impl.answers import Answer, Refused
from reference_impl.dialects import SIGNATURES_MAX, Claim, Headers, only
from reference_impl.events import Event, amount_at, malformed, read_json, text_at

_PREFIX = "whsec_"
_SECRET_MIN = 16
_ELEMENT = re.compile(rb"([a-z][a-z0-9]{0,7})=([A-Za-z0-9]{1,256})")
# No sign, no leading zero: the number is what is signed here, and it has one spelling.
_TIMESTAMP = re.compile(rb"[1-9][0-9]{0,11}")
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_LIVE = ("live", "production")

KINDS = {
    "payment_intent.succeeded": "captured",
    "checkout.session.completed": "settled",
    "payment_intent.payment_failed": "failed",
    "refund.created": "refunded",
    "charge.dispute.created": "disputed",
}
_RULINGS = {"won": "won", "lost": "lost"}


class Stripe:
    oldest_s = 300
    ahead_s = 300  # the provider's own packages bound the past only
    acknowledgement = Answer(204)

    def key(self, secret: str) -> bytes:
        """The word itself, prefix and all: the neighbours who decode it have another key."""
        if not secret.startswith(_PREFIX) or len(secret) < len(_PREFIX) + _SECRET_MIN:
            raise ValueError(f"CALLBACK_SECRET must be {_PREFIX} and at least {_SECRET_MIN} characters.")
        return secret.encode()

    def claim(self, headers: Headers, body: bytes) -> Claim:
        elements = only(headers, b"stripe-signature").split(b",")
        if len(elements) > SIGNATURES_MAX + 1:
            raise Refused("there are too many signatures")
        found = [_ELEMENT.fullmatch(element) for element in elements]
        said = [match.groups() for match in found if match]
        times = [value for name, value in said if name == b"t"]
        if len(said) != len(elements) or len(times) != 1:
            raise Refused("the signature is malformed")
        if not _TIMESTAMP.fullmatch(times[0]):
            raise Refused("the timestamp is not a plain integer")
        digests = [value for name, value in said if name == b"v1"]  # other schemes are not the sender's choice
        if not digests:
            raise Refused("there is no v1 signature")
        if not all(_DIGEST.fullmatch(digest) for digest in digests):
            raise Refused("a signature is not hexadecimal")
        return Claim(int(times[0]), tuple(bytes.fromhex(each.decode()) for each in digests), times[0] + b"." + body)

    def fits(self, key: bytes, signature: bytes, signed: bytes) -> bool:
        return hmac.compare_digest(signature, hmac.digest(key, signed, "sha256"))

    def read(self, headers: Headers, body: bytes) -> Event | None:
        event = read_json(body)
        kind, data = event.get("type"), event.get("data")
        about = data.get("object") if isinstance(data, dict) else None
        if not isinstance(kind, str) or not isinstance(about, dict):
            raise malformed("type and data.object are required")
        means = _RULINGS.get(str(about.get("status"))) if kind == "charge.dispute.closed" else KINDS.get(kind)
        if means is None or (means == "settled" and about.get("payment_status") != "paid"):
            return None
        return _event(event, about, means, hashlib.sha256(body).hexdigest())


def _event(event: Mapping[str, Any], about: Mapping[str, Any], kind: str, digest: str) -> Event:
    metadata = about.get("metadata")
    if not isinstance(metadata, dict):
        raise malformed("metadata is missing or malformed")
    reversal = kind not in ("captured", "settled", "failed")
    if kind in ("captured", "refunded") and about.get("status") != "succeeded":
        raise malformed(f"the status does not fit {kind}")
    return Event(
        kind=kind,
        payment=text_at(about, "id" if kind in ("captured", "failed") else "payment_intent"),
        reference=text_at(metadata, "reference"),
        amount_minor=_own_amount(about, kind),
        currency=_currency(about),
        account=text_at(metadata, "account"),
        merchant=text_at(event, "account"),
        environment=_environment(event, text_at(metadata, "environment")),
        captured_minor=_sum(metadata, "captured") if reversal else 0,
        refunded_minor=_sum(metadata, "refunded") if reversal else 0,
        reversal=text_at(about, "id") if reversal else None,
        cause="callback",
        delivery=text_at(event, "id"),
        digest=digest,
    )


def _own_amount(about: Mapping[str, Any], kind: str) -> int:
    """Of a capture what was received, which may be less than what was asked for; a checkout has a sum of its own."""
    if kind == "settled":
        return amount_at(about, "amount_total", at_least=1)
    if kind == "captured":
        return amount_at(about, "amount_received", at_least=1)
    return amount_at(about, "amount", at_least=0 if kind == "failed" else 1)


def _sum(metadata: Mapping[str, Any], name: str) -> int:
    """What this provider says of the whole payment beside a refund or a dispute; metadata are strings."""
    written = metadata.get(name)
    if not isinstance(written, str) or not re.fullmatch(r"[0-9]{1,15}", written):
        raise malformed(f"metadata.{name} is missing or malformed")
    return int(written)


def _currency(about: Mapping[str, Any]) -> str:
    """As this service writes it. Of the currencies here, none has other minor units at Stripe than in ISO 4217."""
    currency = text_at(about, "currency")
    if not re.fullmatch(r"[a-z]{3}", currency):
        raise malformed("currency is not three small letters")
    return currency.upper()


def _environment(event: Mapping[str, Any], said: str) -> str:
    """Where the payment was made, if that fits the mode that the event came in; else the mode, which fits nothing stored."""
    livemode = event.get("livemode")
    if not isinstance(livemode, bool):
        raise malformed("livemode is missing or malformed")
    return said if livemode == (said in _LIVE) else f"{'live' if livemode else 'test'} mode"
