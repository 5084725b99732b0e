"""The verifier: everything that is not exactly right is refused, and never by another exception."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from reference_impl.answers import Refused
from reference_impl.settings import Settings
from reference_impl.verifier import Headers, Outgoing, Verifier

KEY = b"the key of this test, which is long"
OTHER = b"another key of this test, also long"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = b'{"a": 1}'


def secret(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def token(key: bytes, delivery: bytes = b"msg_1", at: datetime = NOW, body: bytes = BODY) -> bytes:
    signed = b".".join((delivery, str(int(at.timestamp())).encode(), body))
    return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))


def headers(signature: bytes, delivery: bytes = b"msg_1", at: bytes = b"") -> list[tuple[bytes, bytes]]:
    return [
        (b"webhook-id", delivery),
        (b"webhook-timestamp", at or str(int(NOW.timestamp())).encode()),
        (b"webhook-signature", signature),
    ]


verifier = Verifier(secret(KEY))


def test_believes_what_the_official_library_signs() -> None:
    """The dialect is Standard Webhooks, not our reading of it."""
    signature = Webhook(secret(KEY)).sign("msg_1", NOW, BODY.decode())
    verifier.verify(headers(signature.encode()), BODY, NOW)


def test_believes_either_of_two_keys_while_they_are_rotated() -> None:
    """And any of several signatures, whatever other versions stand beside it."""
    both = Verifier(f"{secret(OTHER)} {secret(KEY)}")
    both.verify(headers(token(KEY)), BODY, NOW)
    both.verify(headers(token(OTHER)), BODY, NOW)
    verifier.verify(headers(b"v1a,AAAA " + token(OTHER) + b" " + token(KEY)), BODY, NOW)


def test_believes_what_was_rotated_out_until_its_end_and_not_a_moment_longer() -> None:
    until = NOW + timedelta(seconds=60)
    rotated = Verifier(secret(OTHER), outgoing=Outgoing(secret(KEY), until))
    at = str(int(until.timestamp())).encode()
    old, new = (headers(token(key, at=until), at=at) for key in (KEY, OTHER))
    rotated.verify(old, BODY, until - timedelta(microseconds=1))
    rotated.verify(new, BODY, until)
    with pytest.raises(Refused, match="no signature fits"):
        rotated.verify(old, BODY, until)


@pytest.mark.parametrize("given", ["CALLBACK_SECRET_OLD", "CALLBACK_SECRET_OLD_UNTIL"])
def test_what_was_rotated_out_has_an_end_or_is_not_taken(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty is as good as not there: a deployment's template names all settings."""
    values = {"CALLBACK_SECRET_OLD": secret(OTHER), "CALLBACK_SECRET_OLD_UNTIL": "2026-01-31T12:00:00Z"}
    common = {"DATABASE_URL": "x", "PROVIDER_URL": "x", "PROVIDER_API_KEY": "x", "MERCHANT": "x", "ENVIRONMENT": "dev"}
    for name, value in {**common, "CALLBACK_SECRET": secret(KEY), **values}.items():
        monkeypatch.setenv(name, value)
    assert Settings().outgoing == Outgoing(secret(OTHER), datetime(2026, 1, 31, 12, tzinfo=UTC))  # type: ignore[call-arg]
    (other,) = set(values) - {given}
    monkeypatch.setenv(other, "")
    with pytest.raises(ValidationError, match="go together"):
        Settings()  # type: ignore[call-arg]
    monkeypatch.setenv(given, "")
    assert Settings().outgoing is None  # type: ignore[call-arg]


def test_does_not_start_with_an_old_secret_that_anybody_has() -> None:
    with pytest.raises(ValueError, match="CALLBACK_SECRET"):
        Verifier(secret(KEY), outgoing=Outgoing("whsec_", NOW))


good = headers(token(KEY))


@pytest.mark.parametrize(
    ("given_headers", "reason"),
    [
        pytest.param([], "missing", id="unsigned"),
        pytest.param(good[:2], "webhook-signature is missing", id="no signature"),
        pytest.param(good[1:], "webhook-id is missing", id="no id"),
        pytest.param([good[0], good[2]], "webhook-timestamp is missing", id="no timestamp"),
        pytest.param([*good, good[0]], "more than once", id="two ids"),
        pytest.param([*good, good[1]], "more than once", id="two timestamps"),
        pytest.param([*good, (b"Webhook-Signature", token(KEY))], "more than once", id="two signatures"),
        pytest.param(headers(token(OTHER)), "no signature fits", id="wrong key"),
        pytest.param(headers(token(b"")), "no signature fits", id="empty key"),
        pytest.param(headers(token(KEY, body=b"{}")), "no signature fits", id="other body"),
        pytest.param(headers(token(KEY, delivery=b"msg_2")), "no signature fits", id="other id"),
        pytest.param(headers(token(KEY).replace(b"v1,", b"v1a,")), "no v1 signature", id="other version"),
        pytest.param(headers(token(KEY).replace(b"v1,", b"")), "malformed", id="no comma"),
        pytest.param(headers(b""), "malformed", id="empty"),
        pytest.param(headers(token(KEY) + b" "), "malformed", id="empty token"),
        pytest.param(headers(token(KEY) + b"," + token(KEY)), "not base64", id="joined by a comma"),
        pytest.param(headers(token(KEY) + b"!!"), "not base64", id="trailing rubbish"),
        pytest.param(headers(b"v1,AAAA"), "wrong length", id="short"),
        pytest.param(headers(b"v1,\xc3\xa9\xff"), "not base64", id="not ASCII"),
        pytest.param(headers(b"v\xb2,AAAA"), "malformed", id="version not ASCII"),
        pytest.param(headers(b" ".join([token(OTHER)] * 50)), "too many", id="fifty"),
        pytest.param(headers(token(KEY), delivery=b"msg.1"), "id is malformed", id="dot in the id"),
        pytest.param(headers(token(KEY), delivery=b"msg\xff"), "id is malformed", id="id not ASCII"),
        *(
            pytest.param(headers(token(KEY), at=at), "timestamp is not a plain integer", id=f"timestamp {at!r}")
            for at in (b"1767268800.9", b" 1767268800", b"1_767_268_800", b"+1767268800", b"abc", b"NaN", b"Infinity",
                       b"1e9", b"-1", b"\xd9\xa1\xd9\xa2", b"1" * 13, b"1767268800\n")
        ),
    ],
)  # fmt: skip
def test_refuses(given_headers: Headers, reason: str) -> None:
    """Whatever is missing, doubled, malformed or does not fit."""
    with pytest.raises(Refused, match=reason) as refusal:
        verifier.verify(given_headers, BODY, NOW)
    assert refusal.value.status == 401


@given(st.binary(max_size=80), st.binary(max_size=20), st.binary(max_size=120))
@example(b"msg_1", b"1767268800", b"v1,")
def test_refuses_anything_unsigned_and_raises_nothing_else(delivery: bytes, at: bytes, signature: bytes) -> None:
    """Any bytes at all."""
    with pytest.raises(Refused):
        verifier.verify(headers(signature, delivery, at or b"0"), BODY, NOW)


@pytest.mark.parametrize("bad", ["", "   ", "whsec_", "whsec_!!!", "whsec_AAAA", f"{secret(KEY)} whsec_"])
def test_does_not_start_with_a_key_that_anybody_has(bad: str) -> None:
    """No key, an empty one, a short one, not even beside a good one."""
    with pytest.raises(ValueError, match="CALLBACK_SECRET"):
        Verifier(bad)


def test_keeps_nothing_of_a_refused_callback_that_could_be_used() -> None:
    """Neither the signature nor the body is logged."""
    with capture_logs() as lines:
        verifier.on_refusal(good, BODY, "no signature fits")
    assert "no signature fits" in str(lines)
    for kept_out in (token(KEY).decode(), BODY.decode(), secret(KEY), "msg_1"):
        assert kept_out not in str(lines)
