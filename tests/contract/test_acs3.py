"""Alibaba Cloud's own client against our gate: the requests that it signs, over a real socket to the real program."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from official_packages import Official

from fake_provider.acs3 import Asked, canonical, signed_with

pytestmark = pytest.mark.contract

ID, SECRET = "chaos-access-key", "chaos-secret"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """`python -m fake_provider`, whose business API takes signed requests only."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    env = {
        "PATH": os.environ["PATH"],
        "PROVIDER_PORT": str(port),
        "PROVIDER_API_KEY": SECRET,
        "PROVIDER_ACCESS_KEY_ID": ID,
        "PROVIDER_CALLBACK_URL": "http://127.0.0.1:9/callbacks",
        "PROVIDER_CALLBACK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    process = subprocess.Popen([sys.executable, "-m", "fake_provider"], env=env)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/control/health", trust_env=False)
                break
            except httpx.ConnectError:
                assert process.poll() is None, "the provider ended before it was ready"
                assert time.monotonic() < deadline, "the provider was not ready within 20 s"
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(5)


def call(core: Official, endpoint: str, secret: str = SECRET, **asked: object):
    given = {"action": "Any", "method": "GET", "path": "/v1/payments"} | asked
    return core.call("acs3_calls", endpoint=endpoint, id=ID, secret=secret, **given)


def test_the_official_client_is_let_in_and_served(core: Official, endpoint: str) -> None:
    order = {
        "reference": "tu_1",
        "amount_minor": 1000,
        "currency": "EUR",
        "account": "a",
        "merchant": "m",
        "method": "redirect",
    }
    made = call(core, endpoint, method="POST", json=order, extra={"Idempotency-Key": "1"}, action="CreatePayment")
    assert made.accepted, made
    assert made.found["state"] == "pending"
    found = call(core, endpoint, query={"reference": "tu_1"}, action="ListPayments")
    assert found.found["payments"][0]["id"] == made.found["id"]


def test_what_the_client_writes_in_a_query_is_what_it_signed(core: Official, endpoint: str) -> None:
    """Spaces are `+` on the way and `%20` in the signed text; tilde and star are each a case of their own."""
    assert call(core, endpoint, query={"reference": "a b~c*d/ü&=+"}).accepted


def test_another_secret_is_refused(core: Official, endpoint: str) -> None:
    verdict = call(core, endpoint, secret="another", query={"reference": "tu_1"})
    assert not verdict.accepted
    assert "SignatureDoesNotMatch" in verdict.message


def test_a_key_that_is_merely_sent_is_refused(endpoint: str) -> None:
    """How requests are let in is configured, and not chosen by the one who asks."""
    answer = httpx.get(
        f"http://{endpoint}/v1/payments?reference=r", headers={"Authorization": f"Bearer {SECRET}"}, trust_env=False
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MissingAuthorization")


def test_a_request_is_good_once(endpoint: str) -> None:
    """The same bytes again are a replay."""
    headers = {
        "host": endpoint,
        "x-acs-action": "ListPayments",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": "once",
    }
    asked = Asked(method="GET", path="/v1/payments", query="reference=r", headers=list(headers.items()), body=b"")
    signature = signed_with(SECRET, canonical(asked, headers))
    said = f"ACS3-HMAC-SHA256 Credential={ID},SignedHeaders={';'.join(headers)},Signature={signature}"
    url = f"http://{endpoint}/v1/payments?reference=r"
    answers = [httpx.get(url, headers=headers | {"Authorization": said}, trust_env=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json()["error"]["code"] == "SignatureNonceUsed"


def test_our_signature_is_byte_for_byte_the_package_s_own(core: Official) -> None:
    headers = {"host": "h", "x-acs-action": "A", "x-acs-date": "d", "x-acs-signature-nonce": "n", "x-acs-version": "v"}
    query = {"RegionId": "cn-shanghai", "Name": "a b*c~ü"}
    payload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    request = {"method": "POST", "pathname": "/v1/o%2F1", "query": query, "headers": headers}
    theirs = core.call("acs3_signs", request=request, payload=payload, id=ID, secret=SECRET).found
    written = str(httpx.QueryParams(query))
    asked = Asked(method="POST", path="/v1/o%2F1", query=written, headers=list(headers.items()), body=b"")
    assert theirs.endswith(f"Signature={signed_with(SECRET, canonical(asked, headers))}")
