"""The Standard Webhooks library on one side, our provider on the other, and bytes from a real socket between them."""

import json
from datetime import UTC, datetime

import arrivals
import pytest
from arrivals import Act
from standardwebhooks import Webhook, WebhookVerificationError

from fake_provider.dialects import Wire, find

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RETIRED = "whsec_cmV0aXJlZCBidXQgc3RpbGwgZ29vZCBlbm91Z2g="
DIALECT = find("standard-webhooks")


def captured(act: Act = lambda provider, payment: None, keys: tuple[str, ...] = (SECRET,)):
    """Headers and body of each request, as the library takes them."""
    wires = arrivals.captured(DIALECT, keys, act)
    return [({name: value.decode("latin-1") for name, value in wire.headers}, wire.body) for wire in wires]


def test_the_library_accepts_what_we_send():
    ((headers, body),) = captured()
    payload = Webhook(SECRET).verify(body, headers)
    assert payload == json.loads(body)
    assert payload["type"] == "payment.captured"
    assert payload["data"]["reference"] == "tu_ü"


def test_the_library_accepts_refunds():
    _, (headers, body) = captured(lambda provider, payment: provider.refund(payment, 400))
    assert Webhook(SECRET).verify(body, headers)["data"]["amount_minor"] == 400


def test_the_library_accepts_disputes():
    _, *disputed = captured(lambda provider, payment: provider.win(provider.dispute(payment, 400).id))
    told = [Webhook(SECRET).verify(body, headers) for headers, body in disputed]
    assert sorted(one["type"] for one in told) == ["dispute.opened", "dispute.won"]


def test_our_signature_is_byte_for_byte_the_library_s_own():
    ((headers, body),) = captured()
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], at, body.decode())


def test_the_published_vector():
    wire = Wire((("webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),), b'{"test": 2432232314}')
    signed = DIALECT.sign(wire, [SECRET], datetime.fromtimestamp(1614265330, UTC))
    assert signed.header("webhook-timestamp") == b"1614265330"
    assert signed.header("webhook-signature") == b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("known", [SECRET, RETIRED])
def test_while_keys_are_rotated_either_is_enough(known):
    ((headers, body),) = captured(keys=(SECRET, RETIRED))
    assert Webhook(known).verify(body, headers)


def test_unpadded_keys_are_the_same_keys():
    ((headers, body),) = captured(keys=(RETIRED.rstrip("="),))
    assert Webhook(RETIRED).verify(body, headers)


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        ("unsigned", "Missing required headers"),
        ("wrong-key", "No matching signature"),
        ("empty-key", "No matching signature"),
        ("stale-timestamp", "too old"),
        ("future-timestamp", "too new"),
        ("tampered-body", "No matching signature"),
        ("other-tenant-key", "No matching signature"),
        ("key-confusion", "No matching signature"),
        ("downgraded-algorithm", "No matching signature"),
        ("millisecond-timestamp", "Invalid Signature Headers"),
        ("timestamp-no-number", "Invalid Signature Headers"),
    ],
)
def test_the_library_refuses_each_forgery_for_the_reason_that_it_is_about(forgery, reason):
    _, (headers, body) = captured(lambda provider, payment: provider.forge(forgery, payment, {}))
    with pytest.raises(WebhookVerificationError, match=reason):
        Webhook(SECRET).verify(body, headers)


def test_a_malformed_signature_is_not_accepted_and_trips_the_library():
    """It raises something else than its own refusal here, which a receiver has to catch to answer 4xx and not 5xx."""
    _, (headers, body) = captured(lambda provider, payment: provider.forge("malformed-signature", payment, {}))
    with pytest.raises(ValueError, match=r"unpack|ASCII") as tripped:
        Webhook(SECRET).verify(body, headers)
    assert not isinstance(tripped.value, WebhookVerificationError)


def test_a_retired_key_is_refused():
    wires = arrivals.captured(
        DIALECT, (SECRET,), lambda provider, payment: provider.forge("retired-key", payment, {}), retired=(RETIRED,)
    )
    headers = {name: value.decode() for name, value in wires[-1].headers}
    assert Webhook(RETIRED).verify(wires[-1].body, headers)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(wires[-1].body, headers)


@pytest.mark.parametrize("forgery", ["malleable-timestamp", "cross-account", "other-mode"])
def test_what_the_library_lets_through_a_receiver_has_to_refuse_itself(forgery):
    """It signs the number and not its spelling, and cannot know whose account and which mode is meant."""
    _, (headers, body) = captured(lambda provider, payment: provider.forge(forgery, payment, {}))
    assert Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("key", ["", "whsec_", "whsk_b25l", "whsec_a", "whsec_!!!!"])
def test_a_key_that_signs_nothing_or_anything_is_refused(key):
    with pytest.raises(ValueError, match=r"empty|starts with|base64"):
        DIALECT.sign(Wire((), b""), [key], datetime.now(UTC))
