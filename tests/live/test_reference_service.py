"""The reference service in process, on a real PostgreSQL, against a provider that is a few lines of this file."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from structlog.testing import capture_logs

from reference_impl.app import build
from reference_impl.parts import Parts
from reference_impl.service import Service, World
from reference_impl.settings import Settings

KEY = b"a key of the test, 32 bytes long"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
ANN = {"X-Customer": "ann"}
KEYS = {name: f"tk_{name}_{name * 32:.40}" for name in ("till", "eve", "max")}
"""Plainly nobody's."""
TILL, EVE, MAX = ({"Authorization": f"Bearer {KEYS[name]}"} for name in KEYS)
API_KEYS = " ".join(
    f"main/{name}:{scopes}:{KEYS[name]}"
    for name, scopes in {"till": "initiate,read,reconcile", "eve": "reconcile,admin", "max": "admin"}.items()
)

Handler = Callable[[httpx.Request], Awaitable[httpx.Response]]


@dataclass
class FakeProvider:
    """Makes a pending payment for each key, and a refund for each of theirs. A test replaces `on_create` or `on_refund` to
    make it misbehave.
    """

    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    reversals: list[dict[str, Any]] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    on_create: Handler | None = None
    on_refund: Handler | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/v1/reversals":
            after = int(request.url.params["after"])
            return httpx.Response(200, json={"payments": self.reversals[after:], "next": len(self.reversals)})
        if request.url.path.endswith("/refunds"):
            if self.on_refund:
                return await self.on_refund(request)
            return httpx.Response(201, json=self.refund(request))
        if request.method == "GET":
            reference = request.url.params["reference"]
            found = [payment for payment in self.payments.values() if payment["reference"] == reference]
            return httpx.Response(200, json={"payments": found})
        if self.on_create:
            return await self.on_create(request)
        return httpx.Response(201, json=self.create(request))

    def create(self, request: httpx.Request) -> dict[str, Any]:
        intent = json.loads(request.content)
        payment = {
            "id": f"pay_{uuid4().hex}",
            "state": "failed" if intent["method"] == "bad-card" else "pending",
            "captured_minor": 0,
            "refunded_minor": 0,
            "refunds": [],
            "disputes": [],
            "environment": "test",
            **intent,
        }
        return self.payments.setdefault(request.headers["Idempotency-Key"], payment)

    def refund(self, request: httpx.Request) -> dict[str, Any]:
        key, amount_minor = request.headers["Idempotency-Key"], json.loads(request.content)["amount_minor"]
        if key not in self.refunds:
            self.refunds[key] = {"id": f"re_{uuid4().hex}", "amount_minor": amount_minor}
            payment = self.named(request.url.path.split("/")[3])
            payment["refunds"].append(self.refunds[key])
            payment["refunded_minor"] += amount_minor
            self.reversals.append(payment)
        return self.refunds[key]

    def named(self, payment: str) -> dict[str, Any]:
        return next(known for known in self.payments.values() if known["id"] == payment)

    def captured(self, payment: str) -> None:
        known = self.named(payment)
        known.update(state="captured", captured_minor=known["amount_minor"])

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.requests if request.method == "POST"]


@dataclass
class Bench:
    """A running service, and what a test does with it."""

    client: httpx.AsyncClient
    provider: FakeProvider
    service: Service
    database: "asyncpg.Connection[asyncpg.Record]"

    async def open(self, account: str = "acc", currency: str = "EUR") -> None:
        opened = await self.client.post("/v1/accounts", json={"account": account, "currency": currency}, headers=ANN)
        assert opened.status_code == 201

    async def top_up(
        self, amount_minor: int = 1000, key: str = "k1", method: str = "redirect", customer: str = "ann"
    ) -> httpx.Response:
        body = {"account": "acc", "amount_minor": amount_minor, "currency": "EUR", "method": method}
        headers = {"X-Customer": customer, "Idempotency-Key": key}
        return await self.client.post("/v1/top-ups", json=body, headers=headers)

    async def tell(
        self, top_up: dict[str, Any], kind: str = "payment.captured", webhook_id: str = "", **facts: Any
    ) -> httpx.Response:
        data = {
            "payment": top_up["payment"],
            "reference": top_up["top_up"],
            "amount_minor": top_up["amount_minor"],
            "currency": top_up["currency"],
            "account": top_up["account"],
            "merchant": "shop",
            "environment": "test",
            "attempt": 1,
        }
        body = {"type": kind, "timestamp": "2026-01-01T00:00:00Z", "data": data | facts}
        return await self.deliver(json.dumps(body).encode(), webhook_id)

    async def deliver(self, body: bytes, webhook_id: str = "") -> httpx.Response:
        webhook_id = webhook_id or f"msg_{uuid4().hex}"
        timestamp = str(int(datetime.now(UTC).timestamp()))
        digest = hmac.digest(KEY, f"{webhook_id}.{timestamp}.".encode() + body, "sha256")
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        }
        return await self.client.post("/callbacks/standard-webhooks", content=body, headers=headers)

    async def get(self, path: str, customer: str = "ann") -> Any:
        return (await self.client.get(path, headers={"X-Customer": customer})).json()

    async def balance(self) -> int:
        """The balance as told, having made sure that it is the sum of the entries, whatever is credited between the looks."""
        for _ in range(10):
            before: int = (await self.get("/v1/accounts/acc/balance"))["balance_minor"]
            entries = (await self.get("/v1/accounts/acc/entries"))["entries"]
            told: int = (await self.get("/v1/accounts/acc/balance"))["balance_minor"]
            if told == before:
                break
        assert told == sum(entry["amount_minor"] for entry in entries if entry["account"] == "acc")
        assert sum(entry["amount_minor"] for entry in entries) == 0
        return told

    async def status(self, top_up: dict[str, Any]) -> str:
        status: str = (await self.get(f"/v1/top-ups/{top_up['top_up']}"))["status"]
        return status

    async def steps(self, top_up: dict[str, Any]) -> list[str]:
        transitions = (await self.get(f"/v1/top-ups/{top_up['top_up']}/timeline"))["transitions"]
        assert [step["from"] for step in transitions] == [None, *(step["to"] for step in transitions[:-1])]
        return [step["to"] for step in transitions]

    async def kinds(self) -> list[str]:
        found = (await self.get("/v1/discrepancies?account=acc"))["discrepancies"]
        return [discrepancy["kind"] for discrepancy in found]

    async def reconcile(self) -> dict[str, int]:
        report: dict[str, int] = (await self.client.post("/admin/reconcile")).json()
        return report


CREDITED = ["Created", "Initiated", "AwaitingPayment", "CallbackReceived", "Credited"]


@asynccontextmanager
async def bench(
    url: str,
    *,
    parts: Parts | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    opened: bool = True,
    **settings: Any,
) -> AsyncIterator[Bench]:
    provider = FakeProvider()
    values: dict[str, Any] = {
        "database_url": url,
        "provider_url": "http://provider.test",
        "provider_api_key": "sk_test",
        "callback_secret": SECRET,
        "api_keys": API_KEYS,
        "merchant": "shop",
        "environment": "test",
        "outbox_every_s": 60,
        "provider_timeout_s": 0.1,
    }
    world = World(random=Random(7), monotonic=monotonic, transport=httpx.MockTransport(provider))
    app = build(Settings(**(values | settings)), parts, world)
    async with app.router.lifespan_context(app):
        database = await asyncpg.connect(url)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=TILL) as client:
            running = Bench(client, provider, app.state.service, database)
            if opened:
                await running.open()
            try:
                yield running
            finally:
                await database.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_a_captured_payment_is_credited_once_and_told_so(database_url: str) -> None:
    """The story when nothing goes wrong."""

    async def story() -> None:
        async with bench(database_url) as b:
            answer = await b.top_up()
            top_up = answer.json()
            assert answer.status_code == 201
            assert (top_up["state"], top_up["status"]) == ("AwaitingPayment", "Processing")
            assert await b.balance() == 0

            assert (await b.tell(top_up)).status_code == 204

            assert await b.balance() == 1000
            assert await b.status(top_up) == "Credit applied"
            assert await b.steps(top_up) == CREDITED
            assert await b.kinds() == []

    run(story())


def test_the_same_callback_many_times_at_once_credits_once(database_url: str) -> None:
    """Identical deliveries race for one claim; all are acknowledged."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            answers = await asyncio.gather(*(b.tell(top_up, webhook_id="msg_one") for _ in range(20)))
            assert {answer.status_code for answer in answers} == {204}
            assert await b.balance() == 1000

    run(story())


def test_the_same_payment_under_many_delivery_ids_credits_once(database_url: str) -> None:
    """What is claimed is the payment's effect, not the delivery."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            answers = await asyncio.gather(*(b.tell(top_up) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {204}
            assert await b.balance() == 1000
            assert await b.steps(top_up) == CREDITED

    run(story())


def test_concurrent_top_ups_of_one_account_lose_no_update(database_url: str) -> None:
    """The balance is moved where it lies."""

    async def story() -> None:
        async with bench(database_url) as b:
            answers = await asyncio.gather(*(b.top_up(2**n, key=f"k{n}") for n in range(10)))
            await asyncio.gather(*(b.tell(answer.json()) for answer in answers))
            assert await b.balance() == 2**10 - 1

    run(story())


def test_one_key_has_one_answer(database_url: str) -> None:
    """Same request: the first answer again. Another request: a conflict. Another customer: another key."""

    async def story() -> None:
        async with bench(database_url) as b:
            first = await b.top_up()
            await b.tell(first.json())
            again = await b.top_up()
            assert (again.status_code, again.json()) == (first.status_code, first.json())
            assert again.headers["Idempotent-Replayed"] == "true"
            assert "Idempotent-Replayed" not in first.headers

            assert (await b.top_up(amount_minor=2000)).status_code == 422
            assert len(b.provider.keys) == 1

            other = await b.client.post(
                "/v1/accounts", json={"account": "bob", "currency": "EUR"}, headers={"X-Customer": "bob"}
            )
            assert other.status_code == 201
            body = {"account": "bob", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}
            theirs = await b.client.post(
                "/v1/top-ups", json=body, headers={"X-Customer": "bob", "Idempotency-Key": "k1"}
            )
            assert theirs.status_code == 201
            assert theirs.json()["top_up"] != first.json()["top_up"]

    run(story())


def test_of_many_requests_at_once_under_one_key_one_is_served(database_url: str) -> None:
    """The others are told that it is in progress, and when to come back."""

    async def story() -> None:
        async with bench(database_url, provider_timeout_s=5) as b:
            release = asyncio.Event()

            async def wait(request: httpx.Request) -> httpx.Response:
                await release.wait()
                return httpx.Response(201, json=b.provider.create(request))

            b.provider.on_create = wait
            requests = [asyncio.create_task(b.top_up()) for _ in range(8)]
            done: set[asyncio.Task[httpx.Response]] = set()
            while len(done) < 7:
                done, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED, timeout=5)
                requests = [task for task in requests if task not in done] + list(done)
            release.set()
            answers = [await task for task in requests]
            assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
            busy = next(answer for answer in answers if answer.status_code == 409)
            assert busy.json()["error"]["code"] == "in_progress"
            assert busy.headers["Retry-After"] == "2"
            assert len(b.provider.keys) == 1

    run(story())


def test_a_key_whose_holder_died_is_resumed_after_its_lease(database_url: str) -> None:
    """The same top-up and the same provider key, so the customer pays once."""

    async def story() -> None:
        async with bench(database_url, key_lease_s=0.05, provider_timeout_s=5) as b:
            reached = asyncio.Event()

            async def never(request: httpx.Request) -> httpx.Response:
                b.provider.create(request)
                reached.set()
                return await asyncio.Future[httpx.Response]()

            b.provider.on_create = never
            dying = asyncio.create_task(b.top_up())
            await reached.wait()
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            b.provider.on_create = None

            answer = await b.top_up()
            while answer.status_code == 409:
                answer = await b.top_up()
            assert answer.status_code == 201
            assert len(set(b.provider.keys)) == 1
            assert len(b.provider.payments) == 1
            assert await b.database.fetchval("SELECT count(*) FROM top_ups") == 1

    run(story())


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount_minor", 600), ("currency", "USD"), ("account", "other"), ("merchant", "other"), ("environment", "live")],
)
def test_a_callback_that_does_not_match_the_intent_credits_nothing(database_url: str, field: str, value: Any) -> None:
    """It is acknowledged and written down, once; the true report is still honoured afterwards."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            answers = [await b.tell(top_up, **{field: value}) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [204, 204]
            assert await b.balance() == 0
            assert await b.kinds() == [field]
            assert await b.status(top_up) == "Processing"

            await b.tell(top_up)
            assert await b.balance() == 1000

    run(story())


def test_a_callback_about_an_unknown_top_up_is_written_down(database_url: str) -> None:
    """And acknowledged: the provider can do no more about it."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            assert (await b.tell(top_up | {"top_up": "tu_nobody"})).status_code == 204
            assert await b.kinds() == ["unknown reference"]
            assert await b.balance() == 0

    run(story())


def test_a_callback_that_is_faster_than_the_answer_is_applied(database_url: str) -> None:
    """The top-up is there before the provider is asked, and what the callback did is not undone by the answer."""

    async def story() -> None:
        async with bench(database_url, provider_timeout_s=5) as b:

            async def call_back_first(request: httpx.Request) -> httpx.Response:
                payment = b.provider.create(request)
                told = await b.tell(payment | {"payment": payment["id"], "top_up": payment["reference"]})
                assert told.status_code == 204
                return httpx.Response(201, json=payment)

            b.provider.on_create = call_back_first
            answer = await b.top_up()
            assert (answer.status_code, answer.json()["status"]) == (201, "Credit applied")
            assert await b.balance() == 1000
            assert await b.steps(answer.json()) == CREDITED

    run(story())


def test_a_late_failure_does_not_undo_a_credit(database_url: str) -> None:
    """No way leads from Credited to Failed."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.tell(top_up)
            assert (await b.tell(top_up, "payment.failed")).status_code == 204
            assert await b.status(top_up) == "Credit applied"
            assert await b.balance() == 1000

    run(story())


def test_a_failure_and_a_success_at_once_are_taken_one_after_the_other(database_url: str) -> None:
    """Whichever comes first, the money counts, and the record is one way without forks."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_ups = [(await b.top_up(key=f"k{n}")).json() for n in range(8)]
            kinds = ("payment.failed", "payment.captured")
            await asyncio.gather(*(b.tell(top_up, kind) for top_up in top_ups for kind in kinds))
            assert await b.balance() == 8000
            for top_up in top_ups:
                assert await b.status(top_up) == "Credit applied"
                assert (await b.steps(top_up))[-1] == "Credited"

    run(story())


def test_a_success_after_a_failure_is_honoured(database_url: str) -> None:
    """The money was taken after all."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.tell(top_up, "payment.failed")
            assert await b.status(top_up) == "Payment failed"
            await b.tell(top_up)
            assert await b.balance() == 1000
            assert await b.steps(top_up) == [*CREDITED[:3], "Failed", "CallbackReceived", "Credited"]

    run(story())


def test_a_second_payment_of_one_top_up_is_credited_and_written_down(database_url: str) -> None:
    """Money was taken twice; keeping it silently would be the worse mistake."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.tell(top_up)
            await b.tell(top_up | {"payment": "pay_second"})
            assert await b.balance() == 2000
            assert await b.kinds() == ["second payment"]

    run(story())


def test_a_declined_card_is_told_as_such(database_url: str) -> None:
    """402, and again 402 for the same key."""

    async def story() -> None:
        async with bench(database_url) as b:
            answers = [await b.top_up(method="bad-card") for _ in range(2)]
            assert [answer.status_code for answer in answers] == [402, 402]
            assert answers[0].json()["status"] == "Payment failed"

    run(story())


def test_a_request_that_the_provider_refuses_is_our_fault(database_url: str) -> None:
    """502, nothing taken, the top-up is over."""

    async def story() -> None:
        async with bench(database_url) as b:

            async def refuse(_request: httpx.Request) -> httpx.Response:
                return httpx.Response(400, json={"error": {"code": "invalid"}})

            b.provider.on_create = refuse
            assert (await b.top_up()).status_code == 502
            assert await b.database.fetchval("SELECT state FROM top_ups") == "Failed"

    run(story())


def test_an_unknown_outcome_is_processing_until_reconciled(database_url: str) -> None:
    """The provider charged and never answered: asked later, it says so, and there is one charge and one credit."""

    async def story() -> None:
        async with bench(database_url) as b:

            async def charge_and_break(request: httpx.Request) -> httpx.Response:
                b.provider.captured(b.provider.create(request)["id"])
                return httpx.Response(500)

            b.provider.on_create = charge_and_break
            answer = await b.top_up()
            assert answer.status_code == 202
            assert (answer.json()["payment"], answer.json()["status"]) == (None, "Processing")
            assert len(b.provider.keys) == 3
            assert len(set(b.provider.keys)) == 1

            report = await b.reconcile()
            assert report == {"asked": 1, "credited": 1, "failed": 0, "open": 0, "discrepancies": 0, "reversals": 0}
            assert await b.balance() == 1000
            assert await b.steps(answer.json()) == CREDITED
            assert (await b.reconcile())["asked"] == 0
            again = await b.top_up()
            assert (again.status_code, again.json()) == (202, answer.json())

    run(story())


def test_reconciliation_completes_an_initiation_that_never_got_through(database_url: str) -> None:
    """The provider knows nothing of it, so it is asked for it, under the same key."""

    async def story() -> None:
        async with bench(database_url) as b:

            async def unreachable(request: httpx.Request) -> httpx.Response:
                raise httpx.ConnectError("refused", request=request)

            b.provider.on_create = unreachable
            top_up = (await b.top_up()).json()
            b.provider.on_create = None
            assert (await b.reconcile())["open"] == 1
            assert await b.steps(top_up) == CREDITED[:3]
            assert len(set(b.provider.keys)) == 1

            [payment] = b.provider.payments.values()
            b.provider.captured(payment["id"])
            assert (await b.reconcile())["credited"] == 1
            assert await b.balance() == 1000

    run(story())


def test_reconciliation_counts_where_those_are_that_were_due(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            paid, failed, _open = [(await b.top_up(key=f"k{n}")).json()["payment"] for n in range(3)]
            b.provider.captured(paid)
            b.provider.named(failed)["state"] = "failed"
            report = await b.reconcile()
            assert {word: report[word] for word in ("asked", "credited", "failed", "open")} == {
                "asked": 3,
                "credited": 1,
                "failed": 1,
                "open": 1,
            }

    run(story())


@pytest.mark.parametrize(("days", "balance_minor"), [(29, 1000), (31, 0)])
def test_a_failed_payment_is_asked_about_for_thirty_days(database_url: str, days: int, balance_minor: int) -> None:
    """The customer may have tried again at the provider, whose callback was lost."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.tell(top_up, "payment.failed")
            b.provider.captured(top_up["payment"])
            b.service.reconciler.now = lambda: datetime.now(UTC) + timedelta(days=days)
            assert (await b.reconcile())["asked"] == (1 if balance_minor else 0)
            assert await b.balance() == balance_minor

    run(story())


def test_reconciliation_beside_callbacks_credits_once(database_url: str) -> None:
    """Both go through the same claim."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_ups = [(await b.top_up(2**n, key=f"k{n}")).json() for n in range(6)]
            for top_up in top_ups:
                b.provider.captured(top_up["payment"])
            await asyncio.gather(*(b.reconcile() for _ in range(3)), *(b.tell(top_up) for top_up in top_ups))
            assert await b.balance() == 2**6 - 1

    run(story())


def test_one_top_up_that_cannot_be_settled_does_not_stop_the_others(database_url: str) -> None:
    """It stays open and is asked about again."""

    async def story() -> None:
        async with bench(database_url) as b:
            first, second = [(await b.top_up(key=key)).json() for key in ("k1", "k2")]
            b.provider.captured(first["payment"])
            b.provider.captured(second["payment"])
            for payment in b.provider.payments.values():
                if payment["id"] == first["payment"]:
                    payment["state"] = None
            report = await b.reconcile()
            assert (report["credited"], report["open"]) == (1, 1)
            assert await b.status(second) == "Credit applied"

    run(story())


def test_the_same_delivery_id_with_other_bytes_is_refused(database_url: str) -> None:
    """And what it claimed is undone with it."""

    async def story() -> None:
        async with bench(database_url) as b:
            first, second = [(await b.top_up(key=key)).json() for key in ("k1", "k2")]
            assert (await b.tell(first, webhook_id="msg_1")).status_code == 204
            assert (await b.tell(second, webhook_id="msg_1")).status_code == 400
            assert await b.balance() == 1000
            assert (await b.tell(second, webhook_id="msg_2")).status_code == 204
            assert await b.balance() == 2000

    run(story())


@pytest.mark.parametrize("table", ["entries", "postings", "transitions", "claims", "callbacks"])
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
def test_the_database_refuses_to_rewrite_history(database_url: str, table: str, statement: str) -> None:
    """Whoever asks: these tables only grow."""
    column = {"entries": "amount_minor", "postings": "payment", "transitions": "at"}.get(table, "payment")

    async def story() -> None:
        async with bench(database_url) as b:
            await b.tell((await b.top_up()).json())
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await b.database.execute(statement.format(table, column))

    run(story())


@pytest.mark.parametrize(
    ("legs", "error"),
    [
        ([("acc", 5, "EUR"), ("provider-clearing:EUR", -4, "EUR")], asyncpg.CheckViolationError),
        ([("acc", 5, "EUR")], asyncpg.CheckViolationError),
        ([], asyncpg.CheckViolationError),
        ([("acc", 5, "EUR"), ("provider-clearing:USD", -5, "USD")], asyncpg.CheckViolationError),
        ([("acc", 0, "EUR"), ("provider-clearing:EUR", 0, "EUR")], asyncpg.CheckViolationError),
        ([("acc", 5, "USD"), ("provider-clearing:USD", -5, "USD")], asyncpg.ForeignKeyViolationError),
    ],
)
def test_the_database_refuses_a_posting_that_does_not_balance(
    database_url: str, legs: list[tuple[str, int, str]], error: type[Exception]
) -> None:
    """At the commit, per currency, and never in another currency than the account's."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()["top_up"]
            with pytest.raises(error):
                async with b.database.transaction():
                    await b.database.execute(
                        "INSERT INTO postings VALUES ('post_x', $1, 'pay_x', 'credit', now())", top_up
                    )
                    for account, amount_minor, currency in legs:
                        await b.database.execute(
                            """INSERT INTO entries (posting, account, amount_minor, currency)
                               VALUES ('post_x', $1, $2, $3)""",
                            account,
                            amount_minor,
                            currency,
                        )
            assert await b.database.fetchval("SELECT count(*) FROM postings") == 0

    run(story())


def test_an_entry_cannot_be_slipped_under_an_old_posting(database_url: str) -> None:
    """A posting balances for ever, not only when it is made."""

    async def story() -> None:
        async with bench(database_url) as b:
            await b.tell((await b.top_up()).json())
            with pytest.raises(asyncpg.CheckViolationError):
                await b.database.execute(
                    """INSERT INTO entries (posting, account, amount_minor, currency)
                       SELECT posting, 'acc', 1, 'EUR' FROM postings"""
                )

    run(story())


def test_a_browser_that_comes_back_changes_nothing_and_sees_the_ledgers_word(database_url: str) -> None:
    """Whatever the query says: a success before the payment, a failure after it."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up(method="redirect")).json()
            path = f"/v1/top-ups/{top_up['top_up']}/return"
            for query in ("", "?status=success", f"?status=success&payment={top_up['payment']}&status=paid"):
                assert (await b.get(path + query))["status"] == "Processing", query
            assert await b.database.fetchval("SELECT count(*) FROM postings") == 0
            await b.tell(top_up)
            assert (await b.get(path + "?status=failed"))["status"] == "Credit applied"
            assert await b.database.fetchval("SELECT count(*) FROM postings") == 1

    run(story())


def test_other_customers_see_nothing(database_url: str) -> None:
    """Somebody else's account and top-up look as if they were not there."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            paths = [
                f"/v1/top-ups/{top_up['top_up']}",
                f"/v1/top-ups/{top_up['top_up']}/return?status=success",
                f"/v1/top-ups/{top_up['top_up']}/timeline",
                "/v1/accounts/acc/balance",
                "/v1/accounts/acc/entries",
                "/v1/discrepancies?account=acc",
                "/v1/top-ups/%00",
            ]
            for path in paths:
                assert (await b.client.get(path, headers={"X-Customer": "bob"})).status_code == 404, path
            assert (await b.top_up(key="theirs", customer="bob")).status_code == 404
            assert (await b.client.get(paths[0])).status_code == 400

    run(story())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": 1.5}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": "1000"}, "amount_minor"),
        ({"currency": "XXX"}, "currency"),
        ({"account": "é"}, "account"),
    ],
)
def test_a_malformed_request_names_the_field(database_url: str, change: dict[str, Any], field: str) -> None:
    """400, before anything is stored."""

    async def story() -> None:
        async with bench(database_url) as b:
            body = {"account": "acc", "amount_minor": 1000, "currency": "EUR", "method": "card"} | change
            answer = await b.client.post("/v1/top-ups", json=body, headers=ANN | {"Idempotency-Key": "k"})
            assert answer.status_code == 400
            assert answer.json()["error"]["field"] == field
            assert await b.database.fetchval("SELECT count(*) FROM idempotency_keys") == 0
            assert (await b.client.post("/v1/top-ups", json=body, headers=ANN)).status_code == 400

    run(story())


def test_a_notification_that_fails_touches_no_credit_and_is_not_repeated(database_url: str) -> None:
    """Marked before it is sent."""

    async def story() -> None:
        async with bench(database_url, notify_url="http://127.0.0.1:1/") as b:
            await b.tell((await b.top_up()).json())
            assert await b.service.outbox.flush() == 1
            assert await b.service.outbox.flush() == 0
            assert await b.balance() == 1000

    run(story())


def test_one_correlation_id_runs_from_the_request_to_the_callback(database_url: str) -> None:
    """Through the provider and back, and it is in the answer to the callback."""

    async def story() -> None:
        async with bench(database_url) as b:
            body = {"account": "acc", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}
            headers = ANN | {"Idempotency-Key": "k1", "X-Correlation-Id": "cor_of_the_test"}
            answer = await b.client.post("/v1/top-ups", json=body, headers=headers)
            assert answer.headers["X-Correlation-Id"] == "cor_of_the_test"
            assert b.provider.requests[0].headers["X-Correlation-Id"] == "cor_of_the_test"
            assert (await b.tell(answer.json())).headers["X-Correlation-Id"] == "cor_of_the_test"

    run(story())


def test_what_happened_is_counted(database_url: str) -> None:
    """Outcomes, duplicates, refusals, conflicts, discrepancies; the database being away is told apart from all of them."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.top_up()
            await b.top_up(amount_minor=2000)
            await b.tell(top_up, currency="USD")
            await b.tell(top_up)
            await b.tell(top_up)
            await b.client.post("/callbacks/standard-webhooks", content=b"{}")
            await b.reconcile()
            await b.database.execute("ALTER TABLE claims RENAME TO gone")
            await b.tell(top_up)
            shown = (await b.client.get("/metrics")).text.splitlines()
            for line in (
                'topup_events_total{cause="callback",outcome="credited"} 1.0',
                'topup_events_total{cause="callback",outcome="duplicate"} 1.0',
                'topup_events_total{cause="callback",outcome="set aside"} 1.0',
                'topup_callbacks_refused_total{reason="webhook-timestamp is missing"} 1.0',
                "topup_callbacks_not_stored_total 1.0",
                'topup_keys_total{decision="go"} 1.0',
                'topup_keys_total{decision="replay"} 1.0',
                'topup_keys_total{decision="conflict"} 1.0',
                'topup_discrepancies_total{kind="currency"} 1.0',
                'topup_provider_answers_total{fate="accepted"} 1.0',
                'topup_reconciliations_total{outcome="done"} 1.0',
                "topup_ledger_seconds_count 2.0",
            ):
                assert line in shown

    run(story())


def test_without_a_database_nothing_is_acknowledged(database_url: str) -> None:
    """503, so that the provider asks again; when the database is back, the pool recovers by itself."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            name = await b.database.fetchval("SELECT current_database()")
            admin = await asyncpg.connect(database_url.rpartition("/")[0] + "/postgres")
            await b.database.close()
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            with capture_logs():
                answers = [await b.tell(top_up), await b.client.get("/v1/accounts/acc/balance", headers=ANN)]
            assert [answer.status_code for answer in answers] == [503, 503]

            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await admin.close()
            assert (await b.tell(top_up)).status_code == 204
            assert await b.balance() == 1000

    run(story())


def test_hostile_callbacks_are_refused_without_an_error(database_url: str) -> None:
    """Unsigned: 401. Signed but malformed: 400. Too large: 413. Of a type we do not know: acknowledged."""

    async def story() -> None:
        async with bench(database_url) as b:
            path = "/callbacks/standard-webhooks"
            assert (await b.client.post(path, content=b"{}")).status_code == 401
            assert (await b.deliver(b"[" * 60_000)).status_code == 400
            assert (await b.deliver(b"\xff")).status_code == 400
            assert (await b.client.post(path, content=b" " * 70_000)).status_code == 413
            assert (await b.deliver(b'{"type":"payment.dreamt","data":{}}')).status_code == 204
            assert await b.database.fetchval("SELECT count(*) FROM claims") == 0

    run(story())


def test_a_migration_that_was_rewritten_is_refused(database_url: str) -> None:
    """Applied twice it does nothing; changed afterwards it stops the start."""

    async def story() -> None:
        async with bench(database_url) as b:
            await b.database.execute("UPDATE migrations SET sha256 = 'x' WHERE name = '0001_ledger.sql'")
        with pytest.raises(RuntimeError, match=r"0001_ledger\.sql has changed"):
            async with bench(database_url):
                pass

    run(story())
