"""Stripe's API as a caller sees it, beneath any client: forms, keys, errors, pages, and that it agrees with the callbacks."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_world import FakeSender, run, until

from fake_provider.apis.stripe.errors import StripeError
from fake_provider.apis.stripe.forms import Asked, parse
from fake_provider.app import create_app
from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import Wire
from fake_provider.dialects.stripe import STRIPE
from fake_provider.moods import make
from fake_provider.provider import Provider, Setup

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ORDER = {"amount": "1000", "currency": "eur", "metadata[reference]": "tu_1", "metadata[account]": "a"}
PAID = ORDER | {"confirm": "true", "payment_method": "pm_card_visa"}


class Caller:
    def __init__(self, client: httpx.AsyncClient, provider: Provider, sender: FakeSender) -> None:
        self.client, self.provider, self.sender = client, provider, sender

    async def post(self, path: str, form: dict[str, str] | None = None, key: str = "") -> httpx.Response:
        return await self.client.post(f"/v1/{path}", data=form or {}, headers={"Idempotency-Key": key} if key else {})

    async def get(self, path: str, **query: Any) -> Any:
        return (await self.client.get(f"/v1/{path}", params=query)).json()

    async def landed(self) -> None:
        await until(lambda: not self.provider.deliveries.unsettled().in_flight)


def provider_on(sender: FakeSender) -> Provider:
    return Provider(
        Setup(
            merchant="m",
            environment="chaos",
            dialect=STRIPE,
            keys=(KEY,),
            url="http://127.0.0.1:9/callbacks",
            sender=sender,
            clocks=Clocks(payload=HandClock()),
            rng=Random(7),
        )
    )


@asynccontextmanager
async def called(*answers: int):
    sender = FakeSender(*(answers or (200,)))
    provider = provider_on(sender)
    transport = httpx.ASGITransport(create_app(provider, "sk_test_fake"), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://provider", auth=("sk_test_fake", "")) as client:
        try:
            yield Caller(client, provider, sender)
        finally:
            await provider.close()


# Forms.

WORDS = st.text("abcdefgh_0", min_size=1, max_size=5)
LEAVES = st.text(min_size=1, max_size=5).filter(lambda text: not any(0xD800 <= ord(each) <= 0xDFFF for each in text))
TREES = st.recursive(
    st.dictionaries(WORDS, LEAVES, min_size=1, max_size=3),
    lambda inner: st.dictionaries(WORDS, LEAVES | inner, min_size=1, max_size=3),
    max_leaves=8,
)


def flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in tree.items():
        whole = f"{prefix}[{name}]" if prefix else name
        found += flat(value, whole) if isinstance(value, dict) else [(whole, value)]
    return found


def depth(tree: Any) -> int:
    return 1 + max(map(depth, tree.values())) if isinstance(tree, dict) else 0


@given(TREES.filter(lambda tree: depth(tree) <= 8))
def test_what_is_written_with_brackets_is_read_back(tree: dict[str, Any]) -> None:
    assert parse(urlencode(flat(tree))) == tree


def test_empty_brackets_are_the_next_element_of_a_list() -> None:
    assert parse("a[]=x&a[]=y&b[][c]=1") == {"a": {"0": "x", "1": "y"}, "b": {"": {"c": "1"}}}


@pytest.mark.parametrize(
    "raw", ["a=1&a[b]=2", "a[b]=2&a=1", "a=1&a=2", "[a]=1", "a[=1", "a]=1", "a[b]c=1", "a" + "[b]" * 8 + "=1"]
)
def test_what_contradicts_itself_is_refused(raw: str) -> None:
    with pytest.raises(StripeError) as refused:
        parse(raw)
    assert refused.value.status == 400


@given(st.text("a=&[]%0+", max_size=30))
def test_any_form_is_read_or_refused(raw: str) -> None:
    try:
        assert isinstance(parse(raw), dict)
    except StripeError as refused:
        assert refused.param is not None


def test_what_nobody_asked_for_is_refused_by_its_whole_name() -> None:
    asked = Asked(parse("price[unit]=1&price[tax]=2")).inside("price")
    assert asked.text("unit") == "1"
    with pytest.raises(StripeError) as refused:
        asked.done()
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "price[tax]")


# Keys.


@given(st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from(["1000", "1001"])), min_size=1, max_size=6))
def test_a_key_is_one_payment_and_one_answer_whatever_is_asked(asked: list[tuple[str, str]]) -> None:
    """The first parameters under a key are its own; the same again get the same bytes, others an error, and no money moves."""

    async def story() -> None:
        async with called() as caller:
            first: dict[str, tuple[str, bytes]] = {}
            for key, amount in asked:
                answer = await caller.post("payment_intents", PAID | {"amount": amount}, key)
                replayed = answer.headers.get("idempotent-replayed") == "true"
                if key not in first:
                    first[key] = (amount, answer.content)
                    assert (answer.status_code, replayed) == (200, False)
                elif first[key][0] == amount:
                    assert (answer.content, replayed) == (first[key][1], True)
                else:
                    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "idempotency_error")
            assert len(list(caller.provider.book)) == len(first)

    run(story())


def test_a_key_whose_first_request_is_still_running_is_a_conflict() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("delay", {}))
            caller.provider.put_on(make("answer-late", {}))
            first = asyncio.create_task(caller.post("payment_intents", PAID, "k"))
            await until(lambda: caller.provider.deliveries.unsettled().held == 1)
            second = await caller.post("payment_intents", PAID, "k")
            assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_in_use")
            caller.provider.release()
            assert (await first).status_code == 200

    run(story())


def test_without_a_key_each_request_is_one_of_its_own() -> None:
    async def story() -> None:
        async with called() as caller:
            one, other = [(await caller.post("payment_intents", PAID)).json()["id"] for _ in range(2)]
            assert one != other

    run(story())


def test_a_refused_request_leaves_its_key_free() -> None:
    async def story() -> None:
        async with called() as caller:
            assert (await caller.post("payment_intents", ORDER | {"amount": "0"}, "k")).status_code == 400
            assert (await caller.post("payment_intents", ORDER, "k")).status_code == 200

    run(story())


# Errors.


@pytest.mark.parametrize(
    ("path", "form", "status", "code", "param"),
    [
        ("payment_intents", {"currency": "eur"}, 400, "parameter_missing", "amount"),
        ("payment_intents", ORDER | {"amount": "1.5"}, 400, "parameter_invalid_integer", "amount"),
        ("payment_intents", ORDER | {"currency": "euro"}, 400, "parameter_invalid", "currency"),
        ("payment_intents", ORDER | {"confirm": "true"}, 400, "parameter_missing", "payment_method"),
        ("payment_intents", ORDER | {"payment_method": "pm_x"}, 400, "resource_missing", "payment_method"),
        (
            "payment_intents",
            ORDER | {"payment_method_types[]": "ideal"},
            400,
            "parameter_invalid",
            "payment_method_types",
        ),
        ("payment_intents", ORDER | {"currency": "isk", "amount": "150"}, 400, "parameter_invalid", "amount"),
        ("payment_intents/pi_x/confirm", {}, 404, "resource_missing", "intent"),
        ("refunds", {"payment_intent": "pi_x"}, 404, "resource_missing", "payment_intent"),
        ("checkout/sessions", {"mode": "payment"}, 400, "parameter_missing", "line_items"),
        ("webhook_endpoints", {"url": "http://example.com/", "enabled_events[]": "*"}, 400, "url_invalid", "url"),
        (
            "webhook_endpoints",
            {"url": "http://127.0.0.1/", "enabled_events[]": "a"},
            400,
            "parameter_invalid",
            "enabled_events",
        ),
    ],
)
def test_every_refusal_says_what_and_where(path: str, form: dict[str, str], status: int, code: str, param: str) -> None:
    async def story() -> None:
        async with called() as caller:
            answer = await caller.post(path, form)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
            assert error["message"]
            assert answer.headers["request-id"].startswith("req_")
            assert not list(caller.provider.book)

    run(story())


@pytest.mark.parametrize("authorization", ["", "Bearer other", "Basic !", "Basic b3RoZXI6", "sk_test_fake"])
def test_nobody_without_the_key_is_let_in(authorization: str) -> None:
    async def story() -> None:
        async with called() as caller:
            request = caller.client.build_request("GET", "/v1/events", headers={"Authorization": authorization})
            answer = await caller.client.send(request, auth=None)
            assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")

    run(story())


def test_a_bearer_token_is_as_good_as_basic_authentication() -> None:
    async def story() -> None:
        async with called() as caller:
            headers = {"Authorization": "Bearer sk_test_fake"}
            request = caller.client.build_request("GET", "/v1/events", headers=headers)
            assert (await caller.client.send(request, auth=None)).status_code == 200

    run(story())


# The same truth, whichever way it is told.


def test_events_are_byte_for_byte_what_was_sent() -> None:
    async def story() -> None:
        async with called() as caller:
            id = (await caller.post("payment_intents", PAID | {"metadata[colour]": "blue"})).json()["id"]
            await caller.post("refunds", {"payment_intent": id, "amount": "400"})
            caller.provider.dispute(id, 600)
            caller.provider.lose(id)
            await caller.landed()
            listed = (await caller.get("events"))["data"]
            assert [json.loads(wire.body) for wire in caller.sender.sent] == listed[::-1]
            for event in listed:
                assert (await caller.get(f"events/{event['id']}")) == event
            assert listed[-1]["data"]["object"]["metadata"]["colour"] == "blue"
            assert [each["type"] for each in (await caller.get("events", type="refund.created"))["data"]] == [
                "refund.created"
            ]

    run(story())


def test_an_event_that_never_arrives_is_listed_and_a_forged_one_is_not() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("drop", {}))
            id = (await caller.post("payment_intents", PAID)).json()["id"]
            await caller.provider.forge("wrong-key", id, {})
            assert len((await caller.get("events"))["data"]) == 1
            assert len(caller.sender.sent) == 1, "the forgery"

    run(story())


def test_a_payment_intent_is_a_payment_of_the_book() -> None:
    async def story() -> None:
        async with called() as caller:
            made = (await caller.post("payment_intents", ORDER)).json()
            payment = caller.provider.payment(made["id"])
            assert (payment.order.reference, payment.order.account, payment.order.amount_minor) == ("tu_1", "a", 1000)
            caller.provider.pay(payment.id, 1000, "customer paid")
            assert (await caller.get(f"payment_intents/{payment.id}"))["status"] == "succeeded"
            generic = await caller.client.get(f"/v1/payments/{payment.id}", auth=lambda request: bearer(request))
            assert generic.json()["state"] == "captured"

    def bearer(request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = "Bearer sk_test_fake"
        return request

    run(story())


def test_currencies_without_minor_units_are_written_as_stripe_writes_them() -> None:
    async def story() -> None:
        async with called() as caller:
            made = (await caller.post("payment_intents", PAID | {"currency": "isk", "amount": "1500"})).json()
            assert caller.provider.payment(made["id"]).order.amount_minor == 15
            assert made["amount_received"] == 1500

    run(story())


def test_what_a_mood_settles_is_what_the_intent_says() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("settle-less", {"percent": 60}))
            made = (await caller.post("payment_intents", PAID)).json()
            assert (made["amount"], made["amount_received"]) == (1000, 600)

    run(story())


def test_a_failed_intent_may_be_confirmed_with_another_card() -> None:
    async def story() -> None:
        async with called() as caller:
            declined = await caller.post("payment_intents", PAID | {"payment_method": "pm_card_chargeDeclined"})
            assert (declined.status_code, declined.json()["error"]["decline_code"]) == (402, "generic_decline")
            id = declined.json()["error"]["payment_intent"]["id"]
            paid = await caller.post(f"payment_intents/{id}/confirm", {"payment_method": "pm_card_visa"})
            assert paid.json()["status"] == "succeeded"

    run(story())


# Moods about answers.


@pytest.mark.parametrize(("mood", "status"), [("error-after-capture", 500), ("redirect", 302)])
@pytest.mark.parametrize("what", ["payment_intents", "refunds"])
def test_what_an_answer_hides_has_happened(mood: str, status: int, what: str) -> None:
    async def story() -> None:
        async with called() as caller:
            form = PAID
            if what == "refunds":
                form = {"payment_intent": (await caller.post("payment_intents", PAID)).json()["id"]}
            caller.provider.put_on(make(mood, {}))
            hidden = await caller.post(what, form, "k")
            assert hidden.status_code == status
            if status == 500:
                assert hidden.json()["error"]["type"] == "api_error"
            else:
                assert (await caller.client.get(hidden.headers["location"])).json()["object"] == "payment_intent"
            told = await caller.post(what, form, "k")
            assert (told.status_code, told.headers["idempotent-replayed"]) == (200, "true")
            (payment,) = caller.provider.book
            assert payment.captured_minor == 1000
            assert len(payment.refunds) == (what == "refunds")

    run(story())


def test_the_callback_overtakes_the_answer() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("answer-late", {}))
            await caller.post("payment_intents", PAID)
            assert len(caller.sender.sent) == 1

    run(story())


# Lists.


@given(st.integers(0, 7), st.integers(1, 4))
def test_pages_together_are_the_whole_list_both_ways(count: int, limit: int) -> None:
    async def story() -> None:
        async with called() as caller:
            made = [(await caller.post("payment_intents", ORDER)).json()["id"] for _ in range(count)][::-1]
            found: list[str] = []
            more = True
            while more:
                cursor = {"starting_after": found[-1]} if found else {}
                page = await caller.get("payment_intents", limit=limit, **cursor)
                found += [each["id"] for each in page["data"]]
                more = page["has_more"]
                assert len(found) <= count
            assert found == made
            if made:
                back = await caller.get("payment_intents", limit=limit, ending_before=made[-1])
                assert [each["id"] for each in back["data"]] == made[:-1][-limit:]

    run(story())


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"starting_after": "x"}, {"colour": "blue"}])
def test_a_page_that_cannot_be_is_refused(query: dict[str, Any]) -> None:
    async def story() -> None:
        async with called() as caller:
            assert "error" in await caller.get("payment_intents", **query)

    run(story())


# Checkouts.

CHECKOUT = {
    "mode": "payment",
    "line_items[0][price_data][currency]": "eur",
    "line_items[0][price_data][unit_amount]": "500",
    "line_items[0][price_data][product_data][name]": "credit",
    "line_items[0][quantity]": "2",
    "metadata[reference]": "tu_1",
    "success_url": "http://127.0.0.1/",
}


def test_what_is_paid_in_a_checkout_is_told_of_the_payment_and_of_the_checkout() -> None:
    """Two events about one capture; the second says of the checkout what the API says of it."""

    async def story() -> None:
        async with called() as caller:
            made = (await caller.post("checkout/sessions", CHECKOUT)).json()
            assert caller.sender.sent == []
            await caller.client.post(f"/control/payments/{made['payment_intent']}/pay", json={})
            await caller.landed()
            events = [json.loads(wire.body) for wire in caller.sender.sent]
            assert [event["type"] for event in events] == ["payment_intent.succeeded", "checkout.session.completed"]
            assert len({event["id"] for event in events}) == 2
            assert events[1]["data"]["object"] == await caller.get(f"checkout/sessions/{made['id']}")

    run(story())


def test_two_event_types_has_two_words_here() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("two-event-types", {}))
            await caller.post("payment_intents", PAID)
            await caller.landed()
            told = [json.loads(wire.body) for wire in caller.sender.sent]
            assert [event["type"] for event in told] == ["payment_intent.succeeded", "checkout.session.completed"]
            first, second = (event["data"]["object"] for event in told)
            assert (second["payment_intent"], second["payment_status"]) == (first["id"], "paid")

    run(story())


# Where callbacks go.


NEW = {"url": "http://127.0.0.1:9/new", "enabled_events[]": "*"}


def test_every_endpoint_hears_of_the_same_event_each_with_a_secret_of_its_own() -> None:
    async def story() -> None:
        async with called() as caller:
            made = (await caller.post("webhook_endpoints", NEW)).json()
            assert "secret" not in await caller.get(f"webhook_endpoints/{made['id']}")
            assert "error" in (await caller.post("webhook_endpoints", NEW)).json(), "it is there already"
            await caller.post("payment_intents", PAID)
            await caller.landed()
            wires = {wire.url.rpartition("/")[2]: wire for wire in caller.sender.sent}
            assert set(wires) == {"callbacks", "new"}
            assert wires["new"].body == wires["callbacks"].body
            assert is_signed_with(made["secret"], wires["new"])
            assert is_signed_with(KEY, wires["callbacks"])
            assert len((await caller.get("events"))["data"]) == 1

    run(story())


def test_an_endpoint_hears_of_what_it_wants_and_of_nothing_else() -> None:
    async def story() -> None:
        async with called() as caller:
            await caller.post("webhook_endpoints", NEW | {"enabled_events[]": "refund.created"})
            paid = (await caller.post("payment_intents", PAID)).json()
            await caller.post("refunds", {"payment_intent": paid["id"]})
            await caller.landed()
            new = [json.loads(wire.body)["type"] for wire in caller.sender.sent if wire.url.endswith("/new")]
            assert new == ["refund.created"]
            assert len(caller.sender.sent) == 3

    run(story())


def test_an_endpoint_can_be_changed_and_disabled_and_comes_back() -> None:
    async def story() -> None:
        async with called() as caller:
            id = (await caller.post("webhook_endpoints", NEW)).json()["id"]
            asked = {"enabled_events[]": "refund.created"}
            changed = (await caller.post(f"webhook_endpoints/{id}", asked)).json()
            assert (changed["enabled_events"], changed["status"]) == (["refund.created"], "enabled")
            off = (await caller.post(f"webhook_endpoints/{id}", {"disabled": "true"})).json()
            assert (off["enabled_events"], off["status"]) == (["refund.created"], "disabled")
            paid = (await caller.post("payment_intents", PAID)).json()
            await caller.post("refunds", {"payment_intent": paid["id"], "amount": "400"})
            await caller.landed()
            assert gone_to(caller.sender.sent) == ["callbacks", "callbacks"]
            await caller.post(f"webhook_endpoints/{id}", {"disabled": "false"})
            await caller.post("refunds", {"payment_intent": paid["id"]})
            await caller.landed()
            assert sorted(gone_to(caller.sender.sent[2:])) == ["callbacks", "new"]

    run(story())


def test_the_page_shows_where_callbacks_go_as_soon_as_that_changes() -> None:
    async def story() -> None:
        async with called() as caller:

            async def receivers() -> list[tuple[str, str]]:
                page = (await caller.client.get("/page/live")).text
                return re.findall(r"<code>(http[^<]+)</code>(?: <small>([^<]+)</small>)?</li>", page)

            first = ("http://127.0.0.1:9/callbacks", "")
            assert await receivers() == [first]
            id = (await caller.post("webhook_endpoints", NEW | {"enabled_events[]": "refund.created"})).json()["id"]
            assert await receivers() == [first, (NEW["url"], "only refund.created")]
            await caller.post(f"webhook_endpoints/{id}", {"disabled": "true"})
            assert await receivers() == [first, (NEW["url"], "disabled")]
            await caller.client.delete(f"/v1/webhook_endpoints/{id}")
            assert await receivers() == [first]

    run(story())


def test_each_endpoint_has_a_schedule_of_its_own_until_it_is_deleted() -> None:
    async def story() -> None:
        async with called(500) as caller:
            await caller.post("payment_intents", PAID)
            await caller.landed()
            made = (await caller.post("webhook_endpoints", NEW)).json()
            await caller.post("payment_intents", PAID)
            await caller.landed()
            assert sorted(gone_to(caller.sender.sent)) == ["callbacks", "callbacks", "new"]
            caller.provider.advance(timedelta(hours=1))
            await caller.landed()
            assert sorted(gone_to(caller.sender.sent[3:])) == ["callbacks", "callbacks", "new"]
            again = next(wire for wire in caller.sender.sent[3:] if wire.url.endswith("/new"))
            assert is_signed_with(made["secret"], again)
            await caller.client.delete(f"/v1/webhook_endpoints/{made['id']}")
            caller.provider.advance(timedelta(hours=2))
            await caller.landed()
            assert gone_to(caller.sender.sent[6:]) == ["callbacks", "callbacks"]

    run(story())


def test_what_one_endpoint_acknowledges_is_still_tried_at_the_other() -> None:
    async def story() -> None:
        async with called(200, 500, 200) as caller:
            await caller.post("webhook_endpoints", NEW)
            await caller.post("payment_intents", PAID)
            await caller.landed()
            caller.provider.advance(timedelta(hours=1))
            await caller.landed()
            assert len(caller.sender.sent) == 3
            assert caller.provider.deliveries.unsettled().reason is None
            assert caller.sender.sent[2].url == caller.sender.sent[1].url

    run(story())


@pytest.mark.parametrize("mood", ["reorder", "never-acknowledged", "replay", "replay-fresh-id"])
def test_a_mood_does_to_each_endpoint_what_it_does_to_one(mood: str) -> None:
    async def story() -> None:
        async with called() as caller:
            await caller.post("webhook_endpoints", NEW)
            caller.provider.put_on(make(mood, {}))
            paid = (await caller.post("payment_intents", PAID)).json()
            await caller.post("refunds", {"payment_intent": paid["id"]})
            await caller.provider.play_out(timedelta(days=9))
            await caller.landed()
            heard = {
                where: [json.loads(wire.body)["type"] for wire in caller.sender.sent if wire.url.endswith(where)]
                for where in ("/callbacks", "/new")
            }
            assert heard["/callbacks"] == heard["/new"]
            assert len(heard["/new"]) == (2 if mood == "reorder" else 8 if mood == "never-acknowledged" else 4)

    run(story())


def gone_to(wires: list[Wire]) -> list[str]:
    return [wire.url.rpartition("/")[2] for wire in wires]


def is_signed_with(key: str, wire: Wire) -> bool:
    stamp = (wire.header("stripe-signature") or b"").partition(b",")[0].removeprefix(b"t=")
    return STRIPE.stamped(wire, [key.encode()], stamp).headers == wire.headers


def test_the_endpoint_of_the_settings_cannot_be_deleted_and_can_be_disabled() -> None:
    async def story() -> None:
        async with called() as caller:
            (one,) = (await caller.get("webhook_endpoints"))["data"]
            assert (await caller.client.delete(f"/v1/webhook_endpoints/{one['id']}")).status_code == 400
            await caller.post(f"webhook_endpoints/{one['id']}", {"disabled": "true"})
            await caller.post("payment_intents", PAID)
            await caller.landed()
            assert caller.sender.sent == []
            assert len((await caller.get("events"))["data"]) == 1, "an event that nobody hears of is one"

    run(story())


def test_events_and_endpoints_outlive_the_process() -> None:
    async def story() -> None:
        async with called() as caller:
            await caller.post("webhook_endpoints", NEW)
            await caller.post("payment_intents", PAID)
            await caller.landed()
            next_life = provider_on(FakeSender(200))
            next_life.recall(caller.provider.memory())
            assert next_life.deliveries.told == caller.provider.deliveries.told
            assert [door.url for door in next_life.deliveries.doors] == ["http://127.0.0.1:9/callbacks", NEW["url"]]
            await next_life.close()

    run(story())
