"""What each forgery puts on the wire. That the official verifier refuses them stands in `tests/contract`."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from provider_world import SECRET, World, run, world

from fake_provider.dialects import NothingGenuine, find
from fake_provider.registry import UnknownName

# Those that claim what the genuine callback says, with nothing wrong but the signature.
FORGERIES = {
    "unsigned",
    "wrong-key",
    "empty-key",
    "stale-timestamp",
    "future-timestamp",
    "tampered-body",
    "malformed-signature",
    "millisecond-timestamp",
    "timestamp-no-number",
    "malleable-timestamp",
    "key-confusion",
    "downgraded-algorithm",
}
# And those that claim something else: another merchant, another mode; or that say it otherwise.
CLAIMING = {"other-tenant-key", "cross-account", "other-mode", "retired-key"}
# And what was genuine once, under another time.
OVERHEARD = {"fresh-timestamp"}
SPELLING = {"cross-provider", "repeated-key", "not-utf-8", "deeply-nested"}


def signature_of(arrival, key: bytes) -> bytes:
    content = b".".join((arrival.headers["webhook-id"], arrival.headers["webhook-timestamp"], arrival.body))
    return b"v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256))


async def forged(here: World, forgery: str, **claims):
    """The id of the payment, the forged request and the genuine one before it."""
    payment = await here.create()
    await here.landed()
    await here.provider.forge(forgery, payment["id"], claims)
    genuine, hostile = here.receiver.arrivals
    return payment["id"], hostile, genuine


RIGHT = base64.b64decode(SECRET.removeprefix("whsec_"))


def test_the_forgeries_are_those_that_are_promised():
    assert set(find("standard-webhooks").forgeries) == FORGERIES | CLAIMING | OVERHEARD | SPELLING


@pytest.mark.parametrize("forgery", sorted(FORGERIES))
def test_every_forgery_claims_a_capture_of_the_payment_in_bytes_never_sent_before(forgery):
    async def story():
        async with world(204, 401, body=b"no") as here:
            payment, hostile, genuine = await forged(here, forgery)
            assert (hostile.event, hostile.data["payment"]) == ("payment.captured", payment)
            assert hostile.data == genuine.data, "nothing but the signature gives it away"
            assert hostile.body != genuine.body
            delivery, answer = here.journal("delivery", "answer")[2:]
            assert (delivery["hostile"], delivery["forgery"], delivery["mood"]) == (True, forgery, None)
            assert (answer["hostile"], answer["status"], answer["acknowledged"]) == (True, 401, False)
            assert answer["delivery"] == delivery["delivery"]
            assert here.provider.deliveries.unsettled().reason is None, "a forgery is not tried again"

    run(story())


@pytest.mark.parametrize(
    ("forgery", "claimed"),
    [("cross-account", {"merchant": "mallory"}), ("other-mode", {"environment": "another"})],
)
def test_what_is_authentic_and_of_somebody_else_may_be_ignored(forgery, claimed):
    async def story():
        async with world() as here:
            _, hostile, genuine = await forged(here, forgery)
            assert hostile.headers["webhook-signature"] == signature_of(hostile, RIGHT)
            assert hostile.data == {**genuine.data, **claimed}
            assert here.journal("delivery")[-1]["ignorable"]

    run(story())


@pytest.mark.parametrize("forgery", ["repeated-key", "not-utf-8", "deeply-nested"])
def test_what_cannot_be_read_is_rightly_signed_and_about_nobody(forgery):
    async def story():
        async with world(400) as here:
            payment = await here.create()
            await here.landed()
            await here.provider.forge(forgery, payment["id"], {})
            hostile = here.receiver.arrivals[-1]
            assert hostile.headers["webhook-signature"] == signature_of(hostile, RIGHT)
            assert b'"payment":"pay_ghost-' in hostile.body
            assert payment["id"].encode() not in hostile.body
            assert here.journal("delivery")[-1]["ignorable"]

    run(story())


@pytest.mark.parametrize(
    ("forgery", "wrong"), [("not-utf-8", UnicodeDecodeError), ("deeply-nested", RecursionError), ("repeated-key", None)]
)
def test_no_reader_makes_one_thing_of_it(forgery, wrong):
    async def story():
        async with world(400) as here:
            payment = await here.create()
            await here.landed()
            await here.provider.forge(forgery, payment["id"], {})
            return here.receiver.arrivals[-1].body

    body = run(story())
    if wrong is not None:
        with pytest.raises(wrong):
            json.loads(body)
    else:
        last, first = json.loads(body), json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
        assert (first["data"]["amount_minor"], last["data"]["amount_minor"]) == (1000, 1001)


def test_unsigned_has_no_signature_but_all_else():
    async def story():
        async with world() as here:
            _, hostile, _ = await forged(here, "unsigned")
            assert "webhook-signature" not in hostile.headers
            assert {"webhook-id", "webhook-timestamp"} <= set(hostile.headers)

    run(story())


def test_wrong_key_is_a_signature_of_another_key():
    async def story():
        async with world() as here:
            _, hostile, _ = await forged(here, "wrong-key")
            token = hostile.headers["webhook-signature"]
            assert token.startswith(b"v1,")
            assert len(base64.b64decode(token[3:])) == 32
            assert token not in (signature_of(hostile, RIGHT), signature_of(hostile, b""))

    run(story())


def test_empty_key_is_what_a_receiver_without_a_secret_would_compute():
    async def story():
        async with world() as here:
            _, hostile, _ = await forged(here, "empty-key")
            assert hostile.headers["webhook-signature"] == signature_of(hostile, b"")

    run(story())


@pytest.mark.parametrize(("forgery", "shift_s"), [("stale-timestamp", -3600), ("future-timestamp", 3600)])
def test_a_wrong_time_is_signed_with_the_right_key(forgery, shift_s):
    async def story():
        async with world() as here:
            _, hostile, _ = await forged(here, forgery)
            assert hostile.headers["webhook-signature"] == signature_of(hostile, RIGHT)
            assert abs(int(hostile.headers["webhook-timestamp"]) - time.time() - shift_s) < 30

    run(story())


def test_tampered_body_wears_the_headers_of_a_genuine_callback():
    async def story():
        async with world() as here:
            _, hostile, genuine = await forged(here, "tampered-body", amount_minor=999_999)
            mine = {name: value for name, value in hostile.headers.items() if name.startswith("webhook-")}
            assert mine == {name: value for name, value in genuine.headers.items() if name.startswith("webhook-")}
            assert hostile.data == {**genuine.data, "amount_minor": 999_999}
            assert here.journal("delivery")[-1]["webhook_id"] == genuine.webhook_id

    run(story())


def test_fresh_timestamp_is_a_genuine_callback_but_for_the_time():
    async def story():
        async with world() as here:
            _, hostile, genuine = await forged(here, "fresh-timestamp")
            assert hostile.body == genuine.body
            changed = {name for name, value in genuine.headers.items() if hostile.headers[name] != value}
            assert changed == {"webhook-timestamp"}
            assert hostile.headers["webhook-signature"] == signature_of(genuine, RIGHT) != signature_of(hostile, RIGHT)
            assert 0 < int(hostile.headers["webhook-timestamp"]) - time.time() < 90, "a receiver takes it for fresh"

    run(story())


def test_tampered_body_needs_a_genuine_callback_that_was_acknowledged():
    async def story():
        async with world(500) as here:
            payment = await here.create()
            await here.landed()
            with pytest.raises(NothingGenuine):
                await here.provider.forge("tampered-body", payment["id"], {})
            assert len(here.journal("delivery")) == 1, "what was not sent is not in the journal"

    run(story())


def test_malformed_signature_has_tokens_without_comma_and_bytes_outside_ascii():
    async def story():
        async with world() as here:
            _, hostile, _ = await forged(here, "malformed-signature")
            value = hostile.headers["webhook-signature"]
            assert any(b"," not in token for token in value.split(b" "))
            assert any(byte > 127 for byte in value)

    run(story())


@pytest.mark.parametrize("forgery", sorted(FORGERIES - {"tampered-body"}))
def test_all_others_come_under_a_fresh_id(forgery):
    async def story():
        async with world() as here:
            _, hostile, genuine = await forged(here, forgery)
            assert hostile.webhook_id != genuine.webhook_id

    run(story())


def test_claims_take_the_place_of_the_truth():
    async def story():
        async with world() as here:
            _, hostile, genuine = await forged(here, "wrong-key", account="mallory", currency="KWD")
            assert hostile.data == {**genuine.data, "account": "mallory", "currency": "KWD"}

    run(story())


def test_moods_do_not_touch_forgeries():
    async def story():
        async with world() as here:
            payment = await here.create()
            await here.landed()
            for name in ("drop", "delay", "duplicate", "never-acknowledged"):
                here.put_on(name)
            _, answer = await here.provider.forge("unsigned", payment["id"], {})
            assert answer.status == 204
            assert len(here.receiver.arrivals) == 2

    run(story())


def test_an_accepted_forgery_does_not_become_the_next_genuine_callback():
    async def story():
        async with world(500, 204, 204) as here:
            payment = await here.create()
            await here.landed()
            await here.provider.forge("wrong-key", payment["id"], {})
            with pytest.raises(NothingGenuine):
                await here.provider.forge("tampered-body", payment["id"], {})

    run(story())


def test_an_unknown_forgery_is_answered_with_the_nearest():
    async def story():
        async with world() as here:
            payment = await here.create("redirect")
            with pytest.raises(UnknownName, match="did you mean 'wrong-key'"):
                await here.provider.forge("wrongkey", payment["id"], {})

    run(story())
