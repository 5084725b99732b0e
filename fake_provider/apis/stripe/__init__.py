"""Stripe's API, as far as a top-up needs it: the official clients work against it with nothing but the API base changed.

Payment intents, checkout sessions, refunds, disputes, events and webhook endpoints are other words for the payments of the
book and for the callbacks about them; a control API's payment is a payment intent here, under the same id. What goes beyond
that is refused by name. What the customer does (pay in a checkout, decline) and what the bank does (dispute) is asked of the
control API. Written after docs.stripe.com/api.

Known differences: refunds and disputes show the metadata of their payment intent; a payment method is one of Stripe's test
methods, and only says whether the card is good.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_provider import fields
from fake_provider.apis.stripe import objects
from fake_provider.apis.stripe.endpoints import Make, WebhookEndpoints
from fake_provider.apis.stripe.errors import INVALID, REFUSALS, StripeError, in_words, invalid, missing, no_such
from fake_provider.apis.stripe.forms import Asked
from fake_provider.apis.stripe.objects import DECLINED
from fake_provider.apis.stripe.pages import answer, asked_in_body, asked_in_query, page
from fake_provider.asking import Endpoint
from fake_provider.dialects.stripe import API_VERSION, METADATA, factor, session_of
from fake_provider.idempotency import ApiAnswer
from fake_provider.payments import CHECKOUT, MOVES, Move, Order, Payment, State
from fake_provider.provider import Provider

GOOD_CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
BAD_CARDS = ("pm_card_chargeDeclined", "pm_card_visa_chargeDeclined", "pm_card_chargeCustomerFail")
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class StripeApi:
    """The API over one provider's book. *api_key* is what Stripe calls the secret key."""

    provider: Provider
    api_key: str

    def routes(self) -> list[Route]:
        return [Route(f"/v1{path}", self._closed(run), methods=[method]) for method, path, run in self.endpoints()]

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("POST", "/payment_intents", self.create_intent),
            ("GET", "/payment_intents", self.list_intents),
            ("GET", "/payment_intents/{id}", self.show_intent),
            ("POST", "/payment_intents/{id}/confirm", self.confirm_intent),
            ("POST", "/payment_intents/{id}/cancel", self.cancel_intent),
            ("POST", "/checkout/sessions", self.create_session),
            ("GET", "/checkout/sessions/{id}", self.show_session),
            ("POST", "/checkout/sessions/{id}/expire", self.expire_session),
            ("POST", "/refunds", self.create_refund),
            ("GET", "/refunds", self.list_refunds),
            ("GET", "/refunds/{id}", self.show_refund),
            ("GET", "/disputes/{id}", self.show_dispute),
            ("GET", "/events", self.list_events),
            ("GET", "/events/{id}", self.show_event),
            *WebhookEndpoints(self.provider, self._once).endpoints(),
        ]

    # Payment intents.

    async def create_intent(self, request: Request) -> Response:
        """Make a payment intent; with `confirm`, charge its card before the answer."""
        asked = await asked_in_body(request)
        currency = _currency(asked)
        amount_minor = _minor(asked, "amount", currency)
        method = asked.text("payment_method", "")
        confirm, notes = asked.flag("confirm"), {"description": asked.text("description", ""), "payment_method": method}
        order = self._order(asked.inside("metadata"), amount_minor, currency, notes)
        _card_only(asked)
        asked.done()
        if method:
            _is_good(method)
        if confirm and not method:
            raise missing("payment_method")

        def make(key: str) -> tuple[Payment, Mapping[str, Any]]:
            payment = self.provider.make(key, order)
            return self._charged(payment, method) if confirm else _shown(payment)

        return await self._once(request, asked, make)

    async def list_intents(self, request: Request) -> Response:
        """Payment intents, newest first."""
        return page(request, asked_in_query(request), [objects.intent(one) for one in self.provider.book][::-1])

    async def show_intent(self, request: Request) -> Response:
        """A payment intent as it is now."""
        return answer(objects.intent(self._payment(request.path_params["id"])))

    async def confirm_intent(self, request: Request) -> Response:
        """Charge the card of a payment intent."""
        payment, asked = self._payment(request.path_params["id"]), await asked_in_body(request)
        method = asked.text("payment_method", payment.order.note("payment_method"))
        asked.text("return_url", "")
        asked.done()
        _is_good(method)

        def make(_: str) -> tuple[Payment, Mapping[str, Any]]:
            now = self._payment(payment.id)
            if Move.PAY not in MOVES[now.state]:
                raise _unexpected(now, "confirm")
            return self._charged(now, method)

        return await self._once(request, asked, make)

    async def cancel_intent(self, request: Request) -> Response:
        """Call a payment intent off, before any money has moved."""
        payment, asked = self._payment(request.path_params["id"]), await asked_in_body(request)
        reasons = ("duplicate", "fraudulent", "requested_by_customer", "abandoned", "")
        reason = asked.one_of("cancellation_reason", reasons, "")
        asked.done()

        def make(_: str) -> tuple[Payment, Mapping[str, Any]]:
            now = self._payment(payment.id)
            if Move.CANCEL not in MOVES[now.state]:
                raise _unexpected(now, "cancel")
            return _shown(self.provider.cancel(now.id, f"cancelled: {reason or 'no reason given'}"))

        return await self._once(request, asked, make)

    # Checkout sessions.

    async def create_session(self, request: Request) -> Response:
        """Make a checkout session, which the customer has yet to pay: with the control API, or on the page."""
        asked = await asked_in_body(request)
        asked.one_of("mode", ("payment",), "payment")
        notes = {name: asked.text(name, "") for name in ("success_url", "cancel_url", "client_reference_id")}
        metadata, about = asked.inside("metadata"), asked.inside("payment_intent_data")
        amount_minor, currency = _sum_of(asked.inside("line_items"))
        own, inner = dict(metadata.words()), dict(about.inside("metadata").words())
        order = self._order(Asked(own | inner, "metadata"), amount_minor, currency, notes, CHECKOUT)
        order = replace(order, reference=order.reference or notes["client_reference_id"])
        _card_only(asked)
        about.done()
        asked.done()

        def make(key: str) -> tuple[Payment, Mapping[str, Any]]:
            payment = self.provider.make(key, order)
            return payment, objects.session(payment)

        return await self._once(request, asked, make, "checkout/sessions")

    async def show_session(self, request: Request) -> Response:
        """A checkout session as it is now."""
        return answer(objects.session(self._session(request)))

    async def expire_session(self, request: Request) -> Response:
        """Close a checkout session: it will not be paid any more."""
        payment, asked = self._session(request), await asked_in_body(request)
        asked.done()

        def make(_: str) -> tuple[Payment, Mapping[str, Any]]:
            now = self._payment(payment.id)
            if Move.CANCEL not in MOVES[now.state]:
                raise _unexpected(now, "expire")
            expired = self.provider.cancel(now.id, "checkout expired")
            return expired, objects.session(expired)

        return await self._once(request, asked, make, "checkout/sessions")

    # Refunds and disputes.

    async def create_refund(self, request: Request) -> Response:
        """Give money back: all that is left, or a part."""
        asked = await asked_in_body(request)
        id = asked.text("payment_intent", "") or "pay_" + asked.text("charge", "").partition("_")[2]
        payment = self._payment(id, "payment_intent")
        scale = factor(payment.currency)
        amount = _minor(asked, "amount", payment.currency) if "amount" in asked.tree else None
        asked.one_of("reason", ("duplicate", "fraudulent", "requested_by_customer", ""), "")
        asked.done()

        def make(key: str) -> tuple[Payment, Mapping[str, Any]]:
            now = self._payment(payment.id)
            left = now.left_minor
            if not left:
                message = f"{now.id} has nothing left to refund: it is {now.state}"
                raise StripeError(400, message, code="charge_already_refunded" if now.refunds else None)
            if amount is not None and amount > left:
                raise invalid(
                    "amount", f"Refund amount ({amount * scale}) is greater than what is left ({left * scale})"
                )
            refunded = self.provider.refund(now.id, left if amount is None else amount, key)
            return refunded, objects.refund(refunded, refunded.refunds[-1])

        return await self._once(request, asked, make)

    async def list_refunds(self, request: Request) -> Response:
        """Refunds, newest first; or those of one payment intent."""
        asked = asked_in_query(request)
        of = asked.text("payment_intent", "")
        found = [self._payment(of, "payment_intent")] if of else list(self.provider.book)
        refunds = sorted(((one, payment) for payment in found for one in payment.refunds), key=lambda pair: pair[0].at)
        return page(request, asked, [objects.refund(payment, one) for one, payment in refunds][::-1])

    async def show_refund(self, request: Request) -> Response:
        """A refund."""
        id = request.path_params["id"]
        for payment in self.provider.book:
            for one in payment.refunds:
                if one.id == id:
                    return answer(objects.refund(payment, one))
        raise no_such("refund", id)

    async def show_dispute(self, request: Request) -> Response:
        """A dispute as it stands."""
        id = request.path_params["id"]
        for payment in self.provider.book:
            for one in payment.disputes:
                if one.id == id:
                    return answer(objects.dispute(payment, one))
        raise no_such("dispute", id)

    # Events.

    async def list_events(self, request: Request) -> Response:
        """What has been told or was to be told in callbacks, newest first; or what is of one type."""
        asked = asked_in_query(request)
        type = asked.text("type", "")
        told = [objects.event(id, notice) for id, notice in reversed(list(self._told().items()))]
        return page(request, asked, [event for event in told if type in ("", event["type"])])

    async def show_event(self, request: Request) -> Response:
        """An event: byte for byte what its callback carries."""
        id = request.path_params["id"]
        if id not in self._told():
            raise no_such("event", id)
        return answer(objects.event(id, self._told()[id]))

    # What they share.

    def _closed(self, run: Endpoint) -> Endpoint:
        """Open to who has the key. Whatever is refused is refused in Stripe's words."""

        async def guarded(request: Request) -> Response:
            try:
                self._let_in(request)
                answer = await run(request)
            except REFUSALS as refused:
                error = in_words(refused)
                answer = JSONResponse(error.to_json(), status_code=error.status)
            answer.headers["Request-Id"] = self.provider.fresh_id("req")
            answer.headers["Stripe-Version"] = API_VERSION
            return answer

        guarded.__doc__ = run.__doc__
        return guarded

    def _let_in(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("latin-1").partition(":")[0]
            except ValueError:
                given = ""
        if not hmac.compare_digest(given.encode(), self.api_key.encode()):
            message = "Invalid API Key provided: send PROVIDER_API_KEY as a Bearer token, or as the user of Basic authentication"
            raise StripeError(401, message, type=INVALID)

    async def _once(self, request: Request, asked: Asked, make: Make, kind: str = "payment_intents") -> Response:
        key = request.headers.get("idempotency-key", "")
        if len(key) > LONGEST_KEY:
            raise StripeError(400, f"An idempotency key has at most {LONGEST_KEY} characters", type="idempotency_error")

        def done() -> ApiAnswer:
            about, body = make(key)
            id = "" if about is None else about.id
            shown_as = session_of(id) if kind == "checkout/sessions" else id
            found_at = f"/v1/{kind}/{shown_as}" if id else request.url.path
            return ApiAnswer(402 if "error" in body else 200, body, payment=id, found_at=found_at)

        question = f"{request.method} {request.url.path} {sorted(asked.tree.items())!r}"
        return _answered(await self.provider.once(key or self.provider.fresh_id("unkeyed"), question, done))

    def _charged(self, payment: Payment, method: str) -> tuple[Payment, Mapping[str, Any]]:
        """Charge the card, or have it declined: then the answer is an error that holds the intent."""
        if _is_good(method):
            charged = self.provider.pay(payment.id, payment.order.amount_minor, "card charged")
        elif payment.state is State.FAILED:
            charged = payment  # declined once more: nothing new happened
        else:
            charged = self.provider.decline(payment.id, "card declined")
        if charged.state is State.FAILED:
            return charged, {"error": DECLINED | {"payment_intent": objects.intent(charged)}}
        return _shown(charged)

    def _order(
        self, metadata: Asked, amount_minor: int, currency: str, notes: Mapping[str, str], method: str = "redirect"
    ) -> Order:
        """What the metadata say about reference and account is what the book knows the payment by."""
        written = metadata.words()
        noted = {METADATA + name: value for name, value in written.items()} | dict(notes)
        return Order(
            reference=written.get("reference", ""),
            amount_minor=amount_minor,
            currency=currency,
            account=written.get("account", ""),
            merchant=self.provider.merchant or "acct_fake",
            method=method,
            notes=tuple((name, value) for name, value in noted.items() if value),
        )

    def _payment(self, id: str, param: str = "intent") -> Payment:
        payment = self.provider.book.get(id)
        if payment is None:
            raise no_such("payment_intent", id, param)
        return payment

    def _session(self, request: Request) -> Payment:
        id: str = request.path_params["id"]
        payment = self.provider.book.get(id.replace("cs_test_", "pay_", 1))
        if payment is None or payment.order.method != CHECKOUT:
            raise no_such("checkout.session", id)
        return payment

    def _told(self) -> Mapping[str, Any]:
        return self.provider.deliveries.told


def _currency(asked: Asked) -> str:
    raw = asked.text("currency")
    if len(raw) != 3 or not (raw.isascii() and raw.isalpha()):
        raise invalid(asked.named("currency"), f"Invalid currency: {raw}")
    return raw.upper()


def _minor(asked: Asked, name: str, currency: str) -> int:
    """An amount as Stripe writes it, in minor units."""
    minor, rest = divmod(asked.whole(name), factor(currency))
    if rest:
        raise invalid(asked.named(name), f"{currency} has no minor unit: {asked.named(name)} must be a multiple of 100")
    return minor


def _card_only(asked: Asked) -> None:
    """Parameters that say what is so anyway."""
    for name in ("payment_method_types", "automatic_payment_methods"):
        words = set(asked.inside(name).words().values())
        if not words <= {"card", "true", "never"}:
            raise invalid(name, f"{name}: this provider takes cards only")


def _sum_of(items: Asked) -> tuple[int, str]:
    """What all the items of a checkout cost together, and in which currency."""
    total, currencies = 0, set()
    for item in items.each():
        price = item.inside("price_data")
        currency = _currency(price)
        currencies.add(currency)
        total += _minor(price, "unit_amount", currency) * item.whole("quantity", 1, 10_000)
        price.inside("product_data").words()
        for each in (price, item):
            each.done()
    if not currencies:
        raise missing("line_items")
    if len(currencies) > 1 or total > fields.LARGEST:
        raise invalid("line_items", "line_items must be in one currency, and together not more than a number can hold")
    return total, currencies.pop()


def _is_good(method: str) -> bool:
    if not method:
        raise missing("payment_method")
    if method not in GOOD_CARDS + BAD_CARDS:
        known = ", ".join(GOOD_CARDS + BAD_CARDS)
        message = f"No such PaymentMethod: {method!r}. This provider knows {known}"
        raise StripeError(400, message, code="resource_missing", param="payment_method")
    return method in GOOD_CARDS


def _unexpected(payment: Payment, what: str) -> StripeError:
    status = objects.intent(payment)["status"]
    message = f"You cannot {what} this PaymentIntent because it has a status of {status}."
    return StripeError(400, message, code="payment_intent_unexpected_state", param="intent")


def _shown(payment: Payment) -> tuple[Payment, Mapping[str, Any]]:
    return payment, objects.intent(payment)


def _answered(answer: ApiAnswer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    if answer.location is not None:
        headers["Location"] = answer.location
    body = dict(answer.body)
    if answer.status >= 500:  # what a mood says instead of the truth, in the words of this API
        body = {"error": {"type": "api_error", "message": body["error"]["message"]}}
    return JSONResponse(body, status_code=answer.status, headers=headers)
