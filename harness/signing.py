"""Requests that are signed instead of being sent with a key: ACS3-HMAC-SHA256, as a client does it.

Source: Alibaba Cloud documentation, "Request syntax and signature method V3". The canonical form is the fake provider's, and not
that of the service under test, which so proves that it understands what others sign.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime

import httpx

UNSIGNED = frozenset(("accept", "accept-encoding", "authorization", "connection", "content-length", "user-agent"))
"""Headers that say how a request travels, and not what is asked for."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as the holder of one access key; `id` is what the signature names it by."""

    id: str
    secret: str = field(repr=False)

    def sign(self, request: httpx.Request, at: datetime, nonce: str) -> None:
        """Sign *request*, as of *at* (UTC), under a *nonce* of 1 to 128 characters that no other request has."""
        from fake_provider.acs3 import ALGORITHM, Asked, canonical, signed_with  # seldom needed

        body = request.content
        request.headers.update(
            {
                "x-acs-date": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "x-acs-signature-nonce": nonce,
                "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            }
        )
        headers = [(name.lower(), value) for name, value in request.headers.items() if name.lower() not in UNSIGNED]
        names = sorted(name for name, _ in headers)
        path, _, query = request.url.raw_path.decode().partition("?")
        asked = Asked(method=request.method, path=path, query=query, headers=headers, body=body)
        signature = signed_with(self.secret, canonical(asked, names))
        request.headers["Authorization"] = (
            f"{ALGORITHM} Credential={self.id},SignedHeaders={';'.join(names)},Signature={signature}"
        )


def derived(key: str, label: str) -> str:
    """The secret that is derived from *key* for *label*: HMAC-SHA256, in base64url without padding; *key* itself for no label."""
    if not label:
        return key
    return base64.urlsafe_b64encode(hmac.digest(key.encode(), label.encode(), "sha256")).decode().rstrip("=")
