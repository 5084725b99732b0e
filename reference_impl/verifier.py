"""Is a callback authentic and fresh? On the raw bytes, closed when in doubt, whatever the dialect."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import structlog

from reference_impl.answers import Answer, Refused
from reference_impl.dialects import Claim, Dialect, Headers
from reference_impl.dialects.alipay import Alipay
from reference_impl.dialects.standard_webhooks import StandardWebhooks
from reference_impl.dialects.stripe import Stripe
from reference_impl.events import Event

log = structlog.get_logger()

DIALECTS: Mapping[str, Dialect] = {
    "standard-webhooks": StandardWebhooks(),
    "stripe": Stripe(),
    "alipay": Alipay(),
}


class Outgoing(NamedTuple):
    """A secret that was rotated out, and until when it is still believed, so that no callback on its way is lost."""

    secret: str
    until: datetime


class Verifier:
    """Believes nobody without a signature that was made just now, over these bytes, with a key that is ours."""

    def __init__(
        self, secrets: str, dialect: Dialect = DIALECTS["standard-webhooks"], outgoing: Outgoing | None = None
    ) -> None:
        self.dialect = dialect
        self.outgoing = outgoing
        self._keys = tuple(dialect.key(secret) for secret in secrets.split())
        self._outgoing_key = dialect.key(outgoing.secret) if outgoing else b""
        if not self._keys:
            raise ValueError("CALLBACK_SECRET is empty: without a key, nobody could be told from anybody.")

    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        claim = self.claim_of(headers, body)
        if not self.within_tolerance(claim.at, now):
            raise Refused("the timestamp is too far from now")
        if not any(self.matches(signature, claim.signed, now) for signature in claim.signatures):
            raise Refused("no signature fits")

    def keys(self, now: datetime) -> tuple[bytes, ...]:
        """The keys that are accepted: several while a secret is being rotated, never an empty one."""
        outgoing = (self._outgoing_key,) if self.outgoing and self.still_accepts(self.outgoing, now) else ()
        return tuple(key for key in (*self._keys, *outgoing) if key)

    def still_accepts(self, outgoing: Outgoing, now: datetime) -> bool:
        """Whether the secret that was rotated out is still good: until its time, and not a moment longer."""
        return now < outgoing.until

    def claim_of(self, headers: Headers, body: bytes) -> Claim:
        """What the message says about itself; `Refused` when any part is missing, doubled or malformed."""
        return self.dialect.claim(headers, body)

    def within_tolerance(self, at: int, now: datetime) -> bool:
        """Whether it was signed not too long ago nor, but for a clock that is ahead of ours, in the future."""
        return -self.dialect.ahead_s <= now.timestamp() - at <= self.dialect.oldest_s

    def matches(self, signature: bytes, signed: bytes, now: datetime) -> bool:
        """Whether one of our keys makes *signature*; takes as long whatever the answer is."""
        found = False
        for key in self.keys(now):
            found |= self.dialect.fits(key, signature, signed)
        return found

    def read(self, headers: Headers, body: bytes) -> Event | None:
        """What a verified callback is about; None if it is nothing that this service has a use for."""
        return self.dialect.read(headers, body)

    @property
    def acknowledgement(self) -> Answer:
        """What makes the provider stop."""
        return self.dialect.acknowledgement

    def on_refusal(self, headers: Headers, body: bytes, reason: str) -> None:
        """What is kept of a callback that was refused: enough to find it again, nothing to use it with."""
        log.warning(
            "callback refused",
            reason=reason,
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            headers=len(headers),
        )
