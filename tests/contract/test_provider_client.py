"""The provider client, against every way in which the provider can answer or fail to."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import httpx
import pytest
import respx

from reference_impl.breaker import CircuitBreaker, CircuitOpen
from reference_impl.logs import correlate
from reference_impl.metrics import Metrics
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import (
    Declined,
    Fate,
    MoneyBack,
    NotReached,
    OutcomeUnknown,
    Page,
    Payment,
    ProviderRefused,
)
from reference_impl.topups import TopUp

T = TypeVar("T")

URL = "http://provider.test"
ATTEMPTS = 3
TOP_UP = TopUp(
    top_up="tu_1",
    customer="ann",
    account="acc",
    amount_minor=1000,
    currency="EUR",
    method="card",
    merchant="shop",
    environment="test",
    state="Initiated",
    payment=None,
    correlation="cor_of_the_test",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
PAYMENT: dict[str, Any] = {
    "id": "pay_1",
    "reference": "tu_1",
    "state": "captured",
    "amount_minor": 1000,
    "captured_minor": 1000,
    "refunded_minor": 0,
    "charged_back_minor": 0,
    "refunds": [],
    "disputes": [],
    "currency": "EUR",
    "account": "acc",
    "merchant": "shop",
    "environment": "test",
    "method": "card",
    "attempt": 1,
    "created_at": "2026-01-01T00:00:00Z",
}


def closed() -> CircuitBreaker:
    """A circuit that nothing in these tests opens."""
    return CircuitBreaker(time.monotonic, failures_max=10**6, open_s=1, metrics=Metrics())


class Impatient(ProviderClient):
    """The client, with no pause worth waiting for."""

    PAUSE_S = 0.0001


def create(timeout_s: float = 1.0) -> Payment:
    return asyncio.run(_with_client(lambda client: client.create(TOP_UP), timeout_s))


def query(timeout_s: float = 1.0) -> list[Payment]:
    return asyncio.run(_with_client(lambda client: client.payments_for("tu_1"), timeout_s))


async def _with_client(ask: Callable[[ProviderClient], Awaitable[T]], timeout_s: float) -> T:
    correlate(TOP_UP.correlation)
    async with httpx.AsyncClient(base_url=URL, headers={"Authorization": "Bearer sk"}) as http:
        return await ask(Impatient(http, timeout_s, ATTEMPTS, Random(7), closed()))


def keys(route: respx.Route) -> list[str]:
    return [call.request.headers["Idempotency-Key"] for call in route.calls]


@respx.mock(base_url=URL)
def test_a_payment_is_asked_for_as_the_contract_says(respx_mock: respx.MockRouter) -> None:
    """The stored intent, our key, who we are and the correlation id."""
    route = respx_mock.post("/v1/payments").respond(201, json=PAYMENT)
    assert create() == Payment(
        id="pay_1",
        reference="tu_1",
        state="captured",
        amount_minor=1000,
        captured_minor=1000,
        currency="EUR",
        account="acc",
        merchant="shop",
        environment="test",
        refunded_minor=0,
        refunds=(),
        disputes=(),
    )
    request = route.calls.last.request
    assert json.loads(request.content) == {
        "reference": "tu_1",
        "amount_minor": 1000,
        "currency": "EUR",
        "account": "acc",
        "merchant": "shop",
        "method": "card",
    }
    assert request.headers["Authorization"] == "Bearer sk"
    assert request.headers["X-Correlation-Id"] == "cor_of_the_test"
    assert keys(route) == ["top-up-tu_1"]


UNKNOWN = [300, 302, 408, 409, 425, 429, 500, 501, 502, 503, 504, 599, 204]


@pytest.mark.parametrize("status", UNKNOWN)
@respx.mock(base_url=URL)
def test_an_answer_that_decides_nothing_is_asked_again_under_one_key(respx_mock: respx.MockRouter, status: int) -> None:
    """A bounded number of times; then the outcome is unknown."""
    route = respx_mock.post("/v1/payments").respond(status)
    with pytest.raises(OutcomeUnknown):
        create()
    assert keys(route) == ["top-up-tu_1"] * ATTEMPTS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 422, 451])
@respx.mock(base_url=URL)
def test_a_refusal_is_final(respx_mock: respx.MockRouter, status: int) -> None:
    """Asking the same again would change nothing."""
    route = respx_mock.post("/v1/payments").respond(status)
    with pytest.raises(ProviderRefused, match=str(status)):
        create()
    assert len(route.calls) == 1


@respx.mock(base_url=URL)
def test_a_decline_is_final(respx_mock: respx.MockRouter) -> None:
    """402 is the provider's no to the customer, not to us."""
    route = respx_mock.post("/v1/payments").respond(402)
    with pytest.raises(Declined):
        create()
    assert len(route.calls) == 1


SILENCE = [
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
    httpx.DecodingError,
]


@pytest.mark.parametrize("error", SILENCE)
@respx.mock(base_url=URL)
def test_silence_is_no_decline(respx_mock: respx.MockRouter, error: type[Exception]) -> None:
    """Whatever became of the connection, the money may have been taken."""
    route = respx_mock.post("/v1/payments").mock(side_effect=error)
    with pytest.raises(OutcomeUnknown) as unknown:
        create()
    assert not isinstance(unknown.value, NotReached)
    assert keys(route) == ["top-up-tu_1"] * ATTEMPTS


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
@respx.mock(base_url=URL)
def test_a_provider_that_is_not_reached_is_known_not_to_have_done_it(
    respx_mock: respx.MockRouter, error: type[Exception]
) -> None:
    """Tried again all the same, and no oftener."""
    route = respx_mock.post("/v1/payments").mock(side_effect=error)
    with pytest.raises(NotReached):
        create()
    assert len(route.calls) == ATTEMPTS


GARBAGE = [
    b"",
    b"<html>",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"[" * 100_000,
    *(json.dumps(PAYMENT | change).encode() for change in ({"id": None}, {"amount_minor": "1000"}, {"state": True})),
    *(json.dumps({**PAYMENT, "captured_minor": value}).encode() for value in (1.5, True, None)),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@respx.mock(base_url=URL)
def test_a_success_that_cannot_be_read_is_none(respx_mock: respx.MockRouter, garbage: bytes) -> None:
    """Something was done, nobody knows what: asked again under the same key."""
    route = respx_mock.post("/v1/payments").respond(201, content=garbage)
    with pytest.raises(OutcomeUnknown):
        create()
    assert keys(route) == ["top-up-tu_1"] * ATTEMPTS


@respx.mock(base_url=URL, assert_all_called=False)  # a call that is cancelled is not counted as one
def test_an_attempt_that_does_not_end_is_ended(respx_mock: respx.MockRouter) -> None:
    """The bound is on the attempt as a whole, not on each read of it."""
    seen: list[str] = []

    async def for_ever(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Idempotency-Key"])
        return await asyncio.Future[httpx.Response]()

    respx_mock.post("/v1/payments").mock(side_effect=for_ever)
    with pytest.raises(OutcomeUnknown):
        create(timeout_s=0.01)
    assert seen == ["top-up-tu_1"] * ATTEMPTS


@pytest.mark.parametrize("first", [httpx.Response(500), httpx.ReadTimeout, httpx.Response(201, content=b"?")])
@respx.mock(base_url=URL)
def test_the_answer_to_a_repetition_counts(respx_mock: respx.MockRouter, first: Any) -> None:
    """That is what the key is for."""
    route = respx_mock.post("/v1/payments").mock(side_effect=[first, httpx.Response(200, json=PAYMENT)])
    assert create().id == "pay_1"
    assert len(set(keys(route))) == 1


@pytest.mark.parametrize("no", [400, 402])
@respx.mock(base_url=URL)
def test_a_no_does_not_undo_the_doubt_before_it(respx_mock: respx.MockRouter, no: int) -> None:
    """The attempt that timed out may have charged, whatever the next one is told."""
    route = respx_mock.post("/v1/payments").mock(side_effect=[httpx.ReadTimeout, *[httpx.Response(no)] * 5])
    with pytest.raises(OutcomeUnknown):
        create()
    assert len(route.calls) == ATTEMPTS


@pytest.mark.parametrize("no", [(400, ProviderRefused), (402, Declined)])
@respx.mock(base_url=URL)
def test_a_no_after_an_attempt_that_never_arrived_is_a_no(
    respx_mock: respx.MockRouter, no: tuple[int, type[Exception]]
) -> None:
    """There was nothing to be in doubt about."""
    respx_mock.post("/v1/payments").mock(side_effect=[httpx.ConnectError, httpx.Response(no[0])])
    with pytest.raises(no[1]):
        create()


@respx.mock(base_url=URL)
def test_the_payments_of_a_top_up_are_listed(respx_mock: respx.MockRouter) -> None:
    """By our reference, all of them."""
    route = respx_mock.get("/v1/payments", params={"reference": "tu_1"}).respond(
        200, json={"payments": [PAYMENT, PAYMENT | {"id": "pay_2"}]}
    )
    assert [payment.id for payment in query()] == ["pay_1", "pay_2"]
    assert route.calls.last.request.headers["X-Correlation-Id"] == "cor_of_the_test"


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.ReadTimeout, httpx.ConnectError, httpx.Response(200)])
@respx.mock(base_url=URL)
def test_a_query_without_an_answer_is_not_an_empty_list(respx_mock: respx.MockRouter, answer: Any) -> None:
    """Not knowing of a payment and there being none are different things."""
    route = respx_mock.get("/v1/payments").mock(side_effect=[answer] * ATTEMPTS)
    with pytest.raises(OutcomeUnknown):
        query()
    assert len(route.calls) == ATTEMPTS


@pytest.mark.parametrize("garbage", [{"payments": {}}, {"payments": [{}]}, [], {}])
@respx.mock(base_url=URL)
def test_half_a_list_is_none(respx_mock: respx.MockRouter, garbage: Any) -> None:
    """One payment that cannot be read makes the whole answer one that cannot."""
    respx_mock.get("/v1/payments").respond(200, json=garbage)
    with pytest.raises(OutcomeUnknown):
        query()


BACK: dict[str, Any] = {"id": "re_1", "payment": "pay_1", "amount_minor": 300, "currency": "EUR"}


def refund() -> MoneyBack:
    return asyncio.run(_with_client(lambda client: client.refund("pay_1", "rf_1", 300), 1.0))


def reversals(after: int = 4) -> Page:
    return asyncio.run(_with_client(lambda client: client.reversals(after), 1.0))


@pytest.mark.parametrize("first", [httpx.Response(500), httpx.ReadTimeout, httpx.ConnectError, httpx.Response(201)])
@respx.mock(base_url=URL)
def test_a_refund_is_one_request_however_often_it_is_sent(respx_mock: respx.MockRouter, first: Any) -> None:
    """Its key is our refund's id, on every attempt."""
    route = respx_mock.post("/v1/payments/pay_1/refunds").mock(side_effect=[first, httpx.Response(201, json=BACK)])
    assert refund() == MoneyBack(id="re_1", amount_minor=300)
    assert keys(route) == ["refund-rf_1"] * 2
    assert json.loads(route.calls.last.request.content) == {"amount_minor": 300}


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.ReadTimeout, httpx.Response(201, json={"id": "re_1"})])
@respx.mock(base_url=URL)
def test_a_refund_without_an_answer_is_unknown(respx_mock: respx.MockRouter, answer: Any) -> None:
    """Also when the last word is a no: an attempt before it may have given the money back."""
    no = httpx.Response(422)
    respx_mock.post("/v1/payments/pay_1/refunds").mock(side_effect=[answer, no, no])
    with pytest.raises(OutcomeUnknown):
        refund()


@respx.mock(base_url=URL)
def test_what_went_back_is_read_with_its_refunds_and_disputes(respx_mock: respx.MockRouter) -> None:
    """From a number on, with the number to go on from."""
    payment = PAYMENT | {
        "refunds": [{"id": "re_1", "amount_minor": 300}],
        "disputes": [{"id": "dp_1", "amount_minor": 200, "status": "open"}],
    }
    route = respx_mock.get("/v1/reversals", params={"after": 4}).respond(200, json={"payments": [payment], "next": 6})
    page = reversals()
    assert page.following == 6
    assert page.payments[0].refunds == (MoneyBack(id="re_1", amount_minor=300),)
    assert page.payments[0].disputes == (MoneyBack(id="dp_1", amount_minor=200, status="open"),)
    assert len(route.calls) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        {"payments": []},
        {"next": 1},
        {"payments": [], "next": "1"},
        {"payments": [PAYMENT | {"refunds": [{"id": "re_1"}]}], "next": 1},
        {"payments": [PAYMENT | {"disputes": [{"id": "dp_1", "amount_minor": 1}]}], "next": 1},
    ],
)
@respx.mock(base_url=URL)
def test_half_a_page_is_none(respx_mock: respx.MockRouter, garbage: Any) -> None:
    """Or a reversal could be skipped for ever."""
    respx_mock.get("/v1/reversals").respond(200, json=garbage)
    with pytest.raises(OutcomeUnknown):
        reversals()


def test_every_status_has_a_fate() -> None:
    """Only an explicit success is one, and no status of the server's own trouble is a no."""
    client = Impatient(httpx.AsyncClient(), 1, ATTEMPTS, Random(7), closed())
    fates = {status: client.classify(status) for status in range(100, 600)}
    assert {status for status, fate in fates.items() if fate is Fate.DONE} == {200, 201}
    assert all(400 <= status < 500 for status, fate in fates.items() if fate in (Fate.REFUSED, Fate.DECLINED))


def test_the_pauses_grow_jitter_and_end() -> None:
    """Bounded in length and in number, and the same for the same seed."""
    client = ProviderClient(httpx.AsyncClient(), 1, 9, Random(7), closed())
    twin = ProviderClient(httpx.AsyncClient(), 1, 9, Random(7), closed())
    pauses = [client.next_attempt(number) for number in range(1, 9)]
    assert pauses == [twin.next_attempt(number) for number in range(1, 9)]
    for number, pause in enumerate(pauses):
        full = min(0.05 * 2**number, 1.0)
        assert pause is not None
        assert full / 2 <= pause <= full
    assert client.next_attempt(9) is None


def opening(at: int) -> CircuitBreaker:
    """A circuit that opens after so many failures, and stays so."""
    return CircuitBreaker(lambda: 0.0, failures_max=at, open_s=1, metrics=Metrics())


@pytest.mark.parametrize(
    "ask", [lambda c: c.create(TOP_UP), lambda c: c.refund("pay_1", "rf_1", 100)], ids=["charge", "refund"]
)
@respx.mock(base_url=URL)
def test_an_open_circuit_sends_nothing_and_ends_the_retries(
    respx_mock: respx.MockRouter, ask: Callable[[ProviderClient], Awaitable[object]]
) -> None:
    """Neither a yes nor a no: the outcome stays unknown. Queries go out all the same, for they end it."""
    charges = respx_mock.post(path__startswith="/v1/payments").respond(500)
    respx_mock.get("/v1/payments").respond(200, json={"payments": []})

    async def story() -> None:
        async with httpx.AsyncClient(base_url=URL) as http:
            client = Impatient(http, 1.0, ATTEMPTS, Random(7), opening(at=2))
            for _ in range(3):
                with pytest.raises(CircuitOpen):
                    await ask(client)
            assert await client.payments_for("tu_1") == []

    asyncio.run(story())
    assert charges.call_count == 2


def test_requests_that_give_up_cost_no_connection() -> None:
    """Ten at a time want the only connection, and some give up as it comes free. However often: there it is for the next one.

    With httpcore's own queue it is gone after a dozen rounds or two: given to one that has just left, and never back.
    """
    answering: list[asyncio.Task[None] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(0.002)
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"payments": []}')
                await writer.drain()

    async def ask(client: ProviderClient, after_s: float) -> str:
        await asyncio.sleep(after_s)
        try:
            await client.payments_for("tu_1")
        except OutcomeUnknown as error:
            return type(error).__name__
        return "answered"

    async def story() -> set[str]:
        server, rng = await asyncio.start_server(answer, "127.0.0.1", 0), Random(1)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        said: set[str] = set()
        async with server:
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(base_url=url, timeout=5.0, limits=limits, trust_env=False) as http:
                client = ProviderClient(http, 0.015, 1, Random(1), closed(), connections=1)
                for number in range(60):
                    said |= set(await asyncio.gather(*(ask(client, rng.uniform(0, 0.03)) for _ in range(10))))
                    client.timeout_s = 2.0
                    assert await ask(client, 0.0) == "answered", f"nothing gets through after {number + 1} rounds"
                    client.timeout_s = 0.015
            await asyncio.gather(*filter(None, answering))
        return said

    assert asyncio.run(story()) >= {"answered", "NoTurn"}
