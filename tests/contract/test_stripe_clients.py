"""Stripe's own clients for Python and for Node, unmodified, with nothing but the address of the API changed."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from official_packages import Official, Verdict
from running import Inbox, inbox, provider

pytestmark = pytest.mark.contract

SECRET = "sk_test_fake"
NEW = "/callbacks/new"
ORDER = {"amount": 1000, "currency": "eur", "metadata": {"reference": "tu_ü", "account": "a", "colour": "blue"}}
PAID = ORDER | {"confirm": True, "payment_method": "pm_card_visa"}


class Merchant:
    """One of the clients, against one provider, with a receiver of its own."""

    def __init__(self, official: Official, is_node: bool, endpoint: str, url: str, arrived: Inbox) -> None:
        self.official, self.is_node = official, is_node
        self.endpoint, self.url, self.arrived = endpoint, url, arrived

    def ask(self, call: str, *args: Any, key: str = "", retries: int = 0, secret: str = SECRET) -> Verdict:
        """What came of a call, which is named as the Python client names it."""
        options = {("idempotencyKey" if self.is_node else "idempotency_key"): key} if key else None
        if self.is_node:
            call = re.sub("_(.)", lambda found: found[1].upper(), call).replace(".delete", ".del")
        return self.official.call(
            "stripe_calls",
            endpoint=self.endpoint,
            secret=secret,
            call=call,
            args=args,
            options=options,
            retries=retries,
        )

    def done(self, call: str, *args: Any, **more: Any) -> dict[str, Any]:
        verdict = self.ask(call, *args, **more)
        assert verdict.accepted, verdict
        found: dict[str, Any] = verdict.found["object"]
        return found

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = httpx.post(f"http://{self.endpoint}/control/{path}", json=body, trust_env=False)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(params=["core", "node"])
def merchant(request: pytest.FixtureRequest) -> Iterator[Merchant]:
    official: Official = request.getfixturevalue(request.param)
    with inbox() as (url, arrived), provider(dialect="stripe", api_key=SECRET, callback_url=url) as endpoint:
        yield Merchant(official, request.param == "node", endpoint, url, arrived)


def test_a_whole_top_up(merchant: Merchant) -> None:
    """Endpoint, intent, confirmation, callback verified, event compared with it, refund, refund's callback, lists."""
    door = merchant.done("webhook_endpoints.create", {"url": f"{merchant.url}/new", "enabled_events": ["*"]})
    made = merchant.done("payment_intents.create", ORDER, key="top-up 1")
    assert (made["status"], made["metadata"]["colour"]) == ("requires_payment_method", "blue")
    paid = merchant.done("payment_intents.confirm", made["id"], {"payment_method": "pm_card_visa"})
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 1000)

    (wire,) = merchant.arrived.wait_for(1, NEW)
    told = merchant.official.ask("stripe", wire, key=door["secret"])
    assert told.accepted, told
    assert told.found["data"]["object"]["metadata"] == paid["metadata"]
    assert merchant.done("events.retrieve", told.found["id"]) == json.loads(wire.body)

    refund = merchant.done("refunds.create", {"payment_intent": made["id"], "amount": 400}, key="refund 1")
    assert (refund["amount"], refund["status"]) == (400, "succeeded")
    assert merchant.done("refunds.retrieve", refund["id"]) == refund
    wires = merchant.arrived.wait_for(2, NEW)
    assert merchant.official.ask("stripe", wires[1], key=door["secret"]).found["data"]["object"]["id"] == refund["id"]

    listed = merchant.done("events.list", {"limit": 10})
    assert [event["id"] for event in listed["data"]] == [json.loads(wire.body)["id"] for wire in reversed(wires)]
    assert merchant.done("refunds.list", {"payment_intent": made["id"]})["data"] == [refund]


def test_endpoints_stand_side_by_side_each_with_its_secret_and_its_events(merchant: Merchant) -> None:
    door = merchant.done(
        "webhook_endpoints.create", {"url": f"{merchant.url}/new", "enabled_events": ["refund.created"]}
    )
    assert door["enabled_events"] == ["refund.created"]
    paid = merchant.done("payment_intents.create", PAID)
    merchant.arrived.wait_for(1)
    merchant.done("refunds.create", {"payment_intent": paid["id"], "amount": 100})
    (wire,), first = merchant.arrived.wait_for(1, NEW), merchant.arrived.wait_for(2)
    assert wire.body == first[1].body, "the same event"
    assert merchant.official.ask("stripe", wire, key=door["secret"]).accepted
    assert not merchant.official.ask("stripe", first[1], key=door["secret"]).accepted

    changed = merchant.done("webhook_endpoints.update", door["id"], {"enabled_events": ["*"], "disabled": True})
    assert (changed["enabled_events"], changed["status"]) == (["*"], "disabled")
    merchant.done("refunds.create", {"payment_intent": paid["id"], "amount": 100})
    merchant.arrived.wait_for(3)
    assert merchant.done("webhook_endpoints.update", door["id"], {"disabled": False})["status"] == "enabled"
    merchant.done("refunds.create", {"payment_intent": paid["id"], "amount": 100})
    assert len(merchant.arrived.wait_for(2, NEW)) == 2
    assert merchant.done("webhook_endpoints.delete", door["id"])["deleted"] is True
    assert [each["url"] for each in merchant.done("webhook_endpoints.list")["data"]] == [merchant.url]


def test_the_same_key_gets_the_same_answer(merchant: Merchant) -> None:
    first, again = (merchant.ask("payment_intents.create", PAID, key="once") for _ in range(2))
    assert first.found["object"] == again.found["object"]
    assert (first.found["replayed"], again.found["replayed"]) == (False, True)
    other = merchant.ask("payment_intents.create", PAID | {"amount": 1001}, key="once")
    assert not other.accepted
    assert other.raised in ("IdempotencyError", "StripeIdempotencyError")
    assert len(merchant.done("payment_intents.list")["data"]) == 1


def test_a_declined_card_is_an_error_of_its_own_and_kept_under_its_key(merchant: Merchant) -> None:
    bad = ORDER | {"confirm": True, "payment_method": "pm_card_chargeDeclined"}
    first, again = (merchant.ask("payment_intents.create", bad, key="bad") for _ in range(2))
    for verdict in (first, again):
        assert verdict.raised in ("CardError", "StripeCardError")
        error = verdict.found.get("error", verdict.found)
        assert (error["code"], error["decline_code"]) == ("card_declined", "generic_decline")
    assert len(merchant.done("payment_intents.list")["data"]) == 1
    (wire,) = merchant.arrived.wait_for(1)
    assert json.loads(wire.body)["type"] == "payment_intent.payment_failed"


@pytest.mark.parametrize(
    ("call", "args", "error"),
    [
        ("payment_intents.retrieve", ["pi_none"], "InvalidRequestError"),
        ("payment_intents.create", [{"currency": "eur"}], "InvalidRequestError"),
        ("payment_intents.create", [ORDER | {"colour": "blue"}], "InvalidRequestError"),
        ("refunds.create", [{"payment_intent": "pi_none"}], "InvalidRequestError"),
    ],
)
def test_errors_are_what_the_clients_take_them_for(merchant: Merchant, call: str, args: list[Any], error: str) -> None:
    verdict = merchant.ask(call, *args)
    assert not verdict.accepted
    assert verdict.raised in (error, f"Stripe{error}")


def test_another_key_is_not_let_in(merchant: Merchant) -> None:
    verdict = merchant.ask("events.list", secret="sk_test_other")
    assert verdict.raised in ("AuthenticationError", "StripeAuthenticationError")


def test_a_refund_of_more_than_is_left_is_refused(merchant: Merchant) -> None:
    paid = merchant.done("payment_intents.create", PAID)
    merchant.done("refunds.create", {"payment_intent": paid["id"]})
    again = merchant.ask("refunds.create", {"payment_intent": paid["id"]})
    assert not again.accepted
    assert again.found.get("error", again.found)["code"] == "charge_already_refunded"


def test_an_error_that_hides_a_success_is_overcome_by_the_client_s_own_retry(merchant: Merchant) -> None:
    merchant.control("moods", mood="error-after-capture")
    verdict = merchant.ask("payment_intents.create", PAID, key="hidden", retries=2)
    assert verdict.accepted, verdict
    assert verdict.found["replayed"] is True
    assert len(merchant.done("payment_intents.list")["data"]) == 1


def test_a_checkout_is_paid_by_the_customer(merchant: Merchant) -> None:
    item = {
        "price_data": {"currency": "eur", "unit_amount": 500, "product_data": {"name": "credit"}},
        "quantity": 2,
    }
    asked = {"mode": "payment", "line_items": [item], "success_url": "http://127.0.0.1/", "client_reference_id": "tu_2"}
    made = merchant.done("checkout.sessions.create", asked)
    assert (made["status"], made["payment_status"], made["amount_total"]) == ("open", "unpaid", 1000)
    merchant.control(f"payments/{made['payment_intent']}/pay")
    paid = merchant.done("checkout.sessions.retrieve", made["id"])
    assert (paid["status"], paid["payment_status"]) == ("complete", "paid")
    assert merchant.done("payment_intents.retrieve", made["payment_intent"])["metadata"]["reference"] == "tu_2"
    # two events of one moment travel side by side, and Stripe promises no order of arrival
    told = {event["type"]: event for event in (json.loads(wire.body) for wire in merchant.arrived.wait_for(2))}
    assert set(told) == {"payment_intent.succeeded", "checkout.session.completed"}
    completed = told["checkout.session.completed"]
    assert completed["data"]["object"] == paid
    assert merchant.done("events.retrieve", completed["id"]) == completed


def test_a_dispute_is_there_to_be_looked_at(merchant: Merchant) -> None:
    paid = merchant.done("payment_intents.create", PAID)
    dispute = merchant.control(f"payments/{paid['id']}/dispute")["disputes"][0]["id"]
    assert merchant.done("disputes.retrieve", dispute)["status"] == "needs_response"
    merchant.control(f"payments/{paid['id']}/win")
    assert merchant.done("disputes.retrieve", dispute)["status"] == "won"


def test_a_cancelled_intent_is_never_paid(merchant: Merchant) -> None:
    made = merchant.done("payment_intents.create", ORDER)
    assert merchant.done("payment_intents.cancel", made["id"])["status"] == "canceled"
    late = merchant.ask("payment_intents.confirm", made["id"], {"payment_method": "pm_card_visa"})
    assert late.found.get("error", late.found)["code"] == "payment_intent_unexpected_state"


def test_the_clients_turn_every_page(merchant: Merchant) -> None:
    made = [merchant.done("payment_intents.create", ORDER)["id"] for _ in range(5)]
    call = "paymentIntents" if merchant.is_node else "payment_intents"
    pages = merchant.official.call("stripe_pages", endpoint=merchant.endpoint, secret=SECRET, call=call)
    assert pages.found == made[::-1]
