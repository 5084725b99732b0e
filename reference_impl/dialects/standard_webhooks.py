"""Standard Webhooks: id, time and signatures in headers of their own."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable

from reference_impl.answers import Answer, Refused
from reference_impl.dialects import SIGNATURES_MAX, Claim, Headers, only
from reference_impl.events import Event, parse

_SECRET_BYTES_MIN = 16
# No dot in an id: it is what separates the signed parts, so an id with one could be split in another way.
_ID = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_VERSION = re.compile(rb"v[0-9]+[a-z]?")


class StandardWebhooks:
    oldest_s = 300
    ahead_s = 300
    acknowledgement = Answer(204)

    def key(self, secret: str) -> bytes:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("CALLBACK_SECRET is not whsec_ followed by base64.") from None
        if len(key) < _SECRET_BYTES_MIN:
            raise ValueError(
                f"CALLBACK_SECRET must be whsec_ and the base64 of at least {_SECRET_BYTES_MIN} bytes; "
                "with less, anybody could sign."
            )
        return key

    def claim(self, headers: Headers, body: bytes) -> Claim:
        timestamp = only(headers, b"webhook-timestamp")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise Refused("the timestamp is not a plain integer")
        signatures = _digests(only(headers, b"webhook-signature"))
        if not signatures:
            raise Refused("there is no v1 signature")
        signed = b".".join((delivery_id(headers).encode("ascii"), timestamp, body))
        return Claim(int(timestamp), signatures, signed)

    def fits(self, key: bytes, signature: bytes, signed: bytes) -> bool:
        return hmac.compare_digest(signature, hmac.digest(key, signed, "sha256"))

    def read(self, headers: Headers, body: bytes) -> Event | None:
        return parse(body, delivery_id(headers))


def delivery_id(headers: Headers) -> str:
    """The delivery's id, which stays the same when it is delivered again."""
    delivery = only(headers, b"webhook-id")
    if not _ID.fullmatch(delivery):
        raise Refused("the id is malformed")
    return delivery.decode("ascii")


def _digests(header: bytes) -> tuple[bytes, ...]:
    tokens = header.split(b" ")
    if len(tokens) > SIGNATURES_MAX:
        raise Refused("there are too many signatures")
    return tuple(_v1_digests(tokens))


def _v1_digests(tokens: Iterable[bytes]) -> Iterable[bytes]:
    """The digests of version 1. Other versions are passed over: which algorithm is used is not the sender's choice."""
    for token in tokens:
        version, comma, encoded = token.partition(b",")
        if not comma or not _VERSION.fullmatch(version):
            raise Refused("a signature is malformed")
        if version != b"v1":
            continue
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise Refused("a signature is not base64") from None
        if len(digest) != hashlib.sha256().digest_size:
            raise Refused("a signature has the wrong length")
        yield digest
