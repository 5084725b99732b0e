"""The tolerance window: five minutes both ways, on the clock that the service really uses."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from reference_impl.answers import Refused
from reference_impl.service import World
from reference_impl.verifier import Verifier

KEY = b"the key of this test, which is long"
BODY = b"{}"
SIGNED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def verify_after(seconds: float) -> None:
    """Verify, *seconds* after it was signed, what was signed at `SIGNED_AT`."""
    timestamp = str(int(SIGNED_AT.timestamp())).encode()
    digest = hmac.digest(KEY, b"msg_1." + timestamp + b"." + BODY, "sha256")
    headers = [
        (b"webhook-id", b"msg_1"),
        (b"webhook-timestamp", timestamp),
        (b"webhook-signature", b"v1," + base64.b64encode(digest)),
    ]
    with freeze_time(SIGNED_AT + timedelta(seconds=seconds)):
        Verifier("whsec_" + base64.b64encode(KEY).decode()).verify(headers, BODY, World().now())


@pytest.mark.parametrize("seconds", [-300, -299, -1, 0, 1, 299, 300])
def test_inside_the_window_it_is_believed(seconds: float) -> None:
    """Both ends belong to it."""
    verify_after(seconds)


@pytest.mark.parametrize("seconds", [-300.001, -301, -3600, 300.001, 301, 3600, 10 * 365 * 86400])
def test_outside_of_it_the_right_signature_does_not_help(seconds: float) -> None:
    """Neither an old one that was kept, nor one made for later."""
    with pytest.raises(Refused, match="too far from now"):
        verify_after(seconds)
