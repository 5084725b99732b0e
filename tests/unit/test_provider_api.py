"""Both APIs as callers see them: status codes, bodies, and errors that help."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from provider_world import SECRET, World, run, until, world
from pydantic import ValidationError

from fake_provider.__main__ import main
from fake_provider.apis.stripe import StripeApi
from fake_provider.app import Business, create_app
from fake_provider.control import Control
from fake_provider.openapi import BODIES
from fake_provider.settings import Settings

ORDER = {
    "reference": "tu_1",
    "amount_minor": 1000,
    "currency": "EUR",
    "account": "acc_1",
    "merchant": "m",
    "method": "card",
}


class Caller:
    """A merchant with the right key, and the one who runs the experiment."""

    def __init__(self, client: httpx.AsyncClient, here: World) -> None:
        self.client = client
        self.here = here

    async def create(self, key: str = "k1", **changes: Any) -> httpx.Response:
        return await self.client.post("/v1/payments", json=ORDER | changes, headers={"Idempotency-Key": key})

    async def refund(self, payment: str, amount_minor: Any, key: str = "r1") -> httpx.Response:
        return await self.client.post(
            f"/v1/payments/{payment}/refunds", json={"amount_minor": amount_minor}, headers={"Idempotency-Key": key}
        )

    async def control(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return await self.client.post(f"/control/{path}", json=body or {})


@asynccontextmanager
async def called(*answers: int | str, body: bytes = b""):
    async with world(*answers, body=body) as here:
        transport = httpx.ASGITransport(create_app(here.provider, "secret"), raise_app_exceptions=True)
        headers = {"Authorization": "Bearer secret"}
        async with httpx.AsyncClient(transport=transport, base_url="http://provider", headers=headers) as client:
            yield Caller(client, here)


def test_a_card_is_charged_before_the_answer():
    async def story():
        async with called() as caller:
            answer = await caller.create()
            assert answer.status_code == 201
            payment = answer.json()
            assert payment.pop("id").startswith("pay_")
            assert payment == {
                "reference": "tu_1",
                "state": "captured",
                "amount_minor": 1000,
                "captured_minor": 1000,
                "refunded_minor": 0,
                "charged_back_minor": 0,
                "refunds": [],
                "disputes": [],
                "currency": "EUR",
                "ordered_currency": "EUR",
                "account": "acc_1",
                "merchant": "m",
                "environment": "chaos",
                "method": "card",
                "attempt": 1,
                "created_at": "2026-01-01T00:00:00Z",
            }
            await caller.here.landed()
            assert caller.here.events == ["payment.captured"]
            assert list(caller.here.receiver.arrivals[0].data) == [
                "payment",
                "reference",
                "amount_minor",
                "currency",
                "account",
                "merchant",
                "environment",
                "attempt",
            ]

    run(story())


@pytest.mark.parametrize(
    ("method", "state", "events"),
    [
        ("card", "captured", ["payment.captured"]),
        ("redirect", "pending", []),
        ("bad-card", "failed", ["payment.failed"]),
    ],
)
def test_each_method_comes_to_its_state(method, state, events):
    async def story():
        async with called() as caller:
            assert (await caller.create(method=method)).json()["state"] == state
            await caller.here.landed()
            assert caller.here.events == events

    run(story())


def test_the_same_key_and_body_get_the_first_answer_again():
    async def story():
        async with called() as caller:
            first, again = await caller.create(), await caller.create()
            assert (first.status_code, first.json()) == (again.status_code, again.json())
            assert "Idempotent-Replayed" not in first.headers
            assert again.headers["Idempotent-Replayed"] == "true"
            other = await caller.create(amount_minor=1001)
            assert (other.status_code, other.json()["error"]["field"]) == (422, "Idempotency-Key")

    run(story())


def test_a_request_that_is_still_running_is_a_conflict():
    async def story():
        async with called() as caller:
            await caller.control("moods", {"mood": "delay"})
            await caller.control("moods", {"mood": "answer-late"})
            first = asyncio.create_task(caller.create())
            await until(lambda: caller.here.provider.deliveries.unsettled().held == 1)
            again = await caller.create()
            assert (again.status_code, again.json()["error"]["code"]) == (409, "in_progress")
            await caller.control("release")
            assert (await first).status_code == 201
            assert (await caller.create()).headers["Idempotent-Replayed"] == "true"

    run(story())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reference", ""),
        ("reference", None),
        ("amount_minor", 0),
        ("amount_minor", -1),
        ("amount_minor", 10.0),
        ("amount_minor", True),
        ("amount_minor", "1000"),
        ("amount_minor", 2**53),
        ("currency", "eur"),
        ("currency", "EURO"),
        ("account", 7),
        ("merchant", "someone-else"),
        ("method", "cash"),
    ],
)
def test_a_wrong_field_is_named(field, value):
    async def story():
        async with called() as caller:
            answer = await caller.create(**{field: value})
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
            assert (await caller.create()).status_code == 201, "a refused request leaves its key free"

    run(story())


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_json_object_is_refused(raw):
    async def story():
        async with called() as caller:
            answer = await caller.client.post("/v1/payments", content=raw, headers={"Idempotency-Key": "k"})
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "body")

    run(story())


def test_a_huge_body_is_refused():
    async def story():
        async with called() as caller:
            answer = await caller.create(reference="x" * 70_000)
            assert answer.status_code == 413

    run(story())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}])
def test_without_the_key_nothing_is_answered(headers):
    async def story():
        async with called() as caller:
            caller.client.headers.pop("Authorization")
            for method, path in [("POST", "/v1/payments"), ("GET", "/v1/payments/pay_1"), ("GET", "/v1/payments")]:
                answer = await caller.client.request(method, path, headers=headers)
                assert (answer.status_code, answer.json()["error"]["field"]) == (401, "Authorization")

    run(story())


def test_a_payment_needs_an_idempotency_key():
    async def story():
        async with called() as caller:
            answer = await caller.client.post("/v1/payments", json=ORDER)
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Idempotency-Key")

    run(story())


def test_payments_are_found_by_id_and_by_reference():
    async def story():
        async with called() as caller:
            one, two = (await caller.create("a")).json(), (await caller.create("b")).json()
            await caller.create("c", reference="tu_2")
            assert (await caller.client.get(f"/v1/payments/{one['id']}")).json() == one
            found = await caller.client.get("/v1/payments", params={"reference": "tu_1"})
            assert found.json() == {"payments": [one, two]}
            assert (await caller.client.get("/v1/payments", params={"reference": "no"})).json() == {"payments": []}
            assert (await caller.client.get("/v1/payments/pay_no")).status_code == 404
            assert (await caller.client.get("/v1/payments")).json()["error"]["field"] == "reference"

    run(story())


def test_refunds_add_up_to_what_was_captured_and_no_further():
    async def story():
        async with called() as caller:
            payment = (await caller.create()).json()["id"]
            first = await caller.refund(payment, 400)
            assert (first.status_code, first.json()["amount_minor"]) == (201, 400)
            assert first.json()["id"].startswith("re_")
            again = await caller.refund(payment, 400)
            assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
            assert (await caller.refund(payment, 401)).status_code == 422, "the key belongs to another amount"
            assert (await caller.refund(payment, 601, "r2")).json()["error"]["field"] == "amount_minor"
            assert (await caller.refund(payment, 600, "r2")).status_code == 201
            assert (await caller.refund(payment, 1, "r3")).status_code == 422
            assert (await caller.refund("pay_no", 1, "r4")).status_code == 404
            await caller.here.landed()
            refunds = [one.data for one in caller.here.receiver.arrivals if one.event == "payment.refunded"]
            assert [one["amount_minor"] for one in refunds] == [400, 600]
            assert [one["refunded_minor"] for one in refunds] == [400, 1000], "the sum so far stands beside it"
            assert {one["captured_minor"] for one in refunds} == {1000}
            assert refunds[0]["refund"] == first.json()["id"]
            assert (await caller.client.get(f"/v1/payments/{payment}")).json()["state"] == "refunded"

    run(story())


def test_the_customer_pays_or_declines_at_the_provider():
    async def story():
        async with called() as caller:
            payment = (await caller.create(method="redirect")).json()["id"]
            assert (await caller.control(f"payments/{payment}/decline")).json()["state"] == "failed"
            too_much = await caller.control(f"payments/{payment}/pay", {"captured_minor": 1001})
            assert too_much.status_code == 422
            paid = (await caller.control(f"payments/{payment}/pay", {"captured_minor": 300})).json()
            assert (paid["state"], paid["captured_minor"], paid["attempt"]) == ("captured", 300, 2)
            again = await caller.control(f"payments/{payment}/pay")
            assert (again.status_code, again.json()["error"]["code"]) == (409, "illegal_move")
            refunded = await caller.control(f"payments/{payment}/refund", {"amount_minor": 300})
            assert refunded.json()["state"] == "refunded"
            await caller.here.landed()
            (entry,) = (await caller.client.get("/control/book")).json()["payments"]
            assert [step["state"] for step in entry["history"]] == ["pending", "failed", "captured", "refunded"]
            assert all(step["cause"] and step["at"] for step in entry["history"])

    run(story())


def test_a_dispute_is_opened_and_decided_and_all_of_it_is_told():
    async def story():
        async with called() as caller:
            payment = (await caller.create()).json()["id"]
            await caller.refund(payment, 100)
            assert (await caller.control(f"payments/{payment}/win")).status_code == 409, "no dispute is open"
            assert (await caller.control(f"payments/{payment}/dispute", {"amount_minor": 901})).status_code == 422
            opened = (await caller.control(f"payments/{payment}/dispute")).json()
            assert (opened["state"], opened["charged_back_minor"]) == ("disputed", 900)
            blocked = await caller.refund(payment, 1, "r2")
            assert (blocked.status_code, blocked.json()["error"]["code"]) == (422, "bad_amount")
            won = (await caller.control(f"payments/{payment}/win")).json()
            assert (won["state"], won["charged_back_minor"]) == ("captured", 0)
            await caller.control(f"payments/{payment}/dispute", {"amount_minor": 300})
            lost = (await caller.control(f"payments/{payment}/lose")).json()
            assert (lost["state"], lost["charged_back_minor"]) == ("captured", 300)
            assert [(one["amount_minor"], one["status"]) for one in lost["disputes"]] == [(900, "won"), (300, "lost")]

            await caller.here.landed()
            told = [one for one in caller.here.receiver.arrivals if one.event.startswith("dispute.")]
            assert sorted((one.event, one.data["amount_minor"]) for one in told) == [
                ("dispute.lost", 300),
                ("dispute.opened", 300),
                ("dispute.opened", 900),
                ("dispute.won", 900),
            ]
            assert {one.data["dispute"] for one in told} == {one["id"] for one in lost["disputes"]}
            assert {(one.data["captured_minor"], one.data["refunded_minor"]) for one in told} == {(1000, 100)}

    run(story())


def test_what_went_back_can_be_asked_for_from_any_point_on():
    async def story():
        async with called() as caller:
            one, two = [(await caller.create(key)).json()["id"] for key in "ab"]
            nothing = (await caller.client.get("/v1/reversals")).json()
            assert nothing == {"payments": [], "next": 0}
            for payment, key in ((one, "r1"), (two, "r2"), (one, "r3")):
                await caller.refund(payment, 100, key)
            all_of_it = (await caller.client.get("/v1/reversals", params={"after": 0})).json()
            assert ([each["id"] for each in all_of_it["payments"]], all_of_it["next"]) == ([one, two], 3)
            assert all_of_it["payments"][0]["refunded_minor"] == 200, "as it is now"
            rest = (await caller.client.get("/v1/reversals", params={"after": 2})).json()
            assert ([each["id"] for each in rest["payments"]], rest["next"]) == ([one], 3)
            assert (await caller.client.get("/v1/reversals", params={"after": 3})).json()["next"] == 3
            assert (await caller.client.get("/v1/reversals", params={"after": "x"})).json()["error"]["field"] == "after"

    run(story())


def test_a_refund_is_answered_as_moods_will_have_it_and_made_once():
    async def story():
        async with called() as caller:
            payment = (await caller.create()).json()["id"]
            await caller.control("moods", {"mood": "error-after-capture", "args": {}})
            assert (await caller.refund(payment, 400)).status_code == 500
            assert (await caller.refund(payment, 400)).status_code == 201
            shown = (await caller.client.get(f"/v1/payments/{payment}")).json()
            assert [one["amount_minor"] for one in shown["refunds"]] == [400]

    run(story())


def test_an_empty_body_means_nothing_special():
    async def story():
        async with called() as caller:
            payment = (await caller.create(method="redirect")).json()["id"]
            assert (await caller.client.post(f"/control/payments/{payment}/pay")).json()["state"] == "captured"

    run(story())


def test_moods_come_and_go():
    async def story():
        async with called() as caller:
            put_on = await caller.control("moods", {"mood": "duplicate", "args": {"copies": 2}})
            assert (put_on.status_code, put_on.json()) == (
                201,
                {"id": "m1", "mood": "duplicate", "args": {"copies": 2}},
            )
            await caller.create()
            shown = await caller.client.get("/control/moods/m1")
            assert shown.json() == {"id": "m1", "mood": "duplicate", "touched": 1}
            assert (await caller.client.delete("/control/moods/m1")).json()["touched"] == 1
            assert (await caller.client.delete("/control/moods/m1")).status_code == 404

    run(story())


@pytest.mark.parametrize(
    ("body", "field", "hint"),
    [
        ({"mood": "duplicte"}, "mood", "duplicate"),
        ({}, "mood", "mood"),
        ({"mood": "drop", "args": {"frist": 1}}, "args.frist", "first"),
        ({"mood": "drop", "args": {"first": "1"}}, "args.first", "whole number"),
        ({"mood": "drop", "args": [1]}, "args", "object"),
    ],
)
def test_a_mood_that_is_not_one_is_refused(body, field, hint):
    async def story():
        async with called() as caller:
            answer = await caller.control("moods", body)
            error = answer.json()["error"]
            assert (answer.status_code, error["field"]) == (400, field)
            assert hint in error["message"]

    run(story())


def test_a_forgery_waits_for_its_answer():
    async def story():
        async with called(204, 401, body=b"x" * 300) as caller:
            payment = (await caller.create()).json()["id"]
            await caller.here.landed()
            forged = await caller.control(
                "forge", {"forgery": "wrong-key", "payment": payment, "args": {"amount_minor": 5}}
            )
            assert forged.json() == {"delivery": "d2", "status": 401, "body": "x" * 200, "because": "401"}
            assert caller.here.receiver.arrivals[1].data["amount_minor"] == 5

    run(story())


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"forgery": "wrong", "payment": "{id}"}, 400, "forgery"),
        ({"forgery": "wrong-key", "payment": "pay_no"}, 404, "id"),
        ({"forgery": "wrong-key", "payment": "{id}", "args": {"amount": 1}}, 400, "args.amount"),
        ({"forgery": "wrong-key", "payment": "{id}", "args": {"amount_minor": "1"}}, 400, "amount_minor"),
        ({"forgery": "tampered-body", "payment": "{id}"}, 409, "forgery"),
    ],
)
def test_a_forgery_that_cannot_be_made_is_refused(body, status, field):
    async def story():
        async with called() as caller:
            payment = (await caller.create(method="redirect")).json()["id"]
            answer = await caller.control("forge", body | {"payment": body["payment"].format(id=payment)})
            assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)

    run(story())


def test_whether_anything_is_in_flight_is_told_once_nothing_is_or_when_the_time_for_it_is_over():
    async def story():
        async with called("hang") as caller:

            async def look(within_ms: int) -> httpx.Response:
                return await caller.client.get(f"/control/unsettled?within_ms={within_ms}")

            await caller.create()
            await until(lambda: bool(caller.here.receiver.arrivals))
            assert (await look(1)).json()["in_flight"] == 1
            waiting = asyncio.create_task(look(5000))
            assert (await look(20)).json()["in_flight"] == 1
            assert not waiting.done()
            caller.here.receiver.hang_up()
            assert (await waiting).json()["in_flight"] == 0
            assert (await look(5001)).json()["error"]["field"] == "within_ms"

    run(story())


def test_the_clock_is_moved_by_seconds_or_to_what_is_next():
    async def story():
        async with called(500) as caller:
            await caller.create()
            await caller.here.landed()
            assert (await caller.client.get("/control/unsettled")).json() == {
                "reason": "1 callback due in 5 s",
                "in_flight": 0,
                "due": 1,
                "held": 0,
                "ahead": 0,
            }
            assert (await caller.control("clock/next")).json() == {"advanced_s": 5.0, "pending": 1}
            await caller.here.landed()
            moved = await caller.control("clock/advance", {"seconds": 300})
            assert moved.json() == {"now": "2026-01-01T00:05:05Z", "due": 1}
            for wrong in (-1, "5", None, 1e12):
                answer = await caller.control("clock/advance", {"seconds": wrong})
                assert (answer.status_code, answer.json()["error"]["field"]) == (400, "seconds")

    run(story())


def test_a_schedule_is_played_out_whole_or_so_far():
    async def story():
        async with called(500) as caller:
            await caller.create()
            some = await caller.control("clock/play-out", {"within_s": 400})
            assert some.json() == {"now": "2026-01-01T00:05:05Z", "advanced_s": 305.0}
            rest = await caller.control("clock/play-out")
            assert rest.json()["now"] == "2026-01-04T03:35:05Z"
            assert len(caller.here.events) == 10
            assert (await caller.client.get("/control/unsettled")).json()["reason"] is None

    run(story())


def test_an_answer_may_point_elsewhere():
    async def story():
        async with called() as caller:
            await caller.control("moods", {"mood": "redirect"})
            answer = await caller.create()
            (payment,) = caller.here.provider.book
            assert (answer.status_code, answer.headers["location"]) == (302, f"/v1/payments/{payment.id}")

    run(story())


def test_moods_that_are_on_are_listed():
    async def story():
        async with called() as caller:
            await caller.control("moods", {"mood": "delay"})
            await caller.create()
            listed = (await caller.client.get("/control/moods")).json()
            assert listed == {"moods": [{"id": "m1", "mood": "delay", "touched": 1}]}

    run(story())


def test_a_delivery_is_shown_whole_and_sent_again():
    async def story():
        async with called(204, 500, 204, 204, 204, body=b"thanks") as caller:
            await caller.create()
            await caller.here.landed()
            shown = (await caller.client.get("/control/deliveries/d1")).json()
            (arrival,) = caller.here.receiver.arrivals
            assert shown["request"]["body"].encode() == arrival.body
            assert (
                dict(shown["request"]["headers"])["webhook-signature"].encode() == arrival.headers["webhook-signature"]
            )
            assert (shown["answer"]["status"], shown["answer"]["body"]) == (204, "")
            assert (shown["is_ack"], shown["acknowledged"]) == (True, True)
            for how in ("resend", "replay", "at-once"):
                assert (await caller.control("deliveries/d1/send", {"how": how})).status_code == 202
                await caller.here.landed()
            first, resent, replayed, *both = caller.here.receiver.arrivals
            assert resent.headers["webhook-signature"] != first.headers["webhook-signature"]
            assert (replayed.headers, replayed.body) == (first.headers, first.body)
            assert len(both) == 2
            assert {one.webhook_id for one in caller.here.receiver.arrivals} == {first.webhook_id}
            deliveries = (await caller.client.get("/control/deliveries")).json()["deliveries"]
            assert [one["mood"] for one in deliveries] == [None, *["by hand"] * 4]
            assert deliveries[1]["answer"]["body"] == "thanks"
            assert (await caller.client.get("/control/unsettled")).json()["reason"] is None

    run(story())


@pytest.mark.parametrize(
    ("delivery", "body", "status", "field"),
    [
        ("d9", {"how": "resend"}, 404, "id"),
        ("d1", {"how": "x"}, 400, "how"),
        ("d1", {"how": "at-once", "copies": 101}, 400, "copies"),
    ],
)
def test_a_delivery_that_cannot_be_sent_again_is_refused(delivery, body, status, field):
    async def story():
        async with called() as caller:
            await caller.create()
            await caller.here.landed()
            answer = await caller.control(f"deliveries/{delivery}/send", body)
            assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)

    run(story())


def test_a_forgery_is_not_sent_again():
    async def story():
        async with called() as caller:
            payment = (await caller.create()).json()["id"]
            await caller.here.landed()
            await caller.control("forge", {"forgery": "unsigned", "payment": payment})
            answer = await caller.control("deliveries/d2/send", {"how": "resend"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "hostile")

    run(story())


def test_what_is_ahead_is_listed():
    async def story():
        async with called(500) as caller:
            await caller.control("moods", {"mood": "dispute"})
            payment = (await caller.create()).json()["id"]
            await caller.here.landed()
            ahead = (await caller.client.get("/control/ahead")).json()
            assert ahead["attempts"] == [
                {"payment": payment, "what": "payment.captured, attempt 2", "due": "2026-01-01T00:00:05Z", "mood": None}
            ]
            assert ahead["deeds"] == [
                {
                    "payment": payment,
                    "what": "a dispute is opened (dispute)",
                    "due": "2026-01-01T00:01:00Z",
                    "mood": "dispute",
                }
            ]

    run(story())


def test_every_route_is_described_and_every_description_is_of_a_route():
    async def story():
        async with called() as caller:
            document = (await caller.client.get("/control/openapi.json")).json()
            described = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
            provider = caller.here.provider
            there = {(method, "/v1" + path) for method, path, _ in Business(provider).routes()}
            there |= {(method, "/control" + path) for method, path, _ in Control(provider).routes()}
            there |= {(method, "/v1" + path) for method, path, _ in StripeApi(provider, "key").endpoints()}
            assert described == there
            assert set(BODIES) <= {path for method, path in there if method == "POST"}
            assert all(each["summary"].endswith(".") for path in document["paths"].values() for each in path.values())

    run(story())


def test_what_the_description_requires_is_required():
    """Each required field left out is refused by name; with all of them the request is taken."""

    async def story():
        async with called() as caller:
            payment = (await caller.create()).json()["id"]
            await caller.here.landed()
            values = {
                "mood": "drop",
                "forgery": "unsigned",
                "payment": payment,
                "how": "resend",
                "seconds": 1,
                "overlap_s": 1,
                "amount_minor": 1,
            }
            for path, (properties, required) in BODIES.items():
                whole = {name: (ORDER | values)[name] for name in required}
                url = path.replace("{id}", "d1" if "deliveries" in path else payment)
                for missing in required:
                    less = {name: value for name, value in whole.items() if name != missing}
                    answer = await caller.client.post(url, json=less, headers={"Idempotency-Key": f"{path} {missing}"})
                    assert (answer.status_code, answer.json()["error"]["field"]) == (400, missing), path
                assert set(required) <= set(properties)
                if required:
                    answer = await caller.client.post(url, json=whole, headers={"Idempotency-Key": path})
                    assert answer.status_code < 300, (path, answer.text)

    run(story())


def test_the_inbox_believes_everything():
    async def story():
        async with called() as caller:
            assert (await caller.client.post("/inbox", content=b"anything")).status_code == 204

    run(story())


def test_the_clock_stands_still_when_nothing_is_due():
    async def story():
        async with called() as caller:
            assert (await caller.control("clock/next")).json() == {"advanced_s": 0.0, "pending": 0}

    run(story())


def test_the_journal_is_read_on_from_where_one_stopped():
    async def story():
        async with called() as caller:
            await caller.create()
            await caller.here.landed()
            first = (await caller.client.get("/control/journal")).json()
            assert first["next"] == len(first["events"]) == 4
            assert (await caller.client.get("/control/journal?after=4")).json() == {"events": [], "next": 4}
            assert (await caller.client.get("/control/journal?after=3")).json()["events"] == first["events"][3:]
            assert (await caller.client.get("/control/journal?after=-1")).json()["error"]["field"] == "after"

    run(story())


def test_held_callbacks_are_released():
    async def story():
        async with called() as caller:
            await caller.control("moods", {"mood": "delay"})
            await caller.create()
            assert (await caller.client.get("/control/unsettled")).json()["held"] == 1
            assert (await caller.control("release")).json() == {"released": 1}
            await caller.here.landed()
            assert caller.here.events == ["payment.captured"]

    run(story())


def test_an_unknown_route_is_an_error_body_too():
    async def story():
        async with called() as caller:
            answer = await caller.client.get("/control/helth")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_such_route")

    run(story())


def settings(**changes: str) -> dict[str, str]:
    ours = {
        "PROVIDER_API_KEY": "k",
        "PROVIDER_CALLBACK_URL": "http://127.0.0.1:1/cb",
        "PROVIDER_CALLBACK_SECRET": SECRET,
    }
    return ours | changes


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"PROVIDER_CALLBACK_URL": "http://example.com/"}, "callback_url"),
        ({"PROVIDER_PANEL_URL": "http://example.com/"}, "panel_url"),
        ({"PROVIDER_CALLBACK_SECRET": ""}, "callback_secret"),
        ({"PROVIDER_CALLBACK_SECRET": "whsec_"}, "callback_secret"),
        ({"PROVIDER_CALLBACK_SECRET": " "}, "callback_secret"),
        ({"PROVIDER_CALLBACK_SECRET": "sk_live"}, "callback_secret"),
        ({"PROVIDER_DIALECT": "standard-webhook"}, "dialect"),
        ({"PROVIDER_API_KEY": ""}, "api_key"),
        ({"PROVIDER_ATTEMPT_TIMEOUT_S": "0"}, "attempt_timeout_s"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, changes, names):
    for name, value in settings(**changes).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert [error["loc"][0] for error in refused.value.errors()] == [names]


def test_a_setting_that_is_wrong_is_said_in_words(monkeypatch, capsys):
    monkeypatch.setenv("PROVIDER_CALLBACK_URL", "http://example.com/")
    assert main([]) == 2
    assert "PROVIDER_CALLBACK_URL is wrong: 'http://example.com/' is not on this machine" in capsys.readouterr().err


def test_help_names_every_variable(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"PROVIDER_{name.upper()}" in shown for name in Settings.model_fields)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_until_it_is_told_to_stop_and_then_stops_at_once(stop, unused_port):
    environment = os.environ | settings(PROVIDER_PORT=str(unused_port))
    program = subprocess.Popen(
        [sys.executable, "-m", "fake_provider"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{unused_port}") as client:
            run(until(lambda: answers(client)))
            began = time.monotonic()
            program.send_signal(stop)  # the client's connection is still open
            out, err = program.communicate(timeout=5)
        assert (program.returncode, err) == (0, b"")
        assert b"as in PROVIDER_CALLBACK_SECRET" in out
        assert SECRET.encode() not in out, "what somebody gave is not shown"
        assert time.monotonic() - began < 1
    finally:
        program.kill()
        program.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/control/health").status_code == 200
    except httpx.ConnectError:
        return False


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_key_is_rotated_to_one_that_is_brought() -> None:
    async def story() -> None:
        async with called() as api:
            bad = await api.client.post("/control/keys/rotate", json={"overlap_s": 60, "key": ""})
            assert (bad.status_code, bad.json()["error"]["field"]) == (400, "key")
            bad = await api.client.post("/control/keys/rotate", json={"overlap_s": 60, "key": "whsec_"})
            assert (bad.status_code, bad.json()["error"]["field"]) == (400, "key")
            key = "whsec_" + "QUFB" * 8
            done = await api.client.post("/control/keys/rotate", json={"overlap_s": 60, "key": key})
            assert done.json() == {"receiver_key": key, "receiver_keys": [key, SECRET]}

    run(story())
