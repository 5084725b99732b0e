"""Is a callback authentic and fresh? Standard Webhooks, on the raw bytes, closed when in doubt.

The library of the same name is not used: it lets other exceptions than its own out on crafted headers, accepts a
timestamp that is not the one that was signed, and decodes base64 leniently.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import structlog

from reference_impl.answers import Refused

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""As they came: lower-case names, undecoded values, duplicates not yet merged."""

log = structlog.get_logger()

TOLERANCE_S = 300
_SIGNATURES_MAX = 8
_SECRET_BYTES_MIN = 16
# No dot in an id: it is what separates the signed parts, so an id with one could be split in another way.
_ID = re.compile(rb"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_VERSION = re.compile(rb"v[0-9]+[a-z]?")


@dataclass(frozen=True, slots=True)
class Signature:
    """What the headers claim."""

    id: str
    timestamp: str
    digests: tuple[bytes, ...]


class Verifier:
    """Believes nobody without a signature that was made just now, over these bytes, with a key that is ours."""

    def __init__(self, secrets: str) -> None:
        self._keys = tuple(_decoded(secret) for secret in secrets.split())
        if not self._keys or not all(len(key) >= _SECRET_BYTES_MIN for key in self._keys):
            raise ValueError(
                f"CALLBACK_SECRET must be whsec_ and the base64 of at least {_SECRET_BYTES_MIN} bytes; "
                "with less, anybody could sign."
            )

    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        signature = self.signature_of(headers)
        if not self.within_tolerance(signature.timestamp, now):
            raise Refused("the timestamp is too far from now")
        if not any(self.matches(digest, signature.id, signature.timestamp, body) for digest in signature.digests):
            raise Refused("no signature fits")

    def keys(self) -> tuple[bytes, ...]:
        """The keys that are accepted: several while a secret is being rotated, never an empty one."""
        return tuple(key for key in self._keys if key)

    def signature_of(self, headers: Headers) -> Signature:
        """The claim in the headers; `Refused` when any part is missing, doubled or malformed."""
        timestamp = only(headers, b"webhook-timestamp")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise Refused("the timestamp is not a plain integer")
        digests = _digests(only(headers, b"webhook-signature"))
        if not digests:
            raise Refused("there is no v1 signature")
        return Signature(delivery_id(headers), timestamp.decode("ascii"), digests)

    def within_tolerance(self, timestamp: str, now: datetime) -> bool:
        """Whether it was signed at most five minutes ago or, by a clock that is ahead of ours, from now."""
        return abs(int(timestamp) - now.timestamp()) <= TOLERANCE_S

    def matches(self, digest: bytes, delivery: str, timestamp: str, body: bytes) -> bool:
        """Whether one of our keys makes *digest*; takes as long whatever the answer is."""
        signed = self.signed_content(delivery, timestamp, body)
        found = False
        for key in self.keys():
            found |= hmac.compare_digest(digest, hmac.digest(key, signed, "sha256"))
        return found

    def signed_content(self, delivery: str, timestamp: str, body: bytes) -> bytes:
        """What a signature covers: the id, the time and the body, as they came over the wire."""
        return b".".join((delivery.encode("ascii"), timestamp.encode("ascii"), body))

    def on_refusal(self, headers: Headers, body: bytes, reason: str) -> None:
        """What is kept of a callback that was refused: enough to find it again, nothing to use it with."""
        log.warning(
            "callback refused",
            reason=reason,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            headers=len(headers),
        )


def delivery_id(headers: Headers) -> str:
    """The delivery's id, which stays the same when it is delivered again."""
    delivery = only(headers, b"webhook-id")
    if not _ID.fullmatch(delivery):
        raise Refused("the id is malformed")
    return delivery.decode("ascii")


def only(headers: Headers, name: bytes) -> bytes:
    """The value of a header that must be there exactly once."""
    values = [value for key, value in headers if key.lower() == name]
    if len(values) != 1:
        raise Refused(f"{name.decode()} is {'missing' if not values else 'there more than once'}")
    return values[0]


def _digests(header: bytes) -> tuple[bytes, ...]:
    tokens = header.split(b" ")
    if len(tokens) > _SIGNATURES_MAX:
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


def _decoded(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("CALLBACK_SECRET is not whsec_ followed by base64.") from None
