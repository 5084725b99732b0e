"""The Standard Webhooks library on one side, our provider on the other, and bytes from a real socket between them."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import Wire, find
from fake_provider.payments import Order
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RETIRED = "whsec_cmV0aXJlZCBidXQgc3RpbGwgZ29vZCBlbm91Z2g="
ORDER = Order(reference="tu_ü", amount_minor=1000, currency="EUR", account="a", merchant="m", method="card")
DIALECT = find("standard-webhooks")


def captured(
    act: Callable[[Provider, str], object] = lambda provider, payment: None, keys: tuple[str, ...] = (SECRET,)
) -> list[tuple[dict[str, str], bytes]]:
    """The requests of one card payment and whatever *act* does after it, as headers and body came off the socket."""

    async def story() -> list[tuple[dict[str, str], bytes]]:
        requests: list[tuple[dict[str, str], bytes]] = []

        async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
            headers = dict(line.split(": ", 1) for line in head)
            requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(receive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks/standard-webhooks"
        provider = Provider(
            Setup(
                merchant="m",
                environment="chaos",
                dialect=DIALECT,
                keys=keys,
                sender=LoopbackSender(Address.of(url), 2),
                clocks=Clocks(payload=HandClock()),
                rng=Random(1),
            )
        )
        payment = (await provider.create_payment("key", ORDER)).body["id"]
        async with asyncio.timeout(5):
            while provider.deliveries.unsettled().in_flight:  # noqa: ASYNC110 - what is waited for raises no event
                await asyncio.sleep(0.001)
            done = act(provider, payment)
            if asyncio.iscoroutine(done):
                await done
            while provider.deliveries.unsettled().in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await provider.close()
        server.close()
        await server.wait_closed()
        return requests

    return asyncio.run(story())


def test_the_library_accepts_what_we_send():
    ((headers, body),) = captured()
    payload = Webhook(SECRET).verify(body, headers)
    assert payload == json.loads(body)
    assert payload["type"] == "payment.captured"
    assert payload["data"]["reference"] == "tu_ü"


def test_the_library_accepts_refunds():
    _, (headers, body) = captured(lambda provider, payment: provider.refund(payment, 400))
    assert Webhook(SECRET).verify(body, headers)["data"]["amount_minor"] == 400


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


def test_every_forgery_has_been_shown_to_the_library():
    assert set(DIALECT.forgeries) == {
        "unsigned",
        "wrong-key",
        "empty-key",
        "stale-timestamp",
        "future-timestamp",
        "tampered-body",
        "malformed-signature",
    }


@pytest.mark.parametrize("key", ["", "whsec_", "whsk_b25l", "whsec_a", "whsec_!!!!"])
def test_a_key_that_signs_nothing_or_anything_is_refused(key):
    with pytest.raises(ValueError, match=r"empty|starts with|base64"):
        DIALECT.sign(Wire((), b""), [key], datetime.now(UTC))
