"""Alipay's own clients for Python and for Node against our gateway: the requests that they sign, and the answers that they
verify.
"""

import re
from collections.abc import Iterator
from html import unescape
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
    """In PKCS #1, the only form in which the client for Python reads private keys."""
    pem = rsa.read(key).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


class Merchant:
    """One of the clients; calls are named as the one for Python names them."""

    def __init__(self, official: Official, is_node: bool, endpoint: str, arrived: Inbox) -> None:
        self.official, self.is_node, self.endpoint, self.arrived = official, is_node, endpoint, arrived

    def ask(self, call: str, key: str = KEY, own: str = APP_KEY, **content: Any) -> Verdict:
        return self._call("alipay_calls", call, key, own, content)

    def page(self, call: str, http_method: str, **content: Any) -> str:
        """A link, or a form."""
        verdict = self._call("alipay_pages", call, KEY, APP_KEY, content, http_method=http_method)
        assert verdict.accepted, verdict
        found: str = verdict.found
        return found

    def _call(self, what: str, call: str, key: str, own: str, content: dict[str, Any], **more: str) -> Verdict:
        if self.is_node:
            call = "alipay" + re.sub("[A-Z]", lambda found: f".{found[0].lower()}", call)
        return self.official.call(
            what,
            endpoint=self.endpoint,
            call=call,
            content=content,
            key=ALIPAY.receiver_key(key),
            own_key=as_the_client_has_it(own),
            key_type="PKCS1",
            **more,
        )

    def done(self, call: str, **content: Any) -> dict[str, Any]:
        verdict = self.ask(call, **content)
        assert verdict.accepted, verdict
        return {
            re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): value for name, value in verdict.found.items()
        }

    def refused(self, call: str, **content: Any) -> str:
        verdict = self.ask(call, **content)
        assert not verdict.accepted, verdict
        return sub_code_of(verdict)

    def control(self, path: str, **body: Any) -> None:
        httpx.post(f"http://{self.endpoint}/control/{path}", json=body, trust_env=False).raise_for_status()


def sub_code_of(verdict: Verdict) -> str:
    """Each client writes it in its own way."""
    found: str = verdict.found.get("sub_code") or verdict.found["subCode"]
    return found


@pytest.fixture(params=["alipay_official", "node"])
def merchant(request: pytest.FixtureRequest) -> Iterator[Merchant]:
    official: Official = request.getfixturevalue(request.param)
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
        yield Merchant(official, request.param == "node", endpoint, arrived)


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
    asked = merchant.done("TradeFastpayRefundQuery", trade_no=trade, out_request_no="1")
    assert (asked["refund_status"], asked["refund_amount"], asked["total_amount"]) == (
        "REFUND_SUCCESS",
        "4.00",
        "10.00",
    )
    assert "refund_status" not in merchant.done("TradeFastpayRefundQuery", trade_no=trade, out_request_no="3")
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


PAGE = ORDER | {"product_code": "FAST_INSTANT_TRADE_PAY"}


def test_a_customer_opens_the_link_and_pays_on_the_page(merchant: Merchant) -> None:
    at_gateway = merchant.page("TradePagePay", "GET", **PAGE)
    opened = httpx.get(within(merchant, at_gateway), trust_env=False)
    trade = opened.headers["location"].removeprefix("/#")
    assert (opened.status_code, trade[:4]) == (302, "pay_")
    shown = httpx.get(f"http://{merchant.endpoint}/", trust_env=False).text
    assert f'id="{trade}"' in shown
    merchant.control(f"payments/{trade}/pay")
    assert merchant.done("TradeQuery", out_trade_no="tu_ü")["trade_status"] == "TRADE_SUCCESS"


def test_a_customer_s_browser_sends_the_form(merchant: Merchant) -> None:
    form = merchant.page("TradePagePay", "POST", **PAGE)
    (action,) = re.findall(r"""action=["']([^"']+)""", form)
    fields = re.findall(r"""<input type=["']hidden["'] name=["']([^"']+)["'] value=(?:"([^"]*)"|'([^']*)')""", form)
    data = {name: unescape(double or single) for name, double, single in fields}
    assert "biz_content" in data
    sent = httpx.post(within(merchant, action.replace("&amp;", "&")), data=data, trust_env=False)
    assert (sent.status_code, sent.headers["location"][:6]) == (302, "/#pay_")


def within(merchant: Merchant, url: str) -> str:
    """The client for Python knows port 80 only."""
    return re.sub(r"^http://127\.0\.0\.1(:\d+)?/", f"http://{merchant.endpoint}/", url)


def test_what_is_not_there_is_said_so(merchant: Merchant) -> None:
    assert merchant.refused("TradeQuery", out_trade_no="tu_none") == "ACQ.TRADE_NOT_EXIST"


def test_a_request_signed_with_another_key_is_refused(merchant: Merchant) -> None:
    verdict = merchant.ask("TradeCreate", own=OTHER_KEY, **ORDER)
    assert not verdict.accepted
    assert sub_code_of(verdict) == "isv.invalid-signature"


def test_the_client_refuses_an_answer_signed_with_another_key(merchant: Merchant) -> None:
    verdict = merchant.ask("TradeCreate", key=OTHER_KEY, **ORDER)
    assert verdict.raised == ("AlipayRequestError" if merchant.is_node else "ResponseException")


def test_an_unknown_outcome_is_learnt_by_asking(merchant: Merchant) -> None:
    merchant.control("moods", mood="error-after-capture")
    assert merchant.refused("TradeCreate", **ORDER) == "isp.unknow-error"
    assert merchant.done("TradeQuery", out_trade_no="tu_ü")["trade_status"] == "WAIT_BUYER_PAY"
