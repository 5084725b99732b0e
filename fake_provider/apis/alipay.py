"""Alipay's gateway, as far as a top-up needs it: trades are made, asked about, closed and refunded at `/gateway.do`, and
customers are sent there to pay.

Requests are verified with the merchant's public key (RSA2 over all parameters but `sign`, decoded, sorted, joined as `k=v`
with `&`), and answers are signed with the key that signs notices: over the very bytes of the answer's object. Written after
opendocs.alipay.com and the official clients, which work against it with nothing but the gateway's address changed.

A trade is a payment of the book: `out_trade_no` is its reference, `trade_no` its id. The customer pays with the control API.
Errors are in the answer, with status 200: 40002 for what is wrong with a request, 40004 for what its trade does not allow, 20000
for an outcome that the merchant has to ask for. A refund is made once per `out_request_no`, and all of its refunds
together are told as `refund_fee`.

With `alipay.trade.page.pay` it is the customer's browser that comes, with a link or a form that the merchant signed. It is sent
on to this program's own page, where the trade can be paid. Known difference: nobody is sent back from there to `return_url`.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from cryptography.hazmat.primitives.hashes import SHA256
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from fake_provider import fields
from fake_provider.asking import Endpoint, raw_body
from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects._money import decimal, minor_units
from fake_provider.dialects.alipay import BEIJING
from fake_provider.fields import Refused
from fake_provider.idempotency import ApiAnswer, KeyReused, StillRunning
from fake_provider.payments import MOVES, BadAmount, IllegalMove, Move, Order, Payment, State
from fake_provider.provider import Provider

CURRENCY = "CNY"
OK = {"code": "10000", "msg": "Success"}
PAID = (State.CAPTURED, State.DISPUTED)
STATUSES = {State.PENDING: "WAIT_BUYER_PAY", State.AUTHORISED: "WAIT_BUYER_PAY"} | dict.fromkeys(PAID, "TRADE_SUCCESS")
CLOSED = "TRADE_CLOSED"
PAGE_PAY = "alipay.trade.page.pay"

Content: TypeAlias = Mapping[str, Any]
Deed: TypeAlias = Callable[[Content], Awaitable[ApiAnswer]]


class GatewayError(Exception):
    """What is answered instead: a code, and what exactly is wrong."""

    def __init__(self, code: str, sub_code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.sub_code = code, sub_code

    def to_json(self) -> dict[str, str]:
        msg = {"20000": "Service Currently Unavailable", "40002": "Invalid Arguments", "40004": "Business Failed"}
        return {"code": self.code, "msg": msg[self.code], "sub_code": self.sub_code, "sub_msg": str(self)}


def wrong(sub_code: str, message: str) -> GatewayError:
    return GatewayError("40002", sub_code, message)


def impossible(sub_code: str, message: str) -> GatewayError:
    return GatewayError("40004", sub_code, message)


@dataclass(frozen=True, slots=True)
class AlipayGateway:
    """The gateway over one provider's book. *app_public_key* is the merchant's, *own_key* signs answers."""

    provider: Provider
    app_public_key: str
    own_key: str = field(repr=False)

    def routes(self) -> list[Route]:
        return [Route(path, run, methods=[method]) for method, path, run in self.endpoints()]

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        return [("POST", "/gateway.do", self.serve), ("GET", "/gateway.do", self.serve)]

    async def serve(self, request: Request) -> Response:
        """Alipay's gateway: verify a request, do what it asks for, and sign the answer."""
        method = ""
        try:
            asked = await _parameters(request)
            method = asked.get("method", "")
            self._verify(asked)
            deeds = self._deeds()
            if method not in deeds:
                raise wrong("isv.invalid-method", f"there is no method {method!r} here; there are: {', '.join(deeds)}")
            content = fields.json_object(asked.get("biz_content", "").encode())
            answer = await deeds[method](content)
        except (GatewayError, Refused, BadAmount, IllegalMove, KeyReused, StillRunning) as error:
            answer = ApiAnswer(200, _in_words(error).to_json())
        if answer.status >= 500:  # what a mood says instead of the truth, in the words of this API
            unknown = GatewayError("20000", "isp.unknow-error", "the outcome is unknown: ask again")
            answer = ApiAnswer(200, unknown.to_json())
        if method == PAGE_PAY and answer.body.get("code") == OK["code"]:
            return RedirectResponse(f"/#{answer.body['trade_no']}", status_code=302)
        return self._signed(method, answer)

    def _deeds(self) -> dict[str, Deed]:
        return {
            "alipay.trade.create": self.create,
            "alipay.trade.precreate": self.precreate,
            PAGE_PAY: self.page_pay,
            "alipay.trade.query": self.query,
            "alipay.trade.close": self.close,
            "alipay.trade.refund": self.refund,
            "alipay.trade.fastpay.refund.query": self.query_refund,
        }

    async def create(self, content: Content) -> ApiAnswer:
        """A trade that the buyer has yet to pay; the same one again for the same `out_trade_no`."""
        return await self._made(content, lambda payment: {})

    async def precreate(self, content: Content) -> ApiAnswer:
        """The same, with the text of a code to be scanned."""
        return await self._made(content, lambda payment: {"qr_code": f"https://qr.alipay.invalid/{payment.id}"})

    async def page_pay(self, content: Content) -> ApiAnswer:
        """The same, for a customer who comes with it to pay here."""
        if _text(content, "product_code") != "FAST_INSTANT_TRADE_PAY":
            raise wrong("isv.invalid-parameter", "product_code must be FAST_INSTANT_TRADE_PAY")
        return await self._made(content, lambda payment: {})

    async def query(self, content: Content) -> ApiAnswer:
        """A trade as it is now."""
        payment = self._trade(content)
        found = {
            "trade_status": STATUSES.get(payment.state, CLOSED),
            "total_amount": decimal(payment.captured_minor or payment.order.amount_minor, payment.currency),
            "trans_currency": payment.currency,
            "passback_params": payment.order.note("passback_params"),
        }
        if payment.captured_minor:
            paid = next(step.at for step in payment.history if step.state is State.CAPTURED)
            found["send_pay_date"] = paid.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
            found["receipt_amount"] = found["total_amount"]
        return ApiAnswer(200, {**OK, **_names(payment), **found})

    async def close(self, content: Content) -> ApiAnswer:
        """Call a trade off that has not been paid."""
        payment = self._trade(content)
        if Move.CANCEL not in MOVES[payment.state]:
            raise impossible("ACQ.TRADE_STATUS_ERROR", f"{payment.id} is {payment.state} and cannot be closed")
        return ApiAnswer(200, {**OK, **_names(self.provider.cancel(payment.id, "closed by the merchant"))})

    async def refund(self, content: Content) -> ApiAnswer:
        """Give money back, once per `out_request_no`; without one, the trade's only refund."""
        payment = self._trade(content)
        amount = _amount(content, "refund_amount", payment.currency)
        number = _text(content, "out_request_no", payment.order.reference)

        def make() -> ApiAnswer:
            now = self.provider.payment(payment.id)
            if now.state not in (*PAID, State.REFUNDED):
                raise impossible("ACQ.TRADE_STATUS_ERROR", f"{now.id} is {now.state}: nothing can be refunded")
            if amount > now.left_minor:
                raise impossible("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", f"{now.id} has {now.left_minor} fen left to refund")
            refunded = self.provider.refund(now.id, amount, key)
            told = {
                "fund_change": "Y",
                "gmt_refund_pay": refunded.refunds[-1].at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
                "refund_fee": decimal(refunded.refunded_minor, refunded.currency),
                "send_back_fee": decimal(amount, refunded.currency),
            }
            return ApiAnswer(200, {**OK, **_names(refunded), **told}, payment=now.id, found_at="/gateway.do")

        key = _refund_key(payment, number)
        answer = await self.provider.once(key, str(amount), make)
        if answer.replayed and answer.is_done:
            return replace(answer, body={**answer.body, "fund_change": "N"})
        return answer

    async def query_refund(self, content: Content) -> ApiAnswer:
        """What became of the refund of that `out_request_no`; nothing beyond the trade's names where there was none."""
        payment, number = self._trade(content), _text(content, "out_request_no")
        told: dict[str, str] = {}
        for refund in payment.refunds:
            if refund.key == _refund_key(payment, number):
                told = {
                    "refund_status": "REFUND_SUCCESS",
                    "refund_amount": decimal(refund.amount_minor, payment.currency),
                    "total_amount": decimal(payment.captured_minor, payment.currency),
                    "gmt_refund_pay": refund.at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
                }
        return ApiAnswer(200, {**OK, **_names(payment), "out_request_no": number, **told})

    async def _made(self, content: Content, more: Callable[[Payment], Content]) -> ApiAnswer:
        reference = _text(content, "out_trade_no")
        passback = _text(content, "passback_params", "")
        _text(content, "subject")
        order = Order(
            reference=reference,
            amount_minor=_amount(content, "total_amount", CURRENCY),
            currency=CURRENCY,
            account=dict(parse_qsl(unquote(passback))).get("account") or _text(content, "buyer_id", "unknown"),
            merchant=self.provider.merchant or "app_fake",
            method="redirect",
            notes=(("passback_params", passback),) if passback else (),
        )
        for earlier in self.provider.book.of_reference(reference):
            if earlier.state in PAID:
                raise impossible("ACQ.TRADE_HAS_SUCCESS", f"{reference!r} has been paid already")
            if earlier.state is not State.PENDING:
                raise impossible("ACQ.TRADE_HAS_CLOSE", f"{reference!r} has been closed already")

        def make() -> ApiAnswer:
            payment = self.provider.make(key, order)
            body = {**OK, **_names(payment), **more(payment)}
            return ApiAnswer(200, body, payment=payment.id, found_at="/gateway.do")

        key = f"alipay create {reference}"
        return await self.provider.once(key, repr(order), make)

    def _trade(self, content: Content) -> Payment:
        id, reference = _text(content, "trade_no", ""), _text(content, "out_trade_no", "")
        if not id and not reference:
            raise wrong("isv.missing-parameter", "give out_trade_no or trade_no")
        found = self.provider.book.get(id) if id else next(iter(self.provider.book.of_reference(reference)), None)
        if found is None:
            raise impossible("ACQ.TRADE_NOT_EXIST", "there is no such trade")
        return found

    def _verify(self, asked: Mapping[str, str]) -> None:
        if asked.get("sign_type") != "RSA2":
            raise wrong("isv.invalid-signature-type", "sign_type must be RSA2")
        text = "&".join(f"{name}={value}" for name, value in sorted(asked.items()) if name != "sign").encode()
        if not rsa.is_signed(rsa.read_public(self.app_public_key), asked.get("sign", ""), text, SHA256()):
            raise wrong(
                "isv.invalid-signature", "the signature is not the one of PROVIDER_APP_PUBLIC_KEY over these parameters"
            )
        if self.provider.merchant and asked.get("app_id") != self.provider.merchant:
            raise wrong("isv.invalid-app-id", f"this gateway knows the app {self.provider.merchant!r} only")

    def _signed(self, method: str, answer: ApiAnswer) -> Response:
        told = json.dumps(dict(answer.body), ensure_ascii=False, separators=(",", ":"))
        sign = rsa.sign(rsa.read(self.own_key), told.encode(), SHA256()).decode()
        name = method.replace(".", "_") if method in self._deeds() else "error"
        headers = {} if answer.location is None else {"Location": answer.location}
        body = f'{{"{name}_response":{told},"sign":"{sign}"}}'
        return Response(body, answer.status, headers, media_type="application/json; charset=utf-8")


async def _parameters(request: Request) -> dict[str, str]:
    """Those of the query and those of the form, which are signed together. What is there twice is refused."""
    raw = [request.url.query, (await raw_body(request)).decode("utf-8", "replace")]
    pairs = [pair for part in raw for pair in parse_qsl(part, keep_blank_values=True)]
    found = dict(pairs)
    if len(found) < len(pairs):
        raise wrong("isv.invalid-parameter", "a parameter is there twice")
    return found


def _text(content: Content, name: str, default: str | None = None) -> str:
    value = content.get(name, "")
    if not isinstance(value, str) or len(value) > 2 * fields.LONGEST:
        raise wrong("isv.invalid-parameter", f"{name} must be a string")
    if not value and default is None:
        raise wrong("isv.missing-parameter", f"{name} is missing")
    return value or str(default)


def _amount(content: Content, name: str, currency: str) -> int:
    """A decimal, as a string or, as the official client writes it, as a number of at most two digits behind the point."""
    raw = content.get(name)
    written = str(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else ""
    try:
        minor = minor_units(written, currency)
    except ValueError as bad:
        raise wrong("isv.invalid-parameter", f"{name}: {bad}") from None
    if not minor:
        raise wrong("isv.invalid-parameter", f"{name} must be more than nothing")
    return minor


def _refund_key(payment: Payment, number: str) -> str:
    return f"alipay refund {payment.id} {number}"


def _names(payment: Payment) -> dict[str, str]:
    return {"out_trade_no": payment.order.reference, "trade_no": payment.id}


def _in_words(error: Exception) -> GatewayError:
    match error:
        case GatewayError():
            return error
        case KeyReused():
            return impossible("ACQ.CONTEXT_INCONSISTENT", "the same number was used with other parameters")
        case StillRunning():
            return GatewayError("20000", "isp.unknow-error", "the first request of that number is still running")
        case BadAmount() | IllegalMove():
            return impossible("ACQ.TRADE_STATUS_ERROR", str(error))
        case _:
            return wrong("isv.invalid-parameter", str(error))
