"""GitHub's way: `X-Hub-Signature-256: sha256=…` over the raw body, and a delivery id in a header that nobody signs.

There is no time in the signature and no retry: GitHub sends once, and again only when somebody asks it to, under the same
delivery id (docs.github.com, handling failed webhook deliveries). One secret; no rotation. The older `X-Hub-Signature`
with SHA-1 is still sent beside the other. The payload is this provider's own.
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
from fake_provider.dialects import DIALECTS, Forgery, Forging, NothingGenuine, Notice, Wire
from fake_provider.dialects._forging import cross_account, cross_provider, keyed, other_mode, rightly, shared
from fake_provider.dialects._shared_key import SharedKey, all_of, compact
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.news import News

EVENTS = {news: news.value for news in News}


class GitHub(SharedKey):
    name = "github"
    header = "x-hub-signature-256"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return base64.urlsafe_b64encode(rng.randbytes(30)).decode()

    def raw(self, key: str) -> bytes:
        return key.encode()

    def encode(self, notice: Notice, event_id: str) -> Wire:
        thing, _, action = EVENTS[notice.type].partition(".")
        payment: dict[str, Any] = {
            "id": notice.payment,
            "reference": notice.reference,
            "amount_minor": notice.amount_minor,
            "currency": notice.currency,
            "account": notice.account,
            "merchant": notice.merchant,
            "environment": notice.environment,
            "refund": notice.refund,
            "dispute": notice.dispute,
        }
        body = compact({"action": action, "payment": payment, "at": iso(notice.at)})
        headers = (
            ("content-type", b"application/json"),
            ("user-agent", b"GitHub-Hookshot/chaos"),
            ("x-github-delivery", event_id.encode()),
            ("x-github-event", thing.encode()),
        )
        return Wire(headers, body)

    def seal(self, wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
        older = hmac.new(keys[0], wire.body, hashlib.sha1).hexdigest()
        newer = hmac.new(keys[0], wire.body, hashlib.sha256).hexdigest()
        return wire.with_headers(
            x_hub_signature=f"sha1={older}".encode(), x_hub_signature_256=f"sha256={newer}".encode()
        )

    def strip(self, wire: Wire) -> Wire:
        return wire.with_headers(x_hub_signature=None, x_hub_signature_256=None)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        values = (wire.header(name) for name in ("x-hub-signature", self.header))
        return tuple(value.decode("latin-1").partition("=")[2] for value in values if value)

    def dedup_key(self, wire: Wire) -> str:
        return (wire.header("x-github-delivery") or b"").decode()

    def delay_before(self, attempt: int) -> timedelta | None:
        return timedelta(0) if attempt == 1 else None


GITHUB = GitHub()


def downgraded_algorithm(forging: Forging) -> Wire:
    """Rightly signed, with the older SHA-1 header alone."""
    return rightly(GITHUB, forging).with_headers(x_hub_signature_256=None)


def malformed_signature(forging: Forging) -> Wire:
    """Bytes outside ASCII where hexadecimal should be. To be refused, never to crash."""
    return GITHUB.strip(forging.wire).with_headers(x_hub_signature_256=b"sha256=\xe9\xff")


def fresh_delivery_id(forging: Forging) -> Wire:
    """A genuine callback once more, under another delivery id: the id is not signed, so anybody can write a new one."""
    if forging.genuine is None:
        raise NothingGenuine("no callback has been acknowledged yet, so there is none to send again")
    return replace(forging.genuine, url=forging.wire.url).with_headers(x_github_delivery=forging.event_id.encode())


FORGERIES = all_of(
    keyed(GITHUB),
    shared(GITHUB),
    misspelt_raw(GITHUB),
    {
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "fresh-delivery-id": Forgery(forge=fresh_delivery_id, plays=("B-08", "B-15"), cwe=837, ignorable=True),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(GITHUB),
        "other-mode": other_mode(GITHUB, "another"),
    },
)

DIALECTS.add(GitHub.name, GITHUB)
