"""Alipay's own client for Python against our gateway: the requests that it signs, and the answers that it verifies."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from official_packages import Official, Verdict
from running import Inbox, inbox, provider

from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects import find

pytestmark = pytest.mark.contract

ALIPAY = find("alipay")
KEY, APP_KEY, OTHER_KEY = (rsa.draw() for _ in range(3))
ORDER = {"out_trade_no": "tu_ü", "total_amount": "10.00", "subject": "Top-up", "buyer_id": "a"}


def as_the_client_has_it(key: str) -> str:
    """The client reads private keys in PKCS #1 only."""
    pem = rsa.read(key).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


class Merchant:
    def __init__(self, official: Official, endpoint: str, arrived: Inbox) -> None:
        self.official, self.endpoint, self.arrived = official, endpoint, arrived

    def ask(self, call: str, key: str = KEY, own: str = APP_KEY, **content: Any) -> Verdict:
        return self.official.call(
            "alipay_calls",
            endpoint=self.endpoint,
            call=call,
            content=content,
            key=ALIPAY.receiver_key(key),
            own_key=as_the_client_has_it(own),
        )

    def done(self, call: str, **content: Any) -> dict[str, Any]:
        verdict = self.ask(call, **content)
        assert verdict.accepted, verdict
        found: dict[str, Any] = verdict.found
        return found

    def refused(self, call: str, **content: Any) -> str:
        verdict = self.ask(call, **content)
        assert not verdict.accepted, verdict
        sub_code: str = verdict.found["sub_code"]
        return sub_code

    def control(self, path: str, **body: Any) -> None:
        httpx.post(f"http://{self.endpoint}/control/{path}", json=body, trust_env=False).raise_for_status()


@pytest.fixture
def merchant(alipay_official: Official) -> Iterator[Merchant]:
    with (
        inbox(b"success") as (url, arrived),
        provider(
            dialect="alipay",
            callback_url=url,
            callback_secret=KEY,
            app_public_key=ALIPAY.receiver_key(APP_KEY),
            merchant="m",
        ) as endpoint,
    ):
        yield Merchant(alipay_official, endpoint, arrived)


def test_a_whole_top_up(merchant: Merchant, alipay_python: Official) -> None:
    trade = merchant.done("TradeCreate", **ORDER)["trade_no"]
    assert merchant.done("TradeQuery", out_trade_no="tu_ü")["trade_status"] == "WAIT_BUYER_PAY"
    merchant.control(f"payments/{trade}/pay")
    paid = merchant.done("TradeQuery", trade_no=trade)
    assert (paid["trade_status"], paid["total_amount"]) == ("TRADE_SUCCESS", "10.00")

    (wire,) = merchant.arrived.wait_for(1)
    told = alipay_python.ask("alipay", wire, key=ALIPAY.receiver_key(KEY), own_key=APP_KEY)
    assert told.accepted, told
    assert (told.found["trade_no"], told.found["trade_status"]) == (trade, "TRADE_SUCCESS")

    first = merchant.done("TradeRefund", trade_no=trade, refund_amount="4.00", out_request_no="1")
    assert (first["refund_fee"], first["fund_change"]) == ("4.00", "Y")
    again = merchant.done("TradeRefund", trade_no=trade, refund_amount="4.00", out_request_no="1")
    assert (again["refund_fee"], again["fund_change"]) == ("4.00", "N")
    rest = merchant.done("TradeRefund", trade_no=trade, refund_amount="6.00", out_request_no="2")
    assert rest["refund_fee"] == "10.00"
    assert merchant.done("TradeQuery", trade_no=trade)["trade_status"] == "TRADE_CLOSED"


def test_the_same_number_is_the_same_trade_and_no_other(merchant: Merchant) -> None:
    trade = merchant.done("TradeCreate", **ORDER)["trade_no"]
    assert merchant.done("TradeCreate", **ORDER)["trade_no"] == trade
    assert merchant.refused("TradeCreate", **ORDER | {"total_amount": "10.01"}) == "ACQ.CONTEXT_INCONSISTENT"
    merchant.control(f"payments/{trade}/pay")
    assert merchant.refused("TradeCreate", **ORDER) == "ACQ.TRADE_HAS_SUCCESS"


def test_a_code_to_be_scanned_is_made(merchant: Merchant) -> None:
    assert merchant.done("TradePrecreate", **ORDER)["qr_code"].startswith("https://qr.alipay.invalid/")


def test_a_closed_trade_is_never_paid(merchant: Merchant) -> None:
    merchant.done("TradeCreate", **ORDER)
    merchant.done("TradeClose", out_trade_no="tu_ü")
    assert merchant.done("TradeQuery", out_trade_no="tu_ü")["trade_status"] == "TRADE_CLOSED"
    assert merchant.refused("TradeRefund", out_trade_no="tu_ü", refund_amount="1.00") == "ACQ.TRADE_STATUS_ERROR"


def test_what_is_not_there_is_said_so(merchant: Merchant) -> None:
    assert merchant.refused("TradeQuery", out_trade_no="tu_none") == "ACQ.TRADE_NOT_EXIST"


def test_a_request_signed_with_another_key_is_refused(merchant: Merchant) -> None:
    verdict = merchant.ask("TradeCreate", own=OTHER_KEY, **ORDER)
    assert not verdict.accepted
    assert verdict.found["sub_code"] == "isv.invalid-signature"


def test_the_client_refuses_an_answer_signed_with_another_key(merchant: Merchant) -> None:
    verdict = merchant.ask("TradeCreate", key=OTHER_KEY, **ORDER)
    assert verdict.raised == "ResponseException"


def test_an_unknown_outcome_is_learnt_by_asking(merchant: Merchant) -> None:
    merchant.control("moods", mood="error-after-capture")
    assert merchant.refused("TradeCreate", **ORDER) == "isp.unknow-error"
    assert merchant.done("TradeQuery", out_trade_no="tu_ü")["trade_status"] == "WAIT_BUYER_PAY"
