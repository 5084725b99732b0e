"""Stripe's own packages on one side, our provider on the other, and bytes from a real socket between them."""

import json
from datetime import UTC, datetime

import pytest
from arrivals import captured, forged
from official_packages import Official

from fake_provider.dialects import find

pytestmark = pytest.mark.contract

STRIPE = find("stripe")
KEY = "whsec_bXkga2V5IGZvciB0aGlzIHRlc3QhISEhISE="
RETIRED = "whsec_cmV0aXJlZCBidXQgc3RpbGwgZ29vZCBlbm91Z2g="
LENIENT = {
    "future-timestamp",
    "millisecond-timestamp",
    "malleable-timestamp",
    "cross-account",
    "other-mode",
    "repeated-key",
}
ONLY_IN_NODE = {"timestamp-no-number", "deeply-nested"}


@pytest.fixture(params=["core", "node"])
def official(request: pytest.FixtureRequest) -> Official:
    found: Official = request.getfixturevalue(request.param)
    return found


def test_the_packages_accept_what_we_send(official: Official) -> None:
    (wire,) = captured(STRIPE, (KEY,))
    verdict = official.ask("stripe", wire, key=KEY)
    assert verdict.accepted, verdict
    assert verdict.found["type"] == "payment_intent.succeeded"
    assert verdict.found["data"]["object"]["metadata"]["reference"] == "tu_ü"


def test_the_packages_accept_refunds(official: Official) -> None:
    _, wire = captured(STRIPE, (KEY,), lambda provider, payment: provider.refund(payment, 400))
    verdict = official.ask("stripe", wire, key=KEY)
    assert verdict.accepted, verdict
    assert (verdict.found["type"], verdict.found["data"]["object"]["amount"]) == ("refund.created", 400)


def test_our_signature_is_byte_for_byte_the_package_s_own(core: Official) -> None:
    (wire,) = captured(STRIPE, (KEY,))
    header = (wire.header("stripe-signature") or b"").decode()
    stamp = header.partition(",")[0].removeprefix("t=")
    signature = core.ask("stripe_signs", wire, key=KEY, timestamp=stamp).found
    assert header == f"t={stamp},v1={signature}"


@pytest.mark.parametrize("known", [KEY, RETIRED])
def test_while_keys_are_rotated_either_is_enough(official: Official, known: str) -> None:
    (wire,) = captured(STRIPE, (KEY, RETIRED))
    assert official.ask("stripe", wire, key=known).accepted


@pytest.mark.parametrize("forgery", sorted(set(STRIPE.forgeries) - LENIENT - ONLY_IN_NODE))
def test_the_packages_refuse_each_forgery(official: Official, forgery: str) -> None:
    verdict = official.ask("stripe", forged(STRIPE, (KEY,), forgery, retired=(RETIRED,)), key=KEY)
    assert not verdict.accepted, verdict


@pytest.mark.parametrize("forgery", sorted(LENIENT))
def test_what_the_packages_let_through_a_receiver_has_to_refuse_itself(official: Official, forgery: str) -> None:
    """They bound the age of a timestamp and not its future, sign the number and not its spelling, take the last of two keys,
    and cannot know whose account and which mode is meant.
    """
    assert official.ask("stripe", forged(STRIPE, (KEY,), forgery), key=KEY).accepted


@pytest.mark.parametrize("forgery", sorted(ONLY_IN_NODE))
def test_what_passes_in_node_and_not_in_python(core: Official, node: Official, forgery: str) -> None:
    """A time that is no number is neither older nor younger than any bound; and one parser follows where the other stops."""
    wire = forged(STRIPE, (KEY,), forgery)
    assert not core.ask("stripe", wire, key=KEY).accepted
    assert node.ask("stripe", wire, key=KEY).accepted


def test_the_age_of_a_signature_is_bounded_in_one_of_two_python_calls_only(core: Official) -> None:
    """`construct_event` has a tolerance unless told otherwise; `verify_header` has none unless told so."""
    wire = forged(STRIPE, (KEY,), "stale-timestamp")
    assert not core.ask("stripe", wire, key=KEY).accepted
    assert core.ask("stripe_header_only", wire, key=KEY).accepted


def test_bytes_outside_ascii_trip_the_python_package(core: Official) -> None:
    """It raises something else than its own refusal, which a receiver has to catch to answer 4xx and not 5xx."""
    verdict = core.ask("stripe", STRIPE.with_signature(captured(STRIPE, (KEY,))[0], _garbled()), key=KEY)
    assert (verdict.accepted, verdict.raised) == (False, "TypeError")


def test_a_release_of_2025_accepts_the_empty_secret_and_today_s_does_not(core: Official, stripe_12: Official) -> None:
    """A receiver whose secret was never configured: CVE-2026-41432 is what that came to elsewhere."""
    wire = forged(STRIPE, (KEY,), "empty-key")
    assert stripe_12.ask("stripe", wire, key="").accepted
    assert not core.ask("stripe", wire, key="").accepted


def _garbled() -> bytes:
    return b"t=%d,v1=\xe9\xff" % int(datetime.now(UTC).timestamp())


def test_every_event_says_what_it_is_about() -> None:
    events = captured(STRIPE, (KEY,), lambda provider, payment: provider.refund(payment, 400))
    assert [json.loads(wire.body)["data"]["object"]["object"] for wire in events] == ["payment_intent", "refund"]
