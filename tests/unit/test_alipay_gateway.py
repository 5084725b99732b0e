"""Alipay's gateway beneath any client: signatures both ways, and what is refused."""

import json
import re
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from provider_world import FakeSender, run

from fake_provider.apis.alipay import AlipayGateway
from fake_provider.app import create_app
from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects import find
from fake_provider.dialects._money import decimal, minor_units
from fake_provider.moods import make
from fake_provider.provider import Provider, Setup

KEY, APP_KEY = rsa.draw(), rsa.draw()
ORDER = {"out_trade_no": "tu_1", "total_amount": "10.00", "subject": "Top-up", "buyer_id": "a"}


class Caller:
    def __init__(self, client: httpx.AsyncClient, provider: Provider) -> None:
        self.client, self.provider = client, provider

    async def ask(self, method: str, content: dict[str, Any], /, key: str = APP_KEY, **changed: str) -> dict[str, Any]:
        """The verified answer. *changed* are parameters that are changed after signing."""
        return verified((await self.client.post("/gateway.do", data=signed(method, content, key) | changed)).text)


def signed(method: str, content: dict[str, Any], key: str = APP_KEY) -> dict[str, str]:
    """The parameters of a request."""
    asked = {
        "app_id": "m",
        "method": f"alipay.trade.{method}",
        "sign_type": "RSA2",
        "biz_content": json.dumps(content),
    }
    text = "&".join(f"{name}={value}" for name, value in sorted(asked.items()))
    return asked | {"sign": rsa.sign(rsa.read(key), text.encode(), SHA256()).decode()}


def verified(answer: str) -> dict[str, Any]:
    found = re.fullmatch(r'\{"\w+_response":(\{.*\}),"sign":"([^"]+)"\}', answer)
    assert found, answer
    public = rsa.read_public(rsa.public(rsa.read(KEY)))
    assert rsa.is_signed(public, found[2], found[1].encode(), SHA256())
    content: dict[str, Any] = json.loads(found[1])
    return content


@asynccontextmanager
async def called():
    provider = Provider(
        Setup(
            merchant="m",
            environment="chaos",
            dialect=find("alipay"),
            keys=(KEY,),
            sender=FakeSender(200),
            clocks=Clocks(payload=HandClock()),
            rng=Random(7),
        )
    )
    gateway = AlipayGateway(provider, rsa.public(rsa.read(APP_KEY)), KEY)
    transport = httpx.ASGITransport(create_app(provider, "key", gateway=gateway), raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://provider") as client:
        try:
            yield Caller(client, provider)
        finally:
            await provider.close()


@pytest.mark.parametrize(
    ("changed", "sub_code"),
    [
        ({"biz_content": json.dumps(ORDER | {"total_amount": "0.01"})}, "isv.invalid-signature"),
        ({"method": "alipay.trade.close"}, "isv.invalid-signature"),
        ({"extra": "1"}, "isv.invalid-signature"),
        ({"sign": ""}, "isv.invalid-signature"),
        ({"sign": "é"}, "isv.invalid-signature"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type"),
    ],
)
def test_what_was_changed_after_signing_is_refused(changed: dict[str, str], sub_code: str) -> None:
    async def story() -> None:
        async with called() as caller:
            assert (await caller.ask("create", ORDER, **changed))["sub_code"] == sub_code
            assert not list(caller.provider.book)

    run(story())


def test_another_key_is_refused() -> None:
    async def story() -> None:
        async with called() as caller:
            assert (await caller.ask("create", ORDER, key=KEY))["sub_code"] == "isv.invalid-signature"

    run(story())


@pytest.mark.parametrize(
    ("method", "content", "sub_code"),
    [
        ("pay", ORDER, "isv.invalid-method"),
        ("create", {"out_trade_no": "tu_1"}, "isv.missing-parameter"),
        ("create", ORDER | {"total_amount": "10.001"}, "isv.invalid-parameter"),
        ("create", ORDER | {"total_amount": "0.00"}, "isv.invalid-parameter"),
        ("create", ORDER | {"total_amount": True}, "isv.invalid-parameter"),
        ("create", ORDER | {"subject": 1}, "isv.invalid-parameter"),
        ("page.pay", ORDER, "isv.missing-parameter"),
        ("page.pay", ORDER | {"product_code": "QUICK_MSECURITY_PAY"}, "isv.invalid-parameter"),
        ("fastpay.refund.query", {"out_trade_no": "tu_1"}, "ACQ.TRADE_NOT_EXIST"),
        ("query", {}, "isv.missing-parameter"),
        ("query", {"trade_no": "pay_none"}, "ACQ.TRADE_NOT_EXIST"),
    ],
)
def test_every_refusal_says_what_is_wrong(method: str, content: dict[str, Any], sub_code: str) -> None:
    async def story() -> None:
        async with called() as caller:
            answer = await caller.ask(method, content)
            assert answer["sub_code"] == sub_code
            assert answer["code"] in ("40002", "40004")

    run(story())


@given(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from(["1.00", "4.00", "9.00"])), max_size=6))
def test_a_number_is_refunded_at_most_once(asked: list[tuple[str, str]]) -> None:
    async def story() -> None:
        async with called() as caller:
            trade = (await caller.ask("create", ORDER))["trade_no"]
            caller.provider.pay(trade, 1000, "customer paid")
            done: dict[str, str] = {}
            for number, amount in asked:
                content = {"trade_no": trade, "refund_amount": amount, "out_request_no": number}
                answer = await caller.ask("refund", content)
                if answer["code"] == "10000":
                    assert done.setdefault(number, amount) == amount
            payment = caller.provider.payment(trade)
            assert sorted(decimal(one.amount_minor, "CNY") for one in payment.refunds) == sorted(done.values())
            assert payment.refunded_minor <= 1000

    run(story())


PAGE = ORDER | {"product_code": "FAST_INSTANT_TRADE_PAY"}


@pytest.mark.parametrize("http_method", ["GET", "POST"])
def test_a_customer_who_comes_to_pay_is_sent_on_to_the_page_where_the_trade_can_be_paid(http_method: str) -> None:
    """A link or a form, as often as it is opened: one trade."""

    async def story() -> None:
        async with called() as caller:
            asked = signed("page.pay", PAGE)
            form = {"params": asked} if http_method == "GET" else {"data": asked}
            for _ in range(2):
                answer = await caller.client.request(http_method, "/gateway.do", **form)  # type: ignore[arg-type]
                (payment,) = caller.provider.book
                assert (answer.status_code, answer.headers["location"]) == (302, f"/#{payment.id}")
            assert f'id="{payment.id}"' in (await caller.client.get("/")).text
            caller.provider.pay(payment.id, 1000, "customer paid")
            again = await caller.client.request(http_method, "/gateway.do", **form)  # type: ignore[arg-type]
            assert verified(again.text)["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"

    run(story())


def test_a_link_that_was_changed_leads_nowhere() -> None:
    async def story() -> None:
        async with called() as caller:
            changed = {"biz_content": json.dumps(PAGE | {"total_amount": "0.01"})}
            answer = await caller.client.get("/gateway.do", params=signed("page.pay", PAGE) | changed)
            assert verified(answer.text)["sub_code"] == "isv.invalid-signature"
            assert not list(caller.provider.book)

    run(story())


def test_a_refund_is_asked_about_by_its_number() -> None:
    async def story() -> None:
        async with called() as caller:
            trade = (await caller.ask("create", ORDER))["trade_no"]
            caller.provider.pay(trade, 1000, "customer paid")
            number = {"trade_no": trade, "out_request_no": "1"}
            before = await caller.ask("fastpay.refund.query", number)
            assert (before["code"], "refund_status" in before) == ("10000", False)
            await caller.ask("refund", number | {"refund_amount": "4.00"})
            await caller.ask("refund", {"trade_no": trade, "out_request_no": "2", "refund_amount": "5.00"})
            after = await caller.ask("fastpay.refund.query", number)
            assert (after["refund_status"], after["refund_amount"]) == ("REFUND_SUCCESS", "4.00")
            assert after["total_amount"] == "10.00"

    run(story())


def test_an_outcome_that_a_mood_hides_is_unknown_and_can_be_asked_for() -> None:
    async def story() -> None:
        async with called() as caller:
            caller.provider.put_on(make("error-after-capture", {}))
            assert (await caller.ask("create", ORDER))["code"] == "20000"
            assert (await caller.ask("query", {"out_trade_no": "tu_1"}))["trade_status"] == "WAIT_BUYER_PAY"

    run(story())


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    async def story() -> None:
        async with called() as caller:
            answer = await caller.client.post("/gateway.do?method=a", data={"method": "b"})
            assert verified(answer.text)["sub_code"] == "isv.invalid-parameter"

    run(story())


def test_a_target_that_is_a_whole_url_is_a_path() -> None:
    """As Alipay's client for Python writes it."""

    async def story() -> None:
        async with called() as caller:
            sent: list[dict[str, Any]] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "http://127.0.0.1/gateway.do",
                "raw_path": b"http://127.0.0.1/gateway.do",
                "query_string": b"",
                "headers": [],
            }
            app = caller.client._transport.app  # type: ignore[attr-defined]
            await app(scope, receive, send)
            assert sent[0]["status"] == 200

    run(story())


@given(st.integers(0, 10**12), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_amounts_are_read_as_they_are_written(minor: int, currency: str) -> None:
    assert minor_units(decimal(minor, currency), currency) == minor


@pytest.mark.parametrize("written", ["", ".", "1.", ".5", "-1", "1e2", "1.001", "١", "1,00", " 1", "NaN"])
def test_what_is_no_amount_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(written))):
        minor_units(written, "CNY")
