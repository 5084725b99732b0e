"""The reference service when something that it needs is not to be had: what it does then, and that nothing is forgotten."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from structlog.testing import capture_logs
from test_reference_service import ANN, EVE, Bench, bench, run

from reference_impl import database
from reference_impl.database import acting_for

pytestmark = pytest.mark.stack


async def full(b: Bench, stack: AsyncExitStack, requests: int) -> list[asyncio.Task[httpx.Response]]:
    """So many initiations that wait for the provider, until *stack* is closed."""
    asked, release = asyncio.Semaphore(0), asyncio.Event()

    async def wait(request: httpx.Request) -> httpx.Response:
        asked.release()
        await release.wait()
        return httpx.Response(201, json=b.provider.create(request))

    b.provider.on_create = wait
    tasks = [asyncio.create_task(b.top_up(key=f"full-{number}")) for number in range(requests)]
    stack.callback(release.set)
    for _ in tasks:
        await asyncio.wait_for(asked.acquire(), 5)
    return tasks


def test_whom_there_is_no_room_for_is_turned_away_before_anything_is_done(database_url: str) -> None:
    """At once, and told when to come again; then the same key is served as if for the first time."""

    async def story() -> None:
        async with bench(database_url, customers_max=2, provider_timeout_s=5) as b:
            async with AsyncExitStack() as stack:
                inside = await full(b, stack, 2)
                away = await asyncio.gather(*(b.top_up(key=f"late-{number}") for number in range(3)))
                assert [(each.status_code, each.headers["Retry-After"]) for each in away] == [(503, "1")] * 3
                assert {each.json()["error"]["code"] for each in away} == {"busy"}
                assert await b.database.fetchval("SELECT count(*) FROM idempotency_keys") == 2
                shown = (await b.client.get("/metrics")).text
                assert 'topup_turned_away_total{compartment="customers"} 3.0' in shown
            assert [(await task).status_code for task in inside] == [201, 201]
            assert (await b.top_up(key="late-0")).status_code == 201

    run(story())


def test_a_flood_of_customers_keeps_out_neither_callbacks_nor_operators(database_url: str) -> None:
    """Those who have paid are credited, and the flood can be looked at."""

    async def story() -> None:
        async with bench(database_url, customers_max=2, provider_timeout_s=5) as b:
            top_up = (await b.top_up()).json()
            async with AsyncExitStack() as stack:
                inside = await full(b, stack, 2)
                assert (await b.client.get("/v1/accounts/acc/balance", headers=ANN)).status_code == 503
                assert (await b.tell(top_up)).status_code == 204
                assert (await b.client.get("/admin/findings", headers=EVE)).status_code == 200
                assert (await b.client.get("/healthz")).status_code == 200
            await asyncio.gather(*inside)
            assert await b.balance() == 1000

    run(story())


def test_callbacks_that_there_is_no_room_for_are_not_acknowledged(database_url: str) -> None:
    """Nothing is kept of them, so the provider must send them again; customers are served meanwhile."""

    async def story() -> None:
        async with bench(database_url, callbacks_max=1) as b:
            top_up = (await b.top_up()).json()
            async with b.database.transaction():
                await b.database.execute("LOCK TABLE claims IN EXCLUSIVE MODE")
                inside = asyncio.create_task(b.tell(top_up, webhook_id="msg_1"))
                async with asyncio.timeout(5):
                    while not await b.database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - it raises no event here
                        await asyncio.sleep(0.005)
                assert (await b.tell(top_up, webhook_id="msg_2")).status_code == 503
                assert await b.status(top_up) == "Processing"
            assert (await inside).status_code == 204
            assert (await b.tell(top_up, webhook_id="msg_2")).status_code == 204
            assert await b.balance() == 1000

    run(story())


def test_customers_wait_for_a_connection_for_so_long_and_callbacks_for_none_of_theirs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits too long is told so; a callback does not wait with them."""

    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            async with AsyncExitStack() as stack:
                with acting_for("main"):
                    for _ in range(8):
                        await stack.enter_async_context(b.service.database.connection())
                with monkeypatch.context() as patch:
                    patch.setattr(database, "_WAIT_S", 0.05)
                    assert (await b.client.get("/v1/accounts/acc/balance", headers=ANN)).status_code == 503
                assert (await b.tell(top_up)).status_code == 204
            assert await b.balance() == 1000

    run(story())


def test_with_the_circuit_open_what_is_asked_for_is_stored(database_url: str) -> None:
    """202 and Processing without asking the provider; reconciliation has it paid when the provider is well again."""

    async def story() -> None:
        async with bench(database_url, breaker_failures=3, breaker_open_s=60) as b:

            async def fail(request: httpx.Request) -> httpx.Response:
                return httpx.Response(500)

            b.provider.on_create = fail
            with capture_logs():
                assert (await b.top_up(key="first")).status_code == 202
                assert len(b.provider.keys) == 3
                while_open = await b.top_up(key="second")
            assert (while_open.status_code, while_open.json()["status"]) == (202, "Processing")
            assert len(b.provider.keys) == 3
            assert await b.steps(while_open.json()) == ["Created", "Initiated"]

            b.provider.on_create = None
            assert (await b.reconcile())["open"] == 2
            assert len(b.provider.keys) == 3
            b.service.initiation.provider.breaker.open_s = 0
            await b.reconcile()
            await b.reconcile()
            assert await b.steps(while_open.json()) == ["Created", "Initiated", "AwaitingPayment"]
            assert len(b.provider.payments) == 2

    run(story())
