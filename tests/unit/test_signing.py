"""What the harness signs is what the reference verifies, by code that neither has from the other."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from harness.signing import Signer, derived
from reference_impl.signatures import Asked, BadSignature, Signatures
from reference_impl.signatures import derived as derived_there

SECRET = "a-secret-of-the-test-that-is-long-enough"
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_DATABASE: Any = None


def signed(**request: Any) -> httpx.Request:
    asking = httpx.Request(url="http://127.0.0.1:8000/v1/top ups?b=2&a=x%20y", **request)
    Signer("till", derived(SECRET, "ACS3-HMAC-SHA256 till")).sign(asking, AT, "n1")
    return asking


def verified(request: httpx.Request, body: bytes | None = None) -> str:
    """The nonce of what the reference takes. Raises `BadSignature` for what it does not."""
    path, _, query = request.url.raw_path.decode().partition("?")
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    asked = Asked(method=request.method, path=path, query=query, headers=headers, body=body or request.content)
    there = Signatures(NO_DATABASE, lambda: AT, (SECRET,))
    claim = there.claimed(asked)
    there.verify(claim, asked)
    return claim.nonce


def test_what_is_derived_is_derived_alike() -> None:
    assert derived(SECRET, "ACS3-HMAC-SHA256 till") == derived_there(SECRET, "till")
    assert derived(SECRET, "") == SECRET


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET", "headers": {"X-Customer": "ann"}},
        {"method": "POST", "json": {"amount_minor": 1000}, "headers": {"Idempotency-Key": "1", "X-Customer": "ann"}},
    ],
)
def test_the_reference_takes_what_is_signed(request_: Any) -> None:
    assert verified(signed(**request_)) == "n1"


def test_another_body_or_customer_is_not_what_was_signed() -> None:
    with pytest.raises(BadSignature, match="not the digest"):
        verified(signed(method="POST", json={"amount_minor": 1000}), b'{"amount_minor":9000}')
    asking = signed(method="GET", headers={"X-Customer": "ann"})
    asking.headers["X-Customer"] = "bob"
    with pytest.raises(BadSignature, match="not this request's"):
        verified(asking)
